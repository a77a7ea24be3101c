package script

import (
	"bytes"
	"errors"
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
	base := 10
	if L.Get(2) != lua.LNil {
		base = checkInt(L, 2)
	}
	var f float64
	var ok bool
	if base == 10 {
		f, ok = toNumber(checkAny(L, 1))
	} else {
		text := checkString(L, 1)
		if base < 2 || base > 36 {
			argError(L, 2, "base out of range")
		}
		f, ok = number(text, base)
	}
	if ok {
		L.Push(lua.LNumber(f))
	} else {
		L.Push(lua.LNil)
	}
	return 1
}

// number reads a whole text as Lua does: as strtod, or as strtoul in another
// base. A zero byte ends it, as for C.
func number(text string, base int) (float64, bool) {
	text, _, _ = strings.Cut(text, "\x00")
	text = strings.Trim(text, blanks)
	if base != 10 {
		return unsignedNumber(text, base)
	}
	f, n := strtod(text)
	return f, n > 0 && n == len(text)
}

// unsignedNumber reads a number as strtoul: a sign, and 0x in base 16, may
// stand before it, and what is too large is the largest.
func unsignedNumber(text string, base int) (float64, bool) {
	digits := strings.TrimPrefix(text, "+")
	negative := digits == text && strings.HasPrefix(text, "-")
	if negative {
		digits = text[1:]
	}
	if base == 16 && len(digits) > 2 && digits[0] == '0' && digits[1]|0x20 == 'x' {
		digits = digits[2:]
	}
	n, err := strconv.ParseUint(digits, base, 64)
	if errors.Is(err, strconv.ErrRange) {
		return math.MaxUint64, true
	}
	if negative {
		n = -n
	}
	return float64(n), err == nil
}

// strtod reads the number that s begins with as C does; n is its length, 0
// when there is none.
func strtod(s string) (f float64, n int) {
	for n < len(s) && strings.IndexByte(blanks, s[n]) >= 0 {
		n++
	}
	start := n
	if n < len(s) && (s[n] == '-' || s[n] == '+') {
		n++
	}
	rest := strings.ToLower(s[n:min(len(s), n+8)])
	for _, word := range []string{"infinity", "inf", "nan"} {
		if strings.HasPrefix(rest, word) {
			f, _ = strconv.ParseFloat(word, 64)
			if s[start] == '-' {
				f = math.Copysign(f, -1)
			}
			return f, n + len(word)
		}
	}
	text, length := numeral(s[n:])
	if length == 0 {
		return 0, 0
	}
	f, _ = strconv.ParseFloat(text, 64) // it is well-formed; too large is Inf
	if s[start] == '-' {
		f = -f
	}
	return f, n + length
}

// numeral is the digits that s begins with, decimal or hexadecimal, in a form
// that strconv takes, and how long they are in s.
func numeral(s string) (text string, n int) {
	mark, isHex := byte('e'), len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x'
	digit := isDigit
	if isHex {
		mark, n = 'p', 2
		digit = func(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }
	}
	some, point := false, false
	for ; n < len(s) && (digit(s[n]) || s[n] == '.' && !point); n++ {
		some, point = some || s[n] != '.', point || s[n] == '.'
	}
	switch {
	case !some && isHex:
		return "0", 1
	case !some:
		return "", 0
	}
	end := n
	if n < len(s) && s[n]|0x20 == mark {
		e := n + 1
		if e < len(s) && (s[e] == '-' || s[e] == '+') {
			e++
		}
		for ; e < len(s) && isDigit(s[e]); e++ {
			end = e + 1
		}
	}
	if isHex && end == n {
		return s[:n] + "p0", n
	}
	return s[:end], end
}
