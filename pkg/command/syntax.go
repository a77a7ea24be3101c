package command

import (
	"slices"
	"strings"
	"unicode"
)

// The arguments of a command as a tree, read from its Syntax: what COMMAND
// DOCS tells, and what a shell needs for hints.

// Argument is one argument of a command, or a group of them.
type Argument struct {
	Name string
	// Kind is as in COMMAND DOCS: string, integer, double, key, pattern,
	// unix-time, pure-token, oneof or block.
	Kind     string
	Token    string // the word before it, or that it is
	Optional bool
	Multiple bool
	Parts    []Argument // of oneof and block
}

// Arguments is the arguments that Syntax writes down.
func (cmd *Command) Arguments() []Argument {
	p := syntaxParser{words: syntaxWords(cmd.Syntax)}
	args := arguments(p.sequence())
	for i := range args {
		if kind := kindsOf[cmd.full+" "+args[i].Name]; kind != "" {
			args[i].Kind = kind
		}
	}
	return args
}

// kindsOf is where a name stands for something else than usual.
var kindsOf = map[string]string{"incrbyfloat increment": "double", "setbit value": "integer"}

// syntaxWords cuts a syntax into words and brackets.
func syntaxWords(s string) []string {
	for _, bracket := range []string{"[", "]", "<", ">", "|"} {
		s = strings.ReplaceAll(s, bracket, " "+bracket+" ")
	}
	return strings.Fields(s)
}

// syntaxNode is a word, or the alternatives within brackets.
type syntaxNode struct {
	word     string
	optional bool // [ ], else < >
	alts     [][]syntaxNode
}

type syntaxParser struct{ words []string }

// sequence reads up to what ends it, which stays.
func (p *syntaxParser) sequence() []syntaxNode {
	var nodes []syntaxNode
	for len(p.words) > 0 {
		word := p.words[0]
		switch word {
		case "]", ">", "|":
			return nodes
		case "[", "<":
			nodes = append(nodes, p.brackets())
		default:
			p.words = p.words[1:]
			nodes = append(nodes, syntaxNode{word: word})
		}
	}
	return nodes
}

// brackets reads alternatives with the brackets around them.
func (p *syntaxParser) brackets() syntaxNode {
	n := syntaxNode{optional: p.words[0] == "["}
	for {
		p.words = p.words[1:] // "[", "<" or "|"
		n.alts = append(n.alts, p.sequence())
		if len(p.words) == 0 || p.words[0] != "|" {
			p.words = p.words[min(1, len(p.words)):]
			return n
		}
	}
}

// isToken tells a word that is written as it stands from the name of a value.
func isToken(n syntaxNode) bool {
	return n.word != "" && n.word != "..." && strings.IndexFunc(n.word, unicode.IsLower) < 0
}

func isValue(n syntaxNode) bool { return n.word != "" && n.word != "..." && !isToken(n) }

// arguments turns what was read into arguments.
func arguments(nodes []syntaxNode) []Argument {
	var args []Argument
	for i := 0; i < len(nodes); {
		n := nodes[i]
		switch {
		case n.word == "...":
			args = repeatAll(args)
			i++
		case n.word != "" && !isToken(n):
			args = append(args, Argument{Name: n.word, Kind: kindOf(n.word)})
			i++
		case isToken(n):
			var a Argument
			a, i = tokenArgument(nodes, i)
			args = append(args, a)
		case repeats(args, n):
			args = repeatLast(args, len(valuesOf(n)))
			i++
		default:
			args = append(args, group(n))
			i++
		}
	}
	return args
}

// tokenArgument is the word at i with the values that belong to it.
func tokenArgument(nodes []syntaxNode, i int) (Argument, int) {
	a := Argument{Name: strings.ToLower(nodes[i].word), Kind: "pure-token", Token: nodes[i].word}
	from := i + 1
	for i = from; i < len(nodes) && isValue(nodes[i]); i++ {
	}
	switch {
	case i == from && i < len(nodes) && nodes[i].word == "" && !nodes[i].optional:
		choice := group(nodes[i])
		choice.Token = a.Token
		return choice, i + 1
	case i == from+1:
		a.Name, a.Kind = nodes[from].word, kindOf(nodes[from].word)
	case i > from+1:
		a.Kind, a.Parts = "block", arguments(nodes[from:i])
	}
	return a, i
}

// valuesOf is the names in "[a b ...]", nil for anything else.
func valuesOf(n syntaxNode) []string {
	if len(n.alts) != 1 || !n.optional {
		return nil
	}
	var names []string
	for i, part := range n.alts[0] {
		switch {
		case i == len(n.alts[0])-1 && part.word == "...":
			return names
		case part.word == "":
			return nil
		}
		names = append(names, part.word)
	}
	return nil
}

// repeats tells whether n says that the arguments just before it may come
// again.
func repeats(args []Argument, n syntaxNode) bool {
	names := valuesOf(n)
	if len(names) == 0 || len(names) > len(args) {
		return false
	}
	for i, a := range args[len(args)-len(names):] {
		if a.Name != names[i] {
			return false
		}
	}
	return true
}

// repeatLast makes the last n arguments one that may come several times.
func repeatLast(args []Argument, n int) []Argument {
	if n == 1 {
		args[len(args)-1].Multiple = true
		return args
	}
	return append(args[:len(args)-n], repeatAll(slices.Clone(args[len(args)-n:]))...)
}

// repeatAll makes one argument of all that may come several times.
func repeatAll(args []Argument) []Argument {
	if len(args) == 1 {
		args[0].Multiple = true
		return args
	}
	var names []string
	for _, a := range args {
		names = append(names, a.Name)
	}
	return []Argument{{Name: strings.Join(names, "_"), Kind: "block", Multiple: true, Parts: args}}
}

// group is what stands in brackets.
func group(n syntaxNode) Argument {
	var a Argument
	if len(n.alts) == 1 {
		a = one(arguments(n.alts[0]))
	} else {
		a = Argument{Kind: "oneof"}
		var names []string
		for _, alt := range n.alts {
			part := one(arguments(alt))
			names = append(names, part.Name)
			a.Parts = append(a.Parts, part)
		}
		a.Name = strings.Join(names, "_")
	}
	a.Optional = a.Optional || n.optional
	return a
}

// one is the arguments as one.
func one(args []Argument) Argument {
	if len(args) == 1 {
		return args[0]
	}
	a := Argument{Kind: "block", Parts: args}
	for i := range args {
		if i > 0 {
			a.Name += "_"
		}
		a.Name += args[i].Name
	}
	return a
}

// kinds is the kind of value by its name; all others are strings.
var kinds = map[string]string{
	"key": "key", "key1": "key", "key2": "key", "newkey": "key", "destkey": "key", "sourcekey": "key",
	"source": "key", "destination": "key",
	"pattern":           "pattern",
	"unix-time-seconds": "unix-time", "unix-time-milliseconds": "unix-time",
	"bit": "integer", "client-id": "integer", "count": "integer", "cursor": "integer", "db": "integer", "decrement": "integer",
	"destination-db": "integer", "end": "integer", "frequency": "integer", "increment": "integer", "index": "integer",
	"index1": "integer", "index2": "integer", "milliseconds": "integer", "min-match-len": "integer", "numkeys": "integer",
	"numlocal": "integer", "numreplicas": "integer", "offset": "integer", "protover": "integer", "seconds": "integer",
	"start": "integer", "timeout": "integer", "ttl": "integer", "version": "integer",
}

func kindOf(name string) string {
	if kind, known := kinds[name]; known {
		return kind
	}
	return "string"
}
