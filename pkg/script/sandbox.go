package script

import (
	"math"
	"regexp"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// What of Lua's own scripts may use. There is no way to files, processes,
// other code or the internals of functions.
var (
	baseNames = []string{"assert", "ipairs", "next", "rawequal", "rawget",
		"select", "type", "unpack", "xpcall"}
	stringNames = []string{"byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "reverse", "sub", "upper"}
	tableNames  = []string{"insert", "maxn", "remove", "sort"}
	mathNames   = []string{"abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "cosh", "deg", "exp", "floor", "fmod", "frexp",
		"ldexp", "log", "log10", "max", "min", "mod", "modf", "pi", "pow", "rad", "sin", "sinh", "sqrt", "tan", "tanh"}
	coroutineNames = []string{"resume", "running", "status", "yield"}
)

// furnish fills the globals and closes them.
func (v *VM) furnish() {
	L := v.state
	for _, open := range []lua.LGFunction{lua.OpenBase, lua.OpenString, lua.OpenTable, lua.OpenMath, lua.OpenCoroutine} {
		L.Push(L.NewFunction(open))
		L.Call(0, 0)
	}
	from := L.Get(lua.GlobalsIndex).(*lua.LTable)
	v.globals, v.env = L.NewTable(), L.NewTable()
	v.pick(v.globals, from, baseNames)
	v.functions(v.globals, map[string]lua.LGFunction{
		joinName: v.join, "tostring": v.tostring, "tonumber": tonumber, "error": raiseValue, "pairs": v.pairs(from), "pcall": pcall(from), "getmetatable": v.getmetatable, "setmetatable": v.setmetatable,
		"rawset": v.rawset, "loadstring": v.loadstring, "load": v.loadfunc, "collectgarbage": collectgarbage, "gcinfo": collectgarbage,
	})
	v.globals.RawSetString("_VERSION", lua.LString("Lua 5.1"))
	texts := v.library("string", from, stringNames, map[string]lua.LGFunction{"rep": v.rep})
	v.library("table", from, tableNames, map[string]lua.LGFunction{"concat": v.concat, "getn": getn})
	v.library("math", from, mathNames, map[string]lua.LGFunction{"random": v.mathRandom, "randomseed": v.mathRandomseed})
	v.field2("math").RawSetString("huge", lua.LNumber(math.Inf(1)))
	v.library("coroutine", from, coroutineNames, map[string]lua.LGFunction{
		"create": v.coroutine(from, "create"), "wrap": v.coroutine(from, "wrap"),
	})
	v.library("os", from, nil, map[string]lua.LGFunction{"clock": clock})
	v.library("bit", from, nil, bitFunctions)
	v.library("struct", from, nil, structFunctions)
	v.add("redis", v.redisLibrary())
	v.null = L.NewUserData()
	v.add("cjson", v.jsonLibrary())
	v.add("cmsgpack", v.packLibrary())
	v.handler = L.NewFunction(v.onError)
	meta := L.NewTable()
	meta.RawSetString("__index", texts)
	L.SetMetatable(lua.LString(""), meta)
	v.close()
}

// pick copies what is named from one table to another.
func (v *VM) pick(to, from *lua.LTable, names []string) {
	for _, name := range names {
		to.RawSetString(name, from.RawGetString(name))
	}
}

func (v *VM) functions(to *lua.LTable, fns map[string]lua.LGFunction) {
	for name, fn := range fns {
		to.RawSetString(name, v.state.NewFunction(fn))
	}
}

// library adds a table of Lua's functions and ours; it returns what is behind
// the table that scripts see.
func (v *VM) library(name string, from *lua.LTable, names []string, ours map[string]lua.LGFunction) *lua.LTable {
	t := v.state.NewTable()
	if theirs, ok := from.RawGetString(name).(*lua.LTable); ok {
		v.pick(t, theirs, names)
	}
	v.functions(t, ours)
	v.add(name, t)
	return t
}

// add puts a table into the globals that scripts can read and not change.
func (v *VM) add(name string, t *lua.LTable) { v.globals.RawSetString(name, v.front(t, nil)) }

// field2 is what is behind a library's table.
func (v *VM) field2(name string) *lua.LTable {
	front := v.globals.RawGetString(name).(*lua.LTable)
	return front.Metatable.(*lua.LTable).RawGetString("__index").(*lua.LTable)
}

// front is an empty table before t: reads go through, writes fail. missing is
// asked for what is not there.
func (v *VM) front(t *lua.LTable, missing lua.LGFunction) *lua.LTable {
	front, meta := v.state.NewTable(), v.state.NewTable()
	meta.RawSetString("__index", t)
	meta.RawSetString("__newindex", v.state.NewFunction(func(L *lua.LState) int {
		L.RaiseError("Attempt to modify a readonly table")
		return 0
	}))
	front.Metatable = meta
	if missing != nil {
		behind := v.state.NewTable()
		behind.RawSetString("__index", v.state.NewFunction(missing))
		t.Metatable = behind
	}
	v.fixed[front], v.fixed[t] = true, true
	return front
}

// close puts the globals behind their front.
func (v *VM) close() {
	front := v.front(v.globals, func(L *lua.LState) int {
		switch L.Get(2).String() {
		case "newproxy", "getfenv", "setfenv": // taken away, yet known, in Redis 7.2
			return 0
		}
		L.RaiseError("Script attempted to access nonexistent global variable '%s'", L.Get(2).String())
		return 0
	})
	v.env.Metatable = front.Metatable
	v.fixed[v.env] = true
	v.globals.RawSetString("_G", v.env)
	v.state.Env = v.env
}

// onError makes an error table of what ended a script, with the line.
func (v *VM) onError(L *lua.LState) int {
	t, ok := L.Get(1).(*lua.LTable)
	if !ok || v.fixed[t] {
		text, plain := appendText(nil, L.Get(1))
		if !plain {
			text = []byte(L.Get(1).String())
		}
		if v.ticks.end != nil {
			text = []byte(v.ticks.end.Error())
		}
		t = v.field("err", lua.LString("ERR "+oneLine(inLua(string(text)))))
	}
	for level := 1; level < 10; level++ {
		dbg, ok := L.GetStack(level)
		if !ok {
			break
		}
		if _, err := L.GetInfo("Sl", dbg, lua.LNil); err == nil && dbg.CurrentLine > 0 {
			t.RawSetString("source", lua.LString("@"+dbg.Source))
			t.RawSetString("line", lua.LNumber(dbg.CurrentLine))
			break
		}
	}
	L.Push(t)
	return 1
}

// raiseValue is error, which Lua lets be called with nothing.
func raiseValue(L *lua.LState) int {
	L.Error(L.Get(1), L.OptInt(2, 1))
	return 0
}

// pcall is Lua's; of the error of a command it gives the text, as in Redis 7.
func pcall(from *lua.LTable) lua.LGFunction {
	theirs := from.RawGetString("pcall").(*lua.LFunction).GFunction
	return func(L *lua.LState) int {
		n := theirs(L)
		if n < 2 || L.Get(-n) != lua.LFalse {
			return n
		}
		switch err := L.Get(-1).(type) {
		case lua.LString:
			L.Replace(-1, lua.LString(inLua(string(err))))
		case *lua.LTable:
			if text := errorText(err); text != "" {
				L.Replace(-1, lua.LString(text))
			}
		}
		return n
	}
}

// pairs is Lua's; of a shared table it goes through a copy, since what is
// behind it must not come into the hands of a script.
func (v *VM) pairs(from *lua.LTable) lua.LGFunction {
	theirs := from.RawGetString("pairs")
	return func(L *lua.LState) int {
		t := L.CheckTable(1)
		if v.fixed[t] {
			behind := t.Metatable.(*lua.LTable).RawGetString("__index").(*lua.LTable)
			t = L.NewTable()
			behind.ForEach(func(key, value lua.LValue) {
				if key != lua.LString(joinName) {
					t.RawSet(key, value)
				}
			})
		}
		L.Push(theirs)
		L.Push(t)
		L.Call(1, 3)
		return 3
	}
}

var (
	arithmetic = regexp.MustCompile(`cannot perform \w+ operation between (\w+) and (\w+)`)
	indexing   = regexp.MustCompile(`attempt to index a non-table object\((\w+)\) with key '.*'`)
)

// inLua is a message of the interpreter in the words of Lua 5.1.
func inLua(text string) string {
	text = indexing.ReplaceAllString(text, "attempt to index a $1 value")
	return arithmetic.ReplaceAllStringFunc(text, func(s string) string {
		kinds := arithmetic.FindStringSubmatch(s)
		kind := kinds[1]
		if kind == "number" {
			kind = kinds[2]
		}
		return "attempt to perform arithmetic on a " + kind + " value"
	})
}

// tostring is Lua's, with its way of writing numbers.
func (v *VM) tostring(L *lua.LState) int {
	value := checkAny(L, 1)
	if value == v.null {
		L.Push(lua.LString("userdata: (nil)")) // no pointer at all, in C
		return 1
	}
	if text, ok := appendText(nil, value); ok {
		L.Push(lua.LString(text))
		return 1
	}
	L.Push(L.ToStringMeta(value))
	return 1
}

func (v *VM) getmetatable(L *lua.LState) int {
	value := L.CheckAny(1)
	if t, ok := value.(*lua.LTable); ok && v.fixed[t] || value.Type() == lua.LTString {
		L.Push(lua.LNil) // what is behind could be changed through it
		return 1
	}
	if protected := L.GetMetaField(value, "__metatable"); protected != lua.LNil {
		L.Push(protected)
		return 1
	}
	L.Push(L.GetMetatable(value))
	return 1
}

// readonly refuses to change one of the tables that all scripts share.
func (v *VM) readonly(L *lua.LState, t *lua.LTable) {
	if v.fixed[t] {
		v.raise(L, "Attempt to modify a readonly table")
	}
}

func (v *VM) setmetatable(L *lua.LState) int {
	t := L.CheckTable(1)
	v.readonly(L, t)
	meta := L.CheckAny(2)
	if meta.Type() != lua.LTNil && meta.Type() != lua.LTTable {
		L.ArgError(2, "nil or table expected")
	}
	if L.GetMetaField(t, "__metatable") != lua.LNil {
		L.RaiseError("cannot change a protected metatable")
	}
	L.SetMetatable(t, meta)
	L.Push(t)
	return 1
}

func (v *VM) rawset(L *lua.LState) int {
	t := L.CheckTable(1)
	v.readonly(L, t)
	L.RawSet(t, L.CheckAny(2), L.CheckAny(3))
	L.Push(t)
	return 1
}

// loadstring compiles a text that a script made.
func (v *VM) loadstring(L *lua.LState) int { return v.load(L, L.CheckString(1), L.OptString(2, "")) }

// loadfunc compiles what a function returns piece by piece.
func (v *VM) loadfunc(L *lua.LState) int {
	fn := L.CheckFunction(1)
	var text strings.Builder
	for {
		L.Push(fn)
		L.Call(0, 1)
		piece, ok := L.Get(-1).(lua.LString)
		L.Pop(1)
		if !ok || piece == "" {
			break
		}
		if text.Len()+len(piece) > maxString {
			L.RaiseError("string length overflow")
		}
		text.WriteString(string(piece))
	}
	return v.load(L, text.String(), L.OptString(2, ""))
}

func (v *VM) load(L *lua.LState, text, name string) int {
	if name == "" {
		name = "[string]"
	}
	fn, err := v.function(text, strings.TrimPrefix(name, "@"))
	if err != nil {
		L.Push(lua.LNil)
		L.Push(lua.LString(err.Error()))
		return 2
	}
	L.Push(fn)
	return 1
}

// collectgarbage: the collector is everybody's.
func collectgarbage(L *lua.LState) int {
	L.Push(lua.LNumber(0))
	return 1
}

func (v *VM) rep(L *lua.LState) int {
	text, n := L.CheckString(1), L.CheckInt(2)
	if n <= 0 || text == "" {
		L.Push(lua.LString(""))
		return 1
	}
	if n > maxString/len(text) {
		L.RaiseError("resulting string too large")
	}
	v.ticks.make(n * len(text))
	L.Push(lua.LString(strings.Repeat(text, n)))
	return 1
}

// concat is table.concat.
func (v *VM) concat(L *lua.LState) int {
	t, sep := L.CheckTable(1), L.OptString(2, "")
	from, to := L.OptInt(3, 1), L.OptInt(4, t.Len())
	var text []byte
	for i := from; i <= to; i++ {
		var ok bool
		if text, ok = appendText(text, t.RawGetInt(i)); !ok {
			L.RaiseError("invalid value (%s) at index %d in table for 'concat'", t.RawGetInt(i).Type(), i)
		}
		if i < to {
			text = append(text, sep...)
		}
		if len(text) > maxString {
			L.RaiseError("resulting string too large")
		}
	}
	v.ticks.make(len(text))
	L.Push(lua.LString(text))
	return 1
}

func getn(L *lua.LState) int {
	L.Push(lua.LNumber(L.CheckTable(1).Len()))
	return 1
}

func (v *VM) mathRandom(L *lua.LState) int {
	r := v.nextRandom()
	switch L.GetTop() {
	case 0:
		L.Push(lua.LNumber(r))
		return 1
	case 1:
		to := L.CheckInt(1)
		if to < 1 {
			L.ArgError(1, "interval is empty")
		}
		L.Push(lua.LNumber(math.Floor(r*float64(to)) + 1))
		return 1
	}
	from, to := L.CheckInt(1), L.CheckInt(2)
	if from > to {
		L.ArgError(2, "interval is empty")
	}
	L.Push(lua.LNumber(math.Floor(r*float64(to-from+1)) + float64(from)))
	return 1
}

func (v *VM) mathRandomseed(L *lua.LState) int {
	v.random = uint64(uint32(int64(L.CheckNumber(1))))<<16 + seedOfRandom
	return 0
}

// coroutine is Lua's create or wrap with our clock in the new thread.
func (v *VM) coroutine(from *lua.LTable, name string) lua.LGFunction {
	create := from.RawGetString("coroutine").(*lua.LTable).RawGetString("create")
	resume := from.RawGetString("coroutine").(*lua.LTable).RawGetString("resume")
	return func(L *lua.LState) int {
		fn := L.CheckFunction(1)
		L.Push(create)
		L.Push(fn)
		L.Call(1, 1)
		thread := L.Get(-1).(*lua.LState)
		thread.SetContext(&v.ticks)
		if name == "create" {
			return 1
		}
		L.Push(L.NewFunction(func(L *lua.LState) int { return resumed(L, resume, thread) }))
		return 1
	}
}

// resumed resumes a thread for the function that wrap returned.
func resumed(L *lua.LState, resume lua.LValue, thread *lua.LState) int {
	n := L.GetTop()
	L.Push(resume)
	L.Push(thread)
	for i := 1; i <= n; i++ {
		L.Push(L.Get(i))
	}
	L.Call(n+1, lua.MultRet)
	if L.Get(n+1) == lua.LFalse {
		L.Error(L.Get(n+2), 0)
	}
	return L.GetTop() - n - 1
}

var clockStart = time.Now()

// clock is os.clock, of the daemon's life.
func clock(L *lua.LState) int {
	L.Push(lua.LNumber(time.Since(clockStart).Seconds()))
	return 1
}
