package resp

// Split cuts a line into words as Redis's sdssplitargs does: blanks separate;
// "double quotes" know \n \r \t \b \a \xHH and \ before any other byte,
// 'single quotes' know \'; a closing quote must be followed by a blank. Words
// are appended to args; quoted ones are unescaped in place, so line is changed
// and the words are views of it. ok is false when quotes are unbalanced.
func Split(args [][]byte, line []byte) (words [][]byte, ok bool) {
	i := 0
	for {
		for i < len(line) && isBlank(line[i]) {
			i++
		}
		if i == len(line) {
			return args, true
		}
		var word []byte
		if word, i, ok = splitWord(line, i); !ok {
			return args, false
		}
		args = append(args, word)
	}
}

// splitWord reads one word from line[i:]. The word is written where it was
// read: unescaping never makes it longer.
func splitWord(line []byte, i int) (word []byte, next int, ok bool) {
	start, w := i, i
	for i < len(line) && !isBlank(line[i]) && line[i] != 0 {
		switch line[i] {
		case '"', '\'':
			if w, i, ok = splitQuoted(line, i, w); !ok {
				return nil, i, false
			}
		default:
			line[w] = line[i]
			w++
			i++
		}
	}
	if i < len(line) && line[i] == 0 {
		i = len(line) // as a C string ends there
	}
	return line[start:w:w], i, true
}

// splitQuoted unescapes the quoted text that opens at line[i] to line[w:].
func splitQuoted(line []byte, i, w int) (newW, next int, ok bool) {
	quote := line[i]
	for i++; i < len(line); i++ {
		switch c := line[i]; {
		case c == quote:
			return w, i + 1, i+1 == len(line) || isBlank(line[i+1])
		case c == '\\' && quote == '"' && i+1 < len(line):
			var b byte
			b, i = escape(line, i)
			line[w] = b
			w++
		case c == '\\' && quote == '\'' && i+1 < len(line) && line[i+1] == '\'':
			i++
			line[w] = '\''
			w++
		default:
			line[w] = c
			w++
		}
	}
	return w, i, false
}

// escape reads the escape sequence at line[i] and returns the position of its
// last byte.
func escape(line []byte, i int) (byte, int) {
	if line[i+1] == 'x' && i+3 < len(line) {
		hi, ok1 := hex(line[i+2])
		lo, ok2 := hex(line[i+3])
		if ok1 && ok2 {
			return hi<<4 | lo, i + 3
		}
	}
	switch c := line[i+1]; c {
	case 'n':
		return '\n', i + 1
	case 'r':
		return '\r', i + 1
	case 't':
		return '\t', i + 1
	case 'b':
		return '\b', i + 1
	case 'a':
		return '\a', i + 1
	default:
		return c, i + 1
	}
}

func hex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// isBlank is isspace(3) in the C locale.
func isBlank(c byte) bool {
	return c == ' ' || (c >= '\t' && c <= '\r')
}
