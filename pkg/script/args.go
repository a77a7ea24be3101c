package script

import (
	"math"
	"strconv"

	lua "github.com/yuin/gopher-lua"
)

// The arguments of builtins, checked and complained of as by Lua's own
// luaL_check functions: a number is taken for a string and the other way
// round, and the error names the argument and the function.

// raise ends a builtin with a text and the position of the Lua function that
// called it; there is none when another builtin did.
func raise(L *lua.LState, text string) {
	tickerOf(L).vm.spend(L, len(text))
	L.Error(lua.LString(where(L, 1)+text), 0)
}

// where is the position of the function at a level of the stack.
func where(L *lua.LState, level int) string {
	p, ok := placeOf(L, level)
	if !ok || p.fn.IsG {
		return ""
	}
	return p.fn.Proto.SourceName + ":" + strconv.Itoa(p.fn.Proto.DbgSourcePositions[p.pc]) + ": "
}

// argError complains of argument n of the builtin that runs.
func argError(L *lua.LState, n int, what string) {
	kind, name := calleeName(L)
	if kind == "method" {
		if n--; n == 0 {
			raise(L, "calling '"+name+"' on bad self ("+what+")")
		}
	}
	raise(L, "bad argument #"+strconv.Itoa(n)+" to '"+name+"' ("+what+")")
}

func typeError(L *lua.LState, n int, want string) {
	got := "no value"
	if n <= L.GetTop() {
		got = L.Get(n).Type().String()
	}
	argError(L, n, want+" expected, got "+got)
}

func checkAny(L *lua.LState, n int) lua.LValue {
	if n > L.GetTop() {
		argError(L, n, "value expected")
	}
	return L.Get(n)
}

func checkTable(L *lua.LState, n int) *lua.LTable {
	t, ok := L.Get(n).(*lua.LTable)
	if !ok {
		typeError(L, n, "table")
	}
	return t
}

func checkFunction(L *lua.LState, n int) *lua.LFunction {
	fn, ok := L.Get(n).(*lua.LFunction)
	if !ok {
		typeError(L, n, "function")
	}
	return fn
}

// checkString takes numbers, too, as Lua writes them.
func checkString(L *lua.LState, n int) string {
	switch value := L.Get(n).(type) {
	case lua.LString:
		return string(value)
	case lua.LNumber:
		return string(appendNumber(nil, float64(value), 14))
	}
	typeError(L, n, "string")
	return ""
}

func optString(L *lua.LState, n int, otherwise string) string {
	if L.Get(n) == lua.LNil {
		return otherwise
	}
	return checkString(L, n)
}

// checkNumber takes strings that are numbers, too.
func checkNumber(L *lua.LState, n int) float64 {
	f, ok := toNumber(L.Get(n))
	if !ok {
		typeError(L, n, "number")
	}
	return f
}

// checkInteger is a number without its fraction.
func checkInteger(L *lua.LState, n int) int64 { return truncate(checkNumber(L, n)) }

func optInteger(L *lua.LState, n int, otherwise int64) int64 {
	if L.Get(n) == lua.LNil {
		return otherwise
	}
	return checkInteger(L, n)
}

// checkInt is an argument that is an int in C.
func checkInt(L *lua.LState, n int) int { return int(int32(checkInteger(L, n))) }

// toNumber is a value as a number, where it is one or reads as one.
func toNumber(v lua.LValue) (float64, bool) {
	switch v := v.(type) {
	case lua.LNumber:
		return float64(v), true
	case lua.LString:
		return number(string(v), 10)
	}
	return math.NaN(), false
}
