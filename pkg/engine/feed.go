package engine

import (
	"sync"

	"kvstored/pkg/batch"
)

// How much may be on its way into the new store.
const (
	slicesAhead  = 16                                      // slices that wait; then the walk does
	openMost     = 4096                                    // operations of clients' effects that are kept together
	openBytes    = 4 << 20                                 // and bytes
	parcelOps    = 1 << 16                                 // operations that there is room for in one
	togetherMost = 2048                                    // operations that the new store is given at once
	heldMost     = batch.MaxOps - parcelOps - togetherMost // operations that are all or nothing
	feedMost     = 1 << 17                                 // operations that wait; then clients do
	feedBytes    = 64 << 20                                // and bytes
)

// parcel is something for the new store, made in the lane of what the old one holds
// at that moment. Its memory is its own.
type parcel struct {
	scan   *batch.Scan
	reread *batch.Batch // read from the old store
	put    *batch.Batch // for the new one
	now    int64
	bytes  int                   // of keys and values
	walk   bool                  // of a slice, not of clients' effects
	seq    uint64                // its place in the order
	check  func(j *parcel) error // judges what the new store answers; nil: put is carried out
	pins   []uint64              // of the old store
}

func newParcel() *parcel {
	return &parcel{scan: batch.NewScan(), reread: batch.NewFor(parcelOps), put: batch.NewFor(parcelOps)}
}

func (j *parcel) reset() {
	j.scan.Prepare()
	j.reread.Reset()
	j.put.Reset()
	j.bytes, j.walk, j.check, j.pins = 0, false, nil, j.pins[:0]
}

func (j *parcel) close() {
	j.scan.Close()
	j.reread.Close()
	j.put.Close()
}

// feed is what is on its way into the new store, in the order of the lane. One
// goroutine carries it out, so that nobody waits for that store, which may be on
// a disk: slices of the walk stop when enough is on its way, and clients when
// far too much is. After an error nothing is carried out any more.
type feed struct {
	mu      sync.Mutex
	change  sync.Cond // of what follows, all of it guarded by mu
	waiting []*parcel
	open    *parcel   // after those: effects of clients, to which more may be added
	held    []*parcel // after that: effects of who holds the lane now; the first was open before
	from    int       // of held[0]: where these begin
	tied    bool      // what is done in one hold of the lane is all or nothing
	free    []*parcel
	slices  int // in waiting, but for effects
	ops     int // of all that is not done
	bytes   int
	last    uint64 // seq of the newest parcel
	done    uint64 // seq of the last that is in the new store
	pins    []uint64
	err     error
	working bool // the goroutine is at parcels that it took
	paused  bool // it takes none
	ended   bool
	gone    chan struct{} // closed when the goroutine has ended
}

func newFeed() *feed {
	f := &feed{gone: make(chan struct{})}
	f.change.L = &f.mu
	return f
}

// blank is a parcel to be filled. room: wait until slices may go on.
func (f *feed) blank(room bool) *parcel {
	f.mu.Lock()
	defer f.mu.Unlock()
	for room && f.err == nil && (f.slices >= slicesAhead || f.bytes >= feedBytes/4) {
		f.change.Wait()
	}
	return f.spare()
}

// spare is an empty parcel. mu is held.
func (f *feed) spare() *parcel {
	if n := len(f.free); n > 0 {
		j := f.free[n-1]
		f.free = f.free[:n-1]
		return j
	}
	return newParcel()
}

// giveBack takes a parcel that came to nothing.
func (f *feed) giveBack(j *parcel) {
	j.reset()
	f.mu.Lock()
	f.free = append(f.free, j)
	f.mu.Unlock()
}

// push adds a slice's parcel. The lane is held.
func (f *feed) push(j *parcel) {
	f.mu.Lock()
	f.shut()
	f.add(j)
	j.walk = true
	f.slices++
	f.waiting = append(f.waiting, j)
	f.mu.Unlock()
	f.change.Broadcast()
}

// add counts a parcel in. mu is held.
func (f *feed) add(j *parcel) {
	f.last++
	j.seq = f.last
	f.ops += j.put.Len()
	f.bytes += j.bytes
}

// shut has nothing more added to the effects that wait. mu is held.
func (f *feed) shut() {
	if f.open != nil {
		f.waiting = append(f.waiting, f.open)
		f.open = nil
	}
}

// effects is the parcel that clients' effects are added to; putBack must follow. It waits while
// far too much is on its way. The lane is held.
func (f *feed) effects() (*parcel, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.err == nil && !f.paused && (f.ops >= feedMost || f.bytes >= feedBytes) {
		f.change.Wait() // who has paused it waits for the lane
	}
	if f.err != nil {
		return nil, f.err
	}
	if len(f.held) == 0 && f.open != nil {
		f.ops -= f.open.put.Len()
		f.bytes -= f.open.bytes
		f.held, f.from, f.open = append(f.held, f.open), f.open.put.Len(), nil
	}
	if n := len(f.held); n > 0 && f.held[n-1].put.Len() < openMost && f.held[n-1].bytes < openBytes {
		return f.held[n-1], nil
	}
	return f.hold()
}

// hold adds a parcel to those of this hold of the lane. mu is held.
func (f *feed) hold() (*parcel, error) {
	ops := 0
	for _, j := range f.held {
		ops += j.put.Len()
	}
	if ops > heldMost {
		return nil, refuse("what must reach the disk all or nothing is too much at once",
			"reload again while no transaction or script writes so many keys", "the changes of clients cannot be followed")
	}
	if len(f.held) == 0 {
		f.from = 0
	}
	j := f.spare()
	f.add(j)
	f.held = append(f.held, j)
	return j, nil
}

// putBack gives the effects to who carries them out, unless more may belong to them.
func (f *feed) putBack() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.tied {
		f.giveOut()
	}
}

// publish has what this hold of the lane did carried out.
func (f *feed) publish() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.giveOut()
}

// giveOut gives what is held to who carries it out. mu is held.
func (f *feed) giveOut() {
	if len(f.held) == 0 {
		return
	}
	if f.tied {
		f.tie()
	}
	for _, j := range f.held {
		f.ops += j.put.Len()
		f.bytes += j.bytes
	}
	last := len(f.held) - 1
	f.waiting = append(f.waiting, f.held[:last]...)
	f.open, f.held = f.held[last], f.held[:0]
	f.change.Broadcast()
}

// tie marks what is held as all or nothing for what survives a crash. All of it: what one
// request wrote may be read with what the next did. mu is held.
func (f *feed) tie() {
	var before *batch.Op
	for k, j := range f.held {
		from := 0
		if k == 0 {
			from = f.from
		}
		for i := from; i < j.put.Len(); i++ {
			if before != nil {
				before.Flags |= batch.WithNext
			}
			before = j.put.Op(i)
		}
	}
}

// goesOn tells whether what comes after j belongs to its end.
func (j *parcel) goesOn() bool {
	n := j.put.Len()
	return n > 0 && j.put.Op(n-1).Flags&batch.WithNext != 0
}

// tieAll has all that is done from now on in one hold of the lane be all or nothing. The lane is held.
func (f *feed) tieAll() {
	f.mu.Lock()
	f.tied = true
	f.mu.Unlock()
}

// take waits for parcels: one that checks something, or all in a row that do not,
// within bounds. nil: the feed has ended.
func (f *feed) take() []*parcel {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.ended && (f.paused || f.err != nil || len(f.waiting) == 0 && f.open == nil) {
		f.change.Wait()
	}
	if f.ended {
		return nil
	}
	f.working = true
	return f.next()
}

// rest is take for who has paused the feed; nil: nothing waits.
func (f *feed) rest() []*parcel {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil || len(f.waiting) == 0 && f.open == nil {
		return nil
	}
	return f.next()
}

// next takes what comes next. mu is held, and something waits.
func (f *feed) next() []*parcel {
	if n := len(f.waiting); n == 0 || f.waiting[n-1].goesOn() {
		f.shut()
	}
	n, ops := 1, f.waiting[0].put.Len()
	for f.waiting[0].check == nil && n < len(f.waiting) && f.waiting[n].check == nil &&
		(ops < togetherMost || f.waiting[n-1].goesOn()) {
		ops += f.waiting[n].put.Len()
		n++
	}
	parcels := append([]*parcel(nil), f.waiting[:n]...)
	f.waiting = append(f.waiting[:0], f.waiting[n:]...)
	return parcels
}

// finished takes parcels back.
func (f *feed) finished(parcels []*parcel, err error) {
	var sum parcelSum
	for _, j := range parcels { // clients may wait for mu: it is held as short as can be
		sum.add(j)
		j.reset()
	}
	f.mu.Lock()
	f.done = sum.seq
	f.ops -= sum.ops
	f.bytes -= sum.bytes
	f.slices -= sum.slices
	f.pins = append(f.pins, sum.pins...)
	f.free = append(f.free, parcels...)
	f.working = false
	if f.err == nil {
		f.err = err
	}
	f.mu.Unlock()
	f.change.Broadcast()
}

// parcelSum is what some parcels counted for.
type parcelSum struct {
	seq                uint64
	ops, bytes, slices int
	pins               []uint64
}

func (s *parcelSum) add(j *parcel) {
	s.seq = j.seq
	s.ops += j.put.Len()
	s.bytes += j.bytes
	if j.walk {
		s.slices++
	}
	s.pins = append(s.pins, j.pins...)
}

// pause has the goroutine take nothing more, and waits until it works at nothing:
// the caller carries out what is left.
func (f *feed) pause() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paused = true
	f.change.Broadcast()
	for f.working {
		f.change.Wait()
	}
}

// settled waits until all that was added before is in the new store.
func (f *feed) settled() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for mark := f.last; f.err == nil && f.done < mark; {
		f.change.Wait()
	}
	return f.err
}

// failure is the error that ended it, or nil.
func (f *feed) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// unpinned are pins of the old store that nobody needs any more.
func (f *feed) unpinned() []uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	pins := f.pins
	f.pins = nil
	return pins
}

// end has the goroutine stop, waits for it and gives the memory back; the pins
// of what was not carried out are among the unpinned then. Once.
func (f *feed) end() {
	f.mu.Lock()
	f.ended = true
	f.mu.Unlock()
	f.change.Broadcast()
	<-f.gone
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shut()
	for _, j := range f.waiting {
		f.pins = append(f.pins, j.pins...)
	}
	for _, j := range append(f.waiting, f.free...) {
		j.close()
	}
	f.waiting, f.free = nil, nil
}
