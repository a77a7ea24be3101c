package script

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// string: Lua's, but that what a script makes is bounded.

func (v *VM) stringFunctions() map[string]lua.LGFunction {
	return map[string]lua.LGFunction{
		"byte": stringByte, "char": stringChar, "dump": stringDump, "find": func(L *lua.LState) int { return v.find(L, true) },
		"format": v.format, "gfind": v.gmatch, "gmatch": v.gmatch, "gsub": v.gsub, "len": stringLen,
		"lower": v.cased('A', 'Z'), "match": func(L *lua.LState) int { return v.find(L, false) }, "rep": v.rep,
		"reverse": v.reverse, "sub": stringSub, "upper": v.cased('a', 'z'),
	}
}

// fromEnd is a place in a text of n bytes; negative ones count from its end.
func fromEnd(pos int64, n int) int64 {
	if pos < 0 {
		pos += int64(n) + 1
	}
	return max(pos, 0)
}

func stringLen(L *lua.LState) int {
	L.Push(lua.LNumber(len(checkString(L, 1))))
	return 1
}

func stringSub(L *lua.LState) int {
	s := checkString(L, 1)
	from := fromEnd(checkInteger(L, 2), len(s))
	to := fromEnd(optInteger(L, 3, -1), len(s))
	from, to = max(from, 1), min(to, int64(len(s)))
	if from > to {
		L.Push(lua.LString(""))
	} else {
		L.Push(lua.LString(s[from-1 : to]))
	}
	return 1
}

func (v *VM) reverse(L *lua.LState) int {
	s := checkString(L, 1)
	v.spend(L, 2*len(s)) // and the copy that is the result
	b := make([]byte, len(s))
	for i := range len(s) {
		b[len(s)-1-i] = s[i]
	}
	L.Push(lua.LString(b))
	return 1
}

// cased is lower or upper, of ASCII as in the locale C.
func (v *VM) cased(from, to byte) lua.LGFunction {
	return func(L *lua.LState) int {
		s := checkString(L, 1)
		v.spend(L, 2*len(s))
		b := []byte(s)
		for i, c := range b {
			if c >= from && c <= to {
				b[i] = c ^ 0x20
			}
		}
		L.Push(lua.LString(b))
		return 1
	}
}

func (v *VM) rep(L *lua.LState) int {
	text, n := checkString(L, 1), checkInt(L, 2)
	if n <= 0 || text == "" {
		L.Push(lua.LString(""))
		return 1
	}
	if n > maxString/len(text) {
		raise(L, "resulting string too large")
	}
	v.spend(L, n*len(text))
	L.Push(lua.LString(strings.Repeat(text, n)))
	return 1
}

func stringByte(L *lua.LState) int {
	s := checkString(L, 1)
	from := fromEnd(optInteger(L, 2, 1), len(s))
	to := fromEnd(optInteger(L, 3, from), len(s))
	from, to = max(from, 1), min(to, int64(len(s)))
	if to-from+1 >= mostSlots {
		raise(L, "stack overflow (string slice too long)")
	}
	for i := from; i <= to; i++ {
		L.Push(lua.LNumber(s[i-1]))
	}
	return int(max(to-from+1, 0))
}

func stringChar(L *lua.LState) int {
	b := make([]byte, L.GetTop())
	for i := range b {
		c := checkInt(L, i+1)
		if c < 0 || c > 255 {
			argError(L, i+1, "invalid value")
		}
		b[i] = byte(c)
	}
	L.Push(lua.LString(b))
	return 1
}

// stringDump: there is no binary form that could be loaded again.
func stringDump(L *lua.LState) int {
	checkFunction(L, 1)
	raise(L, "unable to dump given function")
	return 0
}

// find is string.find and string.match.
func (v *VM) find(L *lua.LState, find bool) int {
	s, p := checkString(L, 1), checkString(L, 2)
	init := int(min(max(fromEnd(optInteger(L, 3, 1), len(s))-1, 0), int64(len(s))))
	visible, _, _ := strings.Cut(p, "\x00")
	if find && (lua.LVAsBool(L.Get(4)) || !strings.ContainsAny(visible, "^$*+?.([%-")) {
		v.ticks.work(len(s) - init)
		at := strings.Index(s[init:], p)
		if at < 0 {
			L.Push(lua.LNil)
			return 1
		}
		L.Push(lua.LNumber(init + at + 1))
		L.Push(lua.LNumber(init + at + len(p)))
		return 2
	}
	m := v.newMatcher(L, s, p)
	anchor := 0
	if strings.HasPrefix(p, "^") {
		anchor = 1
	}
	for at := init; at <= len(s); at++ {
		if end := m.try(at, anchor); end >= 0 {
			if !find {
				return m.push(at, end, true)
			}
			L.Push(lua.LNumber(at + 1))
			L.Push(lua.LNumber(end))
			return m.push(at, end, false) + 2
		}
		if anchor == 1 {
			break
		}
	}
	L.Push(lua.LNil)
	return 1
}

// gmatch returns a function that finds one match after the other.
func (v *VM) gmatch(L *lua.LState) int {
	s, p := checkString(L, 1), checkString(L, 2)
	at := 0
	L.Push(L.NewFunction(func(L *lua.LState) int {
		m := v.newMatcher(L, s, p)
		for ; at <= len(s); at++ {
			end := m.try(at, 0)
			if end < 0 {
				continue
			}
			from := at
			if at = end; end == from {
				at++
			}
			return m.push(from, end, true)
		}
		return 0
	}))
	return 1
}

// gsub puts something else in the place of matches.
func (v *VM) gsub(L *lua.LState) int {
	s, p := checkString(L, 1), checkString(L, 2)
	most := int64(len(s)) + 1
	if L.Get(4) != lua.LNil {
		most = int64(checkInt(L, 4))
	}
	by := L.Get(3)
	switch by.Type() {
	case lua.LTNumber, lua.LTString, lua.LTFunction, lua.LTTable:
	default:
		argError(L, 3, "string/function/table expected")
	}
	m, anchor := v.newMatcher(L, s, p), 0
	if strings.HasPrefix(p, "^") {
		anchor = 1
	}
	var out []byte
	at, n := 0, int64(0)
	for n < most {
		end := m.try(at, anchor)
		if end >= 0 {
			n++
			out = m.appendInstead(out, by, at, end)
		}
		switch {
		case end > at:
			at = end
		case at < len(s):
			out = append(v.extend(L, out, 1), s[at])
			at++
		default:
			at = len(s) + 1
		}
		if at > len(s) || anchor == 1 {
			break
		}
	}
	if at < len(s) {
		out = append(v.extend(L, out, len(s)-at), s[at:]...)
	}
	L.Push(v.made(L, out))
	L.Push(lua.LNumber(n))
	return 2
}

// appendInstead appends what takes the place of a match.
func (m *matcher) appendInstead(out []byte, by lua.LValue, s, end int) []byte {
	L := m.L
	var value lua.LValue
	switch by := by.(type) {
	case *lua.LFunction:
		L.Push(by)
		L.Call(m.push(s, end, true), 1)
		value = L.Get(-1)
		L.Pop(1)
	case *lua.LTable:
		key := m.get(0, s, end)
		if value = found(by, key); value == lua.LNil {
			value = L.GetTable(by, key)
		}
	default:
		text, _ := appendText(nil, by)
		return m.appendTemplate(out, string(text), s, end)
	}
	if !lua.LVAsBool(value) {
		return append(m.v.extend(L, out, end-s), m.text[s:end]...)
	}
	out, ok := appendText(m.v.extend(L, out, textLength(value)), value)
	if !ok {
		raise(L, "invalid replacement value (a "+value.Type().String()+")")
	}
	return out
}

// appendTemplate appends a text in which %1 is the first capture and %0 all.
func (m *matcher) appendTemplate(out []byte, text string, s, end int) []byte {
	for i := 0; i < len(text); i++ {
		out = m.v.extend(m.L, out, 1)
		c := text[i]
		if c == '%' {
			i++
			switch {
			case i == len(text):
				c = 0 // what C finds there
			case text[i] == '0':
				out = append(m.v.extend(m.L, out, end-s), m.text[s:end]...)
				continue
			case isDigit(text[i]):
				value := m.get(int(text[i]-'1'), s, end)
				out, _ = appendText(m.v.extend(m.L, out, textLength(value)), value)
				continue
			default:
				c = text[i]
			}
		}
		out = append(out, c)
	}
	return out
}
