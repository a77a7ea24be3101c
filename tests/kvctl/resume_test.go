package kvctl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
)

// slowly makes a socket that passes on what goes to and comes from another one
// in small pieces, so that a job takes seconds.
func slowly(t *testing.T, socket string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "slow")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	pass := func(to, from net.Conn) {
		defer to.Close()
		buf := make([]byte, 8<<10)
		for {
			n, err := from.Read(buf)
			if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
				return
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("unix", socket)
			if err != nil {
				_ = nc.Close()
				return
			}
			go pass(far, nc)
			go pass(nc, far)
		}
	}()
	return path
}

// killed starts a job and ends it with SIGKILL once its notes say that it is
// on its way.
func killed(t *testing.T, notes string, args ...string) {
	t.Helper()
	cmd := exec.Command(daemontest.Control(t), args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var state struct{ Keys, Offset, Lines int64 }
		if data, err := os.ReadFile(notes); err == nil && json.Unmarshal(data, &state) == nil && state.Lines+state.Keys > 0 {
			time.Sleep(20 * time.Millisecond) // it goes on beyond what it noted
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q notes nothing\n%s", args, &out)
		}
	}
}

// What was killed in the middle and resumed has the outcome of what was not.
func TestResumeAfterKill(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	var lines strings.Builder
	const keys = 60_000
	for i := range keys {
		fmt.Fprintf(&lines, "SET key:%d \"%s\\n\\xff\" EX 100000\n", i, strings.Repeat(fmt.Sprint(i), 20))
		fmt.Fprintf(&lines, "SET text:%d \"two\\nlines, \\\"%d\\\"\"\n", i, i)
	}
	must(t, d.Socket, lines.String(), "--pipe")
	for _, format := range []string{"jsonl", "csv", "resp"} {
		t.Run(format, func(t *testing.T) {
			dir := t.TempDir()
			whole, broken := filepath.Join(dir, "whole."+format), filepath.Join(dir, "broken."+format)
			said := must(t, d.Socket, "", "export", whole)
			killed(t, broken+".kvctl-resume", "--socket", slowly(t, d.Socket), "export", broken)
			if info, err := os.Stat(broken); err != nil || info.Size() == 0 {
				t.Fatal(info, err)
			}
			resumed := must(t, d.Socket, "", "export", "--resume", broken)
			sum := func(text string) string { return text[strings.Index(text, "checksum"):][:25] }
			if sum(said) != sum(resumed) {
				t.Errorf("it said %s, and at once %s", resumed, said)
			}
			a, err := os.ReadFile(whole)
			b, err2 := os.ReadFile(broken)
			if err != nil || err2 != nil || !bytes.Equal(a, b) {
				t.Errorf("the files differ: %d and %d bytes, %v %v", len(a), len(b), err, err2)
			}
			importKilled(t, d.Socket, format, broken)
		})
	}
}

// importKilled loads a file into another daemon, is killed, goes on and
// compares.
func importKilled(t *testing.T, full, format, path string) {
	t.Helper()
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	killed(t, path+".kvctl-resume", "--socket", slowly(t, d.Socket), "import", path)
	out := must(t, d.Socket, "", "import", "--resume", "--verify", path)
	if !strings.Contains(out, "verified: count and checksum are those of ") || !strings.Contains(out, "; every key read back") || strings.HasPrefix(out, "120,000") {
		t.Errorf("it says %s", out)
	}
	again := filepath.Join(t.TempDir(), "again."+format)
	must(t, d.Socket, "", "export", again)
	want, got := must(t, full, "", "DEBUG", "DIGEST"), must(t, d.Socket, "", "DEBUG", "DIGEST")
	if want != got {
		t.Errorf("the data differ: %s and %s", got, want)
	}
}

// An export that was cut or changed is found out, whatever its form, and other
// programs read what carries the checksum.
func TestChecksums(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	dir := t.TempDir()
	for _, format := range []string{"jsonl", "csv", "resp"} {
		fill(t, d.Socket)
		path := filepath.Join(dir, "dump."+format)
		if out := must(t, d.Socket, "", "export", path); !strings.Contains(out, ", in ") {
			t.Errorf("%s: it says %s", format, out)
		}
		if out := must(t, d.Socket, "", "import", path); !strings.Contains(out, "verified: count and checksum are those of ") {
			t.Errorf("%s: it says %s", format, out)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		changed := bytes.Replace(text, []byte("Rojalin"), []byte("Rojalim"), 1)
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, stderr, status := run(t, d.Socket, "", "import", path); status != 3 || !strings.Contains(stderr, "does not hold what ") {
			t.Errorf("%s, changed: exit status %d, %s", format, status, stderr)
		}
		if format == "csv" {
			_ = os.WriteFile(path, text, 0o600)
			check := exec.Command("sha256sum", "--check", "--strict", "dump.csv.sha256")
			check.Dir = dir
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("sha256sum: %v\n%s", err, out)
			}
			if out := must(t, d.Socket, string(text), "import", "--format", "csv"); !strings.Contains(out, "not verified: the input has no checksum") {
				t.Errorf("CSV without: %s", out)
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "dump.resp"))
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("Rojalim"), []byte("Rojalin"), 1)
	cut := text[:bytes.LastIndex(text, []byte("*2"))]
	if _, stderr, status := run(t, d.Socket, string(cut), "--pipe"); status != 2 || !strings.Contains(stderr, "an export was cut off") {
		t.Errorf("resp, cut: exit status %d, %s", status, stderr)
	}
	if out := must(t, d.Socket, string(text)+string(text), "import", "--format", "resp"); !strings.Contains(out, "verified") {
		t.Errorf("two exports in a row: %s", out)
	}
	socket, _ := redis(t)
	cli := exec.Command("redis-cli", "-s", socket, "-a", "open", "--no-auth-warning", "--pipe")
	cli.Stdin = bytes.NewReader(text)
	if out, err := cli.CombinedOutput(); err != nil || !strings.Contains(string(out), "errors: 0, replies: 13") {
		t.Errorf("redis-cli --pipe: %v\n%s", err, out)
	}
}
