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
	release int // of redis-server, asked before anybody monitors
	t       *testing.T
	paths   [2]string // redis-server, kvstored
	conns   map[string]*[2]*peer
	order   []string
	calm    [2]*conn
	n       int                  // of markers so far
	gone    map[string][2]string // ids of those who left
}

// peer is one connection to one server.
type peer struct {
	net.Conn
	id   string
	left []byte // read, after the marker
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, paths: [2]string{startRedis(t), startOurs(t, *library)}, conns: map[string]*[2]*peer{}, gone: map[string][2]string{}}
	s.release = dial(t, s.paths[0]).release(t)
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
	pair := s.conns[name]
	for _, p := range pair {
		p.Close()
	}
	s.gone[name] = [2]string{pair[0].id, pair[1].id}
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
	calmOf  = regexp.MustCompile(`(?m)^\+\d+\.\d{6} \[[^\]]*\] "TIME"\r\n`)
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
		for other, ids := range s.gone {
			text = strings.ReplaceAll(text, ":"+ids[i]+"\r\n", ":{"+other+"}\r\n")
		}
		if strings.Contains(text, "$7\r\nversion\r\n") { // HELLO
			text = withoutVersion(text)
		}
		text = calmOf.ReplaceAllString(text, "")
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
	s.settle()
	for _, who := range s.order {
		got := s.marker(who)
		got[0] = strings.ReplaceAll(got[0], "Prints this help.", "Print this help.") // Redis 7.0
		if s.release > 702 {
			got[0] = flushedLate.ReplaceAllString(got[0], "${2}${1}")
		}
		if norm != nil {
			got[0], got[1] = norm(got[0]), norm(got[1])
		}
		if got[0] != got[1] {
			s.t.Errorf("after %q, on %s:\n  redis    %q\n  kvstored %q", line, who, got[0], got[1])
		}
	}
}

// flushedLate is the invalidation of everything before the reply to the FLUSHALL
// that it is for, where later releases put it.
var flushedLate = regexp.MustCompile(`(>2\r\n\$10\r\ninvalidate\r\n_\r\n)(\+OK\r\n)`)

// settle has both servers go through their loops some times, so that what was
// sent is carried out and what follows at the end of a turn has followed.
func (s *stage) settle() {
	for i, path := range s.paths {
		if s.calm[i] == nil {
			s.calm[i] = dial(s.t, path)
		}
		for range 20 {
			s.calm[i].do(s.t, "TIME")
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

const trackingScene = `
	a HELLO 3
	a CLIENT TRACKING ON; CLIENT TRACKINGINFO; CLIENT GETREDIR; GET k1; MGET k2 k3 k2; EXISTS k4; TTL k5; STRLEN k6; TYPE k7; GETRANGE k8 0 1; KEYS nothing; SET own 1
	b SET k1 v; SET k1 v; MSET k2 a k3 b k2 c; SET k4 v; SET k5 v; APPEND k6 v; DEL k7; DEL k8; SET k8 v
	a GET k1; GET k1; GET k2; SET k1 own; GET k1; INCR n; GET n; INCR n; INCR n; EXISTS k3 k4
	b EXPIRE k1 100; PERSIST k2; PERSIST k2; EXPIRE nosuch 10; RENAME k3 k30; COPY k30 k4; SETNX k2 v; SET k2 x NX; SET k2 x XX; GETDEL k2
	a GET k1; GET x; GET y
	b GETEX k1; GETEX k1 PERSIST; SET x v EX 100; GETEX x EX 50; SET y v PXAT 1; SELECT 1; SET x v
	a GET k1
	b FLUSHDB; SELECT 0; SET k1 v
	a GET k1; MGET k1 k2; CLIENT TRACKING OFF; CLIENT TRACKINGINFO; CLIENT GETREDIR
	b SET k1 v; FLUSHALL
	a CLIENT TRACKING ON NOLOOP; GET k1; SET k1 v; SET k1 v; GET k1; CLIENT TRACKINGINFO
	b SET k1 v; SET k1 v
	a FLUSHALL; GET k1; FLUSHDB
	a CLIENT TRACKING OFF; CLIENT TRACKING ON OPTIN; CLIENT CACHING YES; CLIENT TRACKINGINFO; GET in; GET out; CLIENT CACHING YES; PING; GET out; CLIENT TRACKINGINFO
	b SET in v; SET out v
	a CLIENT CACHING NO; CLIENT CACHING MAYBE; CLIENT CACHING YES; MULTI; GET in; GET out; EXEC; GET k1
	b SET in v; SET out v; SET k1 v
	a CLIENT TRACKING OFF; CLIENT CACHING YES; CLIENT TRACKING ON OPTOUT; GET in; CLIENT CACHING NO; CLIENT TRACKINGINFO; GET out; CLIENT CACHING YES
	b SET in v; SET out v
	a CLIENT TRACKING ON BCAST; CLIENT TRACKING ON OPTIN; CLIENT TRACKING ON OPTIN OPTOUT; CLIENT TRACKING ON PREFIX a; CLIENT TRACKING MAYBE; CLIENT TRACKING ON NOSUCH; CLIENT TRACKING; CLIENT TRACKING ON REDIRECT; CLIENT TRACKING ON REDIRECT x; CLIENT TRACKING ON REDIRECT 99999; CLIENT TRACKING ON BCAST OPTIN; CLIENT TRACKING OFF BCAST NOLOOP
	a CLIENT TRACKING ON BCAST PREFIX a PREFIX b; CLIENT TRACKINGINFO; CLIENT TRACKING ON BCAST PREFIX ab; CLIENT TRACKING ON BCAST PREFIX c PREFIX cd; CLIENT TRACKING ON BCAST PREFIX d; CLIENT TRACKINGINFO; GET a1
	b MSET a1 v b1 v c1 v d1 v; SET a1 w; DEL b1 a1 c1; SET "a" v; SET "" v
	a SET a2 v
	a CLIENT TRACKING OFF; CLIENT TRACKING ON BCAST NOLOOP; SET a3 v; CLIENT TRACKINGINFO
	b SET a3 v; SET a4 v; FLUSHALL
	a CLIENT TRACKING OFF; CLIENT TRACKING ON; MULTI; GET k1; SET k1 v; GET k1; EXEC
	b MULTI; SET k1 v; SET k1 w; DEL k1; SET nosuch v; EXEC
	# redirected, RESP2
	c CLIENT TRACKING ON; GET k1; GET k2
	b SET k1 v
	d SUBSCRIBE __redis__:invalidate
	c CLIENT TRACKING ON REDIRECT {d}; CLIENT GETREDIR; CLIENT TRACKINGINFO; GET k1; GET k2; GET k1
	b MSET k1 v k2 v; SET k1 v
	c GET k1; SET k1 own; FLUSHALL
	c CLIENT TRACKING OFF; CLIENT TRACKING ON BCAST PREFIX k REDIRECT {d}
	b MSET k1 v k2 v q1 v; DEL k2
	c HELLO 3
	b SET k1 v; FLUSHALL
	c CLIENT TRACKING OFF; CLIENT TRACKING ON REDIRECT {d}; GET k1; GET k2
	d UNSUBSCRIBE
	b SET k1 v
	d HELLO 3
	b SET k2 v
	c GET k1; GET k2
	d close
	b SET k1 v
	c CLIENT TRACKINGINFO; CLIENT GETREDIR; GET k1
	b SET k2 v
	c RESET
	c CLIENT TRACKINGINFO; CLIENT GETREDIR
	b SET k1 v
`

// TestTracking compares what CLIENT TRACKING brings.
func TestTracking(t *testing.T) {
	newStage(t).play(trackingScene, nil)
}

const monitorScene = `
	m MONITOR
	b SET k v; GET k; GET; NOSUCH; INCR k; SELECT 1; SET a "b\n\x01\xff\"\\\r\t\b\a"; SELECT 0; PUBLISH x y; SUBSCRIBE x; UNSUBSCRIBE x; CLIENT NOSUCH
	b AUTH default secret; HELLO 3 AUTH default secret SETNAME me; HELLO 2; CLIENT ID; CLIENT GETNAME; RESET; EXISTS k; DBSIZE; KEYS *; PING; ECHO x; FLUSHALL
	b MULTI; SET k v; GET k; RENAME k l; EXEC; MULTI; DISCARD; WATCH k; UNWATCH; MULTI; NOSUCH; EXEC; EXEC
	m GET k; SET k v; PING; MONITOR; ECHO hello; CLIENT ID; INFO nosuch; CLIENT TRACKING ON; DBSIZE
	b EVAL "redis.call('SET',KEYS[1],ARGV[1]) return redis.pcall('get')" 1 k v; EVAL "return 1" x; EVAL "return 1" 2 k; EVAL x; EVALSHA nosuch 0; EVAL_RO "return redis.call('get','k')" 0; EVAL "return nosuch" 0; EVALSHA_RO nosuch 0
	b SCRIPT LOAD "return 7"; EVAL "redis.call('select',3) redis.call('set','k','w') return redis.call('rename','k','l')" 0; SCRIPT EXISTS x; SCRIPT KILL; SCRIPT FLUSH
	b MULTI; EVAL "return redis.call('get','k')" 0; SET k v; EVALSHA nosuch 0; EXEC; SET k v; EVAL "return redis.call('get','k')" 0; GET k
	n HELLO 3
	n MONITOR
	b SET k v
	n RESET
	b SET k v
	m close
	b SET k v
	n GET k
`

// TestMonitor compares what MONITOR shows.
func TestMonitor(t *testing.T) {
	newStage(t).play(monitorScene, nil)
}

const eventsScene = `
	s HELLO 3
	s PSUBSCRIBE __key*
	a CONFIG SET notify-keyspace-events KEA; CONFIG GET notify-keyspace-events
	b SET k v; SET k v EX 100; SET k v KEEPTTL; SETNX k v; SETNX n1 v; SETEX k 100 v; PSETEX k 100000 v; GETSET k w; MSET a 1 b 2; MSETNX a 1 c 2; MSETNX c 1 d 2; SET k v NX; SET k v XX GET
	b APPEND k x; APPEND k ""; APPEND fresh x; SETRANGE k 1 zz; SETRANGE k 1 ""; SETRANGE none 1 ""; INCR n; DECR n; INCRBY n 5; DECRBY n 2; INCRBYFLOAT n 1.5; INCR k; INCRBYFLOAT k 1
	b GETDEL a; GETDEL a; GETEX b; GETEX b EX 100; GETEX b PERSIST; GETEX b PERSIST; GETEX b EXAT 1; DEL c d nosuch; UNLINK n nosuch
	b EXPIRE k 100; PEXPIRE k 100000; EXPIRE nosuch 1; EXPIRE k 100 NX; PERSIST k; PERSIST k; EXPIREAT k 4000000000; PEXPIREAT k 4000000000000; EXPIRE k -1; EXPIRE k -1
	b SET k v; RENAME k l; RENAME nosuch l; RENAME l l; RENAMENX l m; SET l x; RENAMENX m l; RENAME m l; COPY l m; COPY l m; COPY l m REPLACE; COPY l m DB 3; COPY nosuch q
	b SELECT 3; SET k v; FLUSHDB; SET k v; SELECT 0; FLUSHALL
	b MULTI; SET k v; GET k; RENAME k l; INCR n; DEL l; EXEC
	b SET k v; GET k; MULTI; SET k v; DISCARD
	b SET p v PXAT 1; GET p; SET p v NX PXAT 1; GET p; SET p v; SET p w PXAT 1; GET p; SET p w GET PXAT 1; GET p
	b SETBIT bits 3 1; SETBIT bits 3 1; BITFIELD bits SET u8 0 5; BITFIELD bits GET u8 0; BITFIELD_RO bits GET u8 0; BITOP AND dest bits nosuch; BITOP AND dest nosuch nosuch; BITOP AND dest nosuch nosuch; BITFIELD bits OVERFLOW FAIL INCRBY u8 0 255; BITFIELD two SET u8 0 5 SET u8 100 7; BITFIELD two SET u8 0 5; BITFIELD room OVERFLOW FAIL INCRBY u8 0 256; BITFIELD zero SET u8 0 0; BITFIELD room GET u8 0 SET u8 0 1
	b PFADD h a b c; PFADD h a; PFCOUNT h; PFMERGE h2 h; PFMERGE h2 nosuch; PFADD empty; PFADD empty
	b SET mv v; MOVE mv 5; MOVE mv 5; MOVE nosuch 5; SET mv v; MOVE mv 5; SWAPDB 5 6; SELECT 6; SET q v; DEL mv q; SELECT 0; TOUCH k
	a CONFIG SET notify-keyspace-events Em; CONFIG GET notify-keyspace-events
	b FLUSHALL; GET k; SET k v; GET k; MGET k a b k; EXISTS a k b; TTL a; PTTL a; EXPIRETIME a; TYPE a; STRLEN a; GETRANGE a 0 1; SUBSTR a 0 1; GETDEL a; GETEX a; SET a v GET; GETSET z v; APPEND y v; SETNX x v; INCR w; DEL nosuch; RENAME nosuch q; COPY nosuch q; COPY k q; EXPIRE nosuch 1; PERSIST nosuch; TOUCH nosuch k; BITCOUNT nosuch; GETBIT nosuch 1; BITPOS nosuch 1; DUMP nosuch; KEYS nosuch; OBJECT ENCODING nosuch; LCS nosuch k; PFCOUNT nosuch; BITFIELD nosuch GET u8 0; BITFIELD_RO nosuch GET u8 0; MOVE nosuch 4; BITOP NOT d nosuch; SET t v XX; SET t v XX GET
	a CONFIG SET notify-keyspace-events KEn
	b FLUSHALL; SET k v; SET k v; SETNX j v; MSET j 1 i 2; INCR n; INCR n; APPEND a v; SETRANGE r 1 v; RENAME k q; COPY q c; COPY q c REPLACE; GETSET g v; MSETNX m1 1 m2 2; SETEX e 100 v; SET g v EX 10; DEL g
	a CONFIG SET notify-keyspace-events Kg$
	b SET k v EX 100; DEL k; APPEND k v
	a CONFIG SET notify-keyspace-events g$
	b SET k v
	a CONFIG SET notify-keyspace-events KE
	b SET k v
	a CONFIG SET notify-keyspace-events g$lshzxetdKE; CONFIG GET notify-keyspace-events; CONFIG SET notify-keyspace-events Knm; CONFIG GET notify-keyspace-events
	a CONFIG SET notify-keyspace-events ""; CONFIG GET notify-keyspace-events
	b SET k v
`

// TestKeyspaceEvents compares the notifications of every command.
func TestKeyspaceEvents(t *testing.T) {
	newStage(t).play(eventsScene, nil)
}

// TestExpiryIsNotified: what is gone is told of whether somebody looks for it
// or nobody does; the order of two keys is not promised.
func TestExpiryIsNotified(t *testing.T) {
	c, sub := dial(t, startOurs(t, *library)), (*conn)(nil)
	sub = dial(t, c.RemoteAddr().String())
	c.do(t, "CONFIG", "SET", "notify-keyspace-events", "Ex")
	sub.do(t, "SUBSCRIBE", "__keyevent@0__:expired")
	c.do(t, "MSET", "stays", "v")
	c.do(t, "SET", "asked", "v", "PX", "5")
	for {
		if v := c.do(t, "EXISTS", "asked"); string(v.Text) == "0" {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if v := sub.read(t, "asked"); string(v.Elems[2].Text) != "asked" {
		t.Errorf("got %s", v.String())
	}
	c.do(t, "SET", "unasked", "v", "PX", "5")
	if v := sub.read(t, "unasked"); string(v.Elems[2].Text) != "unasked" {
		t.Errorf("got %s", v.String())
	}
}
