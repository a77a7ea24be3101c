package command

import "math"

// parseInt reads a decimal as Redis's string2ll does: no blanks, no plus sign,
// no leading zeros, nothing after it, within 64 bits.
func parseInt(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	if len(b) == 1 && b[0] == '0' {
		return 0, true
	}
	neg := b[0] == '-'
	if neg {
		b = b[1:]
	}
	if len(b) == 0 || b[0] < '1' || b[0] > '9' {
		return 0, false
	}
	v, ok := digits(b)
	if !ok {
		return 0, false
	}
	switch {
	case neg && v <= 1<<63:
		return -int64(v), true
	case !neg && v <= math.MaxInt64:
		return int64(v), true
	}
	return 0, false
}

// digits reads decimal digits; anything else, or more than 64 bits hold, is
// not ok.
func digits(b []byte) (v uint64, ok bool) {
	for _, c := range b {
		d := uint64(c - '0')
		if d > 9 || v > (math.MaxUint64-d)/10 {
			return 0, false
		}
		v = v*10 + d
	}
	return v, true
}

const notInteger = "ERR value is not an integer or out of range"

// integer reads argument i; when it is none the error is the reply.
func (c *Call) integer(i int) (int64, bool) {
	v, ok := parseInt(c.Args[i])
	if !ok {
		c.Fail(notInteger)
	}
	return v, ok
}

// int32 reads argument i as Redis reads an int.
func (c *Call) int32(i int) (int32, bool) {
	v, ok := c.integer(i)
	if ok && v != int64(int32(v)) {
		c.Fail("ERR value is out of range, value must between -2147483648 and 2147483647")
		return 0, false
	}
	return int32(v), ok
}

// parseCursor reads a SCAN cursor as strtoul(3) does, which is what Redis uses:
// signs are allowed and an empty text is 0, leading blanks are not.
func parseCursor(b []byte) (uint64, bool) {
	b = cString(b)
	if len(b) == 0 {
		return 0, true
	}
	neg := b[0] == '-'
	if neg || b[0] == '+' {
		b = b[1:]
		if len(b) == 0 {
			return 0, false
		}
	}
	v, ok := digits(b)
	if !ok {
		return 0, false
	}
	if neg {
		v = -v
	}
	return v, true
}
