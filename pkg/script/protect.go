package script

import (
	"errors"
	"regexp"

	lua "github.com/yuin/gopher-lua"
)

// All threads run on one stack of Go, whose end is that of the process.
const (
	mostCalls = 200     // nested protected calls and resumed threads, as in Lua
	mostBelow = 2 << 13 // calls that wait below a thread when it is resumed; each has its own bound besides
)

// protect calls a function that is on the stack with its arguments, as PCall
// does. An error goes through handle, while the functions that it ends are
// still on the stack; what handle returns is the error.
func (v *VM) protect(L *lua.LState, arguments, results int, handle func(L *lua.LState, e lua.LValue) lua.LValue) (e lua.LValue, failed bool) {
	if v.calls+1 >= mostCalls {
		return handle(L, lua.LString("C stack overflow")), true
	}
	v.calls++
	defer func() { v.calls-- }()
	last, keeps := lastOpen(L), *keepsOpen(L)
	begun, done := false, false
	handler := L.NewFunction(func(L *lua.LState) int {
		begun = true
		shut(*last)
		L.Push(handle(L, v.inLua(L, L.Get(1))))
		done = true
		return 1
	})
	err := L.PCall(arguments, results, handler)
	*keepsOpen(L) = keeps
	if err == nil {
		return nil, false
	}
	shut(*last)
	*last = nil
	var api *lua.ApiError
	switch {
	case done && errors.As(err, &api) && api.Object != nil:
		return api.Object, true
	case begun && v.ticks.end == nil:
		return lua.LString("error in error handling"), true
	}
	return handle(L, v.inLua(L, lua.LString("stack overflow"))), true // there was no room for the handler
}

// shut ends the list of open upvalues from one on.
func shut(u *lua.Upvalue) {
	for ; u != nil; u = *nextOf(u) {
		u.Close()
	}
}

// onError makes an error table of what ended a script, with the line.
func (v *VM) onError(L *lua.LState, e lua.LValue) lua.LValue {
	t, ok := e.(*lua.LTable)
	if !ok || v.fixed[t] {
		text, plain := e.(lua.LString)
		if number, is := e.(lua.LNumber); is {
			text = lua.LString(appendNumber(nil, float64(number), 14))
		} else if !plain {
			text = lua.LString(e.String())
		}
		t = v.field("err", lua.LString("ERR "+oneLine(shortened(string(text)))))
	}
	for level := 1; level <= 2; level++ {
		p, ok := placeOf(L, level)
		switch {
		case !ok:
			return t
		case !p.fn.IsG:
			t.RawSetString("source", lua.LString("@"+p.fn.Proto.SourceName))
			t.RawSetString("line", lua.LNumber(p.fn.Proto.DbgSourcePositions[p.pc]))
			return t
		}
		t.RawSetString("source", lua.LString("=[C]"))
		t.RawSetString("line", lua.LNumber(-1))
	}
	return t
}

// pcall is Lua's; of the error of a command it gives the text, as in Redis 7.
func (v *VM) pcall(L *lua.LState) int {
	checkAny(L, 1)
	e, failed := v.protect(L, L.GetTop()-1, lua.MultRet, func(_ *lua.LState, e lua.LValue) lua.LValue { return e })
	if !failed {
		L.Insert(lua.LTrue, 1)
		return L.GetTop()
	}
	if t, ok := e.(*lua.LTable); ok {
		if text, ok := t.RawGetString("err").(lua.LString); ok {
			e = text
		}
	}
	L.Push(lua.LFalse)
	L.Push(e)
	return 2
}

// xpcall is Lua's.
func (v *VM) xpcall(L *lua.LState) int {
	handler := checkAny(L, 2)
	L.SetTop(2)
	L.Push(L.Get(1))
	e, failed := v.protect(L, 0, lua.MultRet, func(L *lua.LState, e lua.LValue) lua.LValue {
		L.Push(handler)
		L.Push(e)
		L.Call(1, 1)
		return L.Get(-1)
	})
	if failed {
		L.Push(lua.LFalse)
		L.Push(e)
		return 2
	}
	L.Insert(lua.LTrue, 3)
	return L.GetTop() - 2
}

// raiseValue is error: to a text it adds the position of the function at a
// level of the stack.
func raiseValue(L *lua.LState) int {
	level := optInteger(L, 2, 1)
	value := L.Get(1)
	if level > 0 {
		tickerOf(L).vm.spend(L, 2*textLength(value))
		if text, ok := appendText([]byte(where(L, int(level))), value); ok {
			value = lua.LString(text)
		}
	}
	L.Error(value, 0)
	return 0
}

// The interpreter's own messages that come from no function of ours.
var ownMessages = []struct {
	pattern *regexp.Regexp
	inLua   string
}{
	{regexp.MustCompile(`^(\S+:\d+:) attempt to index a non-table object\((\w+)\) with key '(?s:.*)'$`), "$1 attempt to index a $2 value"},
	{regexp.MustCompile(`^(\S+:\d+:) attempt to compare table with table$`), "$1 attempt to compare two table values"},
	{regexp.MustCompile(`^(\S+:\d+:) attempt to compare userdata with userdata$`), "$1 attempt to compare two userdata values"},
	{regexp.MustCompile(`^(\S+:\d+:) bad argument #(\d+) to (\w+) \((.*)\)$`), "$1 bad argument #$2 to '$3' ($4)"},
	{regexp.MustCompile(`^(\S+:\d+:) registry overflow$`), "$1 stack overflow"},
}

// inLua is an error of the interpreter in the words of Lua 5.1.
func (v *VM) inLua(L *lua.LState, e lua.LValue) lua.LValue {
	text, ok := e.(lua.LString)
	switch {
	case !ok:
		return e
	case v.ticks.end != nil:
		return lua.LString(v.ticks.end.Error())
	case len(text) > 300:
		return e
	}
	for _, m := range ownMessages {
		if m.pattern.MatchString(string(text)) {
			return lua.LString(m.pattern.ReplaceAllString(string(text), m.inLua))
		}
	}
	if notCalled.MatchString(string(text)) {
		return lua.LString(where(L, 1) + notCallable(L, "table"))
	}
	if notCalculated.MatchString(string(text)) {
		return lua.LString(where(L, 1) + complaint(L, "perform arithmetic on", argB, "table"))
	}
	return e
}

// What the interpreter says of tables without metamethods.
var (
	notCalled     = regexp.MustCompile(`^\S+:\d+: attempt to call a non-function object$`)
	notCalculated = regexp.MustCompile(`^\S+:\d+: (cannot perform \w+ operation between \w+ and \w+|__unm undefined)$`)
)
