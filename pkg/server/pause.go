package server

import (
	"bytes"
	"math"
	"time"

	"kvstored/pkg/command"
	"kvstored/pkg/reactor"
)

// pause is CLIENT PAUSE: requests wait, connections stay. Reactor's goroutine
// only.
type pause struct {
	until time.Time // by the clock that nobody sets
	mode  pauseMode
	timer *time.Timer
}

type pauseMode uint8

const (
	pauseNone pauseMode = iota
	pauseWrites
	pauseAll
)

// Pause begins a pause, or makes the present one longer or stricter. until is by the
// tick's clock, which may be set back before that is reached.
func (h host) Pause(until int64, all bool) {
	w := h.w
	mode := pauseWrites
	if all {
		mode = pauseAll
	}
	p := &w.pause
	end := time.Now().Add(time.Duration(min(until-w.now, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond)
	if p.mode == pauseNone || end.After(p.until) {
		p.until = end
	}
	p.mode = max(p.mode, mode)
	if p.timer != nil {
		p.timer.Stop()
	}
	p.timer = time.AfterFunc(time.Until(p.until), func() { _ = w.r.Post(w.pauseOver) })
}

// Unpause ends a pause.
func (h host) Unpause() { h.w.endPause() }

// pauseOver ends a pause whose time has come.
func (w *worker) pauseOver() {
	if w.pause.mode != pauseNone && !time.Now().Before(w.pause.until) {
		w.endPause()
	}
}

func (w *worker) endPause() {
	if w.pause.mode == pauseNone {
		return
	}
	w.pause.mode = pauseNone
	w.pause.timer.Stop()
	w.r.Conns(func(c *reactor.Conn) {
		if cl, ok := c.Data.(*client); ok && cl.paused {
			cl.paused = false
			w.r.Resume(c)
		}
	})
}

// holdsLine tells whether the line at the front of data waits for the end of a
// pause. It is asked before a line is parsed, which changes it.
func (w *worker) holdsLine(data []byte) bool {
	if len(data) == 0 || data[0] == '*' || bytes.IndexByte(data, '\n') < 0 {
		return false
	}
	word := bytes.Fields(data[:min(len(data), 64)])
	switch {
	case len(word) == 0:
		return false
	case w.pause.mode == pauseAll:
		return true
	}
	return command.Lookup(word[0]) == nil || command.MayWrite(word)
}

// holds tells whether a parsed request waits for the end of a pause. During a
// pause of all, root and the daemon's user can still end it.
func (w *worker) holds(cl *client, args [][]byte) bool {
	if len(args) == 0 {
		return false
	}
	if w.pause.mode == pauseAll {
		return !cl.MayLoad || !command.IsUnpause(args)
	}
	return command.MayWrite(args)
}

// hold keeps the connection from being parsed until the pause ends.
func (cl *client) hold() reactor.Verdict {
	cl.paused = true
	return reactor.Blocked
}
