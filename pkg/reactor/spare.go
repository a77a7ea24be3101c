package reactor

import "kvstored/pkg/batch"

// Mappings of large requests are kept for the next ones: a fresh one costs a
// page fault for every 4 KiB, which is more than the request itself.
const (
	spareEach = 256 << 10 // bytes of a mapping that is kept
	spareAll  = 8 << 20   // bytes of all
)

// spares are mappings not in use. One goroutine uses them.
type spares struct {
	free  [][]byte // the one given back last is used first
	bytes int
}

// take returns a mapping of at least n bytes; what is in it is of no meaning.
func (s *spares) take(n int) ([]byte, error) {
	for i := len(s.free) - 1; i >= 0; i-- {
		if m := s.free[i]; len(m) >= n {
			s.free = append(s.free[:i], s.free[i+1:]...)
			s.bytes -= len(m)
			return m, nil
		}
	}
	return batch.Map((n + 4095) &^ 4095)
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

// drop unmaps all.
func (s *spares) drop() {
	for _, m := range s.free {
		batch.Unmap(m)
	}
	*s = spares{}
}
