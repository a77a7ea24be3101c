package differential

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/engine/enginetest"
)

// member is one client of a transaction test: its connections to both servers
// and what it has queued.
type member struct {
	line
	multi  bool
	queued []request
	held   *request // what waits for a look before it
}

// execRule compares the replies of a transaction, each by the rule of its
// request. The requests that were refused when they came are not among them,
// so their number decides whether the elements are known.
func execRule(queued []request, slack func() int64) *rule {
	return &rule{name: "each by its own rule", same: func(r, o *Value) bool {
		if r.Kind != o.Kind || len(r.Elems) != len(o.Elems) {
			return false
		}
		if len(r.Elems) != len(queued) {
			return r.Equal(o)
		}
		for i := range r.Elems {
			if !queued[i].rule.compare(&r.Elems[i], &o.Elems[i], slack()) {
				return false
			}
		}
		return true
	}}
}

// next makes a request of a member: often one about its transaction.
func (g *rig) nextOf(m *member) request {
	if r := m.held; r != nil {
		m.held = nil
		return g.queue(m, *r)
	}
	r := request{rule: exact}
	switch g.IntN(12) {
	case 0:
		r.args = []string{"MULTI"}
		if !m.multi {
			m.multi, m.queued = true, nil
		}
	case 1, 2:
		queued := m.queued
		r = request{args: []string{"EXEC"}, rule: execRule(queued, g.slack.total)}
		m.multi, m.queued = false, nil
	case 3:
		if !g.chance(3) {
			return g.watch()
		}
		r.args = []string{"DISCARD"}
		m.multi, m.queued = false, nil
	case 4, 5:
		return g.watch()
	case 6:
		if !g.chance(4) {
			return g.queue(m, request{args: []string{"UNWATCH"}, rule: exact})
		}
		r.args = pick(g.generator, [][]string{{"EXEC", "x"}, {"MULTI", "x"}, {"DISCARD", "x"}, {"WATCH"}, {"UNWATCH", "x"}, {"nosuch", "x"},
			{"CLIENT", "nosuch"}, {"GET"}})
		if r.args[0] == "EXEC" {
			m.multi, m.queued = false, nil
		}
	case 7:
		if g.chance(3) {
			return g.queue(m, request{args: []string{pick(g.generator, []string{"FLUSHDB", "FLUSHALL"})}, rule: exact})
		}
		return g.queue(m, request{args: []string{"SELECT", pick(g.generator, []string{"0", "1", "16", "x"})}, rule: exact})
	default:
		return g.queue(m, g.looksFirst(m, g.next()))
	}
	return r
}

// looksFirst has a RESTORE with REPLACE wait for a look at its key. Redis lets a watched key that has
// expired and is still held be replaced without ending the transaction, and whether it is still held is
// up to its timer; the look removes it there.
func (g *rig) looksFirst(m *member, r request) request {
	if r.args[0] != "RESTORE" || !slices.ContainsFunc(r.args, func(a string) bool { return strings.EqualFold(a, "REPLACE") }) {
		return r
	}
	m.held = &r
	return request{args: []string{"EXISTS", r.args[1]}, rule: exact}
}

func (g *rig) watch() request {
	r := request{args: []string{"WATCH"}, rule: exact}
	for range 1 + g.IntN(3) {
		r.keys = append(r.keys, g.key())
	}
	r.args = append(r.args, r.keys...)
	return r
}

// queue notes a request that a transaction keeps; its reply is QUEUED or an
// error then.
func (g *rig) queue(m *member, r request) request {
	if m.multi {
		m.queued = append(m.queued, r)
		r.rule = exact
	}
	return r
}

// transactions compares n requests of three members that take turns; what one
// sends in a turn is one pipeline.
func (g *rig) transactions(members []*member, n int) {
	for i := 0; g.compared < n && !g.t.Failed(); i++ {
		if i%50 == 0 {
			g.turn(members, say(0, words("DISCARD")))
			members[0].multi, members[0].queued = false, nil
			g.prepare(&members[0].line, "0")
		}
		m := members[g.IntN(len(members))]
		var set []request
		for range 1 + g.IntN(12) {
			set = append(set, g.nextOf(m))
		}
		g.exchange(&m.line, set, false)
		g.compared += len(set)
	}
}

// newTransactionRig is a rig with three members.
func newTransactionRig(t *testing.T) (*rig, []*member) {
	redis := startRedis(t)
	ours, host := startHost(t, *library)
	g := &rig{generator: newGenerator(*seed), t: t, host: host, cover: map[string]*[states]int{}, expiredKey: map[string]bool{}}
	var members []*member
	for i := range 3 {
		m := &member{line: line{dial(t, redis), dial(t, ours)}}
		for _, c := range []*conn{m.redis, m.ours} {
			c.do(t, "FLUSHALL")
			c.do(t, "HELLO", fmt.Sprint(2+i%2))
		}
		members = append(members, m)
	}
	g.release = members[0].redis.release(t)
	return g, members
}

// TestTransactions compares random transactions of three clients beside
// redis-server.
func TestTransactions(t *testing.T) {
	g, members := newTransactionRig(t)
	g.transactions(members, *total)
	t.Logf("seed %d: %d requests in and out of transactions", *seed, g.compared)
}

// TestTransactionsAcrossSwaps is the same while the engine is exchanged: what
// is queued and what is watched lives in the host.
func TestTransactionsAcrossSwaps(t *testing.T) {
	g, members := newTransactionRig(t)
	if g.host == nil {
		t.Skip("-socket: a kvstored outside is not swapped from here")
	}
	paths := []string{enginetest.Build(t, "debug"), enginetest.Build(t, "hash")}
	stop := g.keepSwapping(paths)
	g.transactions(members, *total/5)
	t.Logf("seed %d: %d requests across %d swaps", *seed, g.compared, stop())
}

// turn is what one client sends at once.
type turn struct {
	who  int
	send [][]string
}

func say(who int, requests ...[]string) turn { return turn{who, requests} }

func words(w ...string) []string { return w }

// TestWatching is what ends a watched transaction and what does not, each
// against redis-server.
func TestWatching(t *testing.T) {
	exec := [][]string{words("MULTI"), words("SET", "out", "1"), words("EXEC"), words("DEL", "out")}
	cases := map[string][]turn{}
	const dump = "\x00\x041e10\x01\x00\xf3^\xa6\x86h\xee\x85T" // of "1e10"
	// Another client, and the same one, between WATCH and MULTI.
	for _, c := range [][]string{
		words("SET", "k", "1"), words("SET", "k", "old"), words("SET", "k", "1", "NX"), words("SET", "k", "1", "XX"), words("DEL", "k"),
		words("DEL", "k", "other"), words("DEL", "none"), words("GET", "k"), words("GETDEL", "none"), words("GETDEL", "k"), words("INCR", "k"),
		words("INCR", "n"), words("APPEND", "k", ""), words("APPEND", "k", "x"), words("SETRANGE", "k", "0", ""), words("SETRANGE", "k", "0", "o"),
		words("EXPIRE", "k", "100"), words("EXPIRE", "none", "100"), words("EXPIRE", "k", "-1"), words("EXPIRE", "ttl", "1", "NX"),
		words("PERSIST", "k"), words("PERSIST", "ttl"), words("GETEX", "k"), words("GETEX", "k", "PERSIST"), words("GETEX", "ttl", "PERSIST"),
		words("GETEX", "k", "EX", "100"), words("GETEX", "none", "EX", "100"), words("RENAME", "k", "k2"), words("RENAME", "other", "k"),
		words("RENAME", "other", "other"), words("RENAMENX", "other", "k"), words("COPY", "other", "k"), words("COPY", "other", "k", "REPLACE"),
		words("MSET", "a", "1", "k", "2"), words("MSETNX", "a", "1", "k", "2"), words("MSETNX", "a", "1", "b", "2"), words("FLUSHDB"), words("FLUSHALL"),
		words("INCRBYFLOAT", "k", "1"), words("INCRBYFLOAT", "n", "0"), words("SETNX", "none", "x"), words("SET", "none", "x", "PXAT", "1"),
		words("GETSET", "k", "old"), words("TTL", "k"), words("SET", "other", "2"), words("COPY", "other", "k", "DB", "1"),
		words("SETBIT", "k", "0", "0"), words("SETBIT", "k", "0", "1"), words("SETBIT", "k", "100", "0"), words("BITFIELD", "k", "SET", "u8", "0", "111"),
		words("BITFIELD", "k", "INCRBY", "u1", "100", "2"), words("BITFIELD", "k", "GET", "u8", "0", "INCRBY", "u1", "100", "2"),
		words("BITFIELD", "k", "OVERFLOW", "FAIL", "INCRBY", "u1", "100", "2"), words("BITFIELD", "k", "GET", "u8", "0"),
		words("RESTORE", "none", "1", dump, "ABSTTL"), words("RESTORE", "k", "1", dump, "ABSTTL"), words("RESTORE", "k", "1", dump, "ABSTTL", "REPLACE"),
		words("RESTORE", "none", "1", dump, "ABSTTL", "REPLACE"), words("RESTORE", "none", "0", dump),
	} {
		for _, key := range []string{"k", "n", "ttl", "none"} {
			cases[fmt.Sprintf("%v by another, %s", c, key)] = []turn{say(0, words("WATCH", key)), say(1, c), say(0, exec...)}
			cases[fmt.Sprintf("%v by itself, %s", c, key)] = []turn{say(0, append([][]string{words("WATCH", key), c}, exec...)...)}
			cases[fmt.Sprintf("%v before, %s", c, key)] = []turn{say(0, append([][]string{c, words("WATCH", key)}, exec...)...)}
			cases[fmt.Sprintf("%v while queued, %s", c, key)] = []turn{say(0, words("WATCH", key), words("MULTI"), words("SET", "out", "1")),
				say(1, c), say(0, words("EXEC"), words("DEL", "out"))}
		}
	}
	for name, more := range map[string][]turn{
		"another database":    {say(1, words("SELECT", "1"), words("SET", "k", "1"), words("FLUSHDB"), words("SELECT", "0"))},
		"unwatched":           {say(1, words("SET", "k", "1")), say(0, words("UNWATCH"))},
		"watched again":       {say(1, words("SET", "k", "1")), say(0, words("WATCH", "k"))},
		"discarded":           {say(1, words("SET", "k", "1")), say(0, words("MULTI"), words("DISCARD"))},
		"executed before":     {say(1, words("SET", "k", "1")), say(0, words("MULTI"), words("EXEC"))},
		"in another's EXEC":   {say(1, words("MULTI"), words("SET", "k", "1"), words("EXEC"))},
		"another's failed":    {say(1, words("MULTI"), words("SET", "k", "1"), words("nosuch"), words("EXEC"))},
		"aborted before":      {say(1, words("SET", "k", "1")), say(0, words("MULTI"), words("nosuch"), words("EXEC"))},
		"both dirty":          {say(1, words("SET", "k", "1")), say(0, words("MULTI"), words("EXEC", "x"))},
		"twice and unwatched": {say(0, words("WATCH", "k", "k"), words("UNWATCH")), say(1, words("SET", "k", "1"))},
	} {
		cases[name] = append(append([]turn{say(0, words("WATCH", "k"))}, more...), say(0, exec...))
	}
	cases["grown in vain, and emptied"] = []turn{say(0, words("WATCH", "none")),
		say(1, words("BITFIELD", "none", "OVERFLOW", "FAIL", "INCRBY", "u3", "80", "99"), words("FLUSHDB")), say(0, exec...)}
	cases["several databases"] = []turn{say(0, words("WATCH", "k"), words("SELECT", "1"), words("WATCH", "k")), say(1, words("SET", "k", "1")),
		say(0, append(exec, words("SELECT", "0"))...)}
	cases["select inside"] = []turn{say(0, words("MULTI"), words("SELECT", "1"), words("SET", "in", "1"), words("EXEC"), words("GET", "in"),
		words("DEL", "in"), words("SELECT", "0"), words("GET", "in"))}
	cases["select after"] = []turn{say(0, words("MULTI"), words("SET", "in", "1"), words("EXEC"), words("SELECT", "1"), words("GET", "in"), words("SELECT", "0"))}
	cases["hello inside"] = []turn{say(0, words("MULTI"), words("GET", "none"), words("CLIENT", "SETNAME", "x"), words("EXEC"), words("CLIENT", "GETNAME"))}
	cases["two in a row"] = []turn{say(0, words("MULTI"), words("INCR", "c"), words("EXEC"), words("MULTI"), words("INCR", "c"), words("EXEC"),
		words("MULTI"), words("INCR", "c"), words("UNWATCH"), words("EXEC"), words("WATCH", "c"), words("MULTI"), words("GET", "c"), words("EXEC"))}
	g, members := newTransactionRig(t)
	for name, turns := range cases {
		g.script(members, name, turns)
	}
	t.Logf("%d cases", len(cases))
}

// script compares one case from a known beginning.
func (g *rig) script(members []*member, name string, turns []turn) {
	setup := say(2, words("FLUSHALL"), words("SET", "k", "old"), words("SET", "n", "5"), words("SET", "ttl", "x", "EX", "1000"),
		words("SET", "other", "o"))
	for _, t := range append([]turn{setup}, turns...) {
		g.history = g.history[:0]
		if g.turn(members, t); g.t.Failed() {
			g.t.Fatalf("in the case %q", name)
		}
	}
}

// TestWatchedKeyExpires: the time of a watched key passing is a change, and
// that of one which had passed before is none.
func TestWatchedKeyExpires(t *testing.T) {
	g, members := newTransactionRig(t)
	exec := say(0, words("MULTI"), words("SET", "out", "1"), words("EXEC"))
	g.turn(members, say(0, words("SET", "short", "1", "PX", "1500"), words("WATCH", "short")))
	time.Sleep(1600 * time.Millisecond)
	g.turn(members, exec)
	g.turn(members, say(0, words("SET", "short", "1", "PX", "1")))
	time.Sleep(20 * time.Millisecond)
	g.turn(members, say(0, words("WATCH", "short")))
	g.turn(members, say(1, words("GET", "short"))) // removes what is gone
	g.turn(members, exec)
}

// turn compares what one member sends.
func (g *rig) turn(members []*member, t turn) {
	var set []request
	for _, args := range t.send {
		set = append(set, request{args: args, rule: exact})
	}
	g.exchange(&members[t.who].line, set, false)
}
