package differential

import (
	"strings"
	"testing"
)

// figuresOf are the fields of a client that follow from what it did.
func figuresOf(line string) string {
	var out []string
	for _, field := range strings.Fields(line) {
		switch name, _, _ := strings.Cut(field, "="); name {
		case "name", "flags", "db", "sub", "psub", "ssub", "multi", "cmd", "redir", "resp", "user", "events":
			out = append(out, field)
		}
	}
	return strings.Join(out, " ")
}

// TestClientFields compares what CLIENT INFO, and CLIENT LIST of another
// connection, say of a client after each of these, sent at once.
func TestClientFields(t *testing.T) {
	theirs, us := startRedis(t), startOurs(t, *library)
	watcher := [2]*conn{dial(t, theirs), dial(t, us)}
	for _, scene := range []string{
		"PING", "CLIENT SETNAME me", "SELECT 3", "HELLO 3", "MULTI", "MULTI; GET a; SET b c", "MULTI; CLIENT INFO; GET a; EXEC",
		"MULTI; CLIENT LIST; SELECT 2; EXEC", "WATCH a", "WATCH a; SET a b", "WATCH a; SET a b; UNWATCH", "CLIENT TRACKING ON",
		"CLIENT TRACKING ON BCAST", "CLIENT NO-EVICT ON", "SUBSCRIBE a b", "HELLO 3; SUBSCRIBE a; PSUBSCRIBE b*; SSUBSCRIBE c; CLIENT INFO",
		"CLIENT LIST; CLIENT TRACKING OFF", "CLIENT INFO; GET a", "MULTI; NOSUCH", "MULTI; EVAL x 0; DISCARD", "NOSUCH", "PING; CLIENT NOSUCH", "GET", "MONITOR",
	} {
		clients := [2]*conn{dial(t, theirs), dial(t, us)}
		var seen [2]string
		for i, c := range clients {
			requests := strings.Split(scene, "; ")
			for _, r := range requests {
				c.put(strings.Fields(r), false)
			}
			c.flush()
			for range requests {
				v := c.read(t, scene)
				seen[i] += inside(&v)
			}
			for line := range strings.Lines(string(watcher[i].text(t, "CLIENT", "LIST"))) {
				if !strings.Contains(line, "cmd=client|list") {
					seen[i] += "| " + figuresOf(line)
				}
			}
			if scene == "SUBSCRIBE a b" {
				c.read(t, scene)
			}
			c.Close()
			for !alone(watcher[i].text(t, "CLIENT", "LIST")) { // until it is seen that the client is gone
			}
		}
		if seen[0] != seen[1] {
			t.Errorf("%s\n  redis    %s\n  kvstored %s", scene, seen[0], seen[1])
		}
	}
}

// text is the text of a reply.
func (c *conn) text(t *testing.T, args ...string) []byte { v := c.do(t, args...); return v.Text }

func alone(list []byte) bool { return strings.Count(string(list), "\n") == 1 }

// inside is what the replies say of clients.
func inside(v *Value) (s string) {
	for line := range strings.Lines(string(v.Text)) {
		if strings.Contains(line, "addr=") {
			s += figuresOf(line) + "; "
		}
	}
	for i := range v.Elems {
		s += inside(&v.Elems[i])
	}
	return s
}
