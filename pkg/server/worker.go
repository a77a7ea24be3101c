package server

import (
	"math/rand/v2"
	"slices"
	"time"

	"go.uber.org/zap"

	"kvstored/pkg/access"
	"kvstored/pkg/batch"
	"kvstored/pkg/command"
	"kvstored/pkg/reactor"
	"kvstored/pkg/resp"
)

// How much one tick takes before it executes: enough to share its costs, and
// few enough that the first reply is not late.
const (
	tickRequests   = 8192
	tickReplyBytes = 1 << 20
	firstWeight    = 16 << 10 // of a reply, before there was one
	ownParser      = 64 << 10 // unparsed bytes from which a connection keeps its place
)

// client is a connection as the server sees it.
type client struct {
	command.Session
	conn   *reactor.Conn
	parser *resp.Parser // its place in a large request, else nil
	from   int          // its replies of this tick: worker.replies[from:to]
	to     int
	asked  int  // requests that they answer
	weight int  // bytes of a reply: rises at once, falls by halves
	paused bool // waits for the end of a pause

	topics   [command.SubKinds]map[string]*topic // what it is subscribed to
	letters  []delivery                          // of this tick, not written yet
	gone     bool                                // closed: nothing finds it any more
	target   *client                             // gets its invalidations, when CLIENT TRACKING said so
	watching []*watched                          // see watches
	aside    []byte                              // answers while a script takes long
}

// allowance is how many requests of the client one tick takes: fewer when its
// replies are large, so that they are written as it reads them.
func (cl *client) allowance() int { return max(16, tickReplyBytes/(cl.weight+1)) }

// weigh notes that n replies took so many bytes.
func (cl *client) weigh(bytes, n int) {
	if n > 0 {
		cl.weight = max(bytes/n, cl.weight/2)
	}
}

// step is a request of this tick that cuts the batch.
type step struct {
	reply int // index in worker.replies
	cl    *client
}

// worker is the reactor's handler: it owns the tick. Only the reactor's
// goroutine touches it.
type worker struct {
	s       *Server
	r       *reactor.Reactor
	parser  resp.Parser
	reader  resp.Parser // reads requests of this tick again
	batch   *batch.Batch
	inner   *batch.Batch // for steps
	scan    *batch.Scan
	replies []command.Reply
	asked   int // requests of this tick
	silent  int // of those being rendered, which have no reply now: not wanted, or later
	steps   []step
	call    command.Call
	exec    command.Exec
	out     resp.Writer
	refs    []reactor.Ref
	now     int64 // milliseconds, of this tick
	inTick  bool
	engine  string // name of the engine that executed this tick
	// The same for all connections: their address, and what names the engine.
	addr       string
	engineName func() string
	wrote      bool   // since the last housekeeping
	budget     uint64 // of one slice of housekeeping
	due        int64  // milliseconds: from then on a tick keeps house, 0: none needs to
	sync       syncing
	broken     bool // what this tick wrote may not be kept
	refusing   bool // what the daemon was told of stats.refusing
	behind     bool // housekeeping has more to do
	quiet      bool // no tick since the last slice
	limits     [reactor.Reasons]sparing
	hub        hub
	at         int       // the request that is carried out: index in replies
	mailed     []*client // with letters to be written
	mail       []byte    // letters of one connection, being written

	observed observed // who watches what becomes of keys
	notes    []note   // of this tick, while somebody does
	told     int      // of them
	lastGone *batch.Event
	events   events
	tracker  tracker
	monitors monitors

	watches watches
	current *client // whose Step runs
	multi   transaction
	scripts scripting
	sliced  *sliced // begun by the step that runs
	stats   statistics
	usage   usage
	ttls    [command.Databases]meanTTL
	hot     hotKeys
	slowlog slowlog
	slowAt  uint64 // nanoseconds
	latency latency
	pause   pause
	base    reactor.Traffic // of the last CONFIG RESETSTAT
	save    saving

	generation uint64        // of the engine, when requests were last looked through; see unstage
	housework  time.Duration // of housekeeping between ticks
	dormant    bool          // DEBUG SET-ACTIVE-EXPIRE 0
}

func newWorker(s *Server) (*worker, error) {
	w := &worker{s: s, budget: 256, batch: batch.New(), inner: batch.New(), scan: batch.NewScan(),
		stats: newStatistics(), addr: s.o.Socket + ":0"}
	s.o.Engine.Lock()
	w.generation = s.o.Engine.Generation()
	s.o.Engine.Unlock()
	w.engineName = func() string { return w.engine }
	w.setThresholds(s.o.Thresholds)
	r, err := reactor.New(w, s.o.Limits, func() uint64 { return s.lastID.Add(1) })
	if err != nil {
		return nil, err
	}
	w.r = r
	w.hub.w, w.at, w.scripts.w = w, outsideTick, w
	w.events.hub, w.monitors.w = &w.hub, w
	w.tracker.w, w.tracker.most = w, maxTrackedKeys
	if bell := s.o.Engine.SyncBell(); bell >= 0 {
		if err := r.OnReadable(bell, w.synced); err != nil {
			return nil, err
		}
	}
	w.exec = command.Exec{Store: store{w}, Host: host{w}, Hub: &w.hub, Batch: w.inner, Scan: w.scan,
		Random: rand.Uint64, Release: s.o.Engine.Release}
	return w, nil
}

func (w *worker) close() {
	w.batch.Close()
	w.inner.Close()
	w.scan.Close()
	w.multi.close()
	w.scripts.close()
}

// Open greets a connection: the kernel says who it is.
func (w *worker) Open(c *reactor.Conn) bool {
	peer, err := access.Of(c.FD)
	if err != nil {
		w.s.o.Log.Warn("connection refused", zap.Error(err))
		return false
	}
	now := time.Now().UnixMilli()
	cl := &client{conn: c, weight: firstWeight, Session: command.Session{
		ID: c.ID, Proto: 2, UID: peer.UID, GID: peer.GID, PID: peer.PID,
		MayLoad: access.MayLoadCode(peer), Created: now, LastSeen: now,
		Addr: w.addr, FD: c.FD, Version: w.s.o.Version, EngineName: w.engineName,
	}}
	cl.Owner, c.Data = cl, cl
	w.s.figures.clients.Add(1)
	w.s.figures.accepted.Add(1)
	return true
}

// Closed forgets a connection.
func (w *worker) Closed(c *reactor.Conn) {
	cl, ok := c.Data.(*client)
	if !ok {
		return
	}
	w.s.figures.clients.Add(-1)
	cl.gone = true
	w.hub.Leave(&cl.Session)
	w.watches.forget(cl)
}

// begin starts a tick at its first request.
func (w *worker) begin() {
	if !w.inTick {
		w.inTick = true
		w.now = time.Now().UnixMilli()
	}
}

// Execute carries out the tick's operations and steps while holding the lane.
func (w *worker) Execute() {
	e := w.s.o.Engine
	e.Lock()
	done, from := 0, time.Now()
	for _, st := range w.steps {
		r := &w.replies[st.reply]
		w.run(done, r.Op)
		done = r.Op
		if w.observed != 0 {
			w.tell(st.reply)
		}
		w.at = st.reply
		w.step(r, st.cl)
		if w.observed != 0 {
			w.tellStep(st.reply, st.cl, r.Cmd, w.inner)
		}
	}
	w.run(done, w.batch.Len())
	w.stats.laneNS += int64(time.Since(from))
	w.stats.share()
	w.countEvents(w.batch.Events())
	if w.observed != 0 {
		w.tell(len(w.replies))
	}
	if n := w.batch.Writes(); n > 0 {
		w.changed(n)
		w.keepUp(n)
	}
	if w.wrote {
		w.commit()
	}
	w.engine = e.EngineName()
	e.Unlock()
	if w.observed != 0 {
		w.tellAll()
	}
}

// run has the engine carry out operations [from, to).
func (w *worker) run(from, to int) {
	if from == to {
		return
	}
	// A store that fails is reported by its host; each operation then says so.
	_ = w.carryOut(w.batch, from, to)
}

// carryOut has the engine carry out operations [from, to) of b; those who
// watch see what they changed.
func (w *worker) carryOut(b *batch.Batch, from, to int) error {
	err := w.s.o.Engine.Exec(b, from, to, w.now)
	w.hot.see(b, from, to, w.now)
	if w.watches.any() {
		w.watches.see(b, from, to)
	}
	if w.usage.since += to - from; w.usage.at < w.now && from < to {
		w.sampleUse(b, from, to)
	}
	return err
}

// step runs one Step; its reply is ready when it returns, or it waits.
func (w *worker) step(r *command.Reply, cl *client) {
	x, from := &w.exec, time.Now()
	w.current = cl
	x.Start(w.now, &resp.Writer{Proto: r.Proto})
	x.Later = func(r *command.Reply) func(func(*resp.Writer)) { return w.later(cl, r.Muted) }
	x.Continue = func(r *command.Reply, slice func(x *command.Exec) bool) { w.goOn(cl, r, slice) }
	r.Step(x, r)
	r.Took = int64(time.Since(from))
	w.stats.laneNS -= r.Took
	if w.sliced != nil {
		w.sliced.r.Took, w.sliced = r.Took, nil
	}
	if r.Pending {
		return
	}
	r.Fixed, r.Refs = w.detach(x.W)
	w.countEvents(w.inner.Events())
	w.changed(w.inner.Writes())
	if r.Waits() {
		w.r.Resume(cl.conn)
	}
}

// flatten joins what was written with the values referred to, whose pins go.
func (w *worker) flatten(x *resp.Writer) []byte {
	if len(x.Refs) == 0 {
		return x.Buf
	}
	flat := make([]byte, 0, x.Len())
	at := 0
	for _, ref := range x.Refs {
		flat = append(append(flat, x.Buf[at:ref.At]...), ref.Data...)
		at = ref.At
		if ref.Pin != 0 {
			w.Unpin(ref.Pin)
		}
	}
	return append(flat, x.Buf[at:]...)
}

// lasts tells whether what is referred to is there when the tick has ended.
func lasts(ref resp.Ref) bool { return ref.Pin != 0 || ref.Own }

// detach is what was written, to be kept after the tick: copied is only what
// would not be there any more.
func (w *worker) detach(x *resp.Writer) (buf []byte, kept []resp.Ref) {
	if !slices.ContainsFunc(x.Refs, func(ref resp.Ref) bool { return !lasts(ref) }) {
		return x.Buf, x.Refs
	}
	at := 0
	for _, ref := range x.Refs {
		buf = append(buf, x.Buf[at:ref.At]...)
		at, ref.At = ref.At, len(buf)
		if lasts(ref) {
			kept = append(kept, ref)
		} else {
			buf = append(buf, ref.Data...)
		}
	}
	return append(buf, x.Buf[at:]...), kept
}

// later returns the function that answers cl's pending request, from any
// goroutine, and lets the connection go on.
func (w *worker) later(cl *client, muted bool) func(func(*resp.Writer)) {
	return func(reply func(*resp.Writer)) {
		_ = w.r.Post(func() { // ended: there is nobody left to answer
			out := resp.Writer{Proto: cl.Proto}
			reply(&out)
			w.answerLater(cl, &out, muted)
		})
	}
}

// answerLater sends a reply between ticks, and lets the connection go on.
func (w *worker) answerLater(cl *client, out *resp.Writer, muted bool) {
	if muted {
		w.mute(out, 0, 0)
	}
	if len(out.Buf) > 0 || len(out.Refs) > 0 {
		w.r.Send(cl.conn, out.Buf, w.references(out.Refs))
	}
	w.r.Resume(cl.conn)
}

// references is what the reactor is given to send; good until the next call.
func (w *worker) references(refs []resp.Ref) []reactor.Ref {
	w.refs = w.refs[:0]
	for _, ref := range refs {
		w.refs = append(w.refs, reactor.Ref(ref))
	}
	return w.refs
}

// countEvents notes what the engine removed of its own accord.
func (w *worker) countEvents(ev *batch.Event) {
	for ; ev != nil; ev = ev.Following() {
		if ev.Reason == batch.Evicted {
			w.s.figures.evicted.Add(1)
			w.watches.touch(ev.Space, ev.KeyBytes())
		} else {
			w.s.figures.expired.Add(1)
		}
	}
}

// Answer renders and sends the replies of one connection.
func (w *worker) Answer(c *reactor.Conn) {
	cl := c.Data.(*client)
	out := &w.out
	out.Reset()
	w.silent = 0
	w.render(cl)
	told := cl.asked - w.silent
	if w.broken {
		for _, ref := range out.Refs {
			if ref.Pin != 0 {
				w.Unpin(ref.Pin)
			}
		}
		out.Reset()
		out.Raw(w.unknown(told))
	}
	cl.weigh(out.Len(), cl.asked)
	w.r.Replies(told)
	cl.to, cl.asked = cl.from, 0
	if len(out.Refs) == 0 {
		if len(out.Buf) > 0 {
			w.r.Send(c, out.Buf, nil)
		}
		return
	}
	w.r.Send(c, out.Buf, w.references(out.Refs))
}

// mute takes back the reply that begins at `at`: its client does not want it.
func (w *worker) mute(out *resp.Writer, at, refs int) {
	for _, ref := range out.Refs[refs:] {
		if ref.Pin != 0 {
			w.Unpin(ref.Pin)
		}
	}
	out.Buf, out.Refs = out.Buf[:at], out.Refs[:refs]
}

// keptOut is how large a reply buffer may stay between ticks.
const keptOut = 1 << 20

// Done ends the tick.
func (w *worker) Done() {
	w.scripts.planned = false
	if len(w.mailed) > 0 {
		w.postAll()
	}
	w.at = outsideTick
	if len(w.notes) > 0 || w.lastGone != nil {
		w.forgetNotes()
	}
	w.s.figures.commands.Add(uint64(w.asked))
	w.s.figures.ticks.Add(1)
	w.stats.endTick()
	w.stats.rates.sample(int64(time.Since(w.s.started)), w.counters())
	for _, st := range w.steps { // their replies may be large; the others' are reused as they are
		w.replies[st.reply] = command.Reply{}
	}
	clear(w.steps)
	w.replies, w.steps, w.asked = w.replies[:0], w.steps[:0], 0
	w.batch.Reset()
	w.inTick, w.broken = false, false
	w.r.Replies(1)
	if cap(w.out.Buf) > keptOut {
		w.out = resp.Writer{}
	}
	w.quiet = false
	if w.sync.gathering.want != 0 {
		w.gathered()
	}
	if w.wrote {
		w.wrote = false
		w.toldRefusing()
		w.keepSoon()
	}
	if w.due != 0 && w.now >= w.due {
		w.keep()
	}
	if w.r.Waiting() {
		w.s.arm(keeperSweep)
	}
}

// Unpin queues a pin to be released in the lane, and sees to it that the memory
// does not wait for a write: it may be that of a request that never ended.
func (w *worker) Unpin(pin uint64) {
	w.s.o.Engine.Release(pin)
	w.keepSoon()
}
