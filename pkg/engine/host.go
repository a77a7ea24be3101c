package engine

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"go.uber.org/zap"

	"kvstored/pkg/batch"
)

// Options is what a Host needs to know.
type Options struct {
	Trust
	// Rule is the rule of the configuration that chose the first library.
	Rule string
	// Limit is the limit of memory until SetLimit.
	Limit Limit
	// StateDir is where stores of engines that can keep data on disk; "": all are
	// in memory. MemoryOnly has them in memory all the same.
	StateDir   string
	MemoryOnly bool
	// OnOpening gets a line about an opening that takes long.
	OnOpening func(string)
	// Check is how libraries are tried before they are loaded.
	Check CheckOptions
	// Log takes what the host and the engines report; nil drops it.
	Log *zap.Logger
	// OnState is told of every state of a swap, in order, from the goroutine
	// that carries it out, not in the lane. Idle comes before the requesters
	// are answered.
	OnState func(State)
	// OnProgress gets a line about a swap that takes long, about once a second.
	OnProgress func(string)
	// OnFatal is told, once, that the serving store is unusable. The process
	// should end so that its manager starts it anew. It is called while the
	// lane is held and must not take it.
	OnFatal func(error)
}

// Host serves one store through the engine that is loaded now, and exchanges
// that engine. The lane (Lock, Unlock) guards all calls into engines.
type Host struct {
	opts Options

	lane    sync.Mutex
	waiting atomic.Int32 // goroutines that wait for the lane

	cur    *generation           // guarded by lane; nil after Close
	copy   *copying              // guarded by lane; not nil while a swap copies
	failed error                 // guarded by lane; the store is unusable
	wrote  bool                  // guarded by lane; something was ever written into this store
	tied   bool                  // guarded by lane; see Tie
	execs  uint64                // guarded by lane; batches carried out
	moves  uint64                // guarded by lane; calls that may have changed an entry
	latest int64                 // guarded by lane; the highest now there was
	pins   pinTable              // guarded by lane, but for its queue
	lent   lending               // guarded by lane; see Stage
	house  *batch.Batch          // guarded by lane; events of Maintain
	full   atomic.Bool           // the data is above its limit; written with the lane held
	limit  atomic.Pointer[Limit] // written with the lane held

	syncs syncs     // guarded by lane
	state *stateDir // nil: nothing is kept on disk

	numbers atomic.Uint64 // generations so far

	swaps  queue
	status statusBoard
	trust  atomic.Pointer[Trust]
}

// Open loads the library at path and opens an empty store in it. The library
// is tried in a child process before.
func Open(path string, opts Options) (*Host, error) {
	if opts.Log == nil {
		opts.Log = zap.NewNop()
	}
	h := &Host{opts: opts}
	h.trust.Store(&opts.Trust)
	h.limit.Store(&opts.Limit)
	if err := h.prepare(); err != nil {
		return nil, err
	}
	gen, err := h.first(path)
	if err != nil {
		h.state.close()
		h.syncs.thread.close()
		return nil, err
	}
	h.cur = gen
	h.pins.plain = gen
	h.house = batch.New()
	h.weigh() // what was on disk may be above the limit
	h.status.serve(gen, opts.Rule)
	return h, nil
}

// prepare takes the state directory and makes the thread that syncs.
func (h *Host) prepare() (err error) {
	if h.opts.StateDir != "" {
		if h.state, err = openState(h.opts.StateDir); err != nil {
			return err
		}
	}
	if h.syncs.thread, err = newSyncer(); err != nil {
		h.state.close()
	}
	return err
}

// first is the first generation, its store open.
func (h *Host) first(path string) (*generation, error) {
	image, err := ReadImage(path, h.opts.Trust)
	if err != nil {
		return nil, err
	}
	gen, err := h.start(image)
	if err != nil {
		image.Close()
	}
	return gen, err
}

// start tries a library, unless it served before the last clean stop, loads it
// and opens its store.
func (h *Host) start(image *Image) (*generation, error) {
	if !h.state.tookServed(image) {
		if _, err := h.opts.Check.try(image); err != nil {
			return nil, err
		}
	}
	gen, err := h.load(image)
	if err != nil {
		return nil, err
	}
	if err := gen.canKeep(*h.limit.Load()); err != nil {
		gen.drop()
		return nil, err
	}
	if err := h.openFirst(gen, h.opts.MemoryOnly); err != nil {
		gen.drop()
		return nil, err
	}
	if err := gen.applyLimit(*h.limit.Load()); err != nil {
		gen.store.close(false)
		gen.drop()
		return nil, err
	}
	return gen, nil
}

// Lock takes the lane: the methods that say so need it, everything else must
// be short while it is held.
func (h *Host) Lock() {
	h.enter()
	if h.pins.waiting.Load() != 0 {
		h.deliverPins()
	}
}

// enter takes the lane and counts those who wait, so that a swap gives way.
func (h *Host) enter() {
	if h.lane.TryLock() {
		return
	}
	h.waiting.Add(1)
	h.lane.Lock()
	h.waiting.Add(-1)
}

// Unlock gives the lane back. What a transaction or a script did stays together:
// it is all done within one hold.
func (h *Host) Unlock() {
	if h.copy != nil {
		h.copy.feed.publish()
	}
	h.lane.Unlock()
}

// Exec carries out operations [from, to) of b at now, milliseconds since
// 1970. An error means that the store is unusable, now and from then on; the
// operations have the status Unknown. The lane is held.
func (h *Host) Exec(b *batch.Batch, from, to int, now int64) error {
	if from == to {
		return nil
	}
	if h.failed != nil {
		markUnknown(b, from, to)
		return h.failed
	}
	h.execs++
	h.latest = max(h.latest, now)
	if h.tied && b.Writes() > 0 {
		for i := from; i < to; i++ {
			b.Op(i).Flags |= batch.WithNext
		}
	}
	sealed := b.Seal(from, to, now)
	mark := lastEvent(sealed)
	if st := h.cur.exec(sealed, to-from); st != batch.OK {
		markUnknown(b, from, to)
		return h.fatal(fmt.Errorf("engine %s failed to carry out a batch: %s", h.cur.lib.info.Name, st))
	}
	if b.Writes() > 0 {
		h.wrote = true
		h.weigh()
	}
	if b.Writes() > 0 || lastEvent(sealed) != mark {
		h.moves++
	}
	if h.copy != nil {
		h.copy.follow(b, from, to, now, eventsAfter(sealed, mark))
	}
	if h.pins.translate {
		h.pins.hide(h.cur, b, from, to)
	}
	return nil
}

// Tie has all that is carried out until Tie(was) be all or nothing for what survives a
// crash, in however many calls of Exec. The lane is held all the time.
func (h *Host) Tie(on bool) (was bool) {
	was, h.tied = h.tied, on
	return was
}

// markUnknown gives every operation the status Unknown.
func markUnknown(b *batch.Batch, from, to int) {
	for i := from; i < to; i++ {
		op := b.Op(i)
		op.Status, op.Value, op.ValueLen, op.Pin = batch.Unknown, 0, 0, 0
	}
}

// fatal makes the store unusable and says so once. The lane is held.
func (h *Host) fatal(err error) error {
	if h.failed == nil {
		h.failed = err
		h.cur.logs.drain() // why stands there, and the process is about to end
		h.opts.Log.Error("the store is unusable", zap.Error(err))
		if h.opts.OnFatal != nil {
			h.opts.OnFatal(err)
		}
	}
	return h.failed
}

// eventList is the list of events behind a sealed batch.
func eventList(sealed uintptr) *batch.Events {
	header := *(**batch.Header)(unsafe.Pointer(&sealed))
	return *(**batch.Events)(unsafe.Pointer(&header.Events))
}

// lastEvent is the address of the newest event so far, 0 for none.
func lastEvent(sealed uintptr) uintptr { return eventList(sealed).Last }

// eventsAfter is the first event after mark, or nil.
func eventsAfter(sealed, mark uintptr) *batch.Event {
	if mark != 0 {
		return (*(**batch.Event)(unsafe.Pointer(&mark))).Following()
	}
	first := eventList(sealed).First
	return *(**batch.Event)(unsafe.Pointer(&first))
}

// Scan runs one step of a walk. The lane is held.
func (h *Host) Scan(s *batch.Scan) error {
	if h.failed != nil {
		return h.failed
	}
	return h.cur.failure(h.cur.store.scan(s.Prepare()), "list its entries")
}

// Stat gives figures of one space, or of all with batch.SpaceAll. The lane is
// held.
func (h *Host) Stat(space uint32) (batch.Stat, error) {
	st := batch.Stat{Size: statSize, Space: space}
	if h.failed != nil {
		return st, h.failed
	}
	err := h.cur.failure(h.cur.store.stat(&st), "give its figures")
	return st, err
}

// Has tells whether the serving engine has all of the capabilities; it is not
// durable while its store is in memory only. The lane is held.
func (h *Host) Has(caps uint64) bool {
	return h.cur.lib.info.Has(caps) && (caps&CapDurable == 0 || h.Durable())
}

// EngineName is the serving engine's name, for messages. The lane is held.
func (h *Host) EngineName() string { return h.cur.lib.info.Name }

// Generation is the number of the serving generation, within which cursors of
// walks are good. The lane is held.
func (h *Host) Generation() uint64 { return h.cur.number }

// Moves is a number that stays while no entry comes, changes, goes, or has
// its place changed by housekeeping. The lane is held.
func (h *Host) Moves() uint64 { return h.moves }

// Maintain does a slice of housekeeping, about budget entries long. more: there
// is work left; next: when there may be some again, in milliseconds since
// 1970, 0 when something was written. The lane is held.
func (h *Host) Maintain(now int64, budget uint64) (more bool, next int64) {
	if h.failed != nil || h.cur.lib.info.missing.maintain {
		return false, 0
	}
	h.latest = max(h.latest, now)
	h.house.Reset()
	h.moves++
	sealed := h.house.Seal(0, 0, now)
	m := batch.MaintainHeader{Size: maintainSize, Budget: budget, Now: now}
	m.Events = (*(**batch.Header)(unsafe.Pointer(&sealed))).Events
	st := h.cur.maintain(&m)
	if h.copy != nil {
		h.copy.follow(h.house, 0, 0, now, h.house.Events())
	}
	h.weigh()
	if st == batch.Corrupt {
		h.fatal(fmt.Errorf("engine %s failed in housekeeping: %s", h.cur.lib.info.Name, st))
	} else if st != batch.OK {
		h.opts.Log.Warn("housekeeping failed", zap.String("engine", h.EngineName()), zap.Stringer("status", st))
	}
	if st != batch.OK {
		return false, 0
	}
	return m.More != 0, m.Next
}

// Removed is the first of the entries that the last Maintain removed, or nil.
// The lane is held, since before that Maintain.
func (h *Host) Removed() *batch.Event { return h.house.Events() }

// now is the present in milliseconds, never before what the store has seen.
// The lane is held.
func (h *Host) now() int64 {
	h.latest = max(h.latest, time.Now().UnixMilli())
	return h.latest
}

// Close ends the store and unloads the engine, after the swap that runs. The
// host must not be used any more.
func (h *Host) Close() {
	h.swaps.end()
	h.lane.Lock()
	defer h.lane.Unlock()
	if h.cur == nil {
		return
	}
	h.deliverPins()
	h.syncs.thread.close()
	if h.failed == nil && h.cur.pinCount() == 0 {
		h.cur.store.close(false)
		h.state.leaveServed(h.cur.image)
		h.cur.drop()
	} else { // somebody still reads values, or the store is broken: leave it be
		h.cur.image.Close()
	}
	h.cur = nil
	h.state.close()
	h.house.Close()
}
