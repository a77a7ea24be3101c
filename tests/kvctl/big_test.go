package kvctl

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
)

// Sixteen values of 8 MiB are written out and copied without being held at once.
func TestBigValuesPassThrough(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	c := dial(t, d.Socket)
	value := strings.Repeat("0123456789abcdef", 8<<20/16)
	const n = 16
	for i := range n {
		if _, err := c.Do("SET", "big:"+string(rune('a'+i)), value); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "dump.resp")
	for _, args := range [][]string{{"export", path}, {"-n", "1", "import", "--from", d.Socket}} {
		cmd := exec.Command(daemontest.Control(t), append([]string{"--socket", d.Socket}, args...)...)
		cmd.Dir = t.TempDir()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
		if peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss; peak > 100<<10 {
			t.Errorf("%q used %d MiB", args, peak>>10)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Size() < n*int64(len(value)) {
		t.Errorf("the file: %v, %v", info, err)
	}
	if out := must(t, d.Socket, "", "-n", "1", "DBSIZE"); out != "16\n" {
		t.Errorf("%s keys were copied", out)
	}
}

// Values far larger than what kvctl may hold go through every way in pieces,
// byte for byte, be they text or not.
func TestValuesInPieces(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	c := dial(t, d.Socket)
	// This process stays small: what it holds would count as held by those it starts.
	digests := map[string]string{}
	for key, piece := range map[string]string{"text": "Rojalin, \"x\"\n€ ", "bytes": "\xff\r\n\x00"} {
		first := strings.Repeat("x", 2<<20)
		if _, err := c.Do("SET", key, first, "PX", "100000000"); err != nil {
			t.Fatal(err)
		}
		piece = strings.Repeat(piece, 1<<20/len(piece))
		for range 64 {
			if _, err := c.Do("APPEND", key, piece); err != nil {
				t.Fatal(err)
			}
		}
		r, err := c.Do("DIGEST", key)
		if err != nil {
			t.Fatal(err)
		}
		digests[key] = r.Text()
	}
	dir := t.TempDir()
	small := func(stdin string, args ...string) {
		t.Helper()
		cmd := exec.Command(daemontest.Control(t), append([]string{"--socket", d.Socket}, args...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "TMPDIR="+dir)
		var out strings.Builder
		cmd.Stderr = &out
		if stdin != "" {
			f, err := os.Open(stdin)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			cmd.Stdin = io.MultiReader(f) // a pipe
		}
		if err := cmd.Run(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, &out)
		}
		if peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss; peak > 100<<10 {
			t.Errorf("%q used %d MiB", args, peak>>10)
		}
	}
	arrived := func(what string) {
		t.Helper()
		if _, err := c.Do("SELECT", "1"); err != nil {
			t.Fatal(err)
		}
		for key, digest := range digests {
			r, err := c.Do("DIGEST", key)
			ttl, err2 := c.Do("PTTL", key)
			if err != nil || err2 != nil || r.Text() != digest || ttl.Int < 90_000_000 {
				t.Errorf("%s: %s has another value, or lives %d ms, %v %v", what, key, ttl.Int, err, err2)
			}
		}
		if _, err := c.Do("FLUSHDB"); err != nil {
			t.Fatal(err)
		}
	}
	for key := range digests {
		small("", "GET", key)
		small("", "--json", "GET", key)
	}
	for _, format := range []string{"jsonl", "csv", "resp"} {
		path := filepath.Join(dir, "dump."+format)
		small("", "export", path)
		small("", "-n", "1", "import", "--verify", path)
		arrived(format)
		small(path, "-n", "1", "import", "--format", format)
		arrived(format + " on a pipe")
	}
	small(filepath.Join(dir, "dump.resp"), "-n", "1", "--pipe")
	arrived("--pipe")
	small("", "-n", "1", "import", "--verify", "--from", d.Socket)
	arrived("--from")
}

// A command that ends in the middle of a long value is not carried out; what
// stood before it is.
func TestPipeEndsInALongValue(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	text := "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$9000000\r\n" + strings.Repeat("x", 8_000_000)
	_, stderr, status := run(t, d.Socket, text, "--pipe")
	if status != 2 || !strings.Contains(stderr, "kvctl: command 2: it ends in the middle") || !strings.Contains(stderr, "1 commands before it were carried out") {
		t.Errorf("exit status %d, %s", status, stderr)
	}
	if out := must(t, d.Socket, "", "EXISTS", "a", "b"); out != "1\n" {
		t.Errorf("%s keys", out)
	}
}
