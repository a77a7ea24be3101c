package script

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

const maxFloat = math.MaxFloat64

// general is a number as C's %.<digits>g writes it: strconv has another idea
// of when an exponent is due, and keeps no fewer than the shortest digits.
func general(f float64, digits int) []byte {
	text := strconv.AppendFloat(nil, f, 'e', digits-1, 64)
	mantissa, exp, _ := bytes.Cut(text, []byte("e"))
	e, _ := strconv.Atoi(string(exp)) // strconv wrote it
	if e < -4 || e >= digits {
		return append(trimZeros(mantissa), exponent(e)...)
	}
	return trimZeros(strconv.AppendFloat(nil, f, 'f', digits-1-e, 64))
}

// trimZeros takes the zeros after the point away, and the point.
func trimZeros(b []byte) []byte {
	if !bytes.Contains(b, []byte(".")) {
		return b
	}
	return bytes.TrimRight(bytes.TrimRight(b, "0"), ".")
}

func exponent(e int) string {
	sign := "+"
	if e < 0 {
		sign, e = "-", -e
	}
	if e < 10 {
		return "e" + sign + "0" + strconv.Itoa(e)
	}
	return "e" + sign + strconv.Itoa(e)
}

// seedOfRandom is what math.random starts from: lrand48 after srand48(0).
const seedOfRandom = 0x330E

const randomMax = 1<<31 - 1

// nextRandom is the next number of lrand48.
func (v *VM) nextRandom() float64 {
	v.random = (v.random*0x5DEECE66D + 0xB) & (1<<48 - 1)
	return float64((v.random>>17)%randomMax) / randomMax
}

// blanks are what may stand around a number.
const blanks = " \t\n\v\f\r"

// tonumber is Lua's; the interpreter's own knows no exponents without a point.
func tonumber(L *lua.LState) int {
	value, base := L.CheckAny(1), L.OptInt(2, 10)
	if base < 2 || base > 36 {
		L.ArgError(2, "base out of range")
	}
	if n, ok := value.(lua.LNumber); ok && base == 10 {
		L.Push(n)
		return 1
	}
	text, ok := appendText(nil, value)
	if !ok {
		L.Push(lua.LNil)
		return 1
	}
	if f, ok := number(strings.Trim(string(text), blanks), base); ok {
		L.Push(lua.LNumber(f))
	} else {
		L.Push(lua.LNil)
	}
	return 1
}

// number reads a number as strtod does, or as strtoul in another base.
func number(text string, base int) (float64, bool) {
	sign, digits := 1.0, text
	if strings.HasPrefix(text, "-") {
		sign, digits = -1, text[1:]
	}
	if len(digits) > 2 && (base == 10 || base == 16) && (digits[:2] == "0x" || digits[:2] == "0X") {
		base, digits = 16, digits[2:]
	}
	if base != 10 {
		n, err := strconv.ParseUint(digits, base, 64)
		return sign * float64(n), err == nil
	}
	if strings.Trim(text, "0123456789.eE+-") != "" {
		return 0, false // words and separators that strconv takes
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil || math.IsInf(f, 0)
}
