package server

import (
	"maps"
	"slices"

	"kvstored/pkg/command"
	"kvstored/pkg/reactor"
	"kvstored/pkg/resp"
)

// maxTrackedKeys is how many keys are remembered, Redis's
// tracking-table-max-keys: above it some are forgotten, and those who read
// them told to forget them, too.
const maxTrackedKeys = 1_000_000

// tracker knows which connections have read which keys, and tells them when
// these change. It belongs to the host, so a swap does not touch it. Keys of
// all databases are one, as in Redis. Only the reactor's goroutine uses it.
type tracker struct {
	w        *worker
	on       int // connections that track
	most     int // keys
	items    int // who has read each of the keys, summed up
	keys     map[string][]*client
	prefixes map[string]*prefix
}

// prefix is keys that begin alike, and who is told of all of them.
type prefix struct {
	clients map[*client]struct{}
	changed map[string]*client // in this tick, and who did it last; nil: nobody
}

// Connected tells whether there is a connection with this id.
func (h *hub) Connected(id int64) bool { return h.w.tracker.find(id) != nil }

func (t *tracker) find(id int64) *client {
	var found *client
	t.w.r.Conns(func(c *reactor.Conn) {
		if cl, ok := c.Data.(*client); ok && int64(cl.ID) == id {
			found = cl
		}
	})
	return found
}

// Track sets how s has its keys tracked; nil: not at all.
func (h *hub) Track(s *command.Session, how *command.Tracking) {
	t, cl := &h.w.tracker, clientOf(s)
	if cl.gone {
		return
	}
	if how == nil {
		t.leave(cl)
		return
	}
	if cl.Tracking == nil {
		t.on++
	}
	cl.Tracking, cl.target = how, nil
	if how.Redirect != 0 {
		cl.target = t.find(how.Redirect)
	}
	if how.Bcast {
		for _, p := range how.Prefixes {
			t.join(cl, p)
		}
	}
	t.w.observe(byTracking, true)
}

func (t *tracker) join(cl *client, name string) {
	p := t.prefixes[name]
	if p == nil {
		p = &prefix{clients: map[*client]struct{}{}, changed: map[string]*client{}}
		if t.prefixes == nil {
			t.prefixes = map[string]*prefix{}
		}
		t.prefixes[name] = p
	}
	p.clients[cl] = struct{}{}
}

// leave ends the tracking of a connection. What it has read stays in the
// table until it changes or the table is full.
func (t *tracker) leave(cl *client) {
	if cl.Tracking == nil {
		return
	}
	for _, name := range cl.Tracking.Prefixes {
		p := t.prefixes[name]
		delete(p.clients, cl)
		if len(p.clients) == 0 {
			delete(t.prefixes, name)
		}
	}
	cl.Tracking, cl.target = nil, nil
	if t.on--; t.on == 0 {
		t.keys, t.items = nil, 0
		t.w.observe(byTracking, false)
	}
}

// planned is the keys that a request reads, where its connection has them
// tracked. It is called for every request that was planned; CLIENT CACHING is
// for one of them, or for a transaction.
func (t *tracker) planned(cl *client, r *command.Reply, args [][]byte) [][]byte {
	how := cl.Tracking
	if how == nil {
		return nil
	}
	caching := how.Caching
	r.Caching = caching
	if cl.Multi == nil && (r.Cmd == nil || r.Cmd.Parent() == nil || r.Cmd.Parent().Name != "client") {
		how.Caching = false
	}
	return t.read(cl, r, args, caching)
}

// read is the keys that a request reads, where they are tracked; caching:
// CLIENT CACHING came before.
func (t *tracker) read(cl *client, r *command.Reply, args [][]byte, caching bool) [][]byte {
	how := cl.Tracking
	if how == nil || how.Bcast || r.Cmd == nil || r.Rejected || r.Cmd.Flags&command.ReadOnly == 0 ||
		how.OptIn && !caching || how.OptOut && caching {
		return nil
	}
	return r.Cmd.Keys(args)
}

// remember notes that cl has read keys.
func (t *tracker) remember(cl *client, keys [][]byte) {
	if cl.gone || cl.Tracking == nil || cl.Tracking.Bcast {
		return
	}
	if t.keys == nil {
		t.keys = map[string][]*client{}
	}
	for _, key := range keys {
		list := t.keys[string(key)]
		if slices.Contains(list, cl) {
			continue
		}
		if len(list) == cap(list) { // before it grows: those who are gone
			t.items -= len(list)
			list = slices.DeleteFunc(list, func(o *client) bool { return o.gone })
			t.items += len(list)
		}
		t.items++
		t.keys[string(key)] = append(list, cl)
	}
	t.limit()
}

// limit forgets keys while there are too many.
func (t *tracker) limit() {
	if len(t.keys) <= t.most {
		return
	}
	for key := range t.keys {
		t.tellReaders(nil, []byte(key))
		if len(t.keys) <= t.most {
			return
		}
	}
}

// invalidate tells who has read a key that it has changed; by: who changed it,
// nil for nobody.
func (t *tracker) invalidate(by *client, key []byte) {
	if t.on == 0 {
		return
	}
	for name, p := range t.prefixes {
		if len(key) >= len(name) && string(key[:len(name)]) == name {
			p.changed[string(key)] = by
		}
	}
	t.tellReaders(by, key)
}

// tellReaders sends the message for one key, which is forgotten.
func (t *tracker) tellReaders(by *client, key []byte) {
	list, ok := t.keys[string(key)]
	if !ok {
		return
	}
	delete(t.keys, string(key))
	t.items -= len(list)
	var m invalidation
	for _, cl := range list {
		how := cl.Tracking
		if cl.gone || how == nil || how.Bcast || how.NoLoop && cl == by {
			continue
		}
		if m.keys == nil {
			m.keys = appendKeys(nil, [][]byte{key})
		}
		t.send(cl, &m)
	}
}

// flush tells everybody that all keys have gone.
func (t *tracker) flush() {
	if t.on == 0 {
		return
	}
	m := [2]invalidation{{keys: []byte("$-1\r\n")}, {keys: []byte("_\r\n")}}
	t.w.r.Conns(func(c *reactor.Conn) {
		cl, ok := c.Data.(*client)
		if !ok || cl.gone || cl.Tracking == nil {
			return
		}
		if cl.Proto == 3 { // the null of its own protocol, wherever it goes
			t.send(cl, &m[1])
		} else {
			t.send(cl, &m[0])
		}
	})
	t.keys, t.items = nil, 0
}

// broadcast sends what changed in this tick to those who asked for prefixes.
func (t *tracker) broadcast() {
	if len(t.prefixes) == 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(t.prefixes)) {
		if p := t.prefixes[name]; len(p.changed) > 0 {
			t.tellPrefix(p)
			clear(p.changed)
		}
	}
}

func (t *tracker) tellPrefix(p *prefix) {
	names := slices.Sorted(maps.Keys(p.changed))
	all := invalidation{keys: encodeNames(names)}
	for cl := range p.clients {
		if !cl.Tracking.NoLoop {
			t.send(cl, &all)
			continue
		}
		others := slices.DeleteFunc(slices.Clone(names), func(k string) bool { return p.changed[k] == cl })
		if len(others) > 0 {
			t.send(cl, &invalidation{keys: encodeNames(others)})
		}
	}
}

func encodeNames(names []string) []byte {
	keys := make([][]byte, len(names))
	for i, n := range names {
		keys[i] = []byte(n)
	}
	return appendKeys(nil, keys)
}

func appendKeys(to []byte, keys [][]byte) []byte {
	w := resp.Writer{Buf: to}
	w.Array(len(keys))
	for _, k := range keys {
		w.Bulk(k)
	}
	return w.Buf
}

// invalidation is one message, in the forms that it was needed in so far.
type invalidation struct {
	keys    []byte // as protocol
	push    *letter
	message *letter // on the channel for RESP2
}

const invalidateChannel = "__redis__:invalidate"

// send gives a message to cl, or to the connection that it chose for them.
func (t *tracker) send(cl *client, m *invalidation) {
	to, how := cl, cl.Tracking
	if how.Redirect != 0 {
		if to = cl.target; to == nil || to.gone {
			t.broken(cl)
			return
		}
	}
	switch {
	case to.Proto == 3:
		if m.push == nil {
			m.push = &letter{push: true, body: append([]byte("*2\r\n$10\r\ninvalidate\r\n"), m.keys...)}
		}
		t.w.deliver(to, m.push)
	case to != cl && to.Subscribed():
		if m.message == nil {
			head := "*3\r\n$7\r\nmessage\r\n$20\r\n" + invalidateChannel + "\r\n"
			m.message = &letter{push: true, body: append([]byte(head), m.keys...)}
		}
		t.w.deliver(to, m.message)
	}
}

// broken tells cl that nobody gets its messages any more.
func (t *tracker) broken(cl *client) {
	cl.Tracking.Broken, cl.target = true, nil
	if cl.Proto != 3 {
		return
	}
	w := resp.Writer{}
	w.Array(2)
	w.BulkString("tracking-redir-broken")
	w.Int(cl.Tracking.Redirect)
	t.w.deliver(cl, &letter{push: true, body: w.Buf})
}
