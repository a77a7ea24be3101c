package script

import (
	"errors"
	"fmt"
	"strings"
)

// mistake is the first mistake in a text in the words of Lua 5.1, "" when none
// is found.
func mistake(name, text string) (message string) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case syntaxFault:
			message = fmt.Sprintf("%s:%d: %s", name, e.line, e.what)
			if e.near != "" {
				message += " near '" + e.near + "'"
			}
		default:
			panic(e)
		}
	}()
	p := &grammar{lexer: lexer{text: text, line: 1}, vararg: true, constants: map[string]bool{}}
	p.advance()
	p.block()
	p.check(wordEnd)
	return ""
}

// grammar walks through a text by the rules of Lua 5.1.
type grammar struct {
	lexer
	word     word
	ahead    *word // read already
	lastLine int   // of the word before
	depth    int
	loops    int
	vararg   bool // the function takes any number of arguments

	constants map[string]bool // and names of the function
	sought    int             // see constant
}

// mostNestedSyntax is how deep Lua lets a text nest.
const mostNestedSyntax = 200

func (p *grammar) advance() {
	p.lastLine = p.line
	if p.ahead != nil {
		p.word, p.ahead = *p.ahead, nil
		return
	}
	p.word = p.next()
	p.constant()
}

// mostSought is how often the interpreter's compiler may look at a constant:
// for each it goes through those that the function has. It is met by one
// function with 20,000 of them.
const mostSought = 200_000_000

// constant counts the word where it is one.
func (p *grammar) constant() {
	switch p.word.kind {
	case wordNumber, wordString, wordName:
		p.constants[p.word.text] = true
		if p.sought += len(p.constants); p.sought > mostSought {
			p.fail("constant table overflow", "")
		}
	}
}

func (p *grammar) error(what string) { p.fail(what, p.word.text) }

func (p *grammar) is(kind string) bool { return p.word.kind == kind }

func (p *grammar) accept(kind string) bool {
	if !p.is(kind) {
		return false
	}
	p.advance()
	return true
}

func (p *grammar) check(kind string) {
	if !p.is(kind) {
		p.error("'" + kind + "' expected")
	}
}

func (p *grammar) expect(kind string) {
	p.check(kind)
	p.advance()
}

// closes expects the end of what began on a line.
func (p *grammar) closes(kind, what string, line int) {
	if !p.is(kind) && line != p.line {
		p.error(fmt.Sprintf("'%s' expected (to close '%s' at line %d)", kind, what, line))
	}
	p.expect(kind)
}

func (p *grammar) enter() {
	if p.depth++; p.depth > mostNestedSyntax {
		p.fail("chunk has too many syntax levels", "")
	}
}

func (p *grammar) block() {
	p.enter()
	for last := false; !last; {
		switch p.word.kind {
		case wordEnd, "else", "elseif", "end", "until":
			p.depth--
			return
		}
		last = p.statement()
		p.accept(";")
	}
	p.depth--
}

// statement reads one; last: none may follow.
func (p *grammar) statement() (last bool) {
	line := p.line
	switch p.word.kind {
	case "if":
		p.branches(line)
	case "while":
		p.advance()
		p.expression(0)
		p.expect("do")
		p.loop()
		p.closes("end", "while", line)
	case "do":
		p.advance()
		p.block()
		p.closes("end", "do", line)
	case "for":
		p.forLoop(line)
	case "repeat":
		p.advance()
		p.loop()
		p.closes("until", "repeat", line)
		p.expression(0)
	case "function":
		p.advance()
		p.expect(wordName)
		for p.is(".") {
			p.advance()
			p.expect(wordName)
		}
		if p.accept(":") {
			p.expect(wordName)
		}
		p.body(line)
	case "local":
		p.local()
	case "return":
		p.advance()
		if !p.is(";") && !p.endsBlock() {
			p.expressions()
		}
		return true
	case "break":
		p.advance()
		if p.loops == 0 {
			p.error("no loop to break")
		}
		return true
	default:
		p.assignment()
	}
	return false
}

func (p *grammar) endsBlock() bool {
	return p.is(wordEnd) || p.is("else") || p.is("elseif") || p.is("end") || p.is("until")
}

func (p *grammar) loop() {
	p.loops++
	p.block()
	p.loops--
}

func (p *grammar) branches(line int) {
	for p.is("if") || p.is("elseif") {
		p.advance()
		p.expression(0)
		p.expect("then")
		p.block()
	}
	if p.accept("else") {
		p.block()
	}
	p.closes("end", "if", line)
}

func (p *grammar) forLoop(line int) {
	p.advance()
	p.expect(wordName)
	switch p.word.kind {
	case "=":
		p.advance()
		p.expression(0)
		p.expect(",")
		p.expression(0)
		if p.accept(",") {
			p.expression(0)
		}
	case ",", "in":
		for p.accept(",") {
			p.expect(wordName)
		}
		p.expect("in")
		p.expressions()
	default:
		p.error("'=' or 'in' expected")
	}
	p.expect("do")
	p.loop()
	p.closes("end", "for", line)
}

func (p *grammar) local() {
	p.advance()
	if p.accept("function") {
		p.expect(wordName)
		p.body(p.line)
		return
	}
	for p.expect(wordName); p.accept(","); {
		p.expect(wordName)
	}
	if p.accept("=") {
		p.expressions()
	}
}

// What an expression that begins a statement is.
const (
	aVariable = iota
	aCall
	inParentheses
)

// assignment is one, or a call.
func (p *grammar) assignment() {
	target := p.suffixed()
	if target == aCall {
		return
	}
	for {
		if target != aVariable {
			p.error("syntax error")
		}
		if !p.accept(",") {
			break
		}
		target = p.suffixed()
	}
	p.expect("=")
	p.expressions()
}

func (p *grammar) expressions() {
	for p.expression(0); p.accept(","); {
		p.expression(0)
	}
}

// priorities of binary operators, to the left and to the right.
var priorities = map[string][2]int{
	"+": {6, 6}, "-": {6, 6}, "*": {7, 7}, "/": {7, 7}, "%": {7, 7}, "^": {10, 9}, "..": {5, 4}, "~=": {3, 3}, "==": {3, 3},
	"<": {3, 3}, "<=": {3, 3}, ">": {3, 3}, ">=": {3, 3}, "and": {2, 2}, "or": {1, 1},
}

func (p *grammar) expression(limit int) {
	p.enter()
	switch p.word.kind {
	case "not", "-", "#":
		p.advance()
		p.expression(8)
	default:
		p.simple()
	}
	for {
		priority, ok := priorities[p.word.kind]
		if !ok || priority[0] <= limit {
			break
		}
		p.advance()
		p.expression(priority[1])
	}
	p.depth--
}

func (p *grammar) simple() {
	switch p.word.kind {
	case wordNumber, wordString, "nil", "true", "false":
		p.advance()
	case "...":
		if !p.vararg {
			p.error("cannot use '...' outside a vararg function")
		}
		p.advance()
	case "{":
		p.table()
	case "function":
		p.advance()
		p.body(p.line)
	default:
		p.suffixed()
	}
}

// suffixed is a name or an expression in parentheses, and what comes after it.
func (p *grammar) suffixed() (what int) {
	line := p.line
	switch p.word.kind {
	case "(":
		p.advance()
		p.expression(0)
		p.closes(")", "(", line)
		what = inParentheses
	case wordName:
		p.advance()
	default:
		p.error("unexpected symbol")
	}
	for {
		switch p.word.kind {
		case ".":
			p.advance()
			p.expect(wordName)
			what = aVariable
		case "[":
			p.advance()
			p.expression(0)
			p.expect("]")
			what = aVariable
		case ":":
			p.advance()
			p.expect(wordName)
			p.arguments()
			what = aCall
		case "(", wordString, "{":
			p.arguments()
			what = aCall
		default:
			return what
		}
	}
}

func (p *grammar) arguments() {
	line := p.line
	switch p.word.kind {
	case "(":
		if line != p.lastLine {
			p.error("ambiguous syntax (function call x new statement)")
		}
		p.advance()
		if !p.is(")") {
			p.expressions()
		}
		p.closes(")", "(", line)
	case "{":
		p.table()
	case wordString:
		p.advance()
	default:
		p.error("function arguments expected")
	}
}

func (p *grammar) table() {
	line := p.line
	p.expect("{")
	for !p.is("}") {
		switch p.word.kind {
		case "[":
			p.advance()
			p.expression(0)
			p.expect("]")
			p.expect("=")
		case wordName:
			if p.peekAssign() {
				p.advance()
				p.advance()
			}
		}
		p.expression(0)
		if !p.accept(",") && !p.accept(";") {
			break
		}
	}
	p.closes("}", "{", line)
}

// peekAssign tells whether = comes after the name.
func (p *grammar) peekAssign() bool {
	ahead := p.next()
	p.ahead = &ahead
	return ahead.kind == "="
}

func (p *grammar) body(line int) {
	loops, vararg, constants := p.loops, p.vararg, p.constants
	p.loops, p.vararg, p.constants = 0, false, map[string]bool{}
	p.expect("(")
	for !p.is(")") {
		switch p.word.kind {
		case wordName:
			p.advance()
		case "...":
			p.advance()
			p.vararg = true
		default:
			p.error("<name> or '...' expected")
		}
		if p.vararg || !p.accept(",") {
			break
		} else if p.is(")") {
			p.error("<name> or '...' expected")
		}
	}
	p.expect(")")
	p.block()
	p.closes("end", "function", line)
	p.loops, p.vararg, p.constants = loops, vararg, constants
}

// unforeseen is an error of the interpreter's compiler, of a text in which
// mistake finds none.
func unforeseen(name string, err error) error {
	return errors.New(name + ": " + strings.Join(strings.Fields(err.Error()), " "))
}
