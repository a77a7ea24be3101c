package differential

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
)

// stage is several connections to each of the two servers. What a request
// brings to any of them is compared.
type stage struct {
	t     *testing.T
	paths [2]string // redis-server, kvstored
	conns map[string]*[2]*peer
	order []string
	n     int // of markers so far
}

// peer is one connection to one server.
type peer struct {
	net.Conn
	id   string
	left []byte // read, after the marker
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, paths: [2]string{startRedis(t), startOurs(t, *library)}, conns: map[string]*[2]*peer{}}
	for range 100 { // so that no id looks like a count
		s.knock()
	}
	return s
}

// knock connects to both servers, and leaves.
func (s *stage) knock() {
	for _, path := range s.paths {
		c, err := net.Dial("unix", path)
		if err != nil {
			s.t.Fatal(err)
		}
		c.Close()
	}
}

// clear closes all connections.
func (s *stage) clear() {
	for _, name := range s.order {
		s.leave(name)
	}
}

func (s *stage) leave(name string) {
	for _, p := range s.conns[name] {
		p.Close()
	}
	delete(s.conns, name)
	var order []string
	for _, o := range s.order {
		if o != name {
			order = append(order, o)
		}
	}
	s.order = order
}

func (s *stage) peers(name string) *[2]*peer {
	if p := s.conns[name]; p != nil {
		return p
	}
	var pair [2]*peer
	for i, path := range s.paths {
		c, err := net.Dial("unix", path)
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { c.Close() })
		pair[i] = &peer{Conn: c}
		pair[i].send(s.t, "CLIENT ID")
		reply := pair[i].until(s.t, func(b []byte) int { return bytes.Index(b, []byte("\r\n")) + 2 })
		pair[i].id = strings.Trim(reply, ":\r\n")
	}
	s.conns[name] = &pair
	s.order = append(s.order, name)
	return &pair
}

func (p *peer) send(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(p, text+"\r\n"); err != nil {
		t.Fatal(err)
	}
}

// until reads until end finds the end of what is wanted (above 1).
func (p *peer) until(t *testing.T, end func([]byte) int) string {
	t.Helper()
	buf := make([]byte, 64<<10)
	p.SetReadDeadline(time.Now().Add(time.Minute))
	for {
		if at := end(p.left); at > 1 {
			text := string(p.left[:at])
			p.left = append([]byte(nil), p.left[at:]...)
			return text
		}
		n, err := p.Read(buf)
		p.left = append(p.left, buf[:n]...)
		if err != nil {
			t.Fatalf("after %q: %v", p.left, err)
		}
	}
}

var (
	stampOf = regexp.MustCompile(`(?m)^\+\d+\.\d{6} `)
	pathOf  = regexp.MustCompile(`unix:[^\]]*\]`)
)

// marker has both servers answer a PING on a connection, and returns all that
// came before and with it.
func (s *stage) marker(name string) [2]string {
	s.n++
	token := fmt.Sprintf("marker-%d", s.n)
	var got [2]string
	for i, p := range s.peers(name) {
		p.send(s.t, "PING "+token)
		end := []byte(token + "\r\n")
		text := p.until(s.t, func(b []byte) int {
			if at := bytes.Index(b, end); at >= 0 {
				return at + len(end)
			}
			return 0
		})
		for other, pair := range s.conns {
			text = strings.ReplaceAll(text, ":"+pair[i].id+"\r\n", ":{"+other+"}\r\n")
		}
		if strings.Contains(text, "$7\r\nversion\r\n") { // HELLO
			text = withoutVersion(text)
		}
		text = stampOf.ReplaceAllString(text, "+TIME ")
		got[i] = pathOf.ReplaceAllString(text, "unix:PATH]")
	}
	return got
}

// do carries out "NAME request; request …" (one write) and compares what all
// connections got. {NAME} stands for the id of a connection. "NAME close"
// closes it. With norm both answers are made comparable first.
func (s *stage) do(line string, norm func(string) string) {
	s.t.Helper()
	name, text, _ := strings.Cut(line, " ")
	if text == "close" {
		s.leave(name)
		time.Sleep(20 * time.Millisecond)
	} else {
		s.say(name, text)
	}
	for _, who := range s.order {
		got := s.marker(who)
		if norm != nil {
			got[0], got[1] = norm(got[0]), norm(got[1])
		}
		if got[0] != got[1] {
			s.t.Errorf("after %q, on %s:\n  redis    %q\n  kvstored %q", line, who, got[0], got[1])
		}
	}
}

func (s *stage) say(name, text string) {
	for i, p := range s.peers(name) {
		t := strings.ReplaceAll(text, "; ", "\r\n")
		for other, pair := range s.conns {
			t = strings.ReplaceAll(t, "{"+other+"}", pair[i].id)
		}
		p.send(s.t, t)
	}
}

// play carries out a scene: one step a line, with fresh connections.
func (s *stage) play(scene string, norm func(string) string) {
	s.t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(scene), "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			s.do(line, norm)
		}
	}
	s.clear()
}

const pubsubScene = `
	a SUBSCRIBE x y x
	b PUBLISH x one; PUBLISH y two; PUBLISH z three; PUBLISH x ""
	a GET k; CLIENT INFO; PING; PING a b; GET; NOSUCH; CLIENT NOSUCH; PUBSUB NUMPAT; PUBLISH x y; HELLO 3; SELECT 1; ECHO x
	a PSUBSCRIBE x* ? x*
	b PUBLISH xx one; PUBLISH y two; PUBSUB NUMPAT; PUBSUB CHANNELS x*; PUBSUB CHANNELS [^x]; PUBSUB NUMSUB; PUBSUB NUMSUB x y nosuch x
	c HELLO 3
	c SUBSCRIBE y; PSUBSCRIBE [a-z]y; GET nosuch; SET k v; GET k; PING; PING hello; ECHO x; DEL k
	b PUBLISH y two; PUBLISH xy three; PUBSUB NUMSUB y; PUBSUB NUMPAT; PUBSUB HELP; PUBSUB NOSUCH; PUBSUB; PUBSUB CHANNELS a b; PUBSUB NUMPAT a; PUBSUB NUMSUB
	c PUBSUB NUMSUB y x; PUBSUB CHANNELS x; PUBSUB SHARDNUMSUB a; PUBSUB SHARDCHANNELS; PUBSUB HELP
	a UNSUBSCRIBE y nosuch
	b PUBLISH y two
	a PUNSUBSCRIBE ?; PUNSUBSCRIBE
	b PUBLISH x two; PUBLISH q two
	a UNSUBSCRIBE; GET k; UNSUBSCRIBE; PUNSUBSCRIBE; SUNSUBSCRIBE
	c UNSUBSCRIBE y y; PUNSUBSCRIBE
	b PUBLISH x; SUBSCRIBE; PSUBSCRIBE; PUBLISH x y z
	a SSUBSCRIBE s; GET k; SUBSCRIBE s
	b PUBLISH s plain; SPUBLISH s shard; SPUBLISH nosuch shard; PUBSUB SHARDCHANNELS; PUBSUB SHARDCHANNELS s*; PUBSUB SHARDNUMSUB s t; PUBSUB CHANNELS
	a UNSUBSCRIBE; GET k
	a SUNSUBSCRIBE; GET k
	c SSUBSCRIBE s t; SUNSUBSCRIBE s nosuch; SUNSUBSCRIBE
	d SUBSCRIBE x; PSUBSCRIBE x
	b PUBLISH x one
	d close
	b PUBLISH x one; PUBSUB NUMPAT; PUBSUB CHANNELS
	d SUBSCRIBE ""; PSUBSCRIBE ""
	b PUBLISH "" empty; PUBLISH "" ""
	b SUBSCRIBE x; SUBSCRIBE y; SUBSCRIBE z; UNSUBSCRIBE x; UNSUBSCRIBE y; UNSUBSCRIBE z; GET nosuch
`

// TestPublishSubscribe compares what publishers and subscribers get.
func TestPublishSubscribe(t *testing.T) {
	newStage(t).play(pubsubScene, nil)
}

// TestOwnMessagesComeAfterTheReply: as in Redis 7.2; 7.0 has them before.
func TestOwnMessagesComeAfterTheReply(t *testing.T) {
	c := dial(t, startOurs(t, *library))
	io.WriteString(c, "HELLO 3\r\n")
	c.read(t, "HELLO")
	io.WriteString(c, "SUBSCRIBE x\r\nPSUBSCRIBE x*\r\nSET k v\r\nPUBLISH x one\r\nGET k\r\nPUBLISH x two\r\nPUBLISH y no\r\nPING\r\n")
	message := func(text string) string {
		return fmt.Sprintf(">3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$3\r\n%s\r\n>4\r\n$8\r\npmessage\r\n$2\r\nx*\r\n$1\r\nx\r\n$3\r\n%s\r\n", text, text)
	}
	want := ">3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n>3\r\n$10\r\npsubscribe\r\n$2\r\nx*\r\n:2\r\n+OK\r\n:2\r\n" + message("one") +
		"$1\r\nv\r\n:2\r\n" + message("two") + ":0\r\n+PONG\r\n"
	got := make([]byte, len(want))
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(c.r, got); err != nil || string(got) != want {
		t.Errorf("%v\ngot  %q\nwant %q", err, got, want)
	}
}
