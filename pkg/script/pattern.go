package script

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// Patterns of Lua 5.1. The interpreter's own matcher has other errors, and
// cannot be ended while it tries its ways; this one counts its steps like
// instructions.

const (
	mostCaptures = 32
	unclosed     = -1 // the length of a capture whose end was not met
	position     = -2 // of one that gives its place
	mostRecursed = 200_000
)

type capture struct{ start, length int }

// matcher matches a pattern with a text.
type matcher struct {
	v        *VM
	L        *lua.LState
	text     string
	pattern  string
	captures []capture
	depth    int
}

// newMatcher cuts the pattern at a zero byte, as C does.
func (v *VM) newMatcher(L *lua.LState, text, pattern string) *matcher {
	pattern, _, _ = strings.Cut(pattern, "\x00")
	return &matcher{v: v, L: L, text: text, pattern: pattern}
}

// try matches the pattern from p on with the text from s on; end is -1 where
// it does not.
func (m *matcher) try(s, p int) (end int) {
	m.captures, m.depth = m.captures[:0], 0
	return m.match(s, p)
}

// step counts one; a script that must end ends here, too.
func (m *matcher) step() { m.v.ticks.step(m.L) }

func (m *matcher) match(s, p int) int {
	if m.depth++; m.depth > mostRecursed {
		raise(m.L, "pattern too complex")
	}
	end := m.matchHere(s, p)
	m.depth--
	return end
}

func (m *matcher) matchHere(s, p int) int {
	for {
		m.step()
		if p == len(m.pattern) {
			return s
		}
		switch m.pattern[p] {
		case '(':
			return m.open(s, p)
		case ')':
			return m.shut(s, p)
		case '$':
			if p+1 == len(m.pattern) {
				if s == len(m.text) {
					return s
				}
				return -1
			}
		case '%':
			switch m.after(p + 1) {
			case 'b':
				if s = m.balanced(s, p+2); s < 0 {
					return -1
				}
				p += 4
				continue
			case 'f':
				end := m.frontier(s, p+2)
				if end < 0 {
					return -1
				}
				p = end
				continue
			case '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
				if s = m.again(s, m.pattern[p+1]); s < 0 {
					return -1
				}
				p += 2
				continue
			}
		}
		end := m.itemEnd(p)
		switch m.after(end) {
		case '?':
			if m.one(s, p, end) {
				if r := m.match(s+1, end+1); r >= 0 {
					return r
				}
			}
			p = end + 1
		case '*':
			return m.most(s, p, end)
		case '+':
			if !m.one(s, p, end) {
				return -1
			}
			return m.most(s+1, p, end)
		case '-':
			return m.fewest(s, p, end)
		default:
			if !m.one(s, p, end) {
				return -1
			}
			s++
			p = end
		}
	}
}

// after is the character of the pattern at p, zero at its end.
func (m *matcher) after(p int) byte {
	if p < len(m.pattern) {
		return m.pattern[p]
	}
	return 0
}

// itemEnd is where the item at p ends, which stands for one character.
func (m *matcher) itemEnd(p int) int {
	c := m.pattern[p]
	p++
	switch c {
	case '%':
		if p == len(m.pattern) {
			raise(m.L, "malformed pattern (ends with '%')")
		}
		return p + 1
	case '[':
		if m.after(p) == '^' {
			p++
		}
		for first := true; first || m.after(p) != ']'; first = false {
			m.step()
			if p == len(m.pattern) {
				raise(m.L, "malformed pattern (missing ']')")
			}
			if p++; m.pattern[p-1] == '%' && p < len(m.pattern) {
				p++
			}
		}
		return p + 1
	}
	return p
}

// one tells whether the character at s is what the item from p to end means.
func (m *matcher) one(s, p, end int) bool {
	if s >= len(m.text) {
		return false
	}
	c := m.text[s]
	switch m.pattern[p] {
	case '.':
		return true
	case '%':
		return inClass(c, m.pattern[p+1])
	case '[':
		return m.inSet(c, p, end-1)
	}
	return m.pattern[p] == c
}

// inSet tells whether c is in the set from the bracket at p to the one at last.
func (m *matcher) inSet(c byte, p, last int) bool {
	in := true
	if p++; m.after(p) == '^' {
		in = false
		p++
	}
	for ; p < last; p++ {
		m.step()
		switch {
		case m.pattern[p] == '%':
			if p++; inClass(c, m.after(p)) {
				return in
			}
		case m.after(p+1) == '-' && p+2 < last:
			if m.pattern[p] <= c && c <= m.pattern[p+2] {
				return in
			}
			p += 2
		case m.pattern[p] == c:
			return in
		}
	}
	return !in
}

// inClass tells whether c is in the class of a letter; an upper one means all
// others.
func inClass(c, class byte) bool {
	var in bool
	switch class | 0x20 {
	case 'a':
		in = isLetter(c)
	case 'c':
		in = c < ' ' || c == 0x7f
	case 'd':
		in = isDigit(c)
	case 'l':
		in = c >= 'a' && c <= 'z'
	case 'p':
		in = c > ' ' && c < 0x7f && !isLetter(c) && !isDigit(c)
	case 's':
		in = c == ' ' || c >= '\t' && c <= '\r'
	case 'u':
		in = c >= 'A' && c <= 'Z'
	case 'w':
		in = isLetter(c) || isDigit(c)
	case 'x':
		in = isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f'
	case 'z':
		in = c == 0
	default:
		return class == c
	}
	if !isLetter(class) {
		return class == c
	}
	return in != (class < 'a')
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// most takes as many characters of an item as there are, then fewer.
func (m *matcher) most(s, p, end int) int {
	n := 0
	for m.one(s+n, p, end) {
		m.step()
		n++
	}
	for ; n >= 0; n-- {
		if r := m.match(s+n, end+1); r >= 0 {
			return r
		}
	}
	return -1
}

// fewest takes as few as it can.
func (m *matcher) fewest(s, p, end int) int {
	for {
		if r := m.match(s, end+1); r >= 0 {
			return r
		}
		if !m.one(s, p, end) {
			return -1
		}
		s++
	}
}

// open begins a capture at the parenthesis at p.
func (m *matcher) open(s, p int) int {
	length := unclosed
	if p++; m.after(p) == ')' {
		length = position
		p++
	}
	if len(m.captures) >= mostCaptures {
		raise(m.L, "too many captures")
	}
	n := len(m.captures)
	m.captures = append(m.captures, capture{s, length})
	r := m.match(s, p)
	if r < 0 {
		m.captures = m.captures[:n]
	}
	return r
}

// shut ends the innermost open capture.
func (m *matcher) shut(s, p int) int {
	i := len(m.captures) - 1
	for ; i >= 0 && m.captures[i].length != unclosed; i-- {
	}
	if i < 0 {
		raise(m.L, "invalid pattern capture")
	}
	m.captures[i].length = s - m.captures[i].start
	r := m.match(s, p+1)
	if r < 0 {
		m.captures[i].length = unclosed
	}
	return r
}

// balanced is %bxy: the end of what begins with x and ends with its y.
func (m *matcher) balanced(s, p int) int {
	if p+1 >= len(m.pattern) {
		raise(m.L, "unbalanced pattern")
	}
	x, y := m.pattern[p], m.pattern[p+1]
	if s >= len(m.text) || m.text[s] != x {
		return -1
	}
	for i, depth := s+1, 1; i < len(m.text); i++ {
		m.step()
		switch m.text[i] {
		case y:
			if depth--; depth == 0 {
				return i + 1
			}
		case x:
			depth++
		}
	}
	return -1
}

// frontier is %f[set]: a place where the character before is not in the set
// and the one after is. It returns where the pattern goes on.
func (m *matcher) frontier(s, p int) int {
	if m.after(p) != '[' {
		raise(m.L, "missing '[' after '%f' in pattern")
	}
	end := m.itemEnd(p)
	var before, here byte
	if s > 0 {
		before = m.text[s-1]
	}
	if s < len(m.text) {
		here = m.text[s]
	}
	if m.inSet(before, p, end-1) || !m.inSet(here, p, end-1) {
		return -1
	}
	return end
}

// again is %1 to %9: what a capture holds once more.
func (m *matcher) again(s int, digit byte) int {
	i := int(digit) - '1'
	if i < 0 || i >= len(m.captures) || m.captures[i].length == unclosed {
		raise(m.L, "invalid capture index")
	}
	c := m.captures[i]
	m.v.ticks.work(max(c.length, 0))
	if c.length < 0 || !strings.HasPrefix(m.text[s:], m.text[c.start:c.start+c.length]) {
		return -1
	}
	return s + c.length
}

// get is capture i of a match from s to end; the first of none is all of it.
func (m *matcher) get(i, s, end int) lua.LValue {
	if i >= len(m.captures) {
		if i != 0 {
			raise(m.L, "invalid capture index")
		}
		return lua.LString(m.text[s:end])
	}
	switch c := m.captures[i]; c.length {
	case unclosed:
		raise(m.L, "unfinished capture")
		return nil
	case position:
		return lua.LNumber(c.start + 1)
	default:
		return lua.LString(m.text[c.start : c.start+c.length])
	}
}

// push pushes the captures of a match; of one without any all of it where whole.
func (m *matcher) push(s, end int, whole bool) int {
	n := len(m.captures)
	if n == 0 && whole {
		n = 1
	}
	for i := range n {
		m.L.Push(m.get(i, s, end))
	}
	return n
}
