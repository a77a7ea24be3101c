package script

import (
	"fmt"
	"math"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// struct: values in the layout of C structures, as by Roberto Ierusalimschy's
// library in Redis. A format is a row of options: > < the order of bytes, !n
// the alignment, x a byte of padding, b h l i T integers (upper case: without
// a sign, in n the size), f d floats, s a text that ends with a zero, cn one of
// n bytes.

const (
	mostIntSize = 32 // bytes
	mostAlign   = 8  // what ! alone stands for
)

func (v *VM) structFunctions() map[string]lua.LGFunction {
	return map[string]lua.LGFunction{"pack": v.structPack, "unpack": v.structUnpack, "size": v.structSize}
}

// layout reads a format.
type layout struct {
	v     *VM
	L     *lua.LState
	text  string // what is left of it
	big   bool
	align int
}

func (v *VM) newLayout(L *lua.LState) *layout {
	text, _, _ := strings.Cut(checkString(L, 1), "\x00")
	return &layout{v: v, L: L, text: text, align: 1}
}

// next is the next option with its size and the padding before it, where pos
// bytes went before.
func (f *layout) next(pos int) (option byte, size, padding int) {
	f.v.ticks.step(f.L)
	option = f.text[0]
	f.text = f.text[1:]
	size = f.size(option)
	if size == 0 || option == 'c' {
		return option, size, 0
	}
	unit := min(size, f.align)
	return option, size, (unit - pos&(unit-1)) & (unit - 1)
}

func (f *layout) size(option byte) int {
	switch option {
	case 'B', 'b', 'x':
		return 1
	case 'H', 'h':
		return 2
	case 'L', 'l', 'T', 'd':
		return 8
	case 'f':
		return 4
	case 'c':
		return f.number(1)
	case 'i', 'I':
		n := f.number(4)
		if n > mostIntSize {
			raise(f.L, fmt.Sprintf("integral size %d is larger than limit of %d", n, mostIntSize))
		}
		return n
	}
	return 0
}

// number reads digits, if there are any.
func (f *layout) number(otherwise int) int {
	if f.text == "" || !isDigit(f.text[0]) {
		return otherwise
	}
	n := 0
	for f.text != "" && isDigit(f.text[0]) {
		if n = n*10 + int(f.text[0]-'0'); n > math.MaxInt32 {
			raise(f.L, "integral size overflow")
		}
		f.text = f.text[1:]
	}
	return n
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// control is an option that stands for no value.
func (f *layout) control(option byte) {
	switch option {
	case ' ':
	case '>':
		f.big = true
	case '<':
		f.big = false
	case '!':
		n := f.number(mostAlign)
		if n <= 0 || n&(n-1) != 0 {
			raise(f.L, fmt.Sprintf("alignment %d is not a power of 2", n))
		}
		f.align = n
	default:
		argError(f.L, 1, "invalid format option '"+string([]byte{option})+"'")
	}
}

// appendInt writes an integer of any size; beyond 8 bytes there are zeros.
func (f *layout) appendInt(b []byte, value uint64, size int) []byte {
	at := len(b)
	for range size {
		b = append(b, byte(value))
		value >>= 8
	}
	if f.big {
		slices.Reverse(b[at:])
	}
	return b
}

// toUnsigned is a number as C's (unsigned long) makes it on this kind of
// machine, negative ones by way of (long).
func toUnsigned(n float64) uint64 {
	if n >= 1<<63 {
		return uint64(truncate(n-1<<63)) ^ 1<<63
	}
	return uint64(truncate(n))
}

func (v *VM) structPack(L *lua.LState) int {
	f := v.newLayout(L)
	L.Push(lua.LNil) // what an argument is that is missing
	var b []byte
	for arg := 2; f.text != ""; {
		option, size, padding := f.next(len(b))
		b = v.extend(L, b, padding+mostIntSize)
		b = append(b, make([]byte, padding)...) // the compiler makes no slice of it
		switch option {
		case 'b', 'B', 'h', 'H', 'l', 'L', 'T', 'i', 'I':
			b = f.appendInt(b, toUnsigned(checkNumber(L, arg)), size)
		case 'f':
			b = f.appendInt(b, uint64(math.Float32bits(float32(checkNumber(L, arg)))), size)
		case 'd':
			b = f.appendInt(b, math.Float64bits(checkNumber(L, arg)), size)
		case 'c', 's':
			b = v.appendChars(L, b, option, size, arg)
		case 'x':
			b = append(b, 0)
			continue
		default:
			f.control(option)
			continue
		}
		arg++
	}
	L.Push(v.made(L, b))
	return 1
}

func (v *VM) appendChars(L *lua.LState, b []byte, option byte, size, arg int) []byte {
	text := checkString(L, arg)
	if size == 0 {
		size = len(text)
	}
	if len(text) < size {
		argError(L, arg+1, "string too short")
	}
	if len(b)+size > maxString {
		raise(L, "string length overflow")
	}
	b = append(v.extend(L, b, size+1), text[:size]...)
	if option == 's' {
		b = append(b, 0)
	}
	return b
}

// unsigned reads an integer; of more than 8 bytes the last ones count.
func (f *layout) unsigned(data string) (value uint64) {
	for i := range len(data) {
		at := i
		if !f.big {
			at = len(data) - 1 - i
		}
		value = value<<8 | uint64(data[at])
	}
	return value
}

func (f *layout) integer(data string, signed bool) lua.LNumber {
	value := f.unsigned(data)
	if !signed {
		return lua.LNumber(value)
	}
	if mask := ^uint64(0) << ((len(data)*8 - 1) & 63); value&mask != 0 {
		value |= mask
	}
	return lua.LNumber(int64(value))
}

func (v *VM) structUnpack(L *lua.LState) int {
	f, data := v.newLayout(L), checkString(L, 2)
	at := optInteger(L, 3, 1)
	if at == 0 {
		argError(L, 3, "offset must be 1 or greater")
	}
	r := structReader{layout: f, data: data, top: L.GetTop(), at: uint64(at - 1)}
	for f.text != "" {
		r.read()
	}
	for _, value := range r.values {
		L.Push(value)
	}
	L.Push(lua.LNumber(int64(r.at + 1)))
	return len(r.values) + 1
}

// structReader reads values from data.
type structReader struct {
	*layout
	data   string
	at     uint64
	values []lua.LValue
	top    int // arguments on the stack
}

// rest is what the next size bytes are, or an error.
func (r *structReader) rest(size uint64) string {
	n := uint64(len(r.data))
	if size > n || r.at > n-size {
		argError(r.L, 2, "data string too short")
	}
	return r.data[r.at : r.at+size]
}

// read reads what one option stands for.
func (r *structReader) read() {
	option, size, padding := r.next(int(r.at))
	r.at += uint64(padding)
	data := r.rest(uint64(size))
	if r.top+len(r.values)+2 > mostSlots {
		raise(r.L, "stack overflow (too many results)")
	}
	switch option {
	case 'b', 'B', 'h', 'H', 'l', 'L', 'T', 'i', 'I':
		r.values = append(r.values, r.integer(data, option >= 'a'))
	case 'f':
		r.values = append(r.values, lua.LNumber(math.Float32frombits(uint32(r.unsigned(data)))))
	case 'd':
		r.values = append(r.values, lua.LNumber(math.Float64frombits(r.unsigned(data))))
	case 'c':
		if size == 0 {
			data = r.counted()
		}
		r.values = append(r.values, lua.LString(data))
		size = len(data)
	case 's':
		text, _, found := strings.Cut(r.data[r.at:], "\x00")
		if !found {
			raise(r.L, "unfinished string in data")
		}
		r.values = append(r.values, lua.LString(text))
		size = len(text) + 1
	case 'x':
	default:
		r.control(option)
	}
	r.at += uint64(size)
}

// counted is c0: as many bytes as the value before says, which it replaces.
func (r *structReader) counted() string {
	n, ok := 0.0, false
	if len(r.values) > 0 {
		n, ok = toNumber(r.values[len(r.values)-1])
	}
	if !ok {
		raise(r.L, "format 'c0' needs a previous size")
	}
	r.values = r.values[:len(r.values)-1]
	return r.rest(toUnsigned(n))
}

func (v *VM) structSize(L *lua.LState) int {
	f, pos := v.newLayout(L), 0
	for f.text != "" {
		option, size, padding := f.next(pos)
		switch {
		case option == 's':
			argError(L, 1, "option 's' has no fixed size")
		case option == 'c' && size == 0:
			argError(L, 1, "option 'c0' has no fixed size")
		case !isDigit(option) && (option|0x20 < 'a' || option|0x20 > 'z'):
			f.control(option)
		}
		pos += padding + size
	}
	L.Push(lua.LNumber(pos))
	return 1
}
