package server

import (
	"sync/atomic"
	"time"
)

// SyncMode is what Sync= promises.
type SyncMode int32

// The promises.
const (
	// SyncInterval: what was acknowledged more than a second ago is on disk.
	SyncInterval SyncMode = iota
	// SyncAlways: what is acknowledged is on disk.
	SyncAlways
)

// When a sync begins after the first write that it covers, and when answers
// wait for it because it takes so long.
const (
	syncAfter  = 500 * time.Millisecond
	syncAtMost = 900 // milliseconds
)

// outcomeUnknown answers requests whose writes may not be on disk.
const outcomeUnknown = "-ERR outcome unknown: the disk failed, and the write may or may not be kept; " +
	"why: see the journal of kvstored; fix: read the key, then decide\r\n"

// syncing is when the worker has data synced. Only the reactor's goroutine
// touches it, but for mode.
type syncing struct {
	mode  atomic.Int32
	since int64 // milliseconds: the first write that no sync covers yet; 0: none
	begun int64 // the first write that the running sync covers
	timer *time.Timer
	armed bool // the timer runs

	gathering gathering
}

// SetSync changes the promise. From any goroutine.
func (s *Server) SetSync(mode SyncMode) {
	s.work.sync.mode.Store(int32(mode))
	_ = s.work.r.Post(s.work.syncNow) // ended: nothing to sync
}

// commit has the engine write down what the tick did, and decides what the
// answers wait for. The lane is held.
func (w *worker) commit() {
	e := w.s.o.Engine
	always := SyncMode(w.sync.mode.Load()) == SyncAlways
	mark, err := e.Commit(always)
	w.broken = err != nil
	w.saved()
	waits, urgent := e.Unsynced()
	if !waits {
		return
	}
	if w.sync.since == 0 {
		w.sync.since = w.now
	}
	oldest := w.sync.since
	if w.sync.begun != 0 {
		oldest = w.sync.begun
	}
	late := w.now-oldest > syncAtMost
	if always || late {
		w.r.Hold(mark)
	}
	switch {
	case late || urgent || always && w.sync.gathering.want == 0:
		w.beginSync()
	case !always:
		w.armSync()
	}
}

// beginSync starts a sync unless one runs. The lane is held.
func (w *worker) beginSync() {
	e := w.s.o.Engine
	w.sync.gathering.end()
	if e.Syncing() {
		return
	}
	w.sync.gathering.began = time.Now()
	e.BeginSync()
	if e.Syncing() {
		w.sync.begun, w.sync.since = w.sync.since, 0
	}
}

// armSync has a sync begin in time.
func (w *worker) armSync() {
	if w.sync.timer == nil {
		w.sync.timer = time.AfterFunc(syncAfter, func() { _ = w.r.Post(w.syncNow) })
		w.sync.armed = true
	} else if !w.sync.armed {
		w.sync.timer.Reset(syncAfter)
		w.sync.armed = true
	}
}

// syncNow begins a sync of what waits. Where nothing does, and none runs, all
// that is held may go: an exchange of the engine had it synced, or took the end
// of the sync that ran.
func (w *worker) syncNow() {
	w.sync.armed = false
	e := w.s.o.Engine
	e.Lock()
	w.beginSync()
	waits, _ := e.Unsynced()
	over := !waits && !e.Syncing()
	done, lost := e.Synced()
	e.Unlock()
	if over && w.r.Held() > 0 {
		w.r.Release(done, lost, []byte(outcomeUnknown))
	}
}

// synced takes the outcome of a sync: answers go, and the next one begins.
func (w *worker) synced() {
	e := w.s.o.Engine
	e.Lock()
	e.EndSync()
	if !e.Syncing() {
		w.sync.begun = 0
	}
	done, lost := e.Synced()
	waits, urgent := e.Unsynced()
	if waits && w.sync.since == 0 {
		w.sync.since = time.Now().UnixMilli()
	}
	always := SyncMode(w.sync.mode.Load()) == SyncAlways
	before := w.r.Held()
	switch {
	case !waits:
		w.sync.since = 0
	case urgent || !always && before > 0:
		w.beginSync()
	case !always:
		w.armSync()
	}
	w.saved()
	e.Unlock()
	w.r.Release(done, lost, []byte(outcomeUnknown))
	if always && !urgent && w.sync.gathering.want == 0 { // else the pause goes on
		w.gather(before)
	}
}

// unknown answers n requests of a tick whose writes the engine could not write
// down.
func (w *worker) unknown(n int) []byte {
	w.stats.refusing.failed()
	var text []byte
	for range n {
		text = append(text, outcomeUnknown...)
	}
	return text
}
