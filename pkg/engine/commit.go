package engine

import (
	"fmt"
	"path/filepath"
	"sync"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"kvstored/pkg/batch"
)

// syncs is what the host knows of data on its way to the disk. All of it is
// guarded by the lane. Marks are the host's own numbers for commits; they grow
// across exchanges of the engine.
type syncs struct {
	thread syncer
	mark   uint64 // of the last commit that has to be synced
	done   uint64 // up to here all is on disk
	lost   uint64 // up to here, from done on, syncing failed

	last  commitment  // the last commit that has to be synced
	owner *generation // whose that is; nil: nothing waits for a sync to begin
	again bool        // that engine waits for the outcome

	held bool // none begins: the owner of the data changes

	saving   bool // a snapshot that was asked for is under way
	notSaved bool // the last one could not be written

	running   uint64 // mark that the running sync covers; 0: none runs
	engine    uint64 // the same as the engine's own mark
	runningOf *generation
}

// Durable tells whether the serving store keeps its data on disk. The lane is
// held.
func (h *Host) Durable() bool { return h.cur.dir != "" }

// Commit ends what was carried out since the last one: the engine writes it
// down. It is on disk when [Host.Synced] has reached mark. An error means that
// it may be lost with the process, so that nobody may take it for done. sync:
// somebody waits. The lane is held.
func (h *Host) Commit(sync bool) (mark uint64, err error) {
	if sync {
		return h.commit(commitSync)
	}
	return h.commit(commitOnly)
}

// Save is Commit, and asks for a snapshot of everything. That is made when
// Synced has reached mark and [Host.Saving] tells of none any more. An engine
// that writes no snapshots has all of it on disk then just the same. The lane is held.
func (h *Host) Save() (mark uint64, err error) { return h.commit(commitSync | commitSnapshot) }

// Saving tells, as of the last Commit, whether a snapshot that was asked for is
// under way, and whether the last one could not be written. The lane is held.
func (h *Host) Saving() (now, failed bool) { return h.syncs.saving, h.syncs.notSaved }

func (h *Host) commit(flags uint32) (mark uint64, err error) {
	if h.failed != nil || h.cur == nil || h.cur.dir == "" {
		return h.syncs.mark, h.failed
	}
	g, s := h.cur, &h.syncs
	c, st := g.store.commit(flags, g.synced, g.syncErrno)
	g.syncErrno = 0
	s.saving, s.notSaved = c.saving()
	if c.pending() && (c.mark() > g.committed || c.again()) {
		g.committed = c.mark()
		s.mark++
		s.last, s.owner, s.again = c, g, c.again()
	} else if s.owner != nil && s.owner.owner() == g { // nothing new, but descriptors of before may be closed
		s.last, s.again = c, c.again()
	}
	if st != batch.OK {
		return s.mark, h.cur.failure(st, "keep what it was told")
	}
	return s.mark, nil
}

// Synced says up to which mark all is on disk, and up to which mark, beyond
// that, it is unknown what is. The lane is held.
func (h *Host) Synced() (done, lost uint64) { return h.syncs.done, h.syncs.lost }

// Unsynced tells whether a commit waits for a sync to begin, and whether the
// engine itself waits for that. The lane is held.
func (h *Host) Unsynced() (waits, urgent bool) { return h.syncs.owner != nil, h.syncs.again }

// Syncing tells whether a sync runs. The lane is held.
func (h *Host) Syncing() bool { return h.syncs.running != 0 }

// SyncBell is a descriptor that is readable when a sync has ended.
func (h *Host) SyncBell() int { return h.syncs.thread.bell() }

// BeginSync has everything committed so far synced, on a thread of its own; its
// end rings [Host.SyncBell]. Nothing happens when nothing waits or one runs
// already; while the owner of the data changes it begins later. The lane is held.
func (h *Host) BeginSync() {
	s := &h.syncs
	if s.owner == nil || s.running != 0 || s.held {
		return
	}
	s.running, s.engine, s.runningOf = s.mark, s.last.mark(), s.owner
	s.owner, s.again = nil, false
	s.thread.begin(&s.last)
}

// EndSync takes the outcome of a sync, if there is one, tells the engine, and
// silences the bell. An exchange may have taken the outcome; then the bell was for
// whom that outcome concerns. The lane is held.
func (h *Host) EndSync() {
	if done, errno := h.syncs.thread.end(false); done && h.syncs.running != 0 {
		h.endSync(errno)
	}
}

func (h *Host) endSync(errno unix.Errno) {
	s := &h.syncs
	g, mark := s.runningOf, s.running
	s.running, s.runningOf = 0, nil
	serving := h.cur != nil && g.owner() == h.cur
	if !serving { // replaced by a copy, whose own sync covers this
		return
	}
	if errno == 0 {
		s.done = max(s.done, mark)
		h.cur.synced = max(h.cur.synced, s.engine)
	} else {
		// What was written since cannot be told from what failed.
		s.lost, s.owner, s.again = s.mark, nil, false
		h.cur.syncErrno = int(errno)
		h.opts.Log.Error("data did not reach the disk", zap.String("state_dir", h.cur.dir), zap.Error(errno))
	}
	if _, err := h.Commit(false); err != nil {
		h.opts.Log.Error("the engine cannot write", zap.Error(err))
	}
}

// FailSync has the next sync fail with errno, for tests. The lane is held.
func (h *Host) FailSync(errno unix.Errno) { h.syncs.thread.fail(errno) }

// holdSyncs has nobody told from now on that something is on disk, until
// freeSyncs. The lane is held.
func (h *Host) holdSyncs() { h.syncs.held = true }

// switchSyncs has the next sync, which made, a commit of the new serving store,
// asks for, cover all that was committed before. The lane is held, the syncs too.
func (h *Host) switchSyncs(g *generation, made commitment) {
	s := &h.syncs
	s.saving, s.notSaved = made.saving()
	s.last, s.owner, s.again = made, g, made.again()
	switch {
	case made.pending():
		s.mark++
		g.committed = made.mark()
	case s.done == s.mark:
		s.owner = nil // nothing waits; else a sync of nothing ends the waiting
	}
}

// freeSyncs ends what holdSyncs began; errno is what kept the new owner from
// the disk. Then it is unknown what was kept, as after any failed sync.
func (h *Host) freeSyncs(errno unix.Errno) {
	h.Lock()
	defer h.Unlock()
	h.syncs.held = false
	if errno != 0 {
		h.syncs.thread.fail(errno)
	}
	h.BeginSync()
}

// settle syncs everything that g has written, while the caller waits, with a
// thread of its own. lock guards g's store and is taken for the commits; nil: it is
// held, and nothing can be missed.
func (h *Host) settle(g *generation, thread syncer, lock sync.Locker) error {
	if g.dir == "" {
		return nil
	}
	if lock == nil {
		lock = noLock{}
	}
	errno := unix.Errno(0)
	for again := true; again; {
		c, st := g.beginSettling(thread, lock, errno)
		if st != batch.OK {
			return g.failure(st, "keep what it was told")
		}
		if !c.pending() {
			return nil
		}
		if _, errno = thread.end(true); errno != 0 {
			lock.Lock()
			g.syncErrno = int(errno) // if it goes on serving, it is to know
			lock.Unlock()
			return fmt.Errorf("engine %s: sync %s: %w", g.lib.info.Name, g.dir, errno)
		}
		lock.Lock()
		g.committed, g.synced = c.mark(), c.mark()
		lock.Unlock()
		again = c.again()
	}
	return nil
}

// beginSettling has the store commit and what it asks for synced.
func (g *generation) beginSettling(thread syncer, lock sync.Locker, errno unix.Errno) (commitment, batch.Status) {
	lock.Lock()
	defer lock.Unlock()
	c, st := g.store.commit(commitSync, g.synced, int(errno))
	if st == batch.OK && c.pending() {
		thread.begin(&c)
	}
	return c, st
}

// noLock is a lock that is held already.
type noLock struct{}

func (noLock) Lock()   {}
func (noLock) Unlock() {}

// keeps tells whether a store of g is to be kept on disk.
func (h *Host) keeps(g *generation, memoryOnly bool) bool {
	return h.state != nil && !memoryOnly && g.lib.info.Has(CapDurable)
}

// openFirst opens the store that the state directory holds, or the first one
// there. The error is a *Refusal.
func (h *Host) openFirst(g *generation, memoryOnly bool) error {
	own := owner{}
	if h.state != nil {
		own = h.state.own
	}
	if !h.keeps(g, memoryOnly) {
		if own.Directory != "" {
			return h.refuseMemory(g, own, memoryOnly)
		}
		return h.open(g, "", false)
	}
	if own.Directory == "" {
		return h.openNew(g)
	}
	if own.Engine != g.lib.info.Name { // a format is of memory; an engine knows its own files
		return refuse("the engine changed while the daemon was stopped", "sudo kvctl engine use "+own.Engine,
			"the state directory %s holds %s data, but the engine is %s", h.state.path, own.Engine, g.lib.info.Name)
	}
	return h.open(g, own.Directory, false)
}

// refuseMemory refuses to leave data on disk unread.
func (h *Host) refuseMemory(g *generation, own owner, memoryOnly bool) error {
	why := g.lib.info.Name + " keeps nothing on disk"
	fix := "sudo kvctl engine use " + own.Engine
	if memoryOnly && g.lib.info.Name == own.Engine {
		why, fix = "Sync=none keeps nothing on disk", "start with Sync=interval; a reload with Sync=none then keeps the data, in memory"
	}
	return refuse(why, fix, "the state directory %s holds %s data, which would not be served", h.state.path, own.Engine)
}

// openNew makes the first store of a state directory. Until it is whole the
// owner file says that it never served.
func (h *Host) openNew(g *generation) error {
	cannot := func(err error) error {
		return refuse(err.Error(), "make room and writable for this user: "+h.state.path, "cannot make a store in the state directory %s", h.state.path)
	}
	info := &g.lib.info
	const name = "data-1"
	err := h.state.give(owner{info.Name, info.Format, name, true})
	if err == nil {
		err = h.state.makeDir(name)
	}
	if err != nil {
		return cannot(err)
	}
	if err := h.open(g, name, true); err != nil {
		return err
	}
	if err = h.settle(g, h.syncs.thread, nil); err == nil {
		err = h.state.give(owner{info.Name, info.Format, name, false})
	}
	if err != nil {
		g.store.close(false)
		return cannot(err)
	}
	return nil
}

// dirOf is the path of a store's directory.
func (h *Host) dirOf(name string) string {
	if name == "" {
		return ""
	}
	return filepath.Join(h.state.path, name)
}
