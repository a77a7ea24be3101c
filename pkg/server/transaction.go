package server

import (
	"time"

	"kvstored/pkg/batch"
	"kvstored/pkg/command"
	"kvstored/pkg/resp"
)

// EXEC. It is one Step: the lane is held from the first to the last of its
// requests, and the tick's other operations come before or after. The requests
// are planned into a batch of their own, which the engine carries out in one
// call; a request that is a Step itself cuts it. All of it is all or nothing.

// mostReplies is how many bytes the replies of one transaction may have, as
// those of a tick.
const mostReplies = batch.SinkMost

// keptTransaction is how many replies' memory is kept between transactions.
const keptTransaction = 1024

// transaction is the room that a transaction is carried out in.
type transaction struct {
	batch   *batch.Batch // nil before the first transaction
	replies []command.Reply
	done    int // replies that were rendered
	ran     int // operations that were carried out

	notes []note // of its requests, while somebody watches; see touched.go
	told  int
	gone  *batch.Event // the latest that was told of
	exec  *command.Reply
}

func (m *transaction) close() {
	if m.batch != nil {
		m.batch.Close()
	}
}

// begin makes the room ready.
func (m *transaction) begin() {
	if m.batch == nil {
		m.batch = batch.New()
	}
	m.batch.Reset()
	m.done, m.ran = 0, 0
	m.told, m.gone = 0, nil
}

// end gives back what was large.
func (m *transaction) end() {
	clear(m.replies)
	m.replies = m.replies[:0]
	clear(m.notes)
	m.notes, m.exec = m.notes[:0], nil
	if cap(m.replies) > keptTransaction {
		m.replies = nil
	}
}

// Transact carries out the requests of q; r is the reply of EXEC. The session
// is what it was when EXEC was planned, and stays what they make of it where
// nothing else was planned meanwhile.
func (h host) Transact(x *command.Exec, r *command.Reply, q *command.Queue) {
	w, s, out := h.w, r.Session, x.W
	later := struct {
		db    uint32
		proto int
		multi *command.Queue
		last  *command.Command
	}{s.DB, s.Proto, s.Multi, s.LastCmd}
	s.DB, s.Proto, s.Multi, s.Running = r.DB, r.Proto, nil, q
	m, from := &w.multi, time.Now()
	m.begin()
	w.setNoting(m.batch)
	m.exec = r
	out.Array(q.Len())
	was := w.s.o.Engine.Tie(true)
	q.Each(m.batch.Scratch.Copy, func(args [][]byte) { w.transactOne(x, out, s, args) })
	w.flush(out)
	w.s.o.Engine.Tie(was)
	x.W = out
	if r.Cut {
		s.Quiet.Hush() // CLIENT REPLY SKIP among them is for what comes after EXEC
	} else {
		s.DB, s.Proto = later.db, later.proto
	}
	s.Multi, s.Running, s.LastCmd = later.multi, nil, later.last
	// What the replies refer to lies in m.batch: it is used again only after
	// they were joined.
	w.countEvents(m.batch.Events())
	if n := m.batch.Writes(); n > 0 {
		w.changed(n)
		w.keepUp(n)
	}
	w.s.figures.commands.Add(uint64(q.Len()))
	w.stats.endTransaction(m.replies, time.Since(from))
	m.end()
}

// transactOne plans one request of a transaction; a Step is carried out at
// once, after all that was planned before.
func (w *worker) transactOne(x *command.Exec, out *resp.Writer, s *command.Session, args [][]byte) {
	m := &w.multi
	m.replies = append(m.replies, command.Reply{})
	r := &m.replies[len(m.replies)-1]
	if m.batch.Room() < len(args)+command.MinRoom { // a queue is bounded so that this does not happen
		r.Fixed = []byte("-ERR no room is left in this transaction\r\n")
		return
	}
	c := &w.call
	c.Cmd, c.Args, c.Session, c.Batch, c.Now, c.Reply = nil, args, s, m.batch, w.now, r
	c.Full = false // what was refused for it was refused before EXEC
	from := m.batch.Len()
	command.Dispatch(c)
	if w.observed != 0 {
		w.notedInside(clientOf(s), from, args, r)
	}
	r.Muted = s.Quiet.Off()
	if r.Step == nil {
		return
	}
	step := r.Step
	r.Op = m.batch.Len()
	r.Step = nil
	w.flush(out)
	inner := &resp.Writer{Proto: r.Proto}
	x.Start(w.now, inner)
	x.Later = func(*command.Reply) func(func(*resp.Writer)) { return func(func(*resp.Writer)) {} }
	step(x, r)
	if r.Pending { // such commands are not queued; whatever it is goes on by itself
		inner.Error("ERR the answer of this command cannot be awaited inside a transaction")
	}
	w.changed(w.inner.Writes())
	w.countEvents(w.inner.Events())
	if w.observed != 0 {
		w.tellGone(w.inner, nil)
		w.touched(clientOf(s), r.Cmd, w.inner, 0, w.inner.Len())
	}
	text := w.flatten(inner)
	w.inner.Reset() // it was told of
	w.stats.tallyInner(r, m.batch, text)
	if !r.Muted || r.Pushes {
		out.Raw(text)
	}
	m.done = len(m.replies)
}

// flush carries out what is planned, in one call, and renders its replies.
func (w *worker) flush(out *resp.Writer) {
	m := &w.multi
	n := m.batch.Len()
	if m.ran < n {
		_ = w.carryOut(m.batch, m.ran, n) // each operation says how it went
		m.ran = n
	}
	if w.observed != 0 {
		w.tellInside()
	}
	for ; m.done < len(m.replies); m.done++ {
		r := &m.replies[m.done]
		out.Proto = r.Proto
		at, refs := len(out.Buf), len(out.Refs)
		w.renderWithin(out, m.batch, r)
		w.stats.tallyInner(r, m.batch, out.Buf[at:])
		if r.Muted {
			w.mute(out, at, refs)
		}
	}
}

// renderWithin appends one reply, or in its place, when there are too many bytes
// already, an error.
func (w *worker) renderWithin(out *resp.Writer, b *batch.Batch, r *command.Reply) {
	switch {
	case r.Fixed != nil:
		out.Raw(r.Fixed)
	case r.Render == nil:
	default:
		at, refs := len(out.Buf), len(out.Refs)
		r.Render(out, b, r)
		if out.Len() <= mostReplies {
			return
		}
		for _, ref := range out.Refs[refs:] {
			if ref.Pin != 0 {
				w.Unpin(ref.Pin)
			}
		}
		out.Buf, out.Refs = out.Buf[:at], out.Refs[:refs]
		out.Error("OOM the replies of this transaction are larger than 1 GiB; it was carried out")
	}
}
