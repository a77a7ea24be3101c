package kvctl

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/client"
	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
)

// run runs kvctl against a socket.
func run(t *testing.T, socket, stdin string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.Command(daemontest.Control(t), append([]string{"--socket", socket}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	cmd.Dir = t.TempDir()
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// must is run where success is expected.
func must(t *testing.T, socket, stdin string, args ...string) string {
	t.Helper()
	stdout, stderr, status := run(t, socket, stdin, args...)
	if status != 0 || stderr != "" {
		t.Fatalf("kvctl %q: exit status %d, %s%s", args, status, stdout, stderr)
	}
	return stdout
}

// odd are values that formats break easily.
var odd = map[string]string{
	"plain": "Rojalin", "empty": "", "": "the empty key", "lines": "a\r\nb\nc\r", "bytes": "\xff\x00\xfe",
	"\xfe\r\nkey": "binary key", "quote\"s,;": `a "b", 'c' \`, "ünï": "ö€😀", "control": "\x01\x1b[2J\x7f", "key": "value",
}

func dial(t *testing.T, socket string) *client.Conn {
	t.Helper()
	c, err := client.Dial(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// fill sets the odd keys, one with an expiry.
func fill(t *testing.T, socket string) {
	t.Helper()
	c := dial(t, socket)
	for key, value := range odd {
		if _, err := c.Do("SET", key, value); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Do("SET", "mayfly", "x", "EX", "5000"); err != nil {
		t.Fatal(err)
	}
}

// holds compares a daemon's keys with the odd ones.
func holds(t *testing.T, socket string) {
	t.Helper()
	c := dial(t, socket)
	for key, value := range odd {
		if r, err := c.Do("GET", key); err != nil || r.Text() != value || r.IsNil() {
			t.Errorf("%q is %q, not %q (%v)", key, r.Text(), value, err)
		}
	}
	if r, err := c.Do("PTTL", "mayfly"); err != nil || r.Int < 4_000_000 || r.Int > 5_000_000 {
		t.Errorf("mayfly lives %d ms (%v)", r.Int, err)
	}
}

// What is exported comes back byte for byte, in every format.
func TestExportAndImport(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	for _, format := range []string{"jsonl", "csv", "resp"} {
		t.Run(format, func(t *testing.T) {
			fill(t, d.Socket)
			path := filepath.Join(t.TempDir(), "dump."+format)
			must(t, d.Socket, "", "export", path)
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info, err)
			}
			must(t, d.Socket, "", "FLUSHALL")
			args := []string{"import", path}
			if format != "resp" {
				args = append(args, "--verify")
			}
			if out := must(t, d.Socket, "", args...); !strings.HasPrefix(out, fmt.Sprint(len(odd)+1, " commands")) {
				t.Errorf("it says %s", out)
			}
			holds(t, d.Socket)
			piped := must(t, d.Socket, "", "export", "--format", format)
			must(t, d.Socket, "", "FLUSHALL")
			must(t, d.Socket, piped, "import", "--format", format)
			holds(t, d.Socket)
		})
	}
}

// Mistakes are named by their line, and a file that lost a line is found out.
func TestImportSaysWhatIsWrong(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	for _, c := range []struct{ format, text, want string }{
		{"jsonl", "{\"key\":\"a\",\"value\":\"1\"}\n\n{\"key\":\"a\"}\n", `line 3: "key" or "value" is missing`},
		{"jsonl", "{\"key\":\"a\",\"value\":\"1\"\n", "line 1: not JSON"},
		{"jsonl", "{\"key\":\"a\",\"value\":\"\xff\"}\n", "line 1: bytes that are not UTF-8"},
		{"jsonl", `{"key":"a","value":"-","encoding":"base64"}`, "line 1: not base64: -"},
		{"csv", "key,value,expires\na,1,\nb,2,soon\n", "line 3: not a time in milliseconds since 1970: soon"},
		{"csv", "a\n", "line 1: a key without a value"},
		{"csv", "a,1\n\"x,\n", "line 2: "},
		{"csv", "a,\"1\n2\"\n\nb,2,soon\n", "line 4: not a time"},
		{"resp", "*2\r\n$3\r\nGET\r\n$9\r\nx\r\n", "command 1: it ends in the middle"},
		{"resp", "SET a 1\r\n*x\r\n", "line 2: not the head of a command: *x"},
		{"resp", "# a note\n\nSET a 1\n\nSET b \"x\n", "line 5: unbalanced quotes"},
		{"resp", "#TS:1700000000\r\n*1\r\n$4\r\nPING\r\n*x\r\n", "command 2: not the head of a command: *x"},
		{"resp", "*1\r\n$99999999999\r\n", "command 1: not the head of an argument"},
	} {
		stdout, stderr, status := run(t, d.Socket, c.text, "import", "--format", c.format)
		if status != 2 || stdout != "" || !strings.Contains(stderr, "kvctl: "+c.want) || !strings.Contains(stderr, "\n  why: ") {
			t.Errorf("%q: exit status %d, %q", c.text, status, stderr)
		}
	}
	_, stderr, status := run(t, d.Socket, "SET a x\r\n# a note\r\n\r\nINCR a\r\nSET b 2\r\nNONSENSE\r\n", "--pipe")
	if status != 3 || !strings.Contains(stderr, "kvctl: line 4: value is not an integer") || !strings.Contains(stderr, "kvctl: line 6: unknown command") {
		t.Errorf("refused commands: exit status %d, %q", status, stderr)
	}
	if b := must(t, d.Socket, "", "GET", "b"); b != "2\n" {
		t.Errorf("what follows a refused command: %q", b)
	}
	must(t, d.Socket, "", "SET", "c", "3")
	lines := strings.SplitAfter(must(t, d.Socket, "", "export"), "\n")
	_, stderr, status = run(t, d.Socket, strings.Join(lines[1:], ""), "import", "--format", "jsonl")
	if status != 3 || !strings.Contains(stderr, "does not hold what its last line says") {
		t.Errorf("a lost line: exit status %d, %q", status, stderr)
	}
}

// A load that broke off goes on where it was.
func TestImportResumes(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	var text strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&text, "{\"key\":\"k%d\",\"value\":\"%d\"}\n", i, i)
	}
	path := filepath.Join(t.TempDir(), "dump.jsonl")
	broken := strings.Replace(text.String(), `{"key":"k15000"`, `["key":"k15000"`, 1)
	write := func(content string, at time.Time) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	then := time.Now().Add(-time.Hour)
	write(broken, then)
	_, stderr, status := run(t, d.Socket, "", "import", path)
	if status != 2 || !strings.Contains(stderr, "line 15001: not JSON") || !strings.Contains(stderr, "fix: kvctl import --resume "+path) {
		t.Fatalf("exit status %d, %s", status, stderr)
	}
	write(text.String(), time.Now())
	if _, stderr, status := run(t, d.Socket, "", "import", "--resume", path); status != 2 || !strings.Contains(stderr, "has changed since") {
		t.Errorf("another file: exit status %d, %s", status, stderr)
	}
	write(text.String(), then)
	out := must(t, d.Socket, "", "import", "--resume", path)
	if strings.HasPrefix(out, "20,000") {
		t.Errorf("it began anew: %s", out)
	}
	if n := must(t, d.Socket, "", "DBSIZE"); n != "20000\n" {
		t.Errorf("%s keys", n)
	}
	if _, err := os.Stat(path + ".kvctl-resume"); err == nil {
		t.Error("the state file is still there")
	}
}

// redis starts a redis-server on a socket and a port.
func redis(t *testing.T) (socket, port string) {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed")
	}
	socket = filepath.Join(t.TempDir(), "r")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ = net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	cmd := exec.Command(program, "--port", port, "--bind", "127.0.0.1", "--unixsocket", socket, "--save", "", "--requirepass", "open")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if nc, err := net.Dial("unix", socket); err == nil {
			_ = nc.Close()
			return socket, port
		}
		if time.Now().After(deadline) {
			t.Fatal("redis-server does not listen")
		}
	}
}

// A Redis is copied with its times of expiry; what is no string is counted.
func TestImportFromRedis(t *testing.T) {
	socket, port := redis(t)
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	c, err := client.Dial(socket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do("AUTH", "open"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do("SELECT", "2"); err != nil {
		t.Fatal(err)
	}
	for key, value := range odd {
		if _, err := c.Do("SET", key, value); err != nil {
			t.Fatal(err)
		}
	}
	for _, cmd := range [][]string{{"SET", "mayfly", "x", "EX", "5000"}, {"LPUSH", "list", "a"}, {"HSET", "hash", "a", "b"}} {
		if _, err := c.Do(cmd...); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.Close()
	out := must(t, d.Socket, "", "import", "--from", "redis://:open@127.0.0.1:"+port+"/2", "--verify")
	if !strings.Contains(out, "left out: 2") || !strings.Contains(out, "verified") {
		t.Errorf("it says %s", out)
	}
	holds(t, d.Socket)
	_, stderr, status := run(t, d.Socket, "", "import", "--from", "redis://:wrong@127.0.0.1:"+port)
	if status != 3 || !strings.Contains(stderr, "the source answered: WRONGPASS") {
		t.Errorf("a wrong password: %d %s", status, stderr)
	}
	_, stderr, status = run(t, d.Socket, "", "import", "--from", "redis://:secret@127.0.0.1:1")
	if status != 4 || !strings.Contains(stderr, "connection refused") || strings.Contains(stderr, "secret") {
		t.Errorf("nobody there: %d %s", status, stderr)
	}
}
