package script

import "strings"

// The words of Lua 5.1, for the messages of mistakes: the interpreter's own
// parser says of all of them "syntax error".

// syntaxFault is a mistake: what it is and near what, "" for nowhere.
type syntaxFault struct {
	line       int
	what, near string
}

// Kinds of words that are not themselves.
const (
	wordEnd    = "<eof>"
	wordName   = "<name>"
	wordString = "<string>"
	wordNumber = "<number>"
)

var reserved = map[string]bool{}

func init() {
	for _, word := range strings.Fields("and break do else elseif end false for function if in local nil not or repeat return then true until while") {
		reserved[word] = true
	}
}

// lexer reads words.
type lexer struct {
	text string
	at   int
	line int
}

// word is one: its kind, and what stands in the text.
type word struct{ kind, text string }

func (x *lexer) fail(what, near string) { panic(syntaxFault{x.line, what, near}) }

func (x *lexer) char(offset int) byte {
	if at := x.at + offset; at < len(x.text) {
		return x.text[at]
	}
	return 0
}

// blanks steps over blanks and comments.
func (x *lexer) blanks() {
	for x.at < len(x.text) {
		switch c := x.char(0); {
		case c == '\n':
			x.line++
			x.at++
		case strings.IndexByte(blanks, c) >= 0:
			x.at++
		case c == '-' && x.char(1) == '-':
			x.at += 2
			if level := x.longLevel(); level >= 0 {
				x.long(level, "unfinished long comment")
				continue
			}
			for x.at < len(x.text) && x.char(0) != '\n' {
				x.at++
			}
		default:
			return
		}
	}
}

// longLevel is how many = stand in a long bracket that begins here; -1: none does.
func (x *lexer) longLevel() int {
	if x.char(0) != '[' {
		return -1
	}
	n := 1
	for x.char(n) == '=' {
		n++
	}
	if x.char(n) != '[' {
		return -1
	}
	return n - 1
}

// long steps over what stands in long brackets.
func (x *lexer) long(level int, unfinished string) {
	end := "]" + strings.Repeat("=", level) + "]"
	rest := x.text[x.at+level+2:]
	n := strings.Index(rest, end)
	if n < 0 {
		x.line += strings.Count(rest, "\n")
		x.fail(unfinished, wordEnd)
	}
	x.line += strings.Count(rest[:n], "\n")
	x.at += level + 2 + n + len(end)
}

func isWordChar(c byte) bool { return isLetter(c) || isDigit(c) || c == '_' }

// next reads a word.
func (x *lexer) next() word {
	x.blanks()
	if x.at >= len(x.text) {
		return word{wordEnd, wordEnd}
	}
	start, c := x.at, x.char(0)
	switch {
	case isLetter(c) || c == '_':
		for isWordChar(x.char(0)) {
			x.at++
		}
		text := x.text[start:x.at]
		if reserved[text] {
			return word{text, text}
		}
		return word{wordName, text}
	case isDigit(c) || c == '.' && isDigit(x.char(1)):
		return x.number()
	case c == '"' || c == '\'':
		return x.quoted(c)
	}
	if level := x.longLevel(); level >= 0 {
		x.long(level, "unfinished long string")
		return word{wordString, x.text[start:x.at]}
	}
	for _, symbol := range []string{"...", "..", "==", "<=", ">=", "~="} {
		if strings.HasPrefix(x.text[x.at:], symbol) {
			x.at += len(symbol)
			return word{symbol, symbol}
		}
	}
	x.at++
	return word{x.text[start:x.at], x.text[start:x.at]}
}

func (x *lexer) number() word {
	start := x.at
	for isDigit(x.char(0)) || x.char(0) == '.' {
		x.at++
	}
	if x.char(0)|0x20 == 'e' {
		if x.at++; x.char(0) == '+' || x.char(0) == '-' {
			x.at++
		}
	}
	for isWordChar(x.char(0)) {
		x.at++
	}
	text := x.text[start:x.at]
	if _, ok := number(text, 10); !ok {
		x.fail("malformed number", text)
	}
	return word{wordNumber, text}
}

// quoted reads a text in quotes.
func (x *lexer) quoted(quote byte) word {
	start := x.at
	for x.at++; x.char(0) != quote || x.at >= len(x.text); x.at++ {
		switch {
		case x.at >= len(x.text):
			x.fail("unfinished string", wordEnd)
		case x.char(0) == '\n':
			x.fail("unfinished string", x.text[start:x.at])
		case x.char(0) == '\\':
			x.escape(start)
		}
	}
	x.at++
	return word{wordString, x.text[start:x.at]}
}

// escape steps over what comes after a backslash, up to its last character.
func (x *lexer) escape(start int) {
	x.at++
	if x.char(0) == '\r' && x.char(1) == '\n' { // one line break
		x.at++
	}
	if x.char(0) == '\n' {
		x.line++
	}
	n := 0
	for digits := 0; digits < 3 && isDigit(x.char(digits)); digits++ {
		n = n*10 + int(x.char(digits)-'0')
	}
	if n > 255 {
		x.fail("escape sequence too large", x.text[start:x.at-1])
	}
}
