package server

import (
	"kvstored/pkg/batch"
	"kvstored/pkg/command"
)

// Who watches what becomes of keys - keyspace notifications, client tracking,
// MONITOR - is told here, in the order in which requests were carried out.
// While nobody does, a request costs one comparison: worker.observed is zero,
// nothing is noted, and the engine calls update functions directly.

// observed is who watches.
type observed uint8

const (
	byEvents   observed = 1 << iota // notify-keyspace-events is set
	byTracking                      // a connection tracks
	byMonitor                       // a connection monitors
)

// note is what one request planned, kept until it was carried out.
type note struct {
	reply    int // index in worker.replies, of EXEC for those inside it
	cl       *client
	cmd      *command.Command
	from, to int      // its operations
	keys     [][]byte // off-heap: what a client that tracks has read
	line     *letter  // for MONITOR
}

// observe sets or ends one kind of watching.
func (w *worker) observe(who observed, on bool) {
	if on {
		w.observed |= who
	} else {
		w.observed &^= who
	}
	w.setNoting(w.batch)
	w.setNoting(w.inner)
	if w.multi.batch != nil {
		w.setNoting(w.multi.batch)
	}
}

// setNoting has the operations of a batch keep what those who watch need.
func (w *worker) setNoting(b *batch.Batch) {
	b.Note(w.observed&(byEvents|byTracking) != 0, w.observed&byEvents != 0 && w.events.flags&command.EventNew != 0)
}

// noted makes the note of the request just planned, with operations from on.
func (w *worker) noted(notes []note, cl *client, b *batch.Batch, from int, args [][]byte, r *command.Reply) []note {
	n := note{reply: len(w.replies) - 1, cl: cl, cmd: r.Cmd, from: from, to: b.Len()}
	if w.observed&byTracking != 0 {
		n.keys = w.tracker.planned(cl, r, args)
	}
	if w.observed&byMonitor != 0 {
		n.line = w.monitors.line(cl, r, args, false)
	}
	if n.from == n.to && n.keys == nil && n.line == nil {
		return notes
	}
	return append(notes, n)
}

// tell tells those who watch of the requests before reply i, whose operations
// were carried out.
func (w *worker) tell(i int) {
	w.lastGone = w.tellGone(w.batch, w.lastGone)
	for w.told < len(w.notes) && w.notes[w.told].reply < i {
		n := &w.notes[w.told]
		w.told++
		w.at = n.reply
		w.tellOne(n, w.batch)
	}
}

// tellStep does so of the Step that was carried out, with its operations in b.
func (w *worker) tellStep(reply int, cl *client, cmd *command.Command, b *batch.Batch) {
	w.tellGone(b, nil)
	w.at = reply
	for w.told < len(w.notes) && w.notes[w.told].reply <= reply { // what it read, and its line
		n := &w.notes[w.told]
		w.told++
		w.tellOne(n, w.batch)
	}
	w.touched(cl, cmd, b, 0, b.Len())
}

// notedInside makes the note of a request of a transaction.
func (w *worker) notedInside(cl *client, from int, args [][]byte, r *command.Reply) {
	m := &w.multi
	n := note{reply: w.at, cl: cl, cmd: r.Cmd, from: from, to: m.batch.Len()}
	if w.observed&byTracking != 0 {
		n.keys = w.tracker.read(cl, r, args, m.exec.Caching)
	}
	if w.observed&byMonitor != 0 {
		n.line = w.monitors.line(cl, r, args, false)
	}
	m.notes = append(m.notes, n)
}

// tellInside tells of the requests of a transaction that were carried out.
func (w *worker) tellInside() {
	m := &w.multi
	m.gone = w.tellGone(m.batch, m.gone)
	for ; m.told < len(m.notes); m.told++ {
		w.tellOne(&m.notes[m.told], m.batch)
	}
}

// tellBetween ends the telling of what housekeeping removed.
func (w *worker) tellBetween() {
	w.tracker.broadcast()
	if len(w.mailed) > 0 {
		w.postAll()
	}
}

// tellOne tells of one request.
func (w *worker) tellOne(n *note, b *batch.Batch) {
	w.touched(n.cl, n.cmd, b, n.from, n.to)
	if n.keys != nil {
		w.tracker.remember(n.cl, n.keys)
	}
	if n.line != nil {
		w.monitors.send(n.line)
	}
}

// touched tells of the operations [from, to) of one request, carried out for
// cl: first those who track, then those who listen to events.
func (w *worker) touched(cl *client, cmd *command.Command, b *batch.Batch, from, to int) {
	if from == to {
		return
	}
	names := names0
	if w.observed&byEvents != 0 && cmd != nil {
		names = namesOf(cmd)
		names.misses = names.misses && (!names.readsOnly || reads(b, from, to))
	}
	cleared := false
	for i := from; i < to; i++ {
		o := b.Op(i)
		what, timed, created := o.Effect()
		if names.misses && (i == from || !names.firstOnly) && o.Missed() {
			w.events.fire(command.EventMiss, "keymiss", o.Space, o.KeyBytes())
		}
		switch {
		case what == batch.Nothing:
			continue
		case what == batch.Cleared:
			if !cleared {
				w.tracker.flush()
			}
			cleared = true
			continue
		case (created || names.anew && what == batch.Changed) && !names.silent:
			w.events.fire(command.EventNew, "new", o.Space, o.KeyBytes())
		}
		w.tracker.invalidate(cl, o.KeyBytes())
		if names.removed.text == "" && !names.silent && !names.together {
			w.events.of(o, what, timed, &names)
		}
	}
	switch {
	case names.removed.text != "":
		w.moved(b, from, to, &names)
	case names.together && wroteField(b, from, to):
		w.events.of(b.Op(from), batch.Changed, false, &names)
	}
}

// wroteField tells whether a BITFIELD has written: changed a field, or put one
// where room was made for it.
func wroteField(b *batch.Batch, from, to int) bool {
	first, _, _ := b.Op(from).Effect()
	for i := from + 1; i < to; i++ {
		o := b.Op(i)
		what, _, _ := o.Effect()
		if what == batch.Changed || first == batch.Changed && o.Wrote() {
			return true
		}
	}
	return false
}

// moved publishes what RENAME and MOVE did: where from before where to.
func (w *worker) moved(b *batch.Batch, from, to int, names *eventNames) {
	for _, pass := range []batch.Effect{batch.Removed, batch.Changed} {
		for i := from; i < to; i++ {
			if what, _, _ := b.Op(i).Effect(); what == pass {
				w.events.of(b.Op(i), what, false, names)
			}
		}
	}
}

// reads tells whether operations [from, to) only read.
func reads(b *batch.Batch, from, to int) bool {
	for i := from; i < to; i++ {
		if o := b.Op(i); o.Code != batch.Get && o.Code != batch.Meta {
			return false
		}
	}
	return true
}

// tellGone tells of what the engine removed of its own accord after the event
// `after` (nil: the first), expired and evicted entries, and returns the last.
func (w *worker) tellGone(b *batch.Batch, after *batch.Event) *batch.Event {
	ev := b.Events()
	if after != nil {
		ev = after.Following()
	}
	for ; ev != nil; ev = ev.Following() {
		w.tellEvent(ev)
		after = ev
	}
	return after
}

func (w *worker) tellEvent(ev *batch.Event) {
	if w.observed == 0 {
		return
	}
	if ev.Reason == batch.Evicted {
		w.events.fire(command.EventEvicted, "evicted", ev.Space, ev.KeyBytes())
	} else {
		w.events.fire(command.EventExpired, "expired", ev.Space, ev.KeyBytes())
	}
	w.tracker.invalidate(nil, ev.KeyBytes())
}

// tellAll ends a tick's telling.
func (w *worker) tellAll() {
	w.at = len(w.replies)
	w.tracker.broadcast()
}

// forgetNotes makes ready for the next tick.
func (w *worker) forgetNotes() {
	clear(w.notes)
	w.notes, w.told, w.lastGone = w.notes[:0], 0, nil
	if cap(w.notes) > tickRequests {
		w.notes = nil
	}
}
