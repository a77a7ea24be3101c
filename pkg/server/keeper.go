package server

import (
	"time"
)

// Housekeeping runs in slices between ticks: soon after something was
// written, at once while there is more to do, else when the engine says that
// something is due. An idle daemon is not woken more than once a second.
const (
	keeperAfterWrite = 100 * time.Millisecond
	keeperMore       = time.Millisecond
	keeperIdle       = time.Second
	keeperSweep      = 10 * time.Second
	keeperSlice      = 200 * time.Microsecond
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

func (s *Server) wakeKeeper() {
	_ = s.work.r.Post(s.work.keep) // ended: nothing to keep
}

// keep does one slice, about keeperSlice long, and arms the next.
func (w *worker) keep() {
	w.s.keeperMu.Lock()
	w.s.keeperAt = time.Time{}
	w.s.keeperMu.Unlock()
	now := time.Now()
	e := w.s.o.Engine
	e.Lock()
	more, next := e.Maintain(now.UnixMilli(), w.budget)
	e.Unlock()
	w.tune(time.Since(now))
	w.r.Sweep()
	w.s.figures.maintains.Add(1)
	switch {
	case more:
		w.s.arm(keeperMore)
	case next > 0:
		w.s.arm(max(time.Until(time.UnixMilli(next)), keeperIdle))
	}
	if w.r.Waiting() {
		w.s.arm(keeperSweep)
	}
}

// tune fits the budget to the time that the last slice took.
func (w *worker) tune(took time.Duration) {
	switch {
	case took > keeperSlice:
		w.budget = max(w.budget/2, 16)
	case took < keeperSlice/4:
		w.budget = min(w.budget*2, 1<<16)
	}
}
