package reactor

import (
	"slices"
	"time"

	"kvstored/pkg/batch"
)

// Mappings of large requests are kept for the next ones: a fresh one costs a
// page fault for every 4 KiB, which is more than the request itself. Those that
// were not needed for a while are given back.
const (
	spareEach = 4 << 20     // bytes of a mapping that is kept
	spareAll  = 32 << 20    // bytes of all
	spareFor  = time.Second // how long they are kept without need
)

// spares are mappings not in use. One goroutine uses them.
type spares struct {
	free  [][]byte // the one given back last is the last
	bytes int
	least int  // bytes, at the least since they were last looked at
	aging bool // they will be looked at
}

// take returns a mapping of at least n bytes; what is in it is of no meaning.
func (s *spares) take(n int) ([]byte, error) {
	best := -1
	for i, m := range s.free {
		if len(m) >= n && (best < 0 || len(m) <= len(s.free[best])) {
			best = i
		}
	}
	if best < 0 {
		return batch.Map((n + 4095) &^ 4095)
	}
	m := s.free[best]
	s.free = slices.Delete(s.free, best, best+1)
	s.bytes -= len(m)
	s.least = min(s.least, s.bytes)
	return m, nil
}

// give takes a mapping back.
func (s *spares) give(m []byte) {
	if len(m) > spareEach || s.bytes+len(m) > spareAll {
		batch.Unmap(m)
		return
	}
	s.free = append(s.free, m)
	s.bytes += len(m)
}

// age unmaps what nobody needed since it was last called, the oldest first.
func (s *spares) age() {
	n, goes := 0, s.least
	for n < len(s.free) && len(s.free[n]) <= goes {
		goes -= len(s.free[n])
		s.bytes -= len(s.free[n])
		batch.Unmap(s.free[n])
		n++
	}
	s.free = slices.Delete(s.free, 0, n)
	s.least = s.bytes
}

// drop unmaps all.
func (s *spares) drop() {
	for _, m := range s.free {
		batch.Unmap(m)
	}
	*s = spares{}
}

// spareMap takes a mapping back, and sees to it that it does not stay for ever.
func (r *Reactor) spareMap(m []byte) {
	r.maps.give(m)
	r.ageSoon()
}

// ageMaps looks at the spare mappings, and again later if any are left.
func (r *Reactor) ageMaps() {
	r.maps.aging = false
	r.maps.age()
	r.ageSoon()
}

func (r *Reactor) ageSoon() {
	if r.maps.bytes == 0 || r.maps.aging {
		return
	}
	r.maps.aging = true
	time.AfterFunc(spareFor, func() { _ = r.Post(r.ageMaps) }) // ended: all are dropped
}
