package torture

import (
	"bytes"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	daemontest.Remove()
	os.Exit(code)
}

// What marks the begin and the end of the answer to a call.
const first, last = "the first answer", "the last answer"

// peer is a connection to the daemon.
type peer struct {
	*net.UnixConn
	t *testing.T
}

func dial(t *testing.T, path string) *peer {
	t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(time.Minute))
	return &peer{c, t}
}

// taken waits until the daemon has read all that was written, and is not just
// about to: what is written next comes in another read of its.
func (p *peer) taken() {
	raw, err := p.SyscallConn()
	if err != nil {
		p.t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Microsecond) {
		unread := 0
		raw.Control(func(fd uintptr) { unread, err = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) })
		if err != nil || unread == 0 {
			return // closed by the daemon: the reader sees it
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("the daemon leaves %d bytes unread", unread)
		}
	}
}

// until reads up to the last answer, or to the end of the connection.
func (p *peer) until() []byte {
	var got []byte
	for buf := make([]byte, 64<<10); !bytes.Contains(got, []byte(last)); {
		n, err := p.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			if e, ok := err.(net.Error); ok && e.Timeout() {
				p.t.Fatalf("no answer within a minute after %.200q", got)
			}
			return append(got, closed...)
		}
	}
	return got[:bytes.Index(got, []byte(last))]
}

// closed stands for the end of the connection in what was answered.
const closed = "+CLOSED\r\n"

// ask sends the request in pieces, each in a read of its own, and returns all
// that was answered to it; head goes before it in one piece.
func ask(t *testing.T, path, head string, pieces ...[]byte) []byte {
	t.Helper()
	p := dial(t, path)
	defer p.Close()
	p.Write([]byte(head)) // who is closed has errors here: the reader sees it, too
	for _, piece := range pieces {
		p.taken()
		p.Write(piece)
	}
	p.taken()
	p.Write([]byte(after + "PING \"" + last + "\"\r\n"))
	_, got, _ := bytes.Cut(p.until(), []byte(first+"\r\n"))
	return got
}

// kinds is the first byte of every reply.
func kinds(t *testing.T, b []byte) []byte {
	t.Helper()
	list, _, err := replies(b)
	if err != nil {
		t.Fatal(err)
	}
	var k []byte
	for _, r := range list {
		k = append(k, r[0])
	}
	return k
}

// TestEveryCommandSplitAtEveryByte: a request may arrive in any two pieces, or
// byte by byte, as an array and as a line, in RESP2 and RESP3: the answer is
// the same.
func TestEveryCommandSplitAtEveryByte(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	forms := []struct {
		name, hello string
		form        func(call) []byte
	}{
		{"RESP2", "", call.array}, {"RESP3", "HELLO 3\r\n", call.array}, {"a line", "", call.line},
	}
	splits := 0
	for _, c := range allCalls(t) {
		head := before + "PING \"" + first + "\"\r\n"
		if c.name == "exec" || c.name == "discard" {
			head += "MULTI\r\nGET text\r\n"
		}
		for _, f := range forms {
			text := f.form(c)
			want := ask(t, d.Socket, f.hello+head, text)
			compare := func(how string, got []byte) {
				t.Helper()
				splits++
				same := bytes.Equal(got, want)
				if c.loose {
					same = bytes.Equal(kinds(t, got), kinds(t, want))
				}
				if !same {
					t.Errorf("%s (%s) %s:\ngot  %.600q\nwant %.600q", c.name, f.name, how, got, want)
				}
			}
			for i := 1; i < len(text); i++ {
				compare("split after "+string(text[:i]), ask(t, d.Socket, f.hello+head, text[:i], text[i:]))
			}
			compare("byte by byte", ask(t, d.Socket, f.hello+head, slices.Collect(slices.Chunk(text, 1))...))
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("%d commands, %d splits", len(allCalls(t)), splits)
}
