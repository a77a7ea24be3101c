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

// A request that is taken because it begins like the one before is taken as by
// itself, whatever byte stands where and wherever the buffer ends.
func TestNextLikeAgreesWithNext(t *testing.T) {
	requests := []string{
		"*1\r\n$6\r\nDBSIZE\r\n",
		"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
		"*2\r\n$3\r\nGET\r\n$0\r\n\r\n",
		"*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$0\r\n\r\n",
		"*2\r\n$6\r\nSTRLEN\r\n$123\r\n" + strings.Repeat("k", 123) + "\r\n",
	}
	for _, first := range requests {
		var p Parser
		if n, err := p.Next([]byte(first)); n != len(first) || err != nil {
			t.Fatal(n, err)
		}
		head, ok := p.Head([]byte(first))
		if !ok {
			t.Fatalf("%q has no head", first)
		}
		taken := 0
		check := func(buf []byte) {
			n := p.NextLike(&head, buf)
			if n == 0 {
				return
			}
			taken++
			if m, args := carefully(buf); n != m || fmt.Sprintf("%q", p.Args) != args || !p.Idle() {
				t.Fatalf("after %q, %q: like it %d bytes, %q; careful %d, %s", first, buf, n, p.Args, m, args)
			}
		}
		for _, r := range requests {
			for i := range len(r) {
				check([]byte(r[:i]))
				for b := range 256 * min(1, max(0, 40-i)) {
					buf := []byte(r + "*")
					buf[i] = byte(b)
					check(buf)
				}
			}
		}
		if taken < len(first) {
			t.Errorf("%q: %d requests taken", first, taken)
		}
	}
}

// What cannot be compared has no head.
func TestNoHead(t *testing.T) {
	for _, r := range []string{
		"*1\r\n$4\r\nPING\r\n", "*10\r\n$3\r\nDEL\r\n" + strings.Repeat("$1\r\nk\r\n", 9), "*2\r\n$7\r\nPERSIST\r\n$1\r\nk\r\n",
		"*2\r\n$03\r\nGET\r\n$1\r\nk\r\n", "*2\r\n$3\r\nGETxx$1\r\nk\r\n", "GET a_key_by_itself\r\n",
	} {
		var p Parser
		if _, ok := p.Head([]byte(r)); ok {
			t.Errorf("%q has a head", r)
		}
	}
}
