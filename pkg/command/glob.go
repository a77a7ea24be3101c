package command

// Match tells whether s matches the pattern as in Redis: ? one byte, * any
// number, [abc] [^abc] [a-z] one byte of a class, \ takes the next byte as it
// is. An unfinished class ends with the pattern; bytes in a range compare as
// signed ones; an empty text is matched by an empty pattern only. fold ignores
// case.
//
// A star goes back only to the latest star, so that the time is at most the
// product of the two lengths, whatever the pattern.
func Match(pattern, s []byte, fold bool) bool {
	if len(s) == 0 {
		return len(pattern) == 0
	}
	p, i := 0, 0
	star, mark := -1, 0 // after the latest star, and where in s it was tried last
	for {
		if p < len(pattern) && pattern[p] == '*' {
			p++
			star, mark = p, i
			continue
		}
		if i == len(s) {
			return p == len(pattern)
		}
		if p < len(pattern) {
			if next, ok := matchOne(pattern, p, s[i], fold); ok {
				p, i = next, i+1
				continue
			}
		}
		if star < 0 || mark == len(s) {
			return false
		}
		mark++
		p, i = star, mark
	}
}

// matchOne matches one byte with the pattern's element at p, and returns
// where the next element begins.
func matchOne(pattern []byte, p int, c byte, fold bool) (next int, ok bool) {
	switch pattern[p] {
	case '?':
		return p + 1, true
	case '[':
		return matchClass(pattern, p+1, c, fold)
	case '\\':
		if p+1 < len(pattern) {
			p++
		}
	}
	return p + 1, same(pattern[p], c, fold)
}

// matchClass matches one byte with the class that begins at p, after the
// bracket.
func matchClass(pattern []byte, p int, c byte, fold bool) (next int, ok bool) {
	not := p < len(pattern) && pattern[p] == '^'
	if not {
		p++
	}
	found := false
	for ; p < len(pattern) && pattern[p] != ']'; p++ {
		switch {
		case pattern[p] == '\\' && p+1 < len(pattern):
			p++
			found = found || pattern[p] == c
		case p+2 < len(pattern) && pattern[p+1] == '-':
			found = found || within(pattern[p], pattern[p+2], c, fold)
			p += 2
		default:
			found = found || same(pattern[p], c, fold)
		}
	}
	return min(p+1, len(pattern)), found != not
}

// within tells whether c lies between two bytes in any order.
func within(a, b, c byte, fold bool) bool {
	from, to := min(int8(a), int8(b)), max(int8(a), int8(b))
	if fold {
		from, to, c = int8(lower(byte(from))), int8(lower(byte(to))), lower(c)
	}
	return from <= int8(c) && int8(c) <= to
}

func same(a, b byte, fold bool) bool {
	return a == b || fold && lower(a) == lower(b)
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}
