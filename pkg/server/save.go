package server

import (
	"errors"
	"strings"
	"time"

	"go.uber.org/zap"
)

// saving is what SAVE and BGSAVE asked the engine for. Only the reactor's
// goroutine touches it.
type saving struct {
	running bool
	asked   bool   // of the engine, too
	mark    uint64 // what is to be on disk
	begun   time.Time
	last    time.Time     // end of the last one that was made; zero: none was
	took    time.Duration // by the last one; negative: there was none
	failed  bool          // the last one
	made    int64
	waiting []func(error) // who waits for the end

	changes uint64 // writes so far
	before  uint64 // of them, when the running one was asked for
	covered uint64 // of them, in the last one
}

var (
	errSaving   = errors.New("Background save already in progress")
	errNotSaved = errors.New("the snapshot could not be written, what was kept before still is; " +
		"why: see the journal of kvstored; fix: make room in the state directory, then again")
)

// changed notes n writes.
func (w *worker) changed(n int) {
	if n > 0 {
		w.wrote = true
		w.save.changes += uint64(n)
	}
}

// Save has the engine write a snapshot, and calls done, if there is one, at its
// end. Called from a Step: the tick's own writes are in it.
func (h host) Save(done func(error)) error {
	w, s := h.w, &h.w.save
	switch {
	case !w.s.o.Engine.Durable():
		return errors.New("the engine '" + w.s.o.Engine.EngineName() + "' keeps its data in memory only; why: it has no " +
			"files to save to; fix: set StateDir= and Sync=interval, and an engine that keeps data, then restart")
	case s.running:
		return errSaving
	}
	s.running, s.asked, s.begun = true, false, time.Now()
	if done != nil {
		s.waiting = append(s.waiting, done)
	}
	_ = w.r.Post(w.beginSave) // not ended: this is its goroutine
	return nil
}

// LastSave is when the last snapshot was made that somebody asked for, or when
// the daemon was started, in seconds since 1970.
func (h host) LastSave() int64 {
	if h.w.save.last.IsZero() {
		return h.w.s.started.Unix()
	}
	return h.w.save.last.Unix()
}

// beginSave asks the engine, between ticks.
func (w *worker) beginSave() {
	e, s := w.s.o.Engine, &w.save
	e.Lock()
	s.before = s.changes
	mark, err := e.Save()
	s.mark, s.asked = mark, true
	if err != nil {
		w.endSave(err)
	} else {
		w.beginSync()
		w.saved()
	}
	e.Unlock()
	w.s.arm(keeperMore)
}

// saved looks whether the snapshot is made. The lane is held.
func (w *worker) saved() {
	s := &w.save
	if !s.running || !s.asked {
		return
	}
	now, failed := w.s.o.Engine.Saving()
	done, lost := w.s.o.Engine.Synced()
	switch {
	case failed || lost >= s.mark && lost > done:
		w.endSave(errNotSaved)
	case !now && done >= s.mark:
		w.endSave(nil)
	}
}

// endSave tells those who wait.
func (w *worker) endSave(err error) {
	s := &w.save
	s.running, s.failed, s.took = false, err != nil, time.Since(s.begun)
	if err == nil {
		s.last, s.covered = time.Now(), s.before
		s.made++
		w.s.o.Log.Info("snapshot written", zap.Duration("took", s.took))
	} else {
		w.s.o.Log.Error("no snapshot could be written", zap.Error(err))
	}
	for _, done := range s.waiting {
		done(err)
	}
	s.waiting = nil
}

// infoSave is the part of INFO persistence about snapshots.
func infoSave(w *worker, b *strings.Builder) {
	s := &w.save
	running, current, took, status := 0, int64(-1), int64(-1), "ok"
	if s.running {
		running, current = 1, int64(time.Since(s.begun)/time.Second)
	}
	if s.made > 0 || s.failed {
		took = int64(s.took / time.Second)
	}
	if s.failed {
		status = "err"
	}
	field(b, "rdb_changes_since_last_save", s.changes-s.covered)
	field(b, "rdb_bgsave_in_progress", running)
	field(b, "rdb_last_save_time", host{w}.LastSave())
	field(b, "rdb_last_bgsave_status", status)
	field(b, "rdb_last_bgsave_time_sec", took)
	field(b, "rdb_current_bgsave_time_sec", current)
	field(b, "rdb_saves", s.made)
}
