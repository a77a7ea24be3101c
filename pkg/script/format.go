package script

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// string.format, as C's printf writes.

// directive is what stands between % and the letter.
type directive struct {
	minus, plus, space, sharp, zero bool
	width, precision                int // precision -1: none
}

const formatFlags = "-+ #0"

// readDirective reads flags, width and precision at the start of text.
func readDirective(L *lua.LState, text string) (d directive, rest string) {
	d.precision = -1
	n := 0
	for n < len(text) && strings.IndexByte(formatFlags, text[n]) >= 0 {
		switch text[n] {
		case '-':
			d.minus = true
		case '+':
			d.plus = true
		case ' ':
			d.space = true
		case '#':
			d.sharp = true
		default:
			d.zero = true
		}
		n++
	}
	if n > len(formatFlags) {
		raise(L, "invalid format (repeated flags)")
	}
	d.width, text = twoDigits(text[n:])
	if strings.HasPrefix(text, ".") {
		d.precision, text = twoDigits(text[1:])
	}
	if text != "" && isDigit(text[0]) {
		raise(L, "invalid format (width or precision too long)")
	}
	return d, text
}

func twoDigits(text string) (n int, rest string) {
	i := 0
	for i < 2 && i < len(text) && isDigit(text[i]) {
		n = n*10 + int(text[i]-'0')
		i++
	}
	return n, text[i:]
}

func (v *VM) format(L *lua.LState) int {
	text, arg := checkString(L, 1), 1
	var out []byte
	for {
		before, after, found := strings.Cut(text, "%")
		out = append(v.extend(L, out, len(before)+1), before...)
		switch {
		case !found:
			L.Push(v.made(L, out))
			return 1
		case strings.HasPrefix(after, "%"):
			out = append(out, '%')
			text = after[1:]
			continue
		}
		if arg++; arg > L.GetTop() {
			argError(L, arg, "no value")
		}
		d, rest := readDirective(L, after)
		var letter byte
		if rest != "" {
			letter = rest[0]
			text = rest[1:]
		}
		out = v.appendFormatted(L, out, &d, letter, arg)
	}
}

// appendFormatted writes one argument.
func (v *VM) appendFormatted(L *lua.LState, out []byte, d *directive, letter byte, arg int) []byte {
	switch letter {
	case 'c':
		text, _, _ := strings.Cut(string(d.pad(nil, "", string([]byte{byte(checkInt(L, arg))}), false)), "\x00")
		return append(out, text...)
	case 'd', 'i':
		n := checkInteger(L, arg)
		return d.integer(out, d.sign(n < 0), strconv.FormatUint(absolute(n), 10))
	case 'o', 'u', 'x', 'X':
		return d.unsigned(out, letter, toUnsigned(checkNumber(L, arg)))
	case 'e', 'E', 'f', 'g', 'G':
		return d.float(out, letter, checkNumber(L, arg))
	case 'q':
		return v.appendQuoted(L, out, checkString(L, arg))
	case 's':
		s := checkString(L, arg)
		if d.precision < 0 && len(s) >= 100 {
			return append(v.extend(L, out, len(s)), s...)
		}
		s, _, _ = strings.Cut(s, "\x00")
		if d.precision >= 0 && d.precision < len(s) {
			s = s[:d.precision]
		}
		return d.pad(out, "", s, false)
	}
	option := string([]byte{letter})
	if letter == 0 {
		option = ""
	}
	raise(L, "invalid option '%"+option+"' to 'format'")
	return nil
}

func absolute(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

func (d *directive) sign(negative bool) string {
	switch {
	case negative:
		return "-"
	case d.plus:
		return "+"
	case d.space:
		return " "
	}
	return ""
}

// pad writes a sign or prefix and a text in the width.
func (d *directive) pad(out []byte, prefix, text string, zeros bool) []byte {
	room := max(d.width-len(prefix)-len(text), 0)
	switch {
	case d.minus:
		out = append(append(out, prefix...), text...)
		return append(out, bytes.Repeat([]byte{' '}, room)...)
	case zeros && d.zero:
		out = append(out, prefix...)
		return append(append(out, bytes.Repeat([]byte{'0'}, room)...), text...)
	}
	out = append(out, bytes.Repeat([]byte{' '}, room)...)
	return append(append(out, prefix...), text...)
}

func (d *directive) integer(out []byte, prefix, digits string) []byte {
	if d.precision == 0 && digits == "0" {
		digits = ""
	}
	if n := d.precision - len(digits); n > 0 {
		digits = strings.Repeat("0", n) + digits
	}
	return d.pad(out, prefix, digits, d.precision < 0)
}

func (d *directive) unsigned(out []byte, letter byte, n uint64) []byte {
	base := map[byte]int{'o': 8, 'u': 10, 'x': 16, 'X': 16}[letter]
	digits, prefix := strconv.FormatUint(n, base), ""
	switch {
	case letter == 'X':
		digits = strings.ToUpper(digits)
		fallthrough
	case letter == 'x':
		if d.sharp && n != 0 {
			prefix = "0" + string([]byte{letter})
		}
	case letter == 'o' && d.sharp && d.precision <= len(digits) && (n != 0 || d.precision == 0):
		d.precision = len(digits) + 1
		if n == 0 {
			d.precision = 1
			return d.pad(out, "", "0", false)
		}
	}
	return d.integer(out, prefix, digits)
}

func (d *directive) float(out []byte, letter byte, f float64) []byte {
	sign := d.sign(math.Signbit(f))
	f = math.Abs(f)
	if math.IsInf(f, 0) || f != f {
		word := "inf"
		if f != f {
			word = "nan"
		}
		return d.pad(out, sign, upperFor(letter, word), false)
	}
	digits := d.precision
	if digits < 0 {
		digits = 6
	}
	var text string
	switch letter | 0x20 {
	case 'g':
		text = d.shortest(f, max(digits, 1))
	default:
		text = strconv.FormatFloat(f, letter|0x20, digits, 64)
		if d.sharp && digits == 0 {
			text = withPoint(text)
		}
	}
	return d.pad(out, sign, upperFor(letter, text), true)
}

// shortest is %g; with # it keeps its zeros.
func (d *directive) shortest(f float64, digits int) string {
	if !d.sharp {
		return string(general(f, digits))
	}
	text := strconv.FormatFloat(f, 'e', digits-1, 64)
	_, exp, _ := strings.Cut(text, "e")
	if e, _ := strconv.Atoi(exp); e >= -4 && e < digits { // strconv wrote it
		text = strconv.FormatFloat(f, 'f', digits-1-e, 64)
	}
	return withPoint(text)
}

// withPoint has a point even where nothing comes after it.
func withPoint(text string) string {
	if strings.Contains(text, ".") {
		return text
	}
	mantissa, exp, found := strings.Cut(text, "e")
	if found {
		exp = "e" + exp
	}
	return mantissa + "." + exp
}

func upperFor(letter byte, text string) string {
	if letter < 'a' {
		return strings.ToUpper(text)
	}
	return text
}

// appendQuoted writes a text that Lua reads back.
func (v *VM) appendQuoted(L *lua.LState, out []byte, s string) []byte {
	out = append(v.extend(L, out, len(s)+2), '"')
	for i := range len(s) {
		v.grown(L, i, len(out))
		out = v.extend(L, out, len(`\000"`))
		switch c := s[i]; c {
		case '"', '\\', '\n':
			out = append(out, '\\', c)
		case '\r':
			out = append(out, `\r`...)
		case 0:
			out = append(out, `\000`...)
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}
