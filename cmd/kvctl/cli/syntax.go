package cli

import (
	"strings"

	"kvstored/pkg/command"
)

// part is one piece of a command's syntax: a word to fill in, or a choice in
// brackets.
type part struct {
	text     string     // as the manual has it
	word     string     // of a plain word; empty for brackets
	choices  [][]string // of brackets: the words of each alternative
	required bool       // <...> and plain words
	repeats  bool       // [key ...]
}

// parseSyntax takes "key value [NX | XX] [key ...]" apart.
func parseSyntax(syntax string) []part {
	var parts []part
	for i := 0; i < len(syntax); {
		switch c := syntax[i]; c {
		case ' ':
			i++
		case '[', '<':
			end := closing(syntax, i)
			parts = append(parts, bracket(syntax[i:end]))
			i = end
		default:
			end := i + strings.IndexByte(syntax[i:]+" ", ' ')
			parts = append(parts, part{text: syntax[i:end], word: syntax[i:end], required: true})
			i = end
		}
	}
	return parts
}

// closing is the place behind the bracket that closes the one at i.
func closing(syntax string, i int) int {
	depth := 0
	for ; i < len(syntax); i++ {
		switch syntax[i] {
		case '[', '<':
			depth++
		case ']', '>':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return i
}

// bracket reads "[EX seconds | PX milliseconds]".
func bracket(text string) part {
	p := part{text: text, required: text[0] == '<'}
	inner := strings.Trim(text, "[]<>")
	for choice := range strings.SplitSeq(inner, " | ") {
		words := strings.Fields(strings.NewReplacer("[", "", "]", "", "<", "", ">", "").Replace(choice))
		if n := len(words); n > 0 && words[n-1] == "..." {
			words, p.repeats = words[:n-1], true
			// "message-id [message-id ...]" names the same twice
			if len(words) > 1 && words[0] == words[1] {
				words = words[:1]
			}
		}
		p.choices = append(p.choices, words)
	}
	return p
}

// isOption reports whether a word of a syntax is typed as it stands.
func isOption(word string) bool {
	return word != "" && word == strings.ToUpper(word) && strings.ContainsFunc(word, func(r rune) bool { return r >= 'A' && r <= 'Z' })
}

// rest is what may still follow the arguments of a command.
type rest struct {
	pending []string // words that the option just typed waits for
	parts   []part   // what was not used yet
}

// wantsKey tells whether a key comes next.
func (r rest) wantsKey() bool {
	next := r.next()
	return strings.Contains(next, "key") || next == "source" || next == "destination"
}

// after walks args along the syntax: plain words are taken in their order,
// options drop out when they are used.
func after(syntax string, args []string) rest {
	r := rest{parts: parseSyntax(syntax)}
	for _, arg := range args {
		switch {
		case len(r.pending) > 0:
			r.pending = r.pending[1:]
		case r.takeOption(arg):
		default:
			r.takeWord()
		}
	}
	return r
}

// takeOption uses the option arg if brackets before the next plain word have it.
func (r *rest) takeOption(arg string) bool {
	for i, p := range r.parts {
		if p.word != "" && !isOption(p.word) {
			return false
		}
		for _, words := range append(p.choices, []string{p.word}) {
			if len(words) == 0 || !isOption(words[0]) || !strings.EqualFold(words[0], arg) {
				continue
			}
			r.pending = words[1:]
			if !p.repeats {
				r.parts = append(append([]part{}, r.parts[:i]...), r.parts[i+1:]...)
			}
			return true
		}
	}
	return false
}

// takeWord uses the next plain word, or the next of [key ...].
func (r *rest) takeWord() {
	for i, p := range r.parts {
		switch {
		case p.word != "":
			r.parts = r.parts[i+1:]
			return
		case p.choices[0] != nil && !isOption(p.choices[0][0]):
			r.pending = p.choices[0][1:]
			if !p.repeats {
				r.parts = append(append([]part{}, r.parts[:i]...), r.parts[i+1:]...)
			}
			return
		}
	}
}

// String is the rest as the manual writes it.
func (r rest) String() string {
	words := append([]string{}, r.pending...)
	for _, p := range r.parts {
		words = append(words, p.text)
	}
	return strings.Join(words, " ")
}

// next is the word to be typed now: an option's value, or the next plain one.
func (r rest) next() string {
	if len(r.pending) > 0 {
		return r.pending[0]
	}
	for _, p := range r.parts {
		if p.word != "" {
			return p.word
		}
		if len(p.choices) > 0 && len(p.choices[0]) > 0 && !isOption(p.choices[0][0]) {
			return p.choices[0][0]
		}
	}
	return ""
}

// options are the options that may be typed now.
func (r rest) options() []string {
	var names []string
	if len(r.pending) > 0 {
		return nil
	}
	for _, p := range r.parts {
		if p.word != "" && !isOption(p.word) {
			break
		}
		for _, words := range append(p.choices, []string{p.word}) {
			if len(words) > 0 && isOption(words[0]) {
				names = append(names, words[0])
			}
		}
	}
	return names
}

// called finds the command, or subcommand, that words begin with and what of
// the words are its arguments; nil if there is none.
func called(words []string) (*command.Command, []string) {
	if len(words) == 0 {
		return nil, nil
	}
	cmd := protocolCommand(words)
	if cmd == nil {
		return nil, nil
	}
	if parent := command.Lookup([]byte(words[0])); parent != cmd {
		return cmd, words[2:]
	}
	return cmd, words[1:]
}
