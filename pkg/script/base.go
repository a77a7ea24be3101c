package script

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// The functions of Lua that stand in no table.

func (v *VM) baseFunctions() map[string]lua.LGFunction {
	return map[string]lua.LGFunction{
		joinName: v.join, startName: startOfLoop, remainderName: v.remainder, powerName: v.power, "assert": assert, "collectgarbage": collectgarbage, "error": raiseValue, "gcinfo": collectgarbage,
		"getmetatable": v.getmetatable, "ipairs": v.ipairs(), "load": v.loadfunc, "loadstring": v.loadstring, "next": v.next,
		"pairs": v.pairs, "pcall": v.pcall, "rawequal": rawequal, "rawget": v.rawget, "rawset": v.rawset, "select": selectArguments,
		"setmetatable": v.setmetatable, "tonumber": tonumber, "tostring": v.tostring, "type": typeOf, "unpack": unpackTable, "xpcall": v.xpcall,
	}
}

func assert(L *lua.LState) int {
	if lua.LVAsBool(checkAny(L, 1)) {
		return L.GetTop()
	}
	text, _, _ := strings.Cut(optString(L, 2, "assertion failed!"), "\x00")
	raise(L, text)
	return 0
}

func typeOf(L *lua.LState) int {
	L.Push(lua.LString(checkAny(L, 1).Type().String()))
	return 1
}

func rawequal(L *lua.LState) int {
	L.Push(lua.LBool(L.RawEqual(checkAny(L, 1), checkAny(L, 2))))
	return 1
}

// behind is the table that a shared one stands before, else the table.
func (v *VM) behind(t *lua.LTable) *lua.LTable {
	if v.fixed[t] {
		if meta, ok := t.Metatable.(*lua.LTable); ok {
			if behind, ok := meta.RawGetString("__index").(*lua.LTable); ok {
				return behind
			}
		}
	}
	return t
}

func (v *VM) rawget(L *lua.LState) int {
	t := checkTable(L, 1)
	L.Push(under(v.behind(t), checkAny(L, 2)))
	return 1
}

func (v *VM) rawset(L *lua.LState) int {
	t := checkTable(L, 1)
	key, value := checkAny(L, 2), checkAny(L, 3)
	v.readonly(L, t)
	storable(L, key)
	v.store(L, t, key, value)
	L.SetTop(1)
	return 1
}

// storable ends a builtin that would store under no key.
func storable(L *lua.LState, key lua.LValue) {
	switch f, isNumber := key.(lua.LNumber); {
	case key == lua.LNil:
		L.Error(lua.LString("table index is nil"), 0)
	case isNumber && f != f:
		L.Error(lua.LString("table index is NaN"), 0)
	}
}

// hidden are keys of the globals that scripts do not see.
func hidden(key lua.LValue) bool {
	name, ok := key.(lua.LString)
	return ok && strings.HasPrefix(string(name), "\x00")
}

// next is the pair after a key.
func (v *VM) next(L *lua.LState) int {
	t := v.behind(checkTable(L, 1))
	key, value := t.Next(L.Get(2))
	for hidden(key) {
		key, value = t.Next(key)
	}
	L.Push(key)
	if key == lua.LNil {
		return 1
	}
	L.Push(value)
	return 2
}

func (v *VM) pairs(L *lua.LState) int {
	t := checkTable(L, 1)
	L.Push(v.nextFunction)
	L.Push(t)
	L.Push(lua.LNil)
	return 3
}

func (v *VM) ipairs() lua.LGFunction {
	step := v.state.NewFunction(func(L *lua.LState) int {
		i := checkInt(L, 2) + 1
		value := at(v.behind(checkTable(L, 1)), i)
		if value == lua.LNil {
			return 0
		}
		L.Push(lua.LNumber(i))
		L.Push(value)
		return 2
	})
	return func(L *lua.LState) int {
		t := checkTable(L, 1)
		L.Push(step)
		L.Push(t)
		L.Push(lua.LNumber(0))
		return 3
	}
}

func selectArguments(L *lua.LState) int {
	top := L.GetTop()
	if s, ok := L.Get(1).(lua.LString); ok && strings.HasPrefix(string(s), "#") {
		L.Push(lua.LNumber(top - 1))
		return 1
	}
	n := checkInt(L, 1)
	switch {
	case n < 0:
		n += top
	case n > top:
		n = top
	}
	if n < 1 {
		argError(L, 1, "index out of range")
	}
	return top - n
}

func unpackTable(L *lua.LState) int {
	t := checkTable(L, 1)
	from, to := int(int32(optInteger(L, 2, 1))), t.Len()
	if L.Get(3) != lua.LNil {
		to = checkInt(L, 3)
	}
	if from > to {
		return 0
	}
	n := to - from + 1
	if n+L.GetTop() > mostSlots {
		raise(L, "too many results to unpack")
	}
	for i := from; i <= to; i++ {
		L.Push(at(t, i))
	}
	return n
}

// tostring is Lua's, with its way of writing numbers.
func (v *VM) tostring(L *lua.LState) int {
	value := checkAny(L, 1)
	switch text, ok := appendText(nil, value); {
	case ok:
		v.spend(L, 2*len(text))
		L.Push(lua.LString(text))
	case value == v.null:
		L.Push(lua.LString("userdata: (nil)")) // no pointer at all, in C
	default:
		L.Push(L.ToStringMeta(value))
	}
	return 1
}

func (v *VM) getmetatable(L *lua.LState) int {
	t, ok := checkAny(L, 1).(*lua.LTable)
	if !ok || v.fixed[t] {
		L.Push(lua.LNil) // what is behind could be changed through it
		return 1
	}
	if protected := L.GetMetaField(t, "__metatable"); protected != lua.LNil {
		L.Push(protected)
		return 1
	}
	L.Push(L.GetMetatable(t))
	return 1
}

// readonly refuses to change one of the tables that all scripts share.
func (v *VM) readonly(L *lua.LState, t *lua.LTable) {
	if v.fixed[t] {
		v.raise(L, "Attempt to modify a readonly table")
	}
}

func (v *VM) setmetatable(L *lua.LState) int {
	t := checkTable(L, 1)
	meta := L.Get(2)
	if L.GetTop() < 2 || meta.Type() != lua.LTNil && meta.Type() != lua.LTTable {
		argError(L, 2, "nil or table expected")
	}
	if L.GetMetaField(t, "__metatable") != lua.LNil {
		raise(L, "cannot change a protected metatable")
	}
	v.readonly(L, t)
	L.SetMetatable(t, meta)
	L.SetTop(1)
	return 1
}

// loadstring compiles a text that a script made.
func (v *VM) loadstring(L *lua.LState) int {
	text := checkString(L, 1)
	return v.load(L, text, optString(L, 2, text))
}

// loadfunc compiles what a function returns piece by piece.
func (v *VM) loadfunc(L *lua.LState) int {
	fn, name := checkFunction(L, 1), optString(L, 2, "=(load)")
	var text strings.Builder
	for {
		L.Push(fn)
		L.Call(0, 1)
		piece, ok := appendText(nil, L.Get(-1))
		if !ok && L.Get(-1) != lua.LNil {
			L.Push(lua.LNil)
			L.Push(lua.LString("reader function must return a string"))
			return 2
		}
		L.Pop(1)
		if len(piece) == 0 {
			break
		}
		if text.Len() <= maxText { // else it is refused
			text.Write(piece[:min(len(piece), maxText+1)])
		}
	}
	return v.load(L, text.String(), name)
}

func (v *VM) load(L *lua.LState, text, name string) int {
	v.ticks.make(100 * min(len(text), maxText)) // its tree
	fn, _, err := v.function(text, chunkID(name))
	if err != nil {
		L.Push(lua.LNil)
		L.Push(lua.LString(err.Error()))
		return 2
	}
	L.Push(fn)
	return 1
}

// chunkID is how messages name a chunk: what follows = or @, or the first line
// of a text.
func chunkID(name string) string {
	const most = 60
	if strings.HasPrefix(name, "=") {
		return name[1:min(len(name), most)]
	}
	if file, ok := strings.CutPrefix(name, "@"); ok {
		if room := most - len(" '...' ") - 1; len(file) > room {
			return "..." + file[len(file)-room:]
		}
		return file
	}
	line, _, more := strings.Cut(name, "\n")
	if room := most - len(` [string "..."] `) - 1; more || len(line) > room {
		return `[string "` + line[:min(len(line), room)] + `..."]`
	}
	return `[string "` + line + `"]`
}

// collectgarbage: the collector is everybody's.
func collectgarbage(L *lua.LState) int {
	L.Push(lua.LNumber(0))
	return 1
}
