package large

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/client"
	"kvstored/pkg/engine/enginetest"
)

// ask sends a request and reads its reply, a string.
func (c *conn) ask(words ...any) string {
	c.t.Helper()
	c.send(words...)
	n, err := strconv.Atoi(strings.TrimPrefix(c.line(), "$"))
	if err != nil {
		c.t.Fatal(err)
	}
	text := make([]byte, n+2)
	if _, err := io.ReadFull(c.in, text); err != nil {
		c.t.Fatal(err)
	}
	return string(text[:n])
}

// info is a field of INFO, a number.
func (c *conn) info(name string) (n int64) {
	c.t.Helper()
	for line := range strings.Lines(c.ask("INFO", "everything")) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			if _, err := fmt.Sscan(value, &n); err != nil {
				c.t.Fatal(err)
			}
			return n
		}
	}
	c.t.Fatalf("INFO has no %s", name)
	return 0
}

// write sends bytes as they are.
func (c *conn) write(b []byte) {
	c.t.Helper()
	if _, err := c.net.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// eventually waits until fn holds.
func eventually(t *testing.T, what string, fn func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !fn(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("in a minute not: " + what)
		}
	}
}

// TestReceivedInPlace: a large value stays where it was received, in whatever command.
func TestReceivedInPlace(t *testing.T) {
	w, v := start(t), value(large)
	for _, words := range [][]any{
		{"SET", "k", v}, {"SET", "k", v, "EX", "1000"}, {"SETEX", "k", "1000", v}, {"SET", "new", v, "NX"},
	} {
		w.mayGrow(large+slack, fmt.Sprintf("%.20v", words[0]), func() { w.c.do("+OK", words...) })
		w.c.send("GET", words[1])
		w.c.bulk(v)
		w.c.do(":1", "DEL", words[1])
		eventually(t, "the memory comes back", func() bool { return w.c.info("used_memory") < slack })
	}
	w.mayGrow(large+slack, "GETSET", func() { w.c.do("$-1", "GETSET", "k", v) })
	w.c.do(fmt.Sprint(":", large+4), "APPEND", "k", "more")
	w.c.do("$4", "GETRANGE", "k", large, -1)
	if got := w.c.line(); got != "more" {
		t.Errorf("what was appended is %q", got)
	}
	w.c.send("GETRANGE", "k", 0, large-1)
	w.c.bulk(v)
}

// TestReceivedAmongOthers: what follows a large value in its request, and behind it on the wire.
func TestReceivedAmongOthers(t *testing.T) {
	w, v := start(t), value(5<<20)
	var wire []byte
	for i := range 3 {
		wire = client.AppendCommand(wire, []byte("SET"), fmt.Append(nil, "k", i), v[i:], []byte("PX"), []byte("1000000"))
		wire = client.AppendCommand(wire, []byte("GET"), fmt.Append(nil, "k", i))
	}
	wire = client.AppendCommand(wire, []byte("MSET"), []byte("a"), v, []byte("b"), v[1:], []byte("c"), []byte("small"))
	wire = client.AppendCommand(wire, []byte("SET"), []byte("a"), v[2:], []byte("XX"), []byte("GET"))
	wire = client.AppendCommand(wire, []byte("APPEND"), []byte("c"), v)
	go w.c.net.Write(wire)
	for i := range 3 {
		if got := w.c.line(); got != "+OK" {
			t.Fatalf("SET k%d: %s", i, got)
		}
		w.c.bulk(v[i:])
	}
	if got := w.c.line(); got != "+OK" {
		t.Fatal("MSET: " + got)
	}
	w.c.bulk(v)
	if got := w.c.line(); got != fmt.Sprint(":", len(v)+5) {
		t.Fatal("APPEND: " + got)
	}
	for key, want := range map[string][]byte{"a": v[2:], "b": v[1:], "c": append([]byte("small"), v...), "k0": v, "k2": v[2:]} {
		w.c.send("GET", key)
		w.c.bulk(want)
	}
	w.c.do("+OK", "MULTI")
	w.c.do("+QUEUED", "SET", "a", v)
	w.c.do("+QUEUED", "GET", "a")
	w.c.do("*2", "EXEC")
	if got := w.c.line(); got != "+OK" {
		t.Fatal("SET in a transaction: " + got)
	}
	w.c.bulk(v)
}

// TestReceivedIsWrittenDown: the log takes a large value as it comes, so that nothing is left to be
// done when its last byte is there; also where a snapshot is asked for meanwhile. And a kill loses nothing.
func TestReceivedIsWrittenDown(t *testing.T) {
	dir, v := t.TempDir(), value(large)
	w := start(t, "--state-dir", dir)
	other := dial(t, w.d.Socket)
	other.do("+PONG", "PING")
	before := logged(t, dir)
	wire := client.AppendCommand(nil, []byte("SET"), []byte("k"), v)
	w.c.write(wire[:len(wire)-1])
	eventually(t, "all but the end is in the log", func() bool { return logged(t, dir)-before > large-2<<20 })
	other.do(":0", "EXISTS", "k")
	w.c.write(wire[len(wire)-1:])
	if got := w.c.line(); got != "+OK" {
		t.Fatal(got)
	}
	if n := logged(t, dir) - before; n > large+1<<20 {
		t.Errorf("the log grew by %d bytes for a value of %d", n, large)
	}

	wire = client.AppendCommand(wire[:0], []byte("SET"), []byte("across"), v)
	w.c.write(wire[:large/2])
	other.do("+OK", "SET", "k2", v[1:])
	other.do("+Background saving started", "BGSAVE")
	eventually(t, "the snapshot is there", func() bool { return other.info("rdb_bgsave_in_progress") == 0 })
	w.c.write(wire[large/2:])
	if got := w.c.line(); got != "+OK" {
		t.Fatal(got)
	}
	w.c.write(wire[:large/2]) // and one that never ends

	left := t.TempDir() // what a kill would leave
	if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	w = start(t, "--state-dir", left)
	for key, want := range map[string][]byte{"k": v, "k2": v[1:], "across": v} {
		w.c.send("GET", key)
		w.c.bulk(want)
	}
	w.c.do(":3", "DBSIZE")
	w.c.do(":3", "DEL", "k", "k2", "across")
	eventually(t, "the memory comes back", func() bool { return w.c.info("used_memory") < slack })
}

// TestReceivedByHalf: what a client that goes away has sent of a value is nobody's.
func TestReceivedByHalf(t *testing.T) {
	w, v := start(t), value(large)
	half := client.AppendCommand(nil, []byte("SET"), []byte("k"), v)[:2<<20]
	for range 40 { // more than the store takes at a time
		c := dial(t, w.d.Socket)
		c.write(half)
		defer c.net.Close()
	}
	w.c.do("+OK", "SET", "k", v)
	w.c.send("GET", "k")
	w.c.bulk(v)
	w.c.send("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	if got := w.c.line(); got != ":40" {
		t.Error("clients closed: " + got)
	}
	w.c.do(":1", "DEL", "k")
	eventually(t, "the memory comes back", func() bool { return w.c.info("used_memory") < slack })
}

// TestReceivedByHalfIsGivenBack: its memory goes back to the system, though nobody writes anything after it.
func TestReceivedByHalfIsGivenBack(t *testing.T) {
	w, v := start(t), value(large)
	c := dial(t, w.d.Socket)
	c.write(client.AppendCommand(nil, []byte("SET"), []byte("k"), v)[:large/2])
	eventually(t, "it is received", func() bool { return w.c.info("reserved_memory") > large/2 })
	c.net.Close()
	eventually(t, "the memory is given back", func() bool { return w.c.info("reserved_memory") < slack })
}

// TestReceivedByHalfUnderALimit: for what clients have sent of values no entry of others has to go,
// but for a part; and it is not refused either.
func TestReceivedByHalfUnderALimit(t *testing.T) {
	w, v := start(t), value(8<<20)
	w.c.do("+OK", "CONFIG", "SET", "maxmemory", "48mb", "maxmemory-policy", "allkeys-lru")
	w.c.do("+OK", "SET", "small", v[:20<<10])
	for i := range 200 {
		w.c.do("+OK", "SET", i, v[:100<<10])
	}
	for range 12 {
		c := dial(t, w.d.Socket)
		go c.net.Write(client.AppendCommand(nil, []byte("SET"), []byte("k"), v)[:7<<20])
	}
	eventually(t, "they were received", func() bool {
		return strings.Count(w.c.ask("CLIENT", "LIST"), "qbuf=7340032") == 12
	})
	if n := w.c.info("evicted_keys"); n > 20 {
		t.Errorf("%d of 201 entries went for requests that did not end", n)
	}
	w.c.do("+OK", "SET", "k", v)
	w.c.send("GET", "k")
	w.c.bulk(v)
}

// TestReceivedAcrossSwaps: the engine is exchanged while values are being received, handed over and
// copied; they arrive whole, and the engine before does not wait for who never ends.
func TestReceivedAcrossSwaps(t *testing.T) {
	w, v := start(t), value(8<<20)
	other := dial(t, w.d.Socket)
	stalled := dial(t, w.d.Socket)
	stalled.write(client.AppendCommand(nil, []byte("SET"), []byte("never"), v)[:4<<20])
	wire := client.AppendCommand(nil, []byte("SET"), []byte("k"), v)
	for i, next := range []string{
		enginetest.Build(t, "hash", `KV_ENGINE_VERSION="0.1.1"`), enginetest.Build(t, "debug"), enginetest.Build(t, "hash"),
	} {
		w.c.write(wire[:5<<20])
		eventually(t, "it was received", func() bool { return bytes.Contains([]byte(other.ask("CLIENT", "LIST")), []byte("qbuf=52")) })
		other.send("ENGINE", "LOAD", next)
		if got := other.line(); strings.HasPrefix(got, "-") {
			t.Fatal(got)
		} else if strings.HasPrefix(got, "$") {
			other.line()
		}
		w.c.write(wire[5<<20:])
		if got := w.c.line(); got != "+OK" {
			t.Fatalf("swap %d: %s", i, got)
		}
		w.c.send("GET", "k")
		w.c.bulk(v)
		w.c.do(":1", "DEL", "k")
	}
	eventually(t, "the engines before are gone", func() bool {
		other.send("ENGINE", "STATUS")
		n, _ := strconv.Atoi(strings.TrimPrefix(other.line(), "*"))
		status := map[string]string{}
		for range n / 2 {
			name := other.text()
			if status[name] = other.line(); strings.HasPrefix(status[name], "$") {
				status[name] = other.line()
			}
		}
		return status["retiring"] == ":0"
	})
}
