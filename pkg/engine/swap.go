package engine

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// Outcome is what a swap came to that was not refused.
type Outcome struct {
	Engine     string // name and version that serve now
	Generation uint64
	// Unchanged: the library is the one that serves already.
	Unchanged bool
	// Copied: how many entries were copied; HandedOver: none had to be.
	Copied     uint64
	HandedOver bool
	// LaneHeld is the longest time for which the lane was held.
	LaneHeld time.Duration
}

// String is the outcome in a line: "serving hash 0.1.1 (generation 2)".
func (o Outcome) String() string {
	if o.Unchanged {
		return "unchanged"
	}
	return fmt.Sprintf("serving %s (generation %d)", o.Engine, o.Generation)
}

// Swap exchanges the engine for the library that r names and waits for the
// outcome. Requests queue; one made while a swap runs is answered by a run
// that began after it. A refusal is a *Refusal, and the old engine serves on.
// Not in the lane.
func (h *Host) Swap(r Request) (Outcome, error) {
	j, first, ok := h.swaps.add(r)
	if !ok {
		return Outcome{}, refuse("it is stopping", "start it again", "no exchange of the engine any more")
	}
	if first {
		go h.runSwaps()
	}
	<-j.done
	return j.outcome, j.err
}

// runSwaps carries out what waits, one after another.
func (h *Host) runSwaps() {
	for j := h.swaps.next(); j != nil; j = h.swaps.next() {
		s := &swap{h: h, request: j.Request, began: time.Now(), first: true}
		j.outcome, j.err = s.run()
		h.setState(Idle)
		close(j.done)
	}
}

// setState tells everybody where the swap stands.
func (h *Host) setState(state State) {
	h.status.change(func(s *Status) { s.State = state })
	if h.opts.OnState != nil {
		h.opts.OnState(state)
	}
}

// swap is one run. It belongs to the goroutine that runs it.
type swap struct {
	h       *Host
	request Request
	began   time.Time
	old     *generation // the serving one when the run began
	next    *generation
	first   bool // the lane was not yet taken
	longest time.Duration
	spoke   time.Time // last progress
	copied  uint64
	unsure  bool // the disk may have the old owner still
}

// run goes through the states. Whatever fails before the switch leaves the
// old generation serving.
func (s *swap) run() (Outcome, error) {
	h := s.h
	h.lane.Lock()
	s.old = h.cur
	h.lane.Unlock()
	outcome, err := s.exchange()
	if err != nil {
		err = s.refused(err)
		return Outcome{}, err
	}
	outcome.Engine, outcome.Generation = s.old.title(), s.old.number
	if !outcome.Unchanged {
		outcome.Engine, outcome.Generation = s.next.title(), s.next.number
		outcome.LaneHeld, outcome.Copied = s.longest, s.copied
	}
	h.status.change(func(st *Status) {
		st.LastSwap, st.LastError = outcome.String(), nil
		if !outcome.Unchanged {
			st.Swaps++
		}
	})
	return outcome, nil
}

// refused notes why the swap was refused and what serves on.
func (s *swap) refused(err error) error {
	var r *Refusal
	if !errors.As(err, &r) {
		r = &Refusal{What: err.Error()}
	}
	said := *r
	if said.Why != "" {
		said.Why += "; "
	}
	said.Why += s.remains()
	s.h.status.change(func(st *Status) {
		st.Refused++
		st.LastSwap, st.LastError = "refused: "+said.What, &said
	})
	return &said
}

// remains says what a refused swap leaves behind.
func (s *swap) remains() string {
	s.h.Lock()
	defer s.h.Unlock()
	if s.h.failed != nil {
		return "the store is lost: " + s.h.failed.Error()
	}
	return "still serving " + s.old.title() + ", no request lost"
}

// exchange is checking, loading, opening and what follows.
func (s *swap) exchange() (Outcome, error) {
	h := s.h
	h.setState(Checking)
	if s.request.Trust != nil {
		h.trust.Store(s.request.Trust)
	}
	image, err := ReadImage(s.request.Path, *h.trust.Load())
	if err != nil {
		return Outcome{}, err
	}
	if image.SHA256 == s.old.image.SHA256 && s.kept(&s.old.lib.info) == (s.old.dir != "") {
		image.Close() // what the status needs of it stays
		if s.request.Limit != nil {
			if err := h.SetLimit(*s.request.Limit); err != nil {
				return Outcome{}, err
			}
		}
		h.status.sameFrom(image, s.request.Rule)
		return Outcome{Unchanged: true}, nil
	}
	check := h.opts.Check
	check.serving = s.old.image
	if _, err := check.try(image); err != nil {
		image.Close()
		return Outcome{}, err
	}
	h.setState(Loading)
	if s.next, err = h.load(image); err != nil {
		image.Close()
		return Outcome{}, err
	}
	if err := s.next.canKeep(s.limit()); err != nil {
		s.abandon()
		return Outcome{}, err
	}
	if canHandOver(&s.old.lib.info, &s.next.lib.info) && s.kept(&s.next.lib.info) == (s.old.dir != "") {
		return s.handOver()
	}
	if s.reopens() {
		return s.reopen()
	}
	return s.replace()
}

// limit is the one that holds from the switch on.
func (s *swap) limit() Limit {
	if s.request.Limit != nil {
		return *s.request.Limit
	}
	return *s.h.limit.Load()
}

// kept tells whether the store of such an engine is to be kept on disk.
func (s *swap) kept(i *Info) bool {
	return s.h.state != nil && !s.request.MemoryOnly && i.Has(CapDurable)
}

// canHandOver tells whether a store can pass from old to next as it is.
func canHandOver(old, next *Info) bool {
	return old.Format == next.Format && old.Has(CapHandover) && next.Has(CapHandover)
}

// handOver passes the store to the new code, in the lane.
func (s *swap) handOver() (Outcome, error) {
	h := s.h
	h.setState(Opening)
	with := h.settings(s.next)
	h.setState(Draining)
	s.takeLane()
	began := time.Now()
	with.now = h.now()
	st, broken, err := s.old.store.handOver(s.next.lib, with)
	if err == nil {
		s.old.store.close(true)
		s.next.store = st
		s.next.inherit(s.old)
		h.pins.moved(s.old, s.next)
		h.cur = s.next
		s.h.keepTo(s.limit())
	} else if broken {
		h.fatal(fmt.Errorf("engine %s could not resume after a failed hand-over: %w", s.old.title(), err))
	}
	s.leaveLane(began)
	if err != nil {
		s.abandon()
		return Outcome{}, refuse(err.Error(), "kvctl engine check "+s.request.Path,
			"%s: %s does not take over from %s", s.request.Path, s.next.title(), s.old.title())
	}
	s.served()
	go h.bury(s.old)
	return Outcome{HandedOver: true}, nil
}

// replace opens an empty store, copies everything into it and switches.
func (s *swap) replace() (Outcome, error) {
	h := s.h
	h.setState(Opening)
	if err := s.openNext(); err != nil {
		s.abandon()
		return Outcome{}, err
	}
	h.setState(Copying)
	c := newCopying(s)
	err := c.run()
	if err == nil {
		err = c.onDisk()
	}
	if err == nil {
		h.setState(Draining)
		err = c.finish()
	}
	c.close()
	if err != nil {
		s.next.store.close(false)
		if !errors.Is(err, errOwnerUnknown) {
			s.dropDir(s.next)
			h.state.forget()
		}
		s.abandon()
		return Outcome{}, err
	}
	s.served()
	if s.next.name == "" && s.old.name != "" {
		h.opts.Log.Warn("the data lies in memory only from now on", zap.String("engine", s.next.title()))
	}
	go h.retire(s.old, func() { s.dropDir(s.old) })
	return Outcome{}, nil
}

// openNext opens an empty store for the copy, in a directory of its own where
// it is to be kept.
func (s *swap) openNext() error {
	h := s.h
	if !s.kept(&s.next.lib.info) {
		return h.open(s.next, "", false)
	}
	if h.state.own == (owner{}) { // else a crash would leave a directory that nobody is said to own
		info := &s.old.lib.info
		if err := h.state.give(owner{Engine: info.Name, Format: info.Format}); err != nil {
			return s.notOwner(err)
		}
	}
	name, err := h.state.newDir()
	if err != nil {
		return refuse(err.Error(), "make room and writable for this user: "+h.state.path, "%s: no directory for its data", s.request.Path)
	}
	if err := h.open(s.next, name, true); err != nil {
		h.state.drop(name)
		return err
	}
	return nil
}

// dropDir removes what a store kept on disk and does not own.
func (s *swap) dropDir(g *generation) {
	if g.name == "" || s.unsure {
		return
	}
	if err := s.h.state.drop(g.name); err != nil {
		s.h.opts.Log.Warn("cannot remove what the exchange left in the state directory; the next start does", zap.Error(err))
	}
}

// owner is who the data belongs to with the new generation; ok: there is, or
// was, anything on disk at all.
func (s *swap) owner() (o owner, ok bool) {
	info := &s.next.lib.info
	return owner{Engine: info.Name, Format: info.Format, Directory: s.next.name}, s.old.name != "" || s.next.name != ""
}

// own makes the new generation the owner of the data, on disk. The lane is held.
func (s *swap) own() error {
	o, ok := s.owner()
	if !ok {
		return nil
	}
	err := s.h.state.give(o)
	if err == nil {
		return nil
	}
	if errors.Is(err, errOwnerUnknown) {
		return s.ownerUnknown(err)
	}
	return s.notOwner(err)
}

// ownerUnknown ends the daemon: the next start finds out who owns the data, and
// both have all of it. The lane is held.
func (s *swap) ownerUnknown(err error) error {
	return s.h.fatal(fmt.Errorf("exchanging %s for %s: %w", s.old.title(), s.next.title(), err))
}

func (s *swap) notOwner(err error) error {
	return refuse(err.Error(), "make room and writable for this user: "+s.h.state.path, "%s: cannot become the owner of the data", s.request.Path)
}

// prepareOwner, takeOwnership and keepOwner are own in three steps, of which only
// the second is in the lane, and waits for no disk.
func (s *swap) prepareOwner() error {
	if o, ok := s.owner(); ok {
		if err := s.h.state.prepare(o); err != nil {
			return s.notOwner(err)
		}
	}
	return nil
}

func (s *swap) takeOwnership() error {
	if o, ok := s.owner(); ok {
		if err := s.h.state.rename(); err != nil {
			return s.notOwner(err)
		}
		s.h.state.own = o
	}
	return nil
}

// keepOwner has what takeOwnership did reach the disk. Where it cannot, the
// data of the one before stays, and the daemon ends; but it goes on with data that
// lies in memory only, since that would be lost.
func (s *swap) keepOwner() unix.Errno {
	if _, ok := s.owner(); !ok {
		return 0
	}
	err := syncDir(s.h.state.path)
	if err == nil {
		s.h.state.forget()
		return 0
	}
	s.unsure = true
	if s.next.name == "" {
		s.h.opts.Log.Error("a power cut may bring back the data that the engine before had on disk at the exchange",
			zap.String("engine", s.old.title()), zap.String("state_dir", s.h.state.path), zap.Error(err),
			zap.String("fix", "look at that disk (journalctl -k), then have the engine exchanged again"))
	} else {
		s.h.Lock()
		_ = s.ownerUnknown(fmt.Errorf("%w: %w", errOwnerUnknown, err))
		s.h.Unlock()
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return unix.EIO
}

// served notes the switch.
func (s *swap) served() {
	s.h.status.serve(s.next, s.request.Rule)
	s.h.status.retiring(s.old)
	s.h.setState(Serving)
}

// abandon unloads the new generation, whose store is closed or was never
// opened.
func (s *swap) abandon() {
	if !s.next.drop() {
		s.h.status.change(func(st *Status) { st.StillMapped++ })
		s.h.opts.Log.Warn("the code of a refused engine stays mapped", zap.String("engine", s.next.title()))
	}
}

// takeLane takes the lane for the swap; leaveLane gives it back and notes
// for how long it was held.
func (s *swap) takeLane() { s.h.Lock() }

func (s *swap) leaveLane(began time.Time) time.Duration {
	held := time.Since(began)
	s.h.Unlock()
	s.longest = max(s.longest, held)
	s.h.status.held(held, s.first)
	s.first = false
	return held
}

// progress reports a long swap about once a second.
func (s *swap) progress(format string, args ...any) {
	if s.h.opts.OnProgress == nil || time.Since(s.spoke) < time.Second || time.Since(s.began) < time.Second {
		return
	}
	s.spoke = time.Now()
	s.h.opts.OnProgress(fmt.Sprintf(format, args...))
}
