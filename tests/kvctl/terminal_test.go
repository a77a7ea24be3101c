// Package kvctl tests kvctl as a person uses it: on a terminal, against the
// real daemon.
package kvctl

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"

	"kvstored/pkg/client/clienttest"
	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	daemontest.Remove()
	os.Exit(code)
}

// escapes are the sequences that steer a terminal.
var escapes = regexp.MustCompile(`\x1b(\[[0-9;?]*[ -/]*[@-~]|[D78=>])`)

// terminal is a program that runs on a terminal of its own.
type terminal struct {
	t    *testing.T
	pty  *os.File
	cmd  *exec.Cmd
	done chan error

	mu   sync.Mutex
	said bytes.Buffer // guarded by mu: all that it wrote
	seen int          // guarded by mu: what expect has passed
}

// onTerminal starts kvctl on a terminal of 80 columns and 24 rows.
func onTerminal(t *testing.T, env []string, args ...string) *terminal {
	t.Helper()
	return onColumns(t, 80, env, args...)
}

// onColumns starts kvctl on a terminal so wide.
func onColumns(t *testing.T, columns uint16, env []string, args ...string) *terminal {
	t.Helper()
	cmd := exec.Command(daemontest.Control(t), args...)
	cmd.Env = append(os.Environ(), append([]string{"TERM=xterm-256color", "NO_COLOR=", "PAGER=cat", "INPUTRC=/dev/null"}, env...)...)
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: columns})
	if err != nil {
		t.Fatal(err)
	}
	p := &terminal{t: t, pty: f, cmd: cmd, done: make(chan error, 1)}
	go p.listen()
	go func() { p.done <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended, or the test failed
		_ = f.Close()
	})
	return p
}

// listen gathers what the program writes.
func (p *terminal) listen() {
	buf := make([]byte, 4096)
	for {
		n, err := p.pty.Read(buf)
		p.mu.Lock()
		p.said.Write(buf[:n])
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// send types text.
func (p *terminal) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.pty, text); err != nil {
		p.t.Fatal(err)
	}
}

// expect waits until the program has written text behind what was expected
// before; what steers the terminal does not count.
func (p *terminal) expect(text string) {
	p.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		p.mu.Lock()
		plain := escapes.ReplaceAllString(p.said.String(), "")
		at := strings.Index(plain[min(p.seen, len(plain)):], text)
		if at >= 0 {
			p.seen += at + len(text)
		}
		rest := plain[min(p.seen, len(plain)):]
		p.mu.Unlock()
		if at >= 0 {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%q did not come; since then came %q", text, rest)
		}
	}
}

// text is all that the program wrote, without what steers the terminal.
func (p *terminal) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return escapes.ReplaceAllString(p.said.String(), "")
}

// ends waits for the program's end and gives its exit status.
func (p *terminal) ends() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(30 * time.Second):
		p.t.Fatal("it does not end")
		return -1
	}
}

// shell starts the shell beside a daemon of its own.
func shell(t *testing.T) (*terminal, string) {
	t.Helper()
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	path := filepath.Join(t.TempDir(), "history")
	p := onTerminal(t, []string{"KVSTORE_SOCKET=" + d.Socket, "KVCTL_HISTORY=" + path})
	p.expect("help explains")
	p.expect("kvctl> ")
	return p, path
}

func TestShell(t *testing.T) {
	p, path := shell(t)
	p.send("SET name Rojalin\r")
	p.expect("OK")
	p.send("GET name\r")
	p.expect(`"Rojalin"`)
	p.send("SET poem \"roses\r")
	p.send("violets\"\r")
	p.expect("OK")
	p.send("GET poem\r")
	p.expect(`"roses\nviolets"`)
	p.send("INCR name\r")
	p.expect("kvctl: INCR: value is not an integer")
	p.send("SELECT 3\r")
	p.expect("kvctl[3]> ")
	p.send("AUTH hunter2\r")
	p.expect("kvctl[3]> ")
	p.send("help GET\r")
	p.expect("usage: kvctl GET key")
	p.expect("kvctl[3]> ") // before it the terminal would take the key for itself
	p.send("\x04")
	if code := p.ends(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), "GET poem") || strings.Contains(string(text), "hunter2") {
		t.Errorf("the history: %v\n%s", err, text)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the history's mode: %v %v", info, err)
	}
}

func TestShellHintsAndCompletes(t *testing.T) {
	p, _ := shell(t)
	p.send("SETEX ")
	p.expect("key seconds value")
	p.send("a")
	p.expect("seconds value")
	p.send("\x15SET user:7 x\r")
	p.expect("OK")
	p.send("GET user:\t")
	p.expect("GET user:7")
	p.send("\r")
	p.expect(`"x"`)
	p.send("watch 0.05 INCR n\r")
	p.expect("(integer) 3")
	p.send("\x03")
	p.expect("kvctl> ")
	p.send("exit\r")
	p.ends()
}

// The shell tells that the connection is a new one, repeats what only reads,
// and says of a write that its outcome is unknown.
func TestShellReconnects(t *testing.T) {
	server := &clienttest.Server{RESP3: true}
	path := filepath.Join(t.TempDir(), "s")
	if err := server.Start(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	p := onTerminal(t, []string{"KVSTORE_SOCKET=" + path, "KVCTL_HISTORY="})
	p.expect("kvctl> ")
	p.send("SET name Rojalin\r")
	p.expect("OK")
	server.CloseConnections()
	p.send("GET name\r")
	p.expect("reconnected to")
	p.expect(`"Rojalin"`)
	p.send("MULTI\r")
	p.expect("(MULTI 0)>")
	server.Drop("INCR", 1)
	p.send("INCR hits\r")
	p.expect("connection lost while INCR hits was in flight")
	p.expect("MULTI was lost with the connection")
	p.expect("(not connected)>")
	p.send("GET name\r")
	p.expect(`"Rojalin"`)
	p.expect("kvctl> ")
	p.send("exit\r")
	if code := p.ends(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// --json alone lists the fields.
func TestFieldsAreListed(t *testing.T) {
	p := onTerminal(t, nil, "--json")
	p.expect("the fields of --json")
	p.expect("ok, checks")
	if code := p.ends(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// The live view draws, takes keys and gives the terminal back.
func TestTop(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	p := onTerminal(t, []string{"KVSTORE_SOCKET=" + d.Socket}, "top", "--interval", "50ms")
	p.expect("engine hash")
	p.expect("commands/s")
	p.expect("hottest keys")
	p.expect("client")
	p.send("h")
	p.send("q")
	if code := p.ends(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// On a narrow terminal help and reasons are broken between words.
func TestNarrowTerminal(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	env := []string{"KVSTORE_SOCKET=" + d.Socket}
	for _, c := range []struct {
		args []string
		last string
		code int
	}{
		{[]string{"import", "--help"}, "verified", 0},
		{[]string{"help", "exit-codes"}, "who?", 0},
		{[]string{"GTE", "x"}, "did you mean GET?", 3},
	} {
		p := onColumns(t, 40, env, c.args...)
		p.expect(c.last)
		if code := p.ends(); code != c.code {
			t.Errorf("%q: exit status %d", c.args, code)
		}
		for line := range strings.Lines(p.text()) {
			line = strings.TrimRight(line, "\r\n")
			if prose := !strings.HasPrefix(line, "  kvctl ") && !strings.HasPrefix(line, "  if ") && !strings.HasPrefix(line, "usage:") && !strings.HasPrefix(line, "kvctl import -"); prose && utf8.RuneCountInString(line) > 40 {
				t.Errorf("%q: more than 40 columns: %s", c.args, line)
			}
		}
	}
}
