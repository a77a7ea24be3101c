package script

import (
	"fmt"

	lua "github.com/yuin/gopher-lua"
)

// table: Lua's, down to the order in which sort leaves what is equal.

func (v *VM) tableFunctions() map[string]lua.LGFunction {
	return map[string]lua.LGFunction{
		"concat": v.concat, "foreach": v.foreach, "foreachi": v.foreachi, "getn": getn, "insert": v.insert, "maxn": v.maxn,
		"remove": v.remove, "setn": setn, "sort": v.sort,
	}
}

// concat is table.concat.
func (v *VM) concat(L *lua.LState) int {
	sep := optString(L, 2, "")
	t := checkTable(L, 1)
	from, to := int(int32(optInteger(L, 3, 1))), t.Len()
	if L.Get(4) != lua.LNil {
		to = checkInt(L, 4)
	}
	var text []byte
	for i := from; i <= to; i++ {
		v.ticks.step(L)
		value, ok := at(t, i), false
		text = v.extend(L, text, textLength(value)+len(sep))
		if text, ok = appendText(text, value); !ok {
			raise(L, fmt.Sprintf("invalid value (%s) at index %d in table for 'concat'", value.Type(), i))
		}
		if i < to {
			text = append(text, sep...)
		}
	}
	L.Push(v.made(L, text))
	return 1
}

func getn(L *lua.LState) int {
	L.Push(lua.LNumber(checkTable(L, 1).Len()))
	return 1
}

func setn(L *lua.LState) int {
	checkTable(L, 1)
	raise(L, "'setn' is obsolete")
	return 0
}

func (v *VM) maxn(L *lua.LState) int {
	most := 0.0
	v.each(L, checkTable(L, 1), func(key, _ lua.LValue) {
		if n, ok := key.(lua.LNumber); ok {
			most = max(most, float64(n))
		}
	})
	L.Push(lua.LNumber(most))
	return 1
}

func (v *VM) insert(L *lua.LState) int {
	t := checkTable(L, 1)
	v.readonly(L, t)
	end := t.Len() + 1
	pos := end
	switch L.GetTop() {
	case 2:
	case 3:
		pos = checkInt(L, 2)
		for i := max(pos, end); i > pos; i-- {
			v.ticks.step(L)
			v.storeAt(L, t, i, at(t, i-1))
		}
	default:
		raise(L, "wrong number of arguments to 'insert'")
	}
	v.storeAt(L, t, pos, L.Get(-1))
	return 0
}

func (v *VM) remove(L *lua.LState) int {
	t := checkTable(L, 1)
	end := t.Len()
	pos := int(int32(optInteger(L, 2, int64(end))))
	if pos < 1 || pos > end {
		return 0
	}
	L.Push(at(t, pos))
	for ; pos < end; pos++ {
		v.ticks.step(L)
		t.RawSetInt(pos, at(t, pos+1))
	}
	t.RawSetInt(end, lua.LNil)
	return 1
}

// visit calls the function of foreach; the first result that is not nil ends it.
func visit(L *lua.LState, fn *lua.LFunction, key, value lua.LValue) (end bool) {
	L.Push(fn)
	L.Push(key)
	L.Push(value)
	L.Call(2, 1)
	if L.Get(-1) != lua.LNil {
		return true
	}
	L.Pop(1)
	return false
}

func (v *VM) foreach(L *lua.LState) int {
	t, fn := v.behind(checkTable(L, 1)), checkFunction(L, 2)
	for key, value := t.Next(lua.LNil); key != lua.LNil; key, value = t.Next(key) {
		v.ticks.step(L)
		if visit(L, fn, key, value) {
			return 1
		}
	}
	return 0
}

func (v *VM) foreachi(L *lua.LState) int {
	t, fn := checkTable(L, 1), checkFunction(L, 2)
	for i, n := 1, t.Len(); i <= n; i++ {
		v.ticks.step(L)
		if visit(L, fn, lua.LNumber(i), at(t, i)) {
			return 1
		}
	}
	return 0
}

// sorter sorts a table with the steps of Lua's quicksort: what is equal, and
// what a function says that is no order, comes out as there.
type sorter struct {
	v  *VM
	L  *lua.LState
	t  *lua.LTable
	fn lua.LValue
}

func (v *VM) sort(L *lua.LState) int {
	t := checkTable(L, 1)
	if L.Get(2) != lua.LNil {
		checkFunction(L, 2)
	}
	s := sorter{v, L, t, L.Get(2)}
	s.sort(1, t.Len())
	return 0
}

func (s *sorter) less(a, b lua.LValue) bool {
	s.v.ticks.step(s.L)
	if s.fn == lua.LNil {
		return less(s.L, a, b)
	}
	s.L.Push(s.fn)
	s.L.Push(a)
	s.L.Push(b)
	s.L.Call(2, 1)
	result := lua.LVAsBool(s.L.Get(-1))
	s.L.Pop(1)
	return result
}

func (s *sorter) at(i int) lua.LValue { return at(s.t, i) }

func (s *sorter) swap(i, j int) {
	a, b := s.at(i), s.at(j)
	s.t.RawSetInt(i, b)
	s.t.RawSetInt(j, a)
}

// order swaps two places when the later one is less.
func (s *sorter) order(i, j int) {
	if s.less(s.at(j), s.at(i)) {
		s.swap(i, j)
	}
}

func (s *sorter) sort(low, high int) {
	for low < high {
		s.order(low, high)
		if high-low == 1 {
			return
		}
		middle := (low + high) / 2
		if s.less(s.at(middle), s.at(low)) {
			s.swap(middle, low)
		} else {
			s.order(middle, high)
		}
		if high-low == 2 {
			return
		}
		i := s.part(low, high, middle)
		if i-low < high-i {
			s.sort(low, i-1)
			low = i + 1
		} else {
			s.sort(i+1, high)
			high = i - 1
		}
	}
}

// part moves what is less than the pivot before it and returns its place.
func (s *sorter) part(low, high, middle int) int {
	pivot := s.at(middle)
	s.swap(middle, high-1)
	i, j := low, high-1
	for {
		for i++; s.less(s.at(i), pivot); i++ {
			if i > high {
				raise(s.L, "invalid order function for sorting")
			}
		}
		for j--; s.less(pivot, s.at(j)); j-- {
			if j < low {
				raise(s.L, "invalid order function for sorting")
			}
		}
		if j < i {
			break
		}
		s.swap(i, j)
	}
	s.swap(high-1, i)
	return i
}
