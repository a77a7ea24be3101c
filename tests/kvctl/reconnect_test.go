package kvctl

import (
	"path/filepath"
	"testing"

	"kvstored/pkg/client"
	"kvstored/pkg/client/clienttest"
)

// standIn starts a server whose connections can be cut.
func standIn(t *testing.T) (*clienttest.Server, string) {
	t.Helper()
	server := &clienttest.Server{RESP3: true}
	path := filepath.Join(t.TempDir(), "s")
	if err := server.Start(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return server, path
}

// Who waits for a value goes on waiting when the daemon restarts.
func TestWatchReconnects(t *testing.T) {
	server, path := standIn(t)
	p := onTerminal(t, nil, "--socket", path, "watch", "--until", "ready", "state")
	p.expect("(nil)")
	server.CloseConnections()
	p.expect("kvctl: connection lost; connecting again")
	p.expect("kvctl: reconnected; what changed meanwhile shows now")
	c, err := client.Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Do("SET", "state", "ready"); err != nil {
		t.Fatal(err)
	}
	p.expect(`"ready"`)
	if code := p.ends(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// What it waited for, and what there is, is said when the time is up, also
// where no daemon runs any more; Ctrl-C ends it without a word.
func TestWatchEndsWithoutADaemon(t *testing.T) {
	server, path := standIn(t)
	late := onTerminal(t, nil, "--socket", path, "watch", "--until", "ready", "--timeout", "3s", "state")
	dropped := onTerminal(t, nil, "--socket", path, "watch", "state")
	late.expect("(nil)")
	dropped.expect("(nil)")
	server.Stop()
	dropped.expect("connecting again")
	dropped.send("\x03")
	if code := dropped.ends(); code != 130 {
		t.Errorf("Ctrl-C: exit status %d", code)
	}
	late.expect("watch: state did not get there within 3s")
	late.expect("why: there is no such key")
	if code := late.ends(); code != 1 {
		t.Errorf("too late: exit status %d", code)
	}
}

// The figures go on when the daemon is there again.
func TestStatReconnects(t *testing.T) {
	server, path := standIn(t)
	p := onTerminal(t, nil, "--socket", path, "--json", "stat", "--interval", "50ms", "--count", "200")
	p.expect(`"clients"`)
	server.Stop()
	p.expect("kvctl: connection lost; connecting again")
	if err := server.Start(path); err != nil {
		t.Fatal(err)
	}
	p.expect("kvctl: reconnected; the rates begin anew")
	p.expect(`"clients"`)
	p.send("\x03")
	if code := p.ends(); code != 130 {
		t.Errorf("exit status %d", code)
	}
}
