package cli

import (
	"errors"
	"strconv"
	"strings"
)

// errQuotes is the one thing that can be wrong with a line.
var errQuotes = errors.New("unbalanced quotes")

// split takes a line apart into words.  "..." knows \n \r \t \b \a \xHH and \
// before any other character; '...' knows only \'.  Behind a closing quote
// stands a blank or the end.
func split(line string) ([]string, error) {
	var words []string
	for i := 0; ; {
		for i < len(line) && isBlank(line[i]) {
			i++
		}
		if i == len(line) {
			return words, nil
		}
		word, next, err := splitWord(line, i)
		if err != nil {
			return nil, err
		}
		words = append(words, word)
		i = next
	}
}

// splitWord reads the word that begins at i and returns where it ends.
func splitWord(line string, i int) (string, int, error) {
	var word strings.Builder
	for i < len(line) && !isBlank(line[i]) {
		switch line[i] {
		case '"', '\'':
			end, err := unquote(&word, line, i)
			if err != nil {
				return "", 0, err
			}
			if end < len(line) && !isBlank(line[end]) {
				return "", 0, errQuotes
			}
			return word.String(), end, nil
		default:
			word.WriteByte(line[i])
			i++
		}
	}
	return word.String(), i, nil
}

// unquote appends the text of the quotes that open at i and returns the place
// behind them.
func unquote(word *strings.Builder, line string, i int) (int, error) {
	quote := line[i]
	for i++; i < len(line); i++ {
		c := line[i]
		switch {
		case c == quote:
			return i + 1, nil
		case c == '\\' && quote == '\'' && i+1 < len(line) && line[i+1] == '\'':
			i++
			word.WriteByte('\'')
		case c == '\\' && quote == '"' && i+1 < len(line):
			i = escape(word, line, i+1)
		default:
			word.WriteByte(c)
		}
	}
	return 0, errQuotes
}

// escape appends what the character behind a backslash stands for and returns
// the place of its last one.
func escape(word *strings.Builder, line string, i int) int {
	if line[i] == 'x' && i+2 < len(line) {
		if b, err := strconv.ParseUint(line[i+1:i+3], 16, 8); err == nil {
			word.WriteByte(byte(b))
			return i + 2
		}
	}
	if at := strings.IndexByte("nrtba", line[i]); at >= 0 {
		word.WriteByte("\n\r\t\b\a"[at])
	} else {
		word.WriteByte(line[i])
	}
	return i
}

// isBlank reports whether c parts words.
func isBlank(c byte) bool {
	return c == ' ' || c >= '\t' && c <= '\r' || c == 0
}
