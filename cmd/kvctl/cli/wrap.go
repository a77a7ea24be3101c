package cli

import (
	"strings"
	"unicode/utf8"
)

// wrap breaks text into lines of at most width characters; there is at least
// one.
func wrap(text string, width int) []string { return hang(text, width, width) }

// hang breaks text between words into lines, the first of at most first
// characters, the others of at most rest. A word too long for a line of its own
// is a path, mostly: it is broken behind a slash; else it stands as it is.
func hang(text string, first, rest int) []string {
	var lines []string
	line, room := "", first
	for _, word := range strings.Fields(text) {
		for {
			with := word
			if line != "" {
				with = line + " " + word
			}
			if utf8.RuneCountInString(with) <= room {
				line = with
				break
			}
			if line != "" || len(lines) == 0 && room < rest {
				lines, line, room = append(lines, line), "", rest
				continue
			}
			head, tail := atSlash(word, room)
			if tail == "" {
				line = head
				break
			}
			lines, room, word = append(lines, head), rest, tail
		}
	}
	return append(lines, line)
}

// atSlash parts a word behind the last slash, comma or colon within width
// characters; tail is empty where there is none.
func atSlash(word string, width int) (head, tail string) {
	limit := len(string([]rune(word)[:min(width, utf8.RuneCountInString(word))]))
	at := strings.LastIndexAny(word[:limit], "/,:") + 1
	if at <= 0 || at == len(word) {
		return word, ""
	}
	return word[:at], word[at:]
}
