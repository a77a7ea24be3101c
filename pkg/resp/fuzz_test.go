package resp

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// outcome is what a parser made of some bytes: the requests, each with its
// length, and how it ended.
type outcome struct {
	requests []string
	end      error
	rest     int
}

func (o outcome) String() string {
	return fmt.Sprintf("%q, then %v with %d left", o.requests, o.end, o.rest)
}

// parseAll gives the parser the bytes in pieces: after each piece it sees all
// that is unread, as the reactor does. Inline requests are unescaped in place,
// so the parser works on a copy.
func parseAll(t *testing.T, data []byte, piece int) outcome {
	var p Parser
	var o outcome
	buf := bytes.Clone(data)
	from := 0
	for to := min(piece, len(buf)); ; to = min(to+piece, len(buf)) {
		for from < to {
			n, err := p.Next(buf[from:to:to])
			if err == nil && n <= 0 || err != nil && n != 0 || n > to-from {
				t.Fatalf("Next took %d of %d bytes with %v", n, to-from, err)
			}
			if errors.Is(err, ErrIncomplete) {
				if need := p.Need(); need != 0 && need <= to-from {
					t.Fatalf("Next needs %d bytes and has %d", need, to-from)
				}
				break
			}
			if err != nil {
				o.end = err
				return o
			}
			o.requests = append(o.requests, fmt.Sprintf("%q (%d)", p.Args, n))
			from += n
		}
		if to == len(buf) {
			o.end, o.rest = ErrIncomplete, len(buf)-from
			return o
		}
	}
}

// FuzzParser: whatever comes, the parser neither panics nor stands still, and
// how the bytes are split makes no difference.
func FuzzParser(f *testing.F) {
	for _, s := range []string{
		"PING\r\n", "*1\r\n$4\r\nPING\r\n", "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*0\r\n*-1\r\n\r\n\nPING\n",
		"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10\r\n0123456789\r\n*1\r\n$", "SET k \"a\\x41\\n\" 'it\\'s'\r\n",
		"SET k \"open\r\n", "*1\r\n:4\r\n", "*x\r\n", "*1\r\n$-1\r\n", "*1\r\n$99999999999\r\n", "*99999999\r\n",
		"*1\r\n$04\r\nPING\r\n", "*01\r\n", "*-0\r\n", "*1\r\n$0\r\n\r\n", "*2\r\n$1\r\na\r\n", "\x00\r\n", "*1\r\n\xff",
		"a\x00b c\r\n", "*12345\r\n$1\r\n",
	} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		whole := parseAll(t, data, max(len(data), 1)).String()
		for _, n := range []int{1, max(piece&0xff, 1)} {
			if split := parseAll(t, data, n).String(); split != whole {
				t.Errorf("%q\nin one piece:      %s\nin pieces of %d: %s", data, whole, n, split)
			}
		}
	})
}

// FuzzSplit: words of a line never reach outside it, and quoting then
// splitting gives the words back.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"a b", "\"a b\" 'c'", "\"\\x41\\\"\"", "a\"b\" c", "'\\''", "\"", "\"a\"b", " \t\v ", "a\x00b c"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		words, ok := Split(nil, bytes.Clone(line))
		total := 0
		for _, w := range words {
			total += len(w)
		}
		if total > len(line) {
			t.Errorf("%q: words of %d bytes", line, total)
		}
		if !ok {
			return
		}
		var quoted []byte
		for _, w := range words {
			quoted = append(quoted, '"')
			for _, c := range w {
				quoted = fmt.Appendf(quoted, "\\x%02x", c)
			}
			quoted = append(quoted, '"', ' ')
		}
		again, ok := Split(nil, quoted)
		if !ok || fmt.Sprintf("%q", again) != fmt.Sprintf("%q", words) {
			t.Errorf("%q: %q, quoted and split again %q (%v)", line, words, again, ok)
		}
	})
}
