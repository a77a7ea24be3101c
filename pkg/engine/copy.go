package engine

import (
	"fmt"
	"runtime"
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
)

// walkSpare is how many steps a walk may take beyond sixteen for each entry,
// before it counts as one that never ends. Tests make it smaller.
var walkSpare uint64 = 100_000

// copying fills the store of the next generation from the old one's while
// clients go on. Two things write into the new store, both in the lane: slices
// of a walk over the old one, and follow, which repeats there what became of
// every key that a batch touched. What was written, removed or expired at any
// time is therefore right in both, whatever the walk has or has not reached.
type copying struct {
	s         *swap
	h         *Host
	old, next *generation

	scan   *batch.Scan  // guarded by lane
	put    *batch.Batch // guarded by lane; for the new store
	reread *batch.Batch // guarded by lane; for the old store
	pins   []uint64     // guarded by lane; scratch
	err    error        // guarded by lane; the first failure, after which nothing is followed

	thread syncer // syncs what was copied; the swap's own
	disk   bool   // there is a thread

	budget uint64 // of a slice; the swap's own
	execs  uint64 // Host.execs at the end of the last slice; the swap's own
}

func newCopying(s *swap) *copying {
	return &copying{
		s: s, h: s.h, old: s.old, next: s.next, budget: sliceFirst,
		scan: batch.NewScan(), put: batch.New(), reread: batch.New(),
	}
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
		return c.walk(c.next, 0, c.findExtras)
	}
	return nil
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
	if err := c.h.settle(c.next, c.thread, &c.h.lane); err != nil {
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
	err := c.settle()
	if err == nil {
		err = c.switchOver()
	}
	errno := unix.Errno(0)
	if err == nil {
		errno = c.s.keepOwner()
	}
	c.h.freeSyncs(errno)
	return err
}

func (c *copying) hold() {
	c.s.takeLane()
	defer c.s.leaveLane(time.Now())
	c.h.holdSyncs()
}

// switchOver is the switch. Nothing of it waits for a disk.
func (c *copying) switchOver() error {
	c.s.takeLane()
	defer c.s.leaveLane(time.Now())
	if c.err != nil {
		return c.err
	}
	if c.h.failed != nil {
		return c.h.failed
	}
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
	if c.old.lib.info.Has(CapScan) && c.s.copied == 0 {
		c.h.wrote = false
	}
	return nil
}

// close ends the following and gives the memory back.
func (c *copying) close() {
	c.h.lane.Lock()
	defer c.h.lane.Unlock()
	c.h.copy = nil
	if c.disk {
		c.thread.close()
	}
	c.scan.Close()
	c.put.Close()
	c.reread.Close()
}

// fail ends the copy: the swap finds err at its next slice. The lane is held.
func (c *copying) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.h.copy = nil
}

// walk goes over all entries of g in slices and gives those of each to visit,
// in the lane.
func (c *copying) walk(g *generation, flags uint32, visit func(now int64) error) error {
	space := uint32(batch.SpaceAll)
	for {
		var err error
		if space, err = c.spaceAfter(g, space); err != nil || space == batch.SpaceAll {
			return err
		}
		*c.scan.ScanHeader = batch.ScanHeader{Size: c.scan.Size, Sink: c.scan.Sink, Flags: flags, Space: space}
		steps := uint64(0)
		for more := true; more; steps++ {
			if more, err = c.slice(g, visit); err != nil {
				return err
			}
			if err = c.endless(g, space, steps); err != nil {
				return err
			}
		}
	}
}

// endless refuses a walk over a space that has taken far more steps than there
// are entries: the exchange, and all that wait for it, would never end.
func (c *copying) endless(g *generation, space uint32, steps uint64) error {
	if steps%walkSpare != walkSpare-1 {
		return nil
	}
	c.s.takeLane()
	defer c.s.leaveLane(time.Now())
	st, err := c.figures(g, space)
	if err == nil && steps > walkSpare+16*st.Entries {
		err = c.unfit(g, "list its entries", fmt.Sprintf("the walk over database %d, with %d entries, does not end", space, st.Entries))
	}
	return err
}

// spaceAfter is the lowest space above the given one that has entries, or
// SpaceAll; after SpaceAll comes the lowest of all.
func (c *copying) spaceAfter(g *generation, space uint32) (uint32, error) {
	c.s.takeLane()
	defer c.s.leaveLane(time.Now())
	st, err := c.figures(g, space)
	if err == nil && space != batch.SpaceAll && st.NextSpace <= space {
		err = c.unfit(g, "give its figures", fmt.Sprintf("after database %d it names %d", space, st.NextSpace))
	}
	return st.NextSpace, err
}

// figures asks for those of one space. The lane is held.
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
func (c *copying) slice(g *generation, visit func(now int64) error) (more bool, err error) {
	c.s.takeLane()
	began := time.Now()
	again, err := c.step(g, visit)
	more = again || c.scan.Cursor != 0
	execs := c.h.execs
	took := c.s.leaveLane(began)
	if again {
		c.budget = 1
	} else {
		c.tune(took)
	}
	c.giveWay(took, execs)
	return more, err
}

// step is the slice itself; again: it met damage, and is to be repeated with one
// entry only, so that what is damaged can be named. The lane is held.
func (c *copying) step(g *generation, visit func(now int64) error) (again bool, err error) {
	if c.err != nil {
		return false, c.err
	}
	if c.h.failed != nil {
		return false, c.h.failed
	}
	now, from := c.h.now(), c.scan.Cursor
	c.scan.Budget, c.scan.BudgetBytes, c.scan.Now = c.budget, sliceBytes, now
	switch status := g.store.scan(c.scan.Prepare()); {
	case status == batch.Corrupt && c.budget > 1:
		c.scan.Cursor = from
		return true, nil
	case status == batch.Corrupt:
		c.scan.Cursor = from
		return false, c.damagedAt(g, now)
	case status != batch.OK:
		return false, c.unfit(g, "list its entries", status.String())
	case c.scan.Count == 0:
		return false, nil
	}
	return false, visit(now)
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

// copyItems puts the entries of a slice into the new store. The lane is held.
func (c *copying) copyItems(now int64) error {
	var refused error
	c.put.Reset()
	c.scan.Items(func(it *batch.Item) bool {
		if refused = c.fits(it.Space, it.KeyBytes(), it.ValueBytes(), it.ValueLen, it.Expiry, it.Tag); refused != nil {
			return false
		}
		c.put.Set(it.Space, it.KeyBytes(), it.ValueBytes(), it.Expiry, it.Tag, 0)
		return true
	})
	if refused != nil {
		return refused
	}
	if err := c.apply(now); err != nil {
		return err
	}
	c.s.copied += c.scan.Count
	c.h.status.change(func(s *Status) { s.CopiedKeys = c.s.copied })
	c.s.progress("copying to %s: %d entries", c.next.title(), c.s.copied)
	return nil
}

// follow repeats in the new store what operations [from, to) of b and the
// events from first on did to the old one. It never fails its caller: an error
// ends the copy. The lane is held.
func (c *copying) follow(b *batch.Batch, from, to int, now int64, first *batch.Event) {
	if err := c.followAll(b, from, to, now, first); err != nil {
		c.fail(err)
	}
}

func (c *copying) followAll(b *batch.Batch, from, to int, now int64, first *batch.Event) error {
	if err := c.followClears(b, from, to, now); err != nil {
		return err
	}
	for ev := first; ev != nil; ev = ev.Following() {
		if err := c.touch(ev.Space, ev.KeyBytes(), now); err != nil {
			return err
		}
	}
	for i := from; i < to; i++ {
		op := b.Op(i)
		if op.Code != batch.Set && op.Code != batch.Delete && op.Code != batch.Update {
			continue
		}
		if err := c.touch(op.Space, op.KeyBytes(), now); err != nil {
			return err
		}
	}
	return c.carryOver(now)
}

// followClears empties the spaces that were emptied. What was written there
// after that is read again and put back by the caller.
func (c *copying) followClears(b *batch.Batch, from, to int, now int64) error {
	c.put.Reset()
	for i := from; i < to; i++ {
		op := b.Op(i)
		if op.Code == batch.Clear && op.Status == batch.OK && c.keeps(op.Space) {
			c.put.Clear(op.Space)
		}
	}
	return c.apply(now)
}

// keeps tells whether the new engine has such a space at all: FLUSHALL empties
// every one of them.
func (c *copying) keeps(space uint32) bool { return space == 0 || c.next.lib.info.Has(CapSpaces) }

// touch has the key read again, now or with some more.
func (c *copying) touch(space uint32, key []byte, now int64) error {
	c.reread.Get(space, key)
	if c.reread.Len() < followAtOnce {
		return nil
	}
	return c.carryOver(now)
}

// carryOver reads the touched keys from the old store and makes the new one
// hold the same.
func (c *copying) carryOver(now int64) error {
	n := c.reread.Len()
	if n == 0 {
		return nil
	}
	defer c.reread.Reset()
	if st := c.old.store.exec(c.reread.Seal(0, n, now)); st != batch.OK {
		return c.h.fatal(fmt.Errorf("engine %s failed to carry out a batch: %s", c.old.title(), st))
	}
	defer c.unpin(c.old, c.reread)
	c.put.Reset()
	for i := range n {
		op := c.reread.Op(i)
		switch op.Status {
		case batch.OK:
			if err := c.fits(op.Space, op.KeyBytes(), op.ValueBytes(), op.ValueLen, op.Expiry, op.Tag); err != nil {
				return err
			}
			c.put.Set(op.Space, op.KeyBytes(), op.ValueBytes(), op.Expiry, op.Tag, 0)
		case batch.NotFound:
			c.put.Delete(op.Space, op.KeyBytes())
		case batch.Corrupt:
			return c.damaged(c.old, op.Space, op.KeyBytes())
		default:
			return fmt.Errorf("%s cannot read %s: %s", c.old.title(), keyName(op.Space, op.KeyBytes()), op.Status)
		}
	}
	return c.apply(now)
}

// unpin gives the pins of the values in b back to g. The lane is held.
func (c *copying) unpin(g *generation, b *batch.Batch) {
	c.pins = c.pins[:0]
	for i := range b.Len() {
		if op := b.Op(i); op.Code == batch.Get && op.Status == batch.OK && op.Pin != 0 {
			c.pins = append(c.pins, op.Pin)
		}
	}
	g.store.release(c.pins)
}

// apply carries out what is in put and insists on success. The lane is held.
func (c *copying) apply(now int64) error {
	n := c.put.Len()
	if n == 0 {
		return nil
	}
	if st := c.next.store.exec(c.put.Seal(0, n, now)); st != batch.OK {
		return refuse(st.String(), "kvctl engine check "+c.next.image.Path,
			"%s: %s failed while it was filled", c.next.image.Path, c.next.title())
	}
	for i := range n {
		if err := c.applied(c.put.Op(i), now); err != nil {
			return err
		}
	}
	if c.next.dir == "" {
		return nil
	}
	made, st := c.next.store.commit(commitOnly, c.next.synced, 0)
	if st != batch.OK {
		return c.unkept(st)
	}
	c.next.committed = made.mark()
	return nil
}

// applied judges what became of one operation in the new store.
func (c *copying) applied(op *batch.Op, now int64) error {
	switch {
	case op.Status == batch.OK:
		return nil
	case op.Code == batch.Clear:
		return refuse(op.Status.String(), "reload again while nobody empties a database",
			"%s: database %d was emptied, which %s cannot follow", c.next.image.Path, op.Space, c.next.title())
	case op.Code == batch.Delete && op.Status == batch.NotFound:
		return nil
	case op.Code == batch.Delete && op.Status == batch.Unsupported && c.absent(op, now):
		return nil
	case op.Code == batch.Delete:
		return refuse(op.Status.String(), "reload again while nothing is removed",
			"%s: %s was removed, which %s cannot follow", c.next.image.Path, keyName(op.Space, op.KeyBytes()), c.next.title())
	}
	return refuse(op.Status.String(), "give the new engine more room, or keep the old one",
		"%s: %s does not take %s", c.next.image.Path, c.next.title(), keyName(op.Space, op.KeyBytes()))
}

// absent tells whether the new store lacks op's key. It needs reread free or
// complete, and uses a batch of its own.
func (c *copying) absent(op *batch.Op, now int64) bool {
	b := batch.New()
	defer b.Close()
	i := b.Meta(op.Space, op.KeyBytes())
	return c.next.store.exec(b.Seal(0, 1, now)) == batch.OK && b.Op(i).Status == batch.NotFound
}
