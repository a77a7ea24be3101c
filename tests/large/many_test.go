package large

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"kvstored/pkg/client"
)

const many = 500_000

// fill sets the keys prefix0, prefix1 …
func (w *world) fill(prefix string, n int) {
	w.t.Helper()
	for from := 0; from < n; from += 10_000 {
		var b []byte
		for i := from; i < min(from+10_000, n); i++ {
			b = client.AppendCommand(b, []byte("SET"), fmt.Append(nil, prefix, i), []byte("v"))
		}
		go w.c.net.Write(b)
		for range min(10_000, n-from) {
			if got := w.c.line(); got != "+OK" {
				w.t.Fatalf("SET: %s", got)
			}
		}
	}
}

// text reads a short string.
func (c *conn) text() string {
	c.t.Helper()
	c.line()
	return c.line()
}

// array reads an array of strings.
func (c *conn) array() (all []string) {
	c.t.Helper()
	n, err := strconv.Atoi(strings.TrimPrefix(c.line(), "*"))
	if err != nil {
		c.t.Fatal(err)
	}
	for range n {
		all = append(all, c.text())
	}
	return all
}

// TestKeysBesideOthers: KEYS, and SCAN of very many, give the others their turn, and what is there all
// the time is named once, however the table changes meanwhile.
func TestKeysBesideOthers(t *testing.T) {
	w := start(t)
	w.fill("k", many)
	w.mustLetPass("KEYS", "*")
	if n := len(w.c.array()); n != many {
		t.Errorf("KEYS names %d keys, want %d", n, many)
	}
	w.mustLetPass("SCAN", 0, "MATCH", "k*", "COUNT", many*2)
	if head, cursor := w.c.line(), w.c.text(); head != "*2" || cursor != "0" {
		t.Errorf("SCAN answers %s, cursor %s", head, cursor)
	}
	if n := len(w.c.array()); n != many {
		t.Errorf("SCAN finds %d keys, want %d", n, many)
	}
	w.c.send("KEYS", "k*")
	grown := &world{t, w.d, dial(t, w.d.Socket)}
	for i := 0; !w.c.answered() && i < 10; i++ {
		grown.fill(fmt.Sprint("new", i, "-"), 50_000)
	}
	seen := map[string]bool{}
	for _, key := range w.c.array() {
		if seen[key] {
			t.Fatalf("KEYS names %s twice", key)
		}
		seen[key] = true
	}
	if len(seen) != many {
		t.Errorf("KEYS names %d keys while others are set, want %d", len(seen), many)
	}
}

// TestKeysInATransaction: there nothing comes between, and the reply is whole.
func TestKeysInATransaction(t *testing.T) {
	w := start(t)
	w.fill("k", 20_000)
	w.c.do("+OK", "MULTI")
	w.c.do("+QUEUED", "KEYS", "*")
	w.c.do("+QUEUED", "DBSIZE")
	w.c.send("EXEC")
	if head := w.c.line(); head != "*2" {
		t.Fatal(head)
	}
	if n := len(w.c.array()); n != 20_000 {
		t.Errorf("KEYS in a transaction names %d keys", n)
	}
	if size := w.c.line(); size != ":20000" {
		t.Error(size)
	}
	w.c.do(":20000", "EVAL", "return #redis.call('KEYS', 'k*')", 0)
}
