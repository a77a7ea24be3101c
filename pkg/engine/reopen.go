package engine

import (
	"fmt"
	"time"

	"go.uber.org/zap"
)

// readersWait is how long an exchange waits for clients to whom values of the
// old store are still being written.
const readersWait = 10 * time.Second

// reopens tells whether the new code is to open the very files of the old
// store: the same data on disk, which only one of them may have open.
func (s *swap) reopens() bool {
	old, next := &s.old.lib.info, &s.next.lib.info
	return s.old.dir != "" && s.kept(next) && old.Format == next.Format && (old.Has(CapExclusive) || next.Has(CapExclusive))
}

// reopen closes the old store and opens its files with the new code, in the
// lane. When that fails the old code opens them again; when that fails too
// nobody has the data, and the process is told to end.
func (s *swap) reopen() (Outcome, error) {
	h := s.h
	h.setState(Opening)
	h.setState(Draining)
	err := s.laneWithoutReaders()
	if err == nil {
		began := time.Now()
		err = s.closeAndOpen()
		s.leaveLane(began)
	}
	if err != nil {
		s.abandon()
		return Outcome{}, err
	}
	s.served()
	go h.bury(s.old)
	return Outcome{HandedOver: true}, nil
}

// laneWithoutReaders takes the lane at a moment when no value of the old store
// is pinned. When it fails the lane is not held.
func (s *swap) laneWithoutReaders() error {
	for end := time.Now().Add(readersWait); ; time.Sleep(time.Millisecond) {
		s.takeLane()
		pins := s.old.pinCount()
		if pins == 0 {
			return nil
		}
		s.h.Unlock()
		if time.Now().After(end) {
			return refuse(fmt.Sprintf("%d values are still being written to clients that read them slowly", pins), "reload again later, or end those clients",
				"%s: the store of %s cannot be closed", s.request.Path, s.old.title())
		}
	}
}

// closeAndOpen is the exchange itself. The lane is held.
func (s *swap) closeAndOpen() error {
	h := s.h
	if h.failed != nil {
		return h.failed
	}
	if err := s.ownAgain(); err != nil {
		return err
	}
	h.awaitSync()
	if err := h.settle(s.old, h.syncs.thread, nil); err != nil {
		h.syncs.lost, h.syncs.owner, h.syncs.again = h.syncs.mark, nil, false
		_, _ = h.Commit(false) // tells the engine, which goes on serving; an error is its own to tell
		return refuse(err.Error(), "make room on the disk of "+h.state.path+", then reload again", "%s: the store of %s cannot be closed", s.request.Path, s.old.title())
	}
	// Nothing waits any more, whoever opens the store next: not for descriptors that are closed.
	h.syncs.done, h.syncs.owner, h.syncs.again = h.syncs.mark, nil, false
	s.old.store.close(false)
	if err := h.openAgain(s.next, s.old); err != nil {
		return s.goBack(err)
	}
	h.pins.moved(s.old, s.next)
	h.cur = s.next
	h.keepTo(s.limit())
	return nil
}

// ownAgain writes the new engine's name into the owner file, if it has another.
func (s *swap) ownAgain() error {
	if s.h.state.own.Engine == s.next.lib.info.Name {
		return nil
	}
	s.next.name = s.old.name
	return s.own()
}

// awaitSync waits for a sync that runs. The lane is held.
func (h *Host) awaitSync() {
	if h.syncs.running != 0 {
		_, errno := h.syncs.thread.end(true)
		h.endSync(errno)
	}
}

// openAgain opens the files of old, which is closed, in g. The lane is held.
func (h *Host) openAgain(g, old *generation) error {
	with := h.settings(g)
	with.now, with.stateDir = h.now(), old.dir
	st, err := g.lib.open(with)
	if err == nil {
		g.store, g.dir, g.name = st, old.dir, old.name
		g.committed, g.synced, g.syncErrno = 0, 0, 0
	}
	return err
}

// goBack has the old code open the store again, since the new code cannot. The
// lane is held.
func (s *swap) goBack(why error) error {
	h := s.h
	if err := h.openAgain(s.old, s.old); err != nil {
		return h.fatal(fmt.Errorf("%s cannot open the data in %s (%w), and neither can %s any more (%w)", s.next.title(), s.old.dir, why, s.old.title(), err))
	}
	if h.state.own.Engine != s.old.lib.info.Name {
		own := h.state.own
		own.Engine = s.old.lib.info.Name
		if err := h.state.give(own); err != nil { // the format is the same: a start takes either
			h.opts.Log.Warn("the owner file names an engine that never served", zap.Error(err))
		}
	}
	return refuse(why.Error(), "kvctl engine check "+s.request.Path, "%s: %s cannot open the data in %s", s.request.Path, s.next.title(), s.old.dir)
}
