package server

import (
	"kvstored/pkg/command"
	"kvstored/pkg/reactor"
	"kvstored/pkg/resp"
)

// Parse plans the complete requests in data.
func (w *worker) Parse(c *reactor.Conn, data []byte) (taken, need int, v reactor.Verdict) {
	cl := c.Data.(*client)
	p := &w.parser
	if cl.parser != nil {
		p = cl.parser
	}
	if w.scripts.planned {
		return 0, 0, reactor.Full // while the script runs it must not belong to its tick
	}
	cl.from = len(w.replies)
	asked := w.asked
	defer func() { cl.to, cl.asked = len(w.replies), w.asked-asked }()
	w.call.Session, w.call.Batch, w.call.Full = &cl.Session, w.batch, w.s.o.Engine.Full()
	most := min(asked+cl.allowance(), tickRequests)
	for {
		// A line is unescaped in place, so it is not parsed before there is
		// room for what it may hold.
		if w.asked >= most || w.batch.Room() < resp.MaxInline {
			return taken, 0, reactor.Full
		}
		if w.pause.mode != pauseNone && w.holdsLine(data[taken:]) {
			return taken, 0, cl.hold()
		}
		n, err := p.Next(data[taken:])
		if err != nil {
			need, v = w.unfinished(cl, p, len(data)-taken, err)
			return taken, need, v
		}
		if w.batch.Room() < len(p.Args)+command.MinRoom {
			return taken, 0, reactor.Full
		}
		if w.pause.mode != pauseNone && w.holds(cl, p.Args) {
			return taken, 0, cl.hold()
		}
		taken += n
		if len(p.Args) == 0 {
			continue
		}
		v = w.plan(cl, p.Args, data[taken-n:taken])
		if v != reactor.NeedMore && (v != reactor.Full || taken < len(data)) {
			return taken, 0, v
		}
		if taken < len(data) {
			taken += w.again(cl, p, data[taken-n:], n, most)
		}
		if taken == len(data) && cl.parser == nil {
			return taken, 0, reactor.NeedMore // as the parser would find
		}
	}
}

// again plans the requests in data that are like the first, of n bytes, which
// was planned just now: the same command with as many arguments, after nothing
// that could have changed how it is planned. They become part of its reply. It
// returns the bytes that they have.
func (w *worker) again(cl *client, p *resp.Parser, data []byte, n, most int) int {
	r := &w.replies[len(w.replies)-1]
	if !w.mayRun(cl, r) {
		return 0
	}
	head, ok := p.Head(data[:n])
	if !ok {
		return 0
	}
	at, c, plan := n, &w.call, r.Cmd.Again
	most = min(most-w.asked, w.batch.Room()-command.MinRoom)
	for r.Run < most {
		n := p.NextLike(&head, data[at:])
		if n == 0 {
			break
		}
		c.Args = p.Args
		if !plan(c) {
			break
		}
		at += n
		r.Run++
	}
	r.Raw = data[:at]
	w.asked += r.Run
	w.stats.weight += uint64(r.Run)
	cl.Commands += uint64(r.Run)
	return at - n
}

// mayRun tells whether requests like that of r, planned last, can become part
// of it: it is one operation of a command that allows it, and nobody wants to
// know of each request by itself.
func (w *worker) mayRun(cl *client, r *command.Reply) bool {
	return r.Render != nil && r.Cmd.Again != nil && !r.Queued && r.Op == w.batch.Len()-1 &&
		w.observed == 0 && w.pause.mode == pauseNone && cl.Quiet == 0
}

// unfinished serves the end of what can be parsed.
func (w *worker) unfinished(cl *client, p *resp.Parser, left int, err error) (need int, v reactor.Verdict) {
	if err != resp.ErrIncomplete {
		w.begin() // it is answered
		var e resp.Writer
		e.Error("ERR " + err.Error())
		w.replies = append(w.replies, command.Reply{Fixed: e.Buf})
		w.asked++
		p.Reset()
		return 0, reactor.Broken
	}
	need = p.Need()
	switch {
	case p != &w.parser && left == 0:
		cl.parser = nil
	case p == &w.parser && max(left, need) > ownParser && !p.Idle():
		cl.parser = &resp.Parser{}
		*cl.parser, w.parser = w.parser, resp.Parser{}
	case p == &w.parser:
		p.Reset()
	}
	return need, reactor.NeedMore
}

// plan turns one request into operations and a reply to be made. raw is the
// request as it came.
func (w *worker) plan(cl *client, args [][]byte, raw []byte) reactor.Verdict {
	if !w.inTick {
		w.begin()
	}
	i := len(w.replies)
	if i < cap(w.replies) {
		w.replies = w.replies[:i+1] // Dispatch overwrites all of it
	} else {
		w.replies = append(w.replies, command.Reply{})
	}
	r := &w.replies[i]
	w.asked++
	c := &w.call
	c.Args, c.Now, c.Reply = args, w.now, r
	cl.LastSeen = w.now
	cl.Commands++
	from := w.batch.Len()
	command.Dispatch(c)
	if w.observed != 0 && !r.Queued {
		w.notes = w.noted(w.notes, cl, w.batch, from, args, r)
	}
	if r.Muted = cl.Quiet != 0 && cl.Quiet.Hush(); raw[0] == '*' {
		r.Raw = raw
	} else if r.Args == nil {
		c.Keep()
	}
	if r.Step == nil {
		w.stats.weight += uint64(max(r.N, 1))
	} else {
		r.Op = w.batch.Len()
		w.steps = append(w.steps, step{i, cl})
		if r.Cut || r.Cmd != nil && r.Cmd.Group == "scripting" {
			w.scripts.planned = true
		}
		if r.Waits() {
			return reactor.Blocked
		}
		if r.Cut || r.Cmd != nil && r.Cmd.Flags&command.Barrier != 0 {
			return reactor.Full
		}
	}
	if cl.Session.Closing {
		return reactor.Broken
	}
	return reactor.NeedMore
}
