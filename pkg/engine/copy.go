package engine

import (
	"fmt"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"kvstored/pkg/batch"
)

// Work of a swap is done in slices, between which the lane is free.
const (
	sliceTarget  = 150 * time.Microsecond // what the budget is fitted to
	sliceBytes   = 64 << 10               // bytes of values per slice; one value may be more
	sliceFirst   = 64                     // entries in the first slice
	sliceMost    = 8192
	followAtOnce = 512 // keys that are read again at a time
	catchUp      = 5   // times that the feed is waited for before the lane is taken: less is left each time
)

// walkSpare is how many steps a walk may take beyond sixteen for each entry,
// before it counts as one that never ends. Tests make it smaller.
var walkSpare uint64 = 100_000

// copying fills the store of the next generation from the old one's while
// clients go on. Two things are written into the new store: slices of a walk
// over the old one, and what follow reads again there of every key that a batch
// touched. Both are read in the lane and given to the feed, which carries them
// out in that order, outside the lane. What was written, removed or expired at
// any time is therefore right in both, whatever the walk has or has not reached.
type copying struct {
	s         *swap
	h         *Host
	old, next *generation

	feed *feed
	err  error // guarded by lane; the first failure, after which nothing is followed

	turn   sync.Mutex   // guards the new store, until it serves
	merged *batch.Batch // guarded by turn

	thread syncer // syncs what was copied; the swap's own
	disk   bool   // there is a thread

	// Where the walk stands, and how: the swap's own.
	space  uint32
	flags  uint32
	cursor uint64
	budget uint64 // of a slice
	execs  uint64 // Host.execs at the end of the last slice
}

func newCopying(s *swap) *copying {
	c := &copying{s: s, h: s.h, old: s.old, next: s.next, budget: sliceFirst, feed: newFeed(), merged: batch.New()}
	go c.carryOut()
	return c
}

// run copies and compares everything. When it returns nil both stores hold
// the same, and follow keeps them so until finish.
func (c *copying) run() error {
	if err := c.begin(); err != nil {
		return err
	}
	if c.old.lib.info.Has(CapScan) {
		if err := c.walk(c.old, batch.ScanValues, c.copyItems); err != nil {
			return err
		}
		if err := c.walk(c.old, batch.ScanValues, c.compareItems); err != nil {
			return err
		}
	}
	if c.next.lib.info.Has(CapScan) {
		if err := c.walk(c.next, 0, c.findExtras); err != nil {
			return err
		}
	}
	return c.feed.settled()
}

// begin refuses what cannot be copied and starts to follow.
func (c *copying) begin() error {
	if err := c.checkFit(); err != nil {
		return err
	}
	c.h.status.change(func(s *Status) { s.CopiedKeys = 0 })
	c.s.takeLane()
	defer c.h.Unlock()
	if !c.old.lib.info.Has(CapScan) && c.h.wrote {
		return refuse(c.old.title()+" cannot list its entries, so they cannot be copied",
			"start with the new engine: sudo systemctl restart kvstored    # the data is lost",
			"%s: what %s holds cannot be moved", c.next.image.Path, c.old.title())
	}
	c.h.copy = c
	return nil
}

// onDisk has nearly all that was copied reach the disk, and readies what names
// the new owner, before anybody is held up for the switch.
func (c *copying) onDisk() error {
	if err := c.s.prepareOwner(); err != nil {
		return err
	}
	if c.next.dir == "" {
		return nil
	}
	var err error
	if c.thread, err = newSyncer(); err != nil {
		return err
	}
	c.disk = true
	return c.settle()
}

// settle syncs the new store, while clients go on.
func (c *copying) settle() error {
	if err := c.h.settle(c.next, c.thread, &c.turn); err != nil {
		return c.unkept(err)
	}
	return nil
}

// unkept refuses the copy because it did not reach the disk.
func (c *copying) unkept(err error) error {
	return refuse(err.Error(), "make room on the disk of "+c.h.state.path+", then reload again", "%s: the data cannot be kept", c.next.image.Path)
}

// finish switches to the new generation. What waits for a disk is done before
// and after the lane is held:
//
//   - From hold on nobody is told that something is on disk, so what anybody was
//     told before is in the new store, and the sync that follows has it on disk.
//   - In the lane the owner file is renamed and the new store serves. A crash of
//     the daemon finds the one owner or the other, each with all there was.
//   - A crash of the machine may find the old owner until the directory is synced.
//     Only then may somebody be told that what the new store has is on disk.
func (c *copying) finish() error {
	c.hold()
	err := c.feed.settled()
	if err == nil {
		err = c.settle()
	}
	for range catchUp {
		if err == nil {
			err = c.feed.settled()
		}
	}
	if err == nil {
		c.feed.pause()
		err = c.switchOver()
	}
	errno := unix.Errno(0)
	if err == nil {
		errno = c.s.keepOwner()
	}
	c.h.freeSyncs(errno)
	return err
}

// hold begins the end. What was done before is on disk before the new store serves;
// of what is done from now on a power cut may leave a part, which must not be
// that of a transaction.
func (c *copying) hold() {
	c.s.takeLane()
	defer c.s.leaveLane(time.Now())
	c.h.holdSyncs()
	c.feed.tieAll()
}

// switchOver is the switch. The feed is paused: what it has left is carried out
// here, so that nobody waits for another thread to run. Nothing waits for a disk.
func (c *copying) switchOver() error {
	c.s.takeLane()
	defer c.s.leaveLane(time.Now())
	if c.err != nil {
		return c.err
	}
	if c.h.failed != nil {
		return c.h.failed
	}
	for parcels := c.feed.rest(); parcels != nil; parcels = c.feed.rest() {
		c.feed.finished(parcels, c.work(parcels))
	}
	if err := c.feed.failure(); err != nil {
		return err
	}
	c.giveBack()
	c.turn.Lock()
	defer c.turn.Unlock()
	var made commitment
	if c.next.dir != "" {
		var st batch.Status
		if made, st = c.next.store.commit(commitSync, c.next.synced, 0); st != batch.OK {
			return c.unkept(st)
		}
	}
	if err := c.s.takeOwnership(); err != nil {
		return err
	}
	c.h.copy = nil
	c.h.cur = c.next
	c.h.keepTo(c.s.limit())
	c.h.switchSyncs(c.next, made)
	c.h.pins.replaced(c.old, c.next)
	if st, err := c.figures(c.old, batch.SpaceAll); c.old.lib.info.Has(CapScan) && err == nil && st.Entries == 0 {
		c.h.wrote = false
	}
	return nil
}

// close ends the following and gives the memory back.
func (c *copying) close() {
	c.h.lane.Lock()
	c.h.copy = nil
	c.h.lane.Unlock()
	c.feed.end()
	c.h.lane.Lock()
	c.giveBack()
	c.h.lane.Unlock()
	if c.disk {
		c.thread.close()
	}
	c.merged.Close()
}

// giveBack gives the old store the pins that nobody needs any more. The lane is
// held.
func (c *copying) giveBack() { c.old.store.release(c.feed.unpinned()) }

// fail ends the copy: the swap finds err at its next slice. The lane is held.
func (c *copying) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.h.copy = nil
	c.feed.publish() // somebody may wait for it
}

// visitor is given what a slice found, in the lane. used: it is a parcel for the
// new store now.
type visitor func(j *parcel) (used bool, err error)

// walk goes over all entries of g in slices and gives those of each to visit.
func (c *copying) walk(g *generation, flags uint32, visit visitor) error {
	c.space, c.flags = batch.SpaceAll, flags
	for {
		var err error
		if c.space, err = c.spaceAfter(g, c.space); err != nil || c.space == batch.SpaceAll {
			return err
		}
		c.cursor = 0
		steps := uint64(0)
		for more := true; more; steps++ {
			if more, err = c.slice(g, visit); err != nil {
				return err
			}
			if err = c.endless(g, c.space, steps); err != nil {
				return err
			}
		}
	}
}

// enter takes what guards the store of g; leave gives it back.
func (c *copying) enter(g *generation) (leave func()) {
	if g == c.next {
		c.turn.Lock()
		return c.turn.Unlock
	}
	c.s.takeLane()
	began := time.Now()
	return func() { c.s.leaveLane(began) }
}

// endless refuses a walk over a space that has taken far more steps than there
// are entries: the exchange, and all that wait for it, would never end.
func (c *copying) endless(g *generation, space uint32, steps uint64) error {
	if steps%walkSpare != walkSpare-1 {
		return nil
	}
	defer c.enter(g)()
	st, err := c.figures(g, space)
	if err == nil && steps > walkSpare+16*st.Entries {
		err = c.unfit(g, "list its entries", fmt.Sprintf("the walk over database %d, with %d entries, does not end", space, st.Entries))
	}
	return err
}

// spaceAfter is the lowest space above the given one that has entries, or
// SpaceAll; after SpaceAll comes the lowest of all.
func (c *copying) spaceAfter(g *generation, space uint32) (uint32, error) {
	defer c.enter(g)()
	st, err := c.figures(g, space)
	if err == nil && space != batch.SpaceAll && st.NextSpace <= space {
		err = c.unfit(g, "give its figures", fmt.Sprintf("after database %d it names %d", space, st.NextSpace))
	}
	return st.NextSpace, err
}

// figures asks for those of one space. What guards the store is held.
func (c *copying) figures(g *generation, space uint32) (batch.Stat, error) {
	st := batch.Stat{Size: statSize, Space: space}
	if status := g.store.stat(&st); status != batch.OK {
		return st, c.unfit(g, "give its figures", status.String())
	}
	return st, nil
}

// unfit refuses the copy because one of the engines does not do its part.
func (c *copying) unfit(g *generation, doing, why string) error {
	return refuse(why, "kvctl engine check "+g.image.Path, "%s: %s cannot %s", c.next.image.Path, g.title(), doing)
}

// slice takes one step of the walk. more: it is not at the end.
func (c *copying) slice(g *generation, visit visitor) (more bool, err error) {
	j := c.feed.blank(true)
	again, used := false, false
	if g == c.next {
		again, err = c.readNext(j)
	}
	c.s.takeLane()
	began := time.Now()
	j.now = c.h.now() // for both stores: what expires between two times would be missed
	if err == nil {
		err = c.troubled()
	}
	if err == nil && g == c.old {
		c.giveBack()
		again, err = c.read(g, j, j.now)
	}
	if err == nil && !again && j.scan.Count > 0 {
		used, err = visit(j)
	}
	if used && err == nil {
		c.feed.push(j)
	}
	execs := c.h.execs
	took := c.s.leaveLane(began)
	if !used || err != nil {
		c.feed.giveBack(j)
	}
	if again {
		c.budget = 1
	} else {
		c.tune(took)
	}
	c.giveWay(took, execs)
	return again || c.cursor != 0, err
}

// troubled is why the copy cannot go on, if so. The lane is held.
func (c *copying) troubled() error {
	if c.err != nil {
		return c.err
	}
	if c.h.failed != nil {
		return c.h.failed
	}
	return c.feed.failure()
}

// readNext reads a slice of the new store.
func (c *copying) readNext(j *parcel) (again bool, err error) {
	c.h.Lock()
	now := c.h.now()
	c.h.Unlock()
	c.turn.Lock()
	defer c.turn.Unlock()
	return c.read(c.next, j, now)
}

// read has the store of g list entries; again: it met damage, and the slice is to
// be repeated with one entry only, so that what is damaged can be named. What
// guards the store is held.
func (c *copying) read(g *generation, j *parcel, now int64) (again bool, err error) {
	c.aim(j, c.flags, c.budget, now)
	switch status := g.store.scan(j.scan.Prepare()); {
	case status == batch.Corrupt && c.budget > 1:
		return true, nil
	case status == batch.Corrupt:
		return false, c.damagedAt(g, j, now)
	case status != batch.OK:
		return false, c.unfit(g, "list its entries", status.String())
	}
	c.cursor = j.scan.Cursor
	return false, nil
}

// aim readies a scan from where the walk stands.
func (c *copying) aim(j *parcel, flags uint32, budget uint64, now int64) {
	*j.scan.ScanHeader = batch.ScanHeader{Size: j.scan.Size, Sink: j.scan.Sink, Flags: flags, Space: c.space,
		Cursor: c.cursor, Budget: budget, BudgetBytes: sliceBytes, Now: c.asOf(now)}
}

// asOf is the time for which both stores are read: one before all others, so that
// what is there is copied and compared, whether its time has passed or not. The
// clock may have been set back since now was the highest that the store saw, and
// then clients still see what was gone by now. It goes, in the end, by the new store.
// One that keeps no expiry times is not to be given what has expired.
func (c *copying) asOf(now int64) int64 {
	if c.next.lib.info.Has(CapExpiry) {
		return 0
	}
	return now
}

// tune fits the budget to how long the last slice took. One slice that the
// machine interrupted does not count for much.
func (c *copying) tune(took time.Duration) {
	switch {
	case took > sliceTarget:
		c.budget = max(c.budget*uint64(sliceTarget)/uint64(took), c.budget/2, 1)
	case took < sliceTarget/2:
		c.budget = min(c.budget*2, sliceMost)
	}
}

// giveWay lets others have the lane, and as much time as the slice took when
// there are any.
func (c *copying) giveWay(took time.Duration, execs uint64) {
	runtime.Gosched()
	if execs == c.execs && c.h.waiting.Load() == 0 {
		return
	}
	c.execs = execs
	// Not time.Sleep: the runtime's timers are good for a millisecond at best
	// while nothing else runs, and an exchange has tens of thousands of slices.
	pause := unix.NsecToTimespec(int64(max(min(took, sliceTarget), sliceTarget/3)))
	_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&pause)), 0, 0)
}

// tooMany refuses an engine that lists more entries in a slice than it was asked for.
func (c *copying) tooMany(j *parcel) error {
	if j.scan.Count <= uint64(j.put.Room()) {
		return nil
	}
	return c.unfit(c.old, "list its entries", fmt.Sprintf("a slice has %d, many more than asked for", j.scan.Count))
}

// copyItems has the entries of a slice put into the new store. The lane is held.
func (c *copying) copyItems(j *parcel) (used bool, err error) {
	if err := c.tooMany(j); err != nil {
		return false, err
	}
	j.scan.Items(func(it *batch.Item) bool {
		if err = c.fits(it.Space, it.KeyBytes(), it.ValueBytes(), it.ValueLen, it.Expiry, it.Tag); err != nil {
			return false
		}
		j.put.Set(it.Space, it.KeyBytes(), it.ValueBytes(), it.Expiry, it.Tag, 0)
		j.bytes += int(it.KeyLen + it.ValueLen)
		return true
	})
	if err != nil {
		return false, err
	}
	c.s.copied += j.scan.Count
	c.h.status.change(func(s *Status) { s.CopiedKeys = c.s.copied })
	c.s.progress("copying to %s: %d entries", c.next.title(), c.s.copied)
	return true, nil
}
