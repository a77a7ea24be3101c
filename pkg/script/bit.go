package script

import (
	"fmt"
	"math"
	"math/bits"

	lua "github.com/yuin/gopher-lua"
)

// bitFunctions is the library "bit" of BitOp: operations on 32 bits, results
// with a sign.
var bitFunctions = map[string]lua.LGFunction{
	"tobit":   func(L *lua.LState) int { return pushBits(L, bitsOf(L, 1)) },
	"bnot":    func(L *lua.LState) int { return pushBits(L, ^bitsOf(L, 1)) },
	"band":    func(L *lua.LState) int { return fold(L, func(a, b uint32) uint32 { return a & b }) },
	"bor":     func(L *lua.LState) int { return fold(L, func(a, b uint32) uint32 { return a | b }) },
	"bxor":    func(L *lua.LState) int { return fold(L, func(a, b uint32) uint32 { return a ^ b }) },
	"lshift":  func(L *lua.LState) int { return pushBits(L, bitsOf(L, 1)<<(bitsOf(L, 2)&31)) },
	"rshift":  func(L *lua.LState) int { return pushBits(L, bitsOf(L, 1)>>(bitsOf(L, 2)&31)) },
	"arshift": func(L *lua.LState) int { return pushBits(L, uint32(int32(bitsOf(L, 1))>>(bitsOf(L, 2)&31))) },
	"rol":     func(L *lua.LState) int { return pushBits(L, bits.RotateLeft32(bitsOf(L, 1), int(bitsOf(L, 2)&31))) },
	"ror":     func(L *lua.LState) int { return pushBits(L, bits.RotateLeft32(bitsOf(L, 1), -int(bitsOf(L, 2)&31))) },
	"bswap":   func(L *lua.LState) int { return pushBits(L, bits.ReverseBytes32(bitsOf(L, 1))) },
	"tohex":   tohex,
}

// bitsOf is argument i modulo 2 to the 32, rounded: the lowest bits of its
// sum with a number that has no bits for fractions.
func bitsOf(L *lua.LState, i int) uint32 {
	return uint32(math.Float64bits(checkNumber(L, i) + (1<<52 + 1<<51)))
}

func pushBits(L *lua.LState, n uint32) int {
	L.Push(lua.LNumber(int32(n)))
	return 1
}

func fold(L *lua.LState, op func(a, b uint32) uint32) int {
	n := bitsOf(L, 1)
	for i := L.GetTop(); i > 1; i-- {
		n = op(n, bitsOf(L, i))
	}
	return pushBits(L, n)
}

// tohex writes the lowest digits, eight or as many as asked; upper case for a
// negative number of them.
func tohex(L *lua.LState) int {
	n, digits, format := bitsOf(L, 1), 8, "%0*x"
	if L.GetTop() > 1 {
		digits = int(int32(bitsOf(L, 2)))
	}
	if digits < 0 {
		digits, format = -digits, "%0*X"
	}
	digits = min(digits, 8)
	text := fmt.Sprintf(format, 8, n)
	L.Push(lua.LString(text[8-digits:]))
	return 1
}
