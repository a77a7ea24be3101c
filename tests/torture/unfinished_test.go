package torture

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
)

// begin sends the beginning of a request over a connection of its own, and
// returns when the daemon has answered what came before and read the rest.
func begin(t *testing.T, path string, part []byte) *peer {
	t.Helper()
	p := dial(t, path)
	p.Write([]byte("PING \"" + first + "\"\r\n"))
	want := fmt.Sprintf("$%d\r\n%s\r\n", len(first), first)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(p, got); err != nil || string(got) != want {
		t.Fatalf("%v: got %q", err, got)
	}
	p.Write(part)
	p.taken()
	return p
}

// ends are the ways in which a client leaves a request that it has begun. What
// may come before the connection ends is nothing.
var ends = []struct {
	name string
	end  func(p *peer) ([]byte, error)
}{
	{"closed", func(p *peer) ([]byte, error) { return nil, p.Close() }},
	{"half closed", func(p *peer) ([]byte, error) {
		defer p.Close()
		p.CloseWrite()
		return io.ReadAll(p)
	}},
	{"half closed, then closed unread", func(p *peer) ([]byte, error) {
		p.CloseWrite()
		return nil, p.Close()
	}},
	{"no longer read, then closed", func(p *peer) ([]byte, error) {
		p.CloseRead()
		return nil, p.Close()
	}},
}

// leave ends connections with unfinished requests, one way after the other.
func leave(t *testing.T, held []*peer, what string) {
	t.Helper()
	for i, p := range held {
		how := ends[i%len(ends)]
		got, err := how.end(p)
		if err != nil || len(got) > 0 {
			t.Errorf("%s, %d bytes of it, %s: %v, answered %.200q", what, i+1, how.name, err, got)
		}
	}
}

// TestUnfinishedRequests: of every command, as an array and as a line, requests
// that are begun and stop after every byte. While they wait, the same command
// split on another connection has the answer it always has; then they end in
// all ways, unanswered and undone, and nothing of them is left.
func TestUnfinishedRequests(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	var alone, beside []call // the first are those that everybody notices, or that notice everybody
	for _, c := range allCalls(t) {
		if slices.Contains(shared, c.name) || c.name == "monitor" {
			alone = append(alone, c)
		} else {
			beside = append(beside, c)
		}
	}
	n := unfinished(t, d, alone)
	settled(t, d, usage{1 << 20, 1 << 20, 1, 1 << 30})
	base := measure(t, d)
	verified := verify(t, d.Socket)
	n += unfinished(t, d, beside)
	t.Logf("%d commands, %d unfinished requests; %d right answers beside", len(alone)+len(beside), n, verified())
	settled(t, d, usage{base.files, base.threads + 16, 1, base.rss + 16<<10})
}

// unfinished begins every call at every byte, and returns how many that were.
func unfinished(t *testing.T, d *daemontest.Daemon, calls []call) (n int) {
	t.Helper()
	for _, c := range calls {
		head := before + "PING \"" + first + "\"\r\n"
		if c.name == "exec" || c.name == "discard" {
			head += "MULTI\r\nGET text\r\n"
		}
		for _, text := range [][]byte{c.array(), c.line()} {
			want := ask(t, d.Socket, head, text)
			var held []*peer
			for i := 1; i < len(text); i++ {
				held = append(held, begin(t, d.Socket, text[:i]))
			}
			got := ask(t, d.Socket, head, text[:len(text)/2], text[len(text)/2:])
			if c.loose {
				got, want = kinds(t, got), kinds(t, want)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("%s beside unfinished ones:\ngot  %.600q\nwant %.600q", c.name, got, want)
			}
			leave(t, held, c.name)
			n += len(held)
		}
		if t.Failed() {
			break
		}
	}
	return n
}

// TestUnfinishedForLong: one request of each command waits unfinished for
// seconds, and is then finished: it is carried out as if nothing had been.
func TestUnfinishedForLong(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	var waiting []*peer
	var rest [][]byte
	var name []string
	for i, c := range allCalls(t) {
		if slices.Contains(shared, c.name) || c.name == "monitor" {
			continue
		}
		text := c.array()
		at := 1 + i*7%(len(text)-1)
		waiting = append(waiting, begin(t, d.Socket, text[:at]))
		rest, name = append(rest, text[at:]), append(name, c.name)
	}
	verified := verify(t, d.Socket)
	time.Sleep(3 * time.Second)
	if n := verified(); n == 0 {
		t.Errorf("nobody was answered meanwhile")
	}
	for i, p := range waiting {
		p.SetDeadline(time.Now().Add(time.Minute))
		p.Write(rest[i])
		p.Write([]byte(after + "PING \"" + last + "\"\r\n"))
		got := p.until()
		if list, _, err := replies(got); err != nil || len(list) == 0 && name[i] != "client|reply" {
			t.Errorf("%s, finished after a while: %v, %.200q", name[i], err, got)
		}
		p.Close()
	}
	t.Logf("%d requests finished after a while", len(waiting))
}

// TestLongValuesNeverSent: what a request says it will send costs nothing
// before it comes, and nothing of it is left when it never does.
func TestLongValuesNeverSent(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	const connections, sent = 60, 100 << 10
	part := append([]byte("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n"), bytes.Repeat([]byte("v"), sent)...)
	round := func() {
		var held []*peer
		for range connections {
			held = append(held, begin(t, d.Socket, part))
		}
		if u := measure(t, d); u.rss > 4*connections*sent/1024+64<<10 {
			t.Errorf("%d KiB for %d unfinished requests of %d bytes", u.rss, connections, sent)
		}
		leave(t, held, "SET")
		if got := ask(t, d.Socket, "PING \""+first+"\"\r\n", []byte("EXISTS k\r\n")); !bytes.HasPrefix(got, []byte(":0\r\n")) {
			t.Errorf("EXISTS k: %q", got)
		}
	}
	round()
	settled(t, d, usage{1 << 20, 1 << 20, 1, 1 << 30})
	base := measure(t, d)
	for range 5 {
		round()
	}
	settled(t, d, usage{base.files, base.threads + 16, 1, base.rss + 16<<10})
	if _, err := os.Stat(d.Socket); err != nil {
		t.Error(err)
	}
}
