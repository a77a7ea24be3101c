package server

import (
	"time"
)

// Housekeeping runs in slices between ticks: soon after something was
// written, at once while there is more to do, else when the engine says that
// something is due. Soon after a write means: in the first tick then; only when
// there is none a timer does it, as each firing costs as much as several
// requests. An idle daemon is not woken more than once a second. Where writes
// are faster than the slices, ticks that write do a part of it.
const (
	keeperAfterWrite = 100 * time.Millisecond
	keeperMore       = time.Millisecond
	keeperIdle       = time.Second
	keeperSweep      = 10 * time.Second
	keeperSlice      = 200 * time.Microsecond
	keepUpPerWrite   = 2
	keepUpMost       = 4096 // entries in one tick
)

// arm has the housekeeping run after d at the latest.
func (s *Server) arm(d time.Duration) {
	at := time.Now().Add(d)
	s.keeperMu.Lock()
	defer s.keeperMu.Unlock()
	if s.ended || !s.keeperAt.IsZero() && !at.Before(s.keeperAt) {
		return
	}
	s.keeperAt = at
	if s.keeper == nil {
		s.keeper = time.AfterFunc(d, s.wakeKeeper)
		return
	}
	s.keeper.Reset(d)
}

// KeepHouse has the housekeeping run soon, since something other than a write
// made work for it: a lower limit of memory. From any goroutine.
func (s *Server) KeepHouse() { s.arm(keeperMore) }

// keepSoon sees to housekeeping after a write, or after a pin was given back.
func (w *worker) keepSoon() {
	if w.due == 0 {
		w.due = w.now + keeperAfterWrite.Milliseconds()
		w.s.arm(keeperIdle)
	}
}

func (s *Server) wakeKeeper() {
	_ = s.work.r.Post(s.work.keep) // ended: nothing to keep
}

// keep does one slice, about keeperSlice long, and arms the next. While
// nothing else happens the next one follows at once.
func (w *worker) keep() {
	w.s.keeperMu.Lock()
	w.s.keeperAt = time.Time{}
	w.s.keeperMu.Unlock()
	w.due = 0
	w.unstage()
	if w.dormant && !w.save.running {
		w.r.Sweep()
		return
	}
	now := time.Now()
	e := w.s.o.Engine
	e.Lock()
	w.now = now.UnixMilli()
	next := w.maintain(w.now, w.budget)
	w.commit()
	w.broken = false
	e.Unlock()
	w.tellBetween()
	took := time.Since(now)
	w.housework += took
	w.pace(took)
	w.latency.note("expire-cycle", now.UnixMilli(), uint64(took))
	w.r.Sweep()
	switch {
	case w.behind && w.quiet:
		_ = w.r.Post(w.keep) // not ended: this is its goroutine
	case w.behind:
		w.s.arm(keeperMore)
	case next > 0:
		w.s.arm(max(time.Until(time.UnixMilli(next)), keeperIdle))
	}
	if w.r.Waiting() {
		w.s.arm(keeperSweep)
	}
	w.quiet = true
}

// maintain has the engine do a slice and returns when the next is due. The
// lane is held.
func (w *worker) maintain(now int64, budget uint64) (next int64) {
	w.behind, next = w.s.o.Engine.Maintain(now, budget)
	w.countEvents(w.s.o.Engine.Removed())
	if w.observed != 0 {
		for ev := w.s.o.Engine.Removed(); ev != nil; ev = ev.Following() {
			w.tellEvent(ev)
		}
	}
	w.s.figures.maintains.Add(1)
	return next
}

// keepUp does housekeeping for a tick of so many writes when there is some
// left: what is written with an expiry time must not come faster than what
// has expired goes. The lane is held.
func (w *worker) keepUp(writes int) {
	if w.behind && !w.dormant {
		w.maintain(w.now, uint64(min(writes*keepUpPerWrite, keepUpMost)))
	}
}

// pace fits the budget to the time that the last slice took.
func (w *worker) pace(took time.Duration) {
	switch {
	case took > keeperSlice:
		w.budget = max(w.budget/2, 16)
	case took < keeperSlice/4:
		w.budget = min(w.budget*2, 1<<16)
	}
}
