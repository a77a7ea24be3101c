package differential

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/command"
	"kvstored/pkg/engine"
	"kvstored/pkg/engine/enginetest"
	"kvstored/pkg/reactor"
	"kvstored/pkg/server"
)

var (
	total   = flag.Int("commands", 20_000, "how many random commands to compare (run.sh: 200,000)")
	seed    = flag.Uint64("seed", 1, "seed of the random commands")
	library = flag.String("engine-name", "hash", "engine to test, a folder of libkvstore/engines")
	socket  = flag.String("socket", "", "a running kvstored to test instead of one in this process (its data is flushed)")
)

const batchSize = 150

// state is what the first key of a command was when the command came.
type state int

const (
	live state = iota
	missing
	expired
	states
)

// rig is the two servers and what is known about their keys.
type rig struct {
	*generator
	t          *testing.T
	lines      [2]line // RESP2 and RESP3
	cover      map[string]*[states]int
	onState    [states]int
	onNothing  int
	compared   int
	expiredKey map[string]bool // expired, and not written since
	history    []request       // of this batch
	slack      slack
	host       *engine.Host // ours, in this process
	noWalks    bool         // cursors do not outlive the engine they came from
}

// slack is how long the latest exchanges took: that far apart can the two
// servers have read their clocks.
type slack struct {
	took [16]int64 // milliseconds
	next int
}

func (s *slack) add(d time.Duration) {
	s.took[s.next%len(s.took)] = d.Milliseconds()
	s.next++
}

func (s *slack) total() (ms int64) {
	for _, t := range s.took {
		ms += t
	}
	return ms
}

// line is a connection to each server.
type line struct{ redis, ours *conn }

type conn struct {
	net.Conn
	r   *bufio.Reader
	out bytes.Buffer
}

func dial(t *testing.T, path string) *conn {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &conn{Conn: c, r: bufio.NewReaderSize(c, 1<<20)}
}

// put adds a request to what flush sends.
func (c *conn) put(args []string, inline bool) {
	if inline {
		c.out.WriteString(strings.Join(args, " ") + "\r\n")
		return
	}
	fmt.Fprintf(&c.out, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&c.out, "$%d\r\n%s\r\n", len(a), a)
	}
}

// flush sends what was put, in the background: replies are read meanwhile.
func (c *conn) flush() {
	b := bytes.Clone(c.out.Bytes())
	c.out.Reset()
	go c.Write(b) // a failure shows when the reply is read
}

func (c *conn) read(t *testing.T, who string) Value {
	c.SetReadDeadline(time.Now().Add(time.Minute))
	v, err := Read(c.r)
	if err != nil {
		t.Fatalf("%s: %v", who, err)
	}
	return v
}

// do sends one request and returns the reply.
func (c *conn) do(t *testing.T, args ...string) Value {
	c.put(args, false)
	c.flush()
	return c.read(t, strings.Join(args, " "))
}

// startRedis starts a redis-server of the test's own; it ends with the test.
func startRedis(t *testing.T) string {
	t.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server in PATH: make test installs it; nothing is compared")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "redis.sock")
	cmd := exec.Command(bin, "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", dir,
		"--enable-debug-command", "yes")
	cmd.Stdout, cmd.Stderr = io.Discard, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	await(t, path)
	return path
}

func await(t *testing.T, path string) {
	t.Helper()
	for range 1000 {
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("nobody listens on %s", path)
}

// served is an engine as the server wants it.
type served struct{ *engine.Host }

func (served) Status() []command.Pair { return []command.Pair{{Name: "engine", Value: *library}} }

// startOurs serves an engine in this process and returns the socket.
func startOurs(t *testing.T, name string) string {
	t.Helper()
	path, _ := startHost(t, name)
	return path
}

// startHost returns the host of the engine, too; nil for a kvstored outside.
func startHost(t *testing.T, name string) (string, *engine.Host) {
	t.Helper()
	if *socket != "" {
		return *socket, nil
	}
	host, err := engine.Open(enginetest.Build(t, name), engine.Options{Trust: engine.Trust{AllowOwnUID: true}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ours.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	events := "" // the reactor's
	srv, err := server.New(server.Options{Engine: served{host}, Limits: reactor.Limits{}, Socket: path, Version: "0.0.0",
		Settings: func() []command.Pair {
			limit := host.Limit()
			return []command.Pair{{Name: "maxclients", Value: "10"}, {Name: "NotifyKeyspaceEvents", Value: events},
				{Name: "MaxMemory", Value: fmt.Sprint(limit.MaxMemory)}, {Name: "MaxMemoryPolicy", Value: limit.Policy.String()}}
		},
		Set: func(_, values []string) (reactor.Limits, server.Thresholds, error) {
			events = values[0]
			return server.DefaultLimits, server.Thresholds{SlowlogSlowerThan: -1, Events: events}, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Listen(int(file.Fd())); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { srv.Run(); close(done) }()
	t.Cleanup(func() {
		srv.Stop(time.Second)
		<-done
		file.Close()
		l.Close()
		host.Close()
	})
	return path, host
}

func newRig(t *testing.T, seed uint64) *rig {
	redis := startRedis(t)
	ours, host := startHost(t, *library)
	g := &rig{generator: newGenerator(seed), t: t, host: host, cover: map[string]*[states]int{}, expiredKey: map[string]bool{}}
	for i := range g.lines {
		g.lines[i] = line{dial(t, redis), dial(t, ours)}
		for _, c := range []*conn{g.lines[i].redis, g.lines[i].ours} {
			c.do(t, "FLUSHALL")
			c.do(t, "HELLO", fmt.Sprint(i+2))
		}
	}
	g.release = g.lines[0].redis.release(t)
	return g
}

// TestAgainstRedis is the comparison over random commands.
func TestAgainstRedis(t *testing.T) {
	g := newRig(t, *seed)
	t.Logf("seed %d: go test ./tests/differential -run TestAgainstRedis -commands %d -seed %d -v", *seed, *total, *seed)
	start := time.Now()
	g.run(*total)
	g.report(time.Since(start))
}

// TestAcrossSwaps is the same while the engine is exchanged again and again:
// between two releases of one, and with another one of a different format.
func TestAcrossSwaps(t *testing.T) {
	g := newRig(t, *seed)
	if g.host == nil {
		t.Skip("-socket: a kvstored outside is not swapped from here")
	}
	g.noWalks = true
	paths := []string{enginetest.Build(t, "hash", `KV_ENGINE_VERSION="0.1.1"`), enginetest.Build(t, "debug"), enginetest.Build(t, "hash")}
	stop := g.keepSwapping(paths)
	g.run(*total / 5)
	n := stop()
	t.Logf("seed %d: %d commands compared across %d swaps", *seed, g.compared, n)
	if n < 20 {
		t.Errorf("only %d swaps", n)
	}
}

// keepSwapping exchanges the engine for one path after the other until stop is
// called, which tells how many times that was.
func (g *rig) keepSwapping(paths []string) (stop func() int) {
	end, done := make(chan struct{}), make(chan int)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-end:
				done <- n
				return
			case <-time.After(time.Millisecond):
			}
			if _, err := g.host.Swap(engine.Request{Path: paths[n%len(paths)]}); err != nil {
				g.t.Errorf("swap %d: %v", n, err)
			}
		}
	}()
	return func() int {
		close(end)
		return <-done
	}
}

// run compares n random commands, or stops at the first difference.
func (g *rig) run(n int) {
	for i := 0; g.compared < n && !g.t.Failed(); i++ {
		l := &g.lines[i%2]
		db := "0"
		if i%8 >= 6 {
			db = "1"
		}
		g.prepare(l, db)
		g.batch(l)
		if i%32 == 0 {
			g.settle(l)
		}
	}
}

// prepare puts every key of the pool into a state: live of some kind, with or
// without a time to live, missing, or expired but perhaps still held.
func (g *rig) prepare(l *line, db string) {
	g.now = time.Now().Unix()
	g.history = g.history[:0]
	clear(g.expiredKey)
	g.stale = g.stale[:0]
	var set []request
	add := func(args ...string) { set = append(set, request{args: args, rule: exact}) }
	add("SELECT", db)
	for _, k := range g.pool {
		switch n := g.IntN(20); {
		case n < 3:
			add("DEL", k)
			delete(g.live, k)
		case n < 7:
			add("SET", k, g.value(), "PX", "1")
			g.expiredKey[k] = true
			g.stale = append(g.stale, k)
			delete(g.live, k)
		case n < 10:
			add("SET", k, g.value(), "EX", "100000")
			g.live[k] = true
		default:
			add("SET", k, g.value())
			g.live[k] = true
		}
	}
	g.exchange(l, set, false)
	time.Sleep(3 * time.Millisecond)
}

// batch compares batchSize random commands, sent as one pipeline.
func (g *rig) batch(l *line) {
	var set []request
	for range batchSize {
		set = append(set, g.next())
	}
	g.exchange(l, set, true)
}

// exchange sends the requests to both servers and compares the replies. With
// count a probe before each asks redis-server whether the key is there.
func (g *rig) exchange(l *line, set []request, count bool) {
	for _, r := range set {
		if count && len(r.keys) > 0 {
			l.redis.put([]string{"EXISTS", r.keys[0]}, false)
		}
		inline := plain(r.args) && g.chance(20)
		l.redis.put(r.args, inline)
		l.ours.put(r.args, inline)
	}
	l.redis.flush()
	l.ours.flush()
	start := time.Now()
	defer func() { g.slack.add(time.Since(start)) }()
	for _, r := range set {
		g.history = append(g.history, r)
		if count {
			g.count(l, &r)
		}
		a := l.redis.read(g.t, "redis-server, after "+r.String())
		b := l.ours.read(g.t, "kvstored, after "+r.String())
		a.as72(g.release)
		if !r.rule.compare(&a, &b, g.slack.total()+time.Since(start).Milliseconds()) {
			g.differ(&r, &a, &b)
		}
	}
}

// count notes in which state a request meets its first key.
func (g *rig) count(l *line, r *request) {
	g.compared++
	if len(r.keys) == 0 {
		g.onNothing++
		return
	}
	s := missing
	switch v := l.redis.read(g.t, "redis-server, after "+r.String()); {
	case string(v.Text) == "1":
		s = live
	case g.expiredKey[r.keys[0]]:
		s = expired
	}
	g.onState[s]++
	for _, label := range r.label {
		if g.cover[label] == nil {
			g.cover[label] = &[states]int{}
		}
		g.cover[label][s]++
	}
	if r.write {
		for _, k := range r.keys {
			delete(g.expiredKey, k)
		}
	}
}

// differ reports a difference with what happened to its keys before.
func (g *rig) differ(r *request, redis, ours *Value) {
	var before []string
	for _, h := range g.history[:len(g.history)-1] {
		touches := h.args[0] == "FLUSHALL" || h.args[0] == "SELECT"
		for _, k := range r.keys {
			touches = touches || slices.Contains(h.args, k)
		}
		if touches {
			before = append(before, h.String())
		}
	}
	if n := len(before); n > 15 {
		before = before[n-15:]
	}
	g.t.Errorf("seed %d, command %d, compared by %s:\n  %s\n  redis    %s\n  kvstored %s\nbefore:\n  %s",
		*seed, g.compared, r.rule.name, r, redis, ours, strings.Join(before, "\n  "))
}

func (r request) String() string {
	var b strings.Builder
	for _, a := range r.args {
		if len(a) > 60 {
			fmt.Fprintf(&b, "%q…(%d) ", a[:60], len(a))
			continue
		}
		fmt.Fprintf(&b, "%q ", a)
	}
	return b.String()
}

// plain tells whether the arguments can be sent as a line.
func plain(args []string) bool {
	for _, a := range args {
		if a == "" || len(a) > 100 || strings.ContainsFunc(a, func(c rune) bool {
			return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune(":.-+", c)
		}) {
			return false
		}
	}
	return true
}

// settle removes what is expired and compares everything there is: sizes,
// values, whole walks.
func (g *rig) settle(l *line) {
	var set []request
	for _, k := range g.pool {
		r := l.redis.do(g.t, "EXISTS", k)
		if string(r.Text) == "0" {
			l.ours.do(g.t, "DEL", k)
		}
		set = append(set, request{args: []string{"GET", k}, keys: []string{k}, rule: exact},
			request{args: []string{"PTTL", k}, keys: []string{k}, rule: millis})
	}
	for _, k := range hllKeys {
		set = append(set, request{args: []string{"GET", k}, keys: []string{k}, rule: exact})
	}
	set = append(set, request{args: []string{"DBSIZE"}, rule: exact}, request{args: []string{"KEYS", "*"}, rule: asSet})
	g.exchange(l, set, false)
	if g.noWalks {
		return
	}
	for _, options := range [][]string{{}, {"COUNT", "1"}, {"COUNT", "7", "MATCH", "key:*"}, {"TYPE", "hash"}, {"TYPE", "string", "COUNT", "3"}} {
		a, b := walk(g.t, l.redis, options), walk(g.t, l.ours, options)
		if !slices.Equal(a, b) {
			g.t.Errorf("seed %d: whole walk with %v:\n  redis    %q\n  kvstored %q", *seed, options, a, b)
		}
	}
}

// walk scans from 0 to 0 and returns the keys in order, each once.
func walk(t *testing.T, c *conn, options []string) []string {
	seen := map[string]bool{}
	cursor := "0"
	for range 100_000 {
		v := c.do(t, append([]string{"SCAN", cursor}, options...)...)
		if len(v.Elems) != 2 {
			t.Fatalf("SCAN %s %v: %s", cursor, options, v.String())
		}
		for _, k := range v.Elems[1].Elems {
			seen[string(k.Text)] = true
		}
		if cursor = string(v.Elems[0].Text); cursor == "0" {
			break
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// report prints what was covered, and fails when it was too little.
func (g *rig) report(took time.Duration) {
	var b strings.Builder
	if g.t.Failed() {
		return
	}
	keyed := g.onState[live] + g.onState[missing] + g.onState[expired]
	fmt.Fprintf(&b, "%d commands compared in %.1f s, %d of them on a key: %.1f%% live, %.1f%% missing, %.1f%% expired\n",
		g.compared, took.Seconds(), keyed, share(g.onState[live], keyed), share(g.onState[missing], keyed), share(g.onState[expired], keyed))
	fmt.Fprintf(&b, "%-20s %8s %8s %8s\n", "", "live", "missing", "expired")
	for _, label := range slices.Sorted(maps.Keys(g.cover)) {
		c := g.cover[label]
		fmt.Fprintf(&b, "%-20s %8d %8d %8d\n", label, c[live], c[missing], c[expired])
		if *total >= 100_000 && min(c[live], c[missing], c[expired]) == 0 {
			g.t.Errorf("%s did not meet a key in every state: %v", label, *c)
		}
	}
	b.WriteString("not compared byte for byte (errors always are):\n")
	for _, u := range []*rule{asSet, asScan, asStep, seconds, millis, asNull, asCount, asNumber, asTime, asText, asMap, asHello, asClient, asEncoding, asShared, asDump} {
		fmt.Fprintf(&b, "  %-24s by %-24s %s\n", u.of, u.name+":", u.why)
	}
	g.t.Log(b.String())
	if g.onState[live]*100 < 60*g.compared {
		g.t.Errorf("only %.1f%% of the commands met a live key; 60%% are wanted", share(g.onState[live], g.compared))
	}
}

func share(part, all int) float64 { return 100 * float64(part) / float64(max(all, 1)) }
