package script

import (
	"math"

	lua "github.com/yuin/gopher-lua"
)

// Tables with holes. The interpreter keeps whatever has an index below 2^26 in
// the table's array, with all places before it: t[6e7] = 1 is a gigabyte. Here
// an index that is far beyond the array's end is a key like any other, as in
// Lua, until the array has grown up to it. So it holds that
//
//   - what has an index below nearIndex is in the array;
//   - the index after the array's end is no key. That is how the length is
//     found, and how next goes on.

// nearIndex is from where on an index can be a key.
const nearIndex = 1 << 10

// farIndex is a key as an index that can be a key.
func farIndex(key lua.LValue) (i int, far bool) {
	n, ok := key.(lua.LNumber)
	if !ok || !(n >= nearIndex && n < lua.LNumber(lua.MaxArrayIndex)) {
		return 0, false
	}
	return int(n), float64(n) == math.Floor(float64(n))
}

// at is what is under an index.
func at(t *lua.LTable, i int) lua.LValue {
	if a := *arrayOf(t); i > len(a) && i >= nearIndex && len(*keyedOf(t)) > 0 {
		return t.RawGetH(lua.LNumber(i))
	}
	return t.RawGetInt(i)
}

// under is what is under a key.
func under(t *lua.LTable, key lua.LValue) lua.LValue {
	if i, far := farIndex(key); far {
		return at(t, i)
	}
	return t.RawGet(key)
}

// mostForwarded is how often a metatable may name another table, as in Lua.
const mostForwarded = 100

// find is object[i], nil when there is nothing or a function decides.
func find(object lua.LValue, i int) lua.LValue {
	for range mostForwarded {
		t, ok := object.(*lua.LTable)
		if !ok {
			return lua.LNil
		}
		if value := at(t, i); value != lua.LNil {
			return value
		}
		meta, ok := t.Metatable.(*lua.LTable)
		if !ok {
			return lua.LNil
		}
		object = meta.RawGetString("__index")
	}
	return lua.LNil
}

// found is find where the key is such an index.
func found(object, key lua.LValue) lua.LValue {
	if i, far := farIndex(key); far {
		return find(object, i)
	}
	return lua.LNil
}

// target is the table that an assignment to object[i] changes, nil when a
// function decides or there is none.
func target(object lua.LValue, i int) *lua.LTable {
	for range mostForwarded {
		t, ok := object.(*lua.LTable)
		if !ok {
			return nil
		}
		meta, ok := t.Metatable.(*lua.LTable)
		if !ok || at(t, i) != lua.LNil {
			return t
		}
		if object = meta.RawGetString("__newindex"); object == lua.LNil {
			return t
		}
	}
	return nil
}

// store sets what is under a key.
func (v *VM) store(L *lua.LState, t *lua.LTable, key, value lua.LValue) {
	if i, far := farIndex(key); far {
		v.storeAt(L, t, i, value)
		return
	}
	t.RawSet(key, value)
}

// storeAt sets what is under an index.
func (v *VM) storeAt(L *lua.LState, t *lua.LTable, i int, value lua.LValue) {
	a := arrayOf(t)
	had := len(*a)
	switch {
	case i < nearIndex || i >= lua.MaxArrayIndex:
		t.RawSetInt(i, value)
	case i <= had:
		(*a)[i-1] = value
	case value == lua.LNil:
		if len(*keyedOf(t)) > 0 {
			t.RawSetH(lua.LNumber(i), lua.LNil)
		}
	case i > nearIndex && i > 2*had:
		if *a == nil {
			*a = make([]lua.LValue, 0, 1) // next takes the keys of a table without an array for places in it
		}
		v.spend(L, pairSize)
		t.RawSetH(lua.LNumber(i), value)
	default:
		v.widen(L, a, i)
		for range i - 1 - had {
			*a = append(*a, lua.LNil)
		}
		*a = append(*a, value)
		v.gather(L, t, had, false)
	}
}

// pairSize is how many bytes a key takes that is a number.
const pairSize = 160

// widen makes room in an array for n places.
func (v *VM) widen(L *lua.LState, a *[]lua.LValue, n int) {
	if n <= cap(*a) {
		return
	}
	size := max(n, cap(*a)+cap(*a)/4)
	v.spend(L, slotSize*size)
	*a = append(make([]lua.LValue, 0, size), *a...)
}

// gather moves keys into an array that has grown from had places: those that it
// has grown over, unless they were overwritten, and those that come next.
func (v *VM) gather(L *lua.LState, t *lua.LTable, had int, overwritten bool) {
	a, keyed := arrayOf(t), keyedOf(t)
	if len(*keyed) == 0 || len(*a) < nearIndex {
		return
	}
	for i := max(had, nearIndex) + 1; len(*keyed) > 0; i++ {
		key := lua.LNumber(i)
		value, ok := (*keyed)[key]
		switch {
		case !ok && i > len(*a):
			return
		case !ok:
			continue
		case i > len(*a):
			v.widen(L, a, i)
			*a = append(*a, value)
		case !overwritten:
			(*a)[i-1] = value
		}
		delete(*keyed, key)
	}
}
