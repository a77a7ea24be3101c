package kvctl

import (
	"os/exec"
	"strings"
	"testing"

	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
)

// Ctrl-C ends all that goes on, with the exit status that shells have for it,
// and leaves the terminal as it was.
func TestCtrlC(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	must(t, d.Socket, "", "SET", "state", "ready")
	for _, c := range []struct {
		args []string
		wait string
	}{
		{[]string{"watch", "state"}, `"ready"`},
		{[]string{"watch", "1", "GET", "state"}, `"ready"`},
		{[]string{"stat", "--interval", "50ms"}, "cmds/s"},
		{[]string{"top", "--interval", "50ms"}, "hottest keys"},
		{[]string{"latency", "--for", "1m"}, "Ctrl-C ends"},
		{[]string{"subscribe", "news"}, ""},
		{[]string{"monitor"}, ""},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			p := onTerminal(t, nil, append([]string{"--socket", d.Socket}, c.args...)...)
			if c.wait == "" { // it listens when the daemon has a second client
				for strings.Count(must(t, d.Socket, "", "CLIENT", "LIST"), "cmd="+c.args[0]) == 0 {
				}
			}
			p.expect(c.wait)
			p.send("\x03")
			if code := p.ends(); code != 130 {
				t.Errorf("exit status %d\n%s", code, p.text())
			}
		})
	}
}

// Who reads no further ends what is printed, without a complaint about it.
func TestReaderGoesAway(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	var lines strings.Builder
	for range 20_000 {
		lines.WriteString("PING\n")
	}
	cmd := exec.Command("sh", "-c", `"$0" --socket "$1" | head -n 1`, daemontest.Control(t), d.Socket)
	cmd.Stdin = strings.NewReader(lines.String())
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "PONG\n" {
		t.Errorf("%v, %.200s", err, out)
	}
}
