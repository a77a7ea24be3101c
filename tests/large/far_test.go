package large

import (
	"os"
	"path/filepath"
	"testing"
)

// logged is how many bytes a state directory has in logs.
func logged(t *testing.T, dir string) (n int64) {
	t.Helper()
	logs, _ := filepath.Glob(filepath.Join(dir, "data-*", "log-*"))
	if len(logs) == 0 {
		t.Fatalf("no log in %s", dir)
	}
	for _, log := range logs {
		info, err := os.Stat(log)
		if err != nil {
			t.Fatal(err)
		}
		n += info.Size()
	}
	return n
}

// TestFarBytesAreNotWritten: of a value that begins with zero bytes, because somebody wrote far
// behind its end, the log has what was written, and that is what is there after a kill.
func TestFarBytesAreNotWritten(t *testing.T) {
	dir := t.TempDir()
	w := start(t, "--state-dir", dir)
	w.c.do("+PONG", "PING") // the store is open
	before := logged(t, dir)
	w.c.do(":67108864", "SETRANGE", "a", large-5, "hello")
	w.c.do(":0", "SETBIT", "b", large*8-1, 1)
	w.c.do("+OK", "SET", "short", "")
	w.c.do(":67108864", "SETRANGE", "short", large-5, "hello")
	w.c.do(":7", "SETRANGE", "c", 2, "hello")
	w.c.do("*1", "BITFIELD", "d", "SET", "u8", large*8-8, 255)
	if got := w.c.line(); got != ":0" {
		t.Errorf("BITFIELD: %s", got)
	}
	if n := logged(t, dir) - before; n > slack/16 {
		t.Errorf("the log grew by %d KiB, want at most %d", n>>10, slack/16>>10)
	}
	left := t.TempDir() // what a kill would leave
	if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	w = start(t, "--state-dir", left)
	far := append(make([]byte, large-5), "hello"...)
	for _, key := range []string{"a", "short"} {
		w.c.send("GET", key)
		w.c.bulk(far)
	}
	w.c.do(":1", "BITCOUNT", "b")
	w.c.do(":67108864", "STRLEN", "b")
	w.c.do(":8", "BITCOUNT", "d")
	w.c.send("GET", "c")
	w.c.bulk([]byte("\x00\x00hello"))
}
