package script

import (
	"encoding/binary"
	"fmt"
	"math"

	lua "github.com/yuin/gopher-lua"
)

// cmsgpack: MessagePack in the bytes of Redis's lua-cmsgpack 0.4.0. It writes
// the shortest form, a float where a double says no more, and neither bin nor
// ext; bin and ext it does not read either.

const (
	packDepth = 16   // a table deeper than this is nil
	mostSlots = 8000 // of the stack that one builtin may use in Redis
)

func (v *VM) packLibrary() *lua.LTable {
	t := v.state.NewTable()
	v.functions(t, map[string]lua.LGFunction{
		"pack": v.pack, "unpack": v.unpackAll, "unpack_one": v.unpackOne, "unpack_limit": v.unpackLimit,
	})
	for name, text := range map[string]string{
		"_NAME": "cmsgpack", "_VERSION": "lua-cmsgpack 0.4.0", "_COPYRIGHT": "Copyright (C) 2012, Salvatore Sanfilippo",
		"_DESCRIPTION": "MessagePack C implementation for Lua",
	} {
		t.RawSetString(name, lua.LString(text))
	}
	return t
}

// pack writes its arguments one after the other.
func (v *VM) pack(L *lua.LState) int {
	n := L.GetTop()
	if n == 0 {
		argError(L, 0, "MessagePack pack needs input.")
	}
	var b []byte
	for i := 1; i <= n; i++ {
		b = v.appendPacked(L, b, L.Get(i), 0)
	}
	L.Push(v.made(L, b))
	return 1
}

func (v *VM) appendPacked(L *lua.LState, b []byte, value lua.LValue, depth int) []byte {
	v.ticks.step(L)
	b = v.extend(L, b, brief)
	switch value := value.(type) {
	case lua.LString:
		b = v.extend(L, b, len(value)+brief)
		return append(appendHead(b, len(value), 0xa0, 31, 0xd9, 0xda, 0xdb), value...)
	case lua.LBool:
		if value {
			return append(b, 0xc3)
		}
		return append(b, 0xc2)
	case lua.LNumber:
		return appendPackedNumber(b, float64(value))
	case *lua.LTable:
		if depth < packDepth {
			return v.appendPackedTable(L, b, value, depth)
		}
	}
	return append(b, 0xc0)
}

// appendHead writes a length: in the first byte up to most, else in 8 (where
// there is such a form), 16 or 32 bits.
func appendHead(b []byte, n int, fixed byte, most int, in8, in16, in32 byte) []byte {
	switch {
	case n <= most:
		return append(b, fixed|byte(n))
	case n <= math.MaxUint8 && in8 != 0:
		return append(b, in8, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, in16), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, in32), uint32(n))
}

func appendPackedNumber(b []byte, f float64) []byte {
	if n := truncate(f); float64(n) == f && !math.IsInf(f, 0) {
		return appendPackedInt(b, n)
	}
	if short := float32(f); float64(short) == f {
		return binary.BigEndian.AppendUint32(append(b, 0xca), math.Float32bits(short))
	}
	return binary.BigEndian.AppendUint64(append(b, 0xcb), math.Float64bits(f))
}

func appendPackedInt(b []byte, n int64) []byte {
	switch {
	case n >= -32 && n <= math.MaxInt8:
		return append(b, byte(n))
	case n >= 0 && n <= math.MaxUint8:
		return append(b, 0xcc, byte(n))
	case n >= 0 && n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, 0xcd), uint16(n))
	case n >= 0 && n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, 0xce), uint32(n))
	case n >= 0:
		return binary.BigEndian.AppendUint64(append(b, 0xcf), uint64(n))
	case n >= math.MinInt8:
		return append(b, 0xd0, byte(n))
	case n >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(b, 0xd1), uint16(n))
	case n >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(b, 0xd2), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, 0xd3), uint64(n))
}

// appendPackedTable writes a list when the keys are 1 to n, else a map.
func (v *VM) appendPackedTable(L *lua.LState, b []byte, t *lua.LTable, depth int) []byte {
	if v.isList(L, t) {
		n := t.Len()
		b = appendHead(b, n, 0x90, 15, 0, 0xdc, 0xdd)
		for i := 1; i <= n; i++ {
			b = v.appendPacked(L, b, at(t, i), depth+1)
		}
		return b
	}
	n := 0
	v.each(L, t, func(_, _ lua.LValue) { n++ })
	b = appendHead(b, n, 0x80, 15, 0, 0xde, 0xdf)
	v.each(L, t, func(key, value lua.LValue) {
		b = v.appendPacked(L, b, key, depth+1)
		b = v.appendPacked(L, b, value, depth+1)
	})
	return b
}

// each goes through a table in the order of next.
func (v *VM) each(L *lua.LState, t *lua.LTable, do func(key, value lua.LValue)) {
	for key, value := t.Next(lua.LNil); key != lua.LNil; key, value = t.Next(key) {
		v.ticks.step(L)
		do(key, value)
	}
}

// isList tells whether the keys of a table are 1 to n and nothing else.
func (v *VM) isList(L *lua.LState, t *lua.LTable) bool {
	count, most, list := 0, 0, true
	v.each(L, t, func(key, _ lua.LValue) {
		n, ok := key.(lua.LNumber)
		if !ok || n <= 0 || n != lua.LNumber(int32(n)) {
			list = false
			return
		}
		most = max(most, int(n))
		count++
	})
	return list && most == count
}

func (v *VM) unpackAll(L *lua.LState) int { return v.unpack(L, 0, 0) }

func (v *VM) unpackOne(L *lua.LState) int { return v.unpack(L, 1, optInteger(L, 2, 0)) }

func (v *VM) unpackLimit(L *lua.LState) int {
	limit, offset := checkInteger(L, 2), optInteger(L, 3, 0)
	return v.unpack(L, limit, offset)
}

// unpack reads up to limit values from an offset; before them comes where the
// next would begin, -1 at the end. Neither limit nor offset: all, and no offset.
func (v *VM) unpack(L *lua.LState, limit, offset int64) int {
	text := checkString(L, 1)
	switch {
	case offset < 0 || limit < 0:
		raise(L, fmt.Sprintf("Invalid request to unpack with offset of %d and limit of %d.", int32(offset), int32(len(text))))
	case offset > int64(len(text)):
		raise(L, fmt.Sprintf("Start offset %d greater than input length %d.", int32(offset), int32(len(text))))
	}
	all := limit == 0 && offset == 0
	r := unpacker{v: v, L: L, text: text[offset:], used: 1}
	var values []lua.LValue
	for len(r.text) > 0 && (all || int64(len(values)) < limit) {
		values = append(values, r.value())
		r.used++
	}
	if !all {
		next := len(text) - len(r.text)
		if len(r.text) == 0 {
			next = -1
		}
		L.Push(lua.LNumber(next))
	}
	for _, value := range values {
		L.Push(value)
	}
	if all {
		return len(values)
	}
	return len(values) + 1
}

// unpacker reads values from the start of text.
type unpacker struct {
	v    *VM
	L    *lua.LState
	text string
	used int // slots of the stack, as if it were C
}

// need ends the builtin when there is no slot left.
func (r *unpacker) need(where string) {
	if r.used >= mostSlots {
		raise(r.L, "stack overflow ("+where+")")
	}
}

// take is the next n bytes.
func (r *unpacker) take(n int) string {
	if n > len(r.text) {
		raise(r.L, "Missing bytes in input.")
	}
	s := r.text[:n]
	r.text = r.text[n:]
	return s
}

// uint reads a number of n bytes.
func (r *unpacker) uint(n int) (u uint64) {
	for _, c := range []byte(r.take(n)) {
		u = u<<8 | uint64(c)
	}
	return u
}

func (r *unpacker) value() lua.LValue {
	first := r.take(1)[0]
	r.v.ticks.step(r.L)
	r.v.spend(r.L, valueSize)
	r.need("too many return values at once; use unpack_one or unpack_limit instead.")
	switch {
	case first <= 0x7f:
		return lua.LNumber(first)
	case first >= 0xe0:
		return lua.LNumber(int8(first))
	case first <= 0x8f:
		return r.table(int(first & 0xf))
	case first <= 0x9f:
		return r.list(int(first & 0xf))
	case first <= 0xbf:
		return lua.LString(r.take(int(first & 0x1f)))
	}
	switch first {
	case 0xc0:
		return lua.LNil
	case 0xc2, 0xc3:
		return lua.LBool(first == 0xc3)
	case 0xca:
		return lua.LNumber(math.Float32frombits(uint32(r.uint(4))))
	case 0xcb:
		return lua.LNumber(math.Float64frombits(r.uint(8)))
	case 0xcc, 0xcd, 0xce, 0xcf: // read as signed, as lua_Integer is
		return lua.LNumber(int64(r.uint(1 << (first - 0xcc))))
	case 0xd0:
		return lua.LNumber(int8(r.uint(1)))
	case 0xd1:
		return lua.LNumber(int16(r.uint(2)))
	case 0xd2:
		return lua.LNumber(int32(r.uint(4)))
	case 0xd3:
		return lua.LNumber(int64(r.uint(8)))
	case 0xd9, 0xda, 0xdb:
		return lua.LString(r.take(int(r.uint(1 << (first - 0xd9)))))
	case 0xdc, 0xdd:
		return r.list(int(r.uint(2 << (first - 0xdc))))
	case 0xde, 0xdf:
		return r.table(int(r.uint(2 << (first - 0xde))))
	}
	raise(r.L, "Bad data format in input.")
	return nil
}

func (r *unpacker) list(n int) lua.LValue {
	r.v.spend(r.L, tableSize)
	t := r.L.NewTable()
	r.used++
	r.need("in function mp_decode_to_lua_array")
	r.used++ // the index
	for i := 1; i <= n; i++ {
		r.v.storeAt(r.L, t, i, r.value())
	}
	r.used -= 2
	return t
}

func (r *unpacker) table(n int) lua.LValue {
	r.v.spend(r.L, tableSize)
	t := r.L.NewTable()
	r.used++
	for range n {
		key := r.value()
		r.used++
		value := r.value()
		r.used--
		storable(r.L, key)
		r.v.store(r.L, t, key, value)
	}
	r.used--
	return t
}
