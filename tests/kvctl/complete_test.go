package kvctl

import (
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
)

// TestKeysComplete: the shells' completion has the daemon's keys where a key
// comes next, only those that a shell takes as they are, and is silent where
// there is no daemon.
func TestKeysComplete(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	control(t, d.Socket, "MSET", "name", "1", "name:2", "2", "näme", "3", "name $(reboot)", "4", "na`id`", "5", "other", "6")
	control(t, d.Socket, "-n", "3", "SET", "name3", "1")
	none := filepath.Join(t.TempDir(), "none")
	deaf := filepath.Join(t.TempDir(), "deaf") // it takes connections and answers nothing
	l, err := net.Listen("unix", deaf)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, c := range []struct {
		socket, line, want string
	}{
		{d.Socket, "GET nam", "name name:2"},
		{d.Socket, "get n", "name name:2 näme"},
		{d.Socket, "DEL other name:", "name:2"},
		{d.Socket, "OBJECT ENCODING o", "other"},
		{d.Socket, "-n 3 GET n", "name3"},
		{d.Socket, "SET name n", ""},
		{d.Socket, "SET name 1 k", "keepttl"},
		{none, "GET n", ""},
		{deaf, "GET n", ""},
	} {
		args := append([]string{"--socket", c.socket}, strings.Fields(c.line)...)
		cmd := exec.Command(daemontest.Control(t), append([]string{"__completeNoDesc"}, args...)...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", c.line, err)
		}
		lines := strings.Fields(string(out))
		if got := strings.Join(lines[:len(lines)-1], " "); got != c.want {
			t.Errorf("%s: offered %q, not %q", c.line, got, c.want)
		}
	}
}

// The script for bash works without the package bash-completion.
func TestBashAlone(t *testing.T) {
	const script = `source <("$1" completion bash)
compopt() { :; } # there is no completion under way
PATH=$(dirname "$1"):$PATH COMP_WORDS=(kvctl doc) COMP_CWORD=1 COMP_LINE='kvctl doc' COMP_POINT=9 COMP_TYPE=9
__start_kvctl
echo "${COMPREPLY[@]}"`
	cmd := exec.Command("bash", "--norc", "--noprofile", "-c", script, "bash", daemontest.Control(t))
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "doctor" {
		t.Errorf("%v: it offers %q", err, out)
	}
}

// control runs kvctl and fails the test if it fails.
func control(t *testing.T, socket string, args ...string) {
	t.Helper()
	cmd := exec.Command(daemontest.Control(t), append([]string{"--socket", socket}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("kvctl %q: %v\n%s", args, err, out)
	}
}
