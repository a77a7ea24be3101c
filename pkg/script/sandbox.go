package script

import (
	"math"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// What of Lua scripts may use. There is no way to files, processes, other code
// or the internals of functions. Of the interpreter's own libraries coroutines
// are left: the others have other errors and other edges than Lua's.

// furnish fills the globals and closes them.
func (v *VM) furnish() {
	L := v.state
	for _, open := range []lua.LGFunction{lua.OpenBase, lua.OpenCoroutine} {
		L.Push(L.NewFunction(open))
		L.Call(0, 0)
	}
	from := L.Get(lua.GlobalsIndex).(*lua.LTable)
	v.globals, v.env, v.null = L.NewTable(), L.NewTable(), L.NewUserData()
	v.functions(v.globals, v.baseFunctions())
	v.nextFunction = v.globals.RawGetString("next")
	v.globals.RawSetString("_VERSION", lua.LString("Lua 5.1"))
	texts := v.library("string", v.stringFunctions())
	v.library("table", v.tableFunctions())
	maths := v.library("math", mathFunctions)
	v.functions(maths, map[string]lua.LGFunction{"random": v.mathRandom, "randomseed": v.mathRandomseed})
	maths.RawSetString("pi", lua.LNumber(math.Pi))
	maths.RawSetString("huge", lua.LNumber(math.Inf(1)))
	v.library("os", map[string]lua.LGFunction{"clock": clock})
	v.library("bit", bitFunctions)
	v.library("struct", v.structFunctions())
	v.coroutines(from.RawGetString("coroutine").(*lua.LTable))
	v.add("redis", v.redisLibrary())
	v.add("cjson", v.jsonLibrary())
	v.add("cmsgpack", v.packLibrary())
	v.operators(texts)
	v.close()
}

func (v *VM) functions(to *lua.LTable, fns map[string]lua.LGFunction) {
	for name, fn := range fns {
		to.RawSetString(name, v.state.NewFunction(fn))
	}
}

// library adds a table of functions; it returns what is behind the table that
// scripts see.
func (v *VM) library(name string, fns map[string]lua.LGFunction) *lua.LTable {
	t := v.state.NewTable()
	v.functions(t, fns)
	v.add(name, t)
	return t
}

// add puts a table into the globals that scripts can read and not change.
func (v *VM) add(name string, t *lua.LTable) { v.globals.RawSetString(name, v.front(t, nil)) }

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
		name := L.Get(2).String()
		v.spend(L, 4*len(name))
		L.RaiseError("Script attempted to access nonexistent global variable '%s'", name)
		return 0
	})
	v.env.Metatable = front.Metatable
	v.fixed[v.env] = true
	v.globals.RawSetString("_G", v.env)
	v.state.Env = v.env
}

var clockStart = time.Now()

// clock is os.clock, of the daemon's life: what its processor did besides is no
// matter of a script.
func clock(L *lua.LState) int {
	L.Push(lua.LNumber(time.Since(clockStart).Seconds()))
	return 1
}
