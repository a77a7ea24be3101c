package server

import (
	"time"

	"kvstored/pkg/engine"
	"kvstored/pkg/reactor"
)

// Stage has a long request read into memory of the store, where its value can
// stay. The lane is held for as long as it takes to make a piece of it ready.
func (w *worker) Stage(s *reactor.Stage, total, filled, want int) bool {
	e, now := w.s.o.Engine, time.Now().UnixMilli()
	of, _ := s.Of.(*engine.Staged)
	if of == nil {
		of = &engine.Staged{}
	}
	e.Lock()
	ok := e.Stage(of, total, filled, want, now)
	w.countEvents(e.Removed())
	for ev := e.Removed(); ev != nil && w.observed != 0; ev = ev.Following() {
		w.tellEvent(ev)
	}
	e.Unlock()
	if !w.inTick {
		w.tellBetween()
	}
	if ok {
		*s = reactor.Stage{Data: of.Data, Pin: of.Pin, Fit: of.Fit, More: of.More, Of: of}
	}
	return ok
}

// Stage lends nothing: the lane is the script's.
func (b *bystander) Stage(*reactor.Stage, int, int, int) bool { return false }

// unstage has requests that are being received into a store that no longer
// serves go on elsewhere: it could not end before they do.
func (w *worker) unstage() {
	e := w.s.o.Engine
	e.Lock()
	now := e.Generation()
	e.Unlock()
	if w.generation != now {
		w.generation = now
		w.r.Unstage()
	}
}
