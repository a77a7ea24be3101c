package resp

import (
	"fmt"
	"strings"
	"testing"
)

// carefully is what the careful way makes of a request.
func carefully(buf []byte) (n int, args string) {
	var p Parser
	if n, done, err := p.begin(buf); done || err != nil {
		return n, "[]"
	}
	n, err := p.bulks(buf)
	if err != nil {
		return 0, ""
	}
	return n, fmt.Sprintf("%q", p.Args)
}

// The quick way leaves to the careful one what it does not know; what it takes
// it takes alike, whatever byte stands where and wherever the buffer ends.
func TestQuickAgreesWithCareful(t *testing.T) {
	requests := []string{
		"*1\r\n$4\r\nPING\r\n",
		"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
		"*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$0\r\n\r\n",
		"*2\r\n$3\r\nGET\r\n$123\r\n" + strings.Repeat("k", 123) + "\r\n*1\r\n$4\r\nPING\r\n",
		"*12\r\n" + strings.Repeat("$2\r\nab\r\n", 12),
	}
	taken := 0
	check := func(buf []byte) {
		var p Parser
		n := p.quick(buf)
		if n == 0 {
			return
		}
		taken++
		if m, args := carefully(buf); n != m || fmt.Sprintf("%q", p.Args) != args {
			t.Fatalf("%q: quick takes %d bytes, %q; careful %d, %s", buf, n, p.Args, m, args)
		}
	}
	for _, r := range requests {
		if check([]byte(r)); taken == 0 {
			t.Fatalf("%q is not taken the quick way", r)
		}
		taken = 0
		for i := range len(r) {
			check([]byte(r[:i]))
			for b := range 256 {
				buf := []byte(r)
				buf[i] = byte(b)
				check(buf)
			}
		}
	}
}

// A bulk string is written alike whatever room there is.
func TestBulkOfEveryLength(t *testing.T) {
	for n := range 130 {
		value := strings.Repeat("v", n)
		want := fmt.Sprintf("+$%d\r\n%s\r\n", n, value)
		for room := range 140 {
			w := Writer{Buf: append(make([]byte, 0, 1+room), '+')}
			if w.Bulk([]byte(value)); string(w.Buf) != want {
				t.Fatalf("%d bytes with room for %d: %q", n, room, w.Buf)
			}
		}
	}
}
