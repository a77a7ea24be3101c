package server

import (
	"math"

	"kvstored/pkg/command"
)

// What one request sends to other connections, or to its own, is noted with
// its place in the tick and written when that connection is answered: between
// the replies as they would lie were the requests carried out one by one, and
// after the reply of the request that sent it. Connections that asked for
// nothing in this tick get theirs when it ends.

// letter is something for connections that did not ask for it. It is shared
// and never changes.
type letter struct {
	push bool   // its first byte is '*', or '>' for a connection that speaks RESP3
	body []byte // complete protocol
}

// delivery is a letter on its way to one connection.
type delivery struct {
	after int // index in worker.replies
	resp3 bool
	l     *letter
}

// keptDeliveries is how many letters wait for one connection to the end of
// the tick; more are sent on the way, unless they tell of what must be on disk
// before.
const keptDeliveries = 256

// outsideTick is the place of what is sent between ticks.
const outsideTick = -1

// deliver sends l to cl.
func (w *worker) deliver(cl *client, l *letter) {
	if cl.gone {
		return
	}
	if len(cl.letters) == 0 {
		w.mailed = append(w.mailed, cl)
	}
	cl.letters = append(cl.letters, delivery{w.at, cl.Proto == 3, l})
	if len(cl.letters) >= keptDeliveries && cl.from == cl.to && SyncMode(w.sync.mode.Load()) != SyncAlways {
		w.post(cl)
	}
}

// post writes all letters of a connection that has no replies to come.
func (w *worker) post(cl *client) {
	letters := cl.letters
	cl.letters = cl.letters[:0]
	if cl.gone || cl.conn.Ending() {
		return
	}
	w.mail = w.mail[:0]
	for i := range letters {
		w.mail = letters[i].append(w.mail)
		letters[i].l = nil
	}
	cl.conn.Push(len(w.mail))
	w.r.Replies(0)
	w.r.Send(cl.conn, w.mail, nil)
	w.r.Replies(1)
}

// append adds the letter in the connection's protocol.
func (d *delivery) append(to []byte) []byte {
	at := len(to)
	to = append(to, d.l.body...)
	if d.l.push && d.resp3 {
		to[at] = '>'
	}
	return to
}

// postAll writes what is left at the end of a tick, or between ticks.
func (w *worker) postAll() {
	for i, cl := range w.mailed {
		w.mailed[i] = nil
		if len(cl.letters) > 0 {
			w.post(cl)
		}
	}
	w.mailed = w.mailed[:0]
	if cap(w.mail) > keptOut {
		w.mail = nil
	}
}

// interleave adds cl's letters of requests before reply i to what is being
// written, and returns what is left of them.
func (w *worker) interleave(cl *client, letters []delivery, i int) []delivery {
	n := 0
	for ; n < len(letters) && letters[n].after < i; n++ {
		at := len(w.out.Buf)
		w.out.Buf = letters[n].append(w.out.Buf)
		cl.conn.Push(len(w.out.Buf) - at)
	}
	return letters[n:]
}

// render writes the replies of a connection, with the letters among them.
func (w *worker) render(cl *client) {
	letters := cl.letters
	for i := cl.from; i < cl.to; i++ {
		if len(letters) > 0 {
			letters = w.interleave(cl, letters, i)
		}
		if r := &w.replies[i]; r.Run == 0 {
			w.renderOne(r)
		} else {
			w.renderRun(r)
		}
	}
	if len(letters) > 0 && !cl.conn.Ending() {
		w.interleave(cl, letters, math.MaxInt)
	}
	clear(cl.letters)
	cl.letters = cl.letters[:0]
}

// renderRun writes a reply that stands for several requests, one after the
// other.
func (w *worker) renderRun(r *command.Reply) {
	if w.stats.perOp >= w.slowAt {
		w.renderSlowly(r)
		return
	}
	w.out.Proto = r.Proto
	for end := r.Op + r.Run; r.Op <= end; r.Op++ {
		at := len(w.out.Buf)
		r.Render(&w.out, w.batch, r)
		w.stats.tally(r, w.batch, w.out.Buf[at:])
	}
}

// renderSlowly is renderRun for requests that took long: each is noted with
// its own text.
func (w *worker) renderSlowly(r *command.Reply) {
	all := r.Raw
	for end := r.Op + r.Run; r.Op <= end; r.Op++ {
		n, _ := w.reader.Next(all) // it was a request before
		r.Raw, all = all[:n], all[n:]
		w.renderOne(r)
	}
}

// renderOne writes one reply.
func (w *worker) renderOne(r *command.Reply) {
	w.out.Proto = r.Proto
	at, refs := len(w.out.Buf), len(w.out.Refs)
	switch {
	case r.Step != nil: // its own memory, and maybe much
		w.out.Join(r.Fixed, r.Refs)
	case r.Fixed != nil:
		w.out.Raw(r.Fixed)
	case r.Render != nil:
		r.Render(&w.out, w.batch, r)
	}
	if !r.Pending || !r.Sliced { // else it is counted when it has ended
		w.stats.tally(r, w.batch, w.out.Buf[at:])
		if cost := w.stats.cost(r); cost >= w.slowAt {
			w.slow(r, cost)
		}
	}
	if r.Muted && !r.Pushes {
		w.mute(&w.out, at, refs)
	}
	if len(w.out.Buf) == at && len(w.out.Refs) == refs {
		w.silent++
	}
}
