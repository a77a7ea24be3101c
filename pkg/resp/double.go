package resp

import (
	"bytes"
	"math"
	"strconv"
)

// AppendDouble appends a number as Redis 7.2 writes doubles: in full when it is
// whole and below half of what 64 bits hold, else with the fewest digits that
// read back the same, and with an exponent when it is small or large
// (emit_digits of its fpconv). Redis's own digits are not the fewest in 23 of
// 29,994 random numbers compared with 7.2.6; there it may take an exponent, too.
func AppendDouble(to []byte, f float64) []byte {
	const whole = float64(math.MaxInt64 / 2)
	switch {
	case math.IsNaN(f):
		return append(to, "nan"...)
	case math.IsInf(f, 1):
		return append(to, "inf"...)
	case math.IsInf(f, -1):
		return append(to, "-inf"...)
	case f == 0 && math.Signbit(f):
		return append(to, "-0"...)
	case f >= -whole && f <= whole && f == math.Trunc(f):
		return strconv.AppendInt(to, int64(f), 10)
	}
	if f < 0 {
		to, f = append(to, '-'), -f
	}
	var scratch [32]byte
	text := strconv.AppendFloat(scratch[:0], f, 'e', -1, 64) // d.ddde±dd
	mantissa, exponent, _ := bytes.Cut(text, []byte("e"))
	exp, _ := strconv.Atoi(string(exponent)) // strconv wrote it
	digits := append(mantissa[:1:1], bytes.TrimPrefix(mantissa[1:], []byte("."))...)
	return appendDigits(to, digits, exp)
}

// appendDigits appends the number that is the digits with a point after the
// first, times ten to the power of exp.
func appendDigits(to, digits []byte, exp int) []byte {
	n := len(digits)
	zeros := exp - (n - 1) // behind the digits; below zero, that many stand after the point
	size := max(exp, -exp)
	switch {
	case zeros >= 0 && size < n+7:
		return append(append(to, digits...), bytes.Repeat([]byte("0"), zeros)...)
	case zeros < 0 && exp >= 0 && (zeros > -7 || size < 4):
		return append(append(append(to, digits[:exp+1]...), '.'), digits[exp+1:]...)
	case zeros < 0 && exp < 0 && (zeros > -7 || size < 4):
		to = append(append(to, "0."...), bytes.Repeat([]byte("0"), -exp-1)...)
		return append(to, digits...)
	}
	to = append(to, digits[0])
	if n > 1 {
		to = append(append(to, '.'), digits[1:]...)
	}
	to = append(to, 'e', '+')
	if exp < 0 {
		to[len(to)-1] = '-'
	}
	return strconv.AppendInt(to, int64(size), 10)
}
