package engine

import (
	"kvstored/pkg/batch"
)

// Staged is memory of the store that its owner fills, so that a long value is
// not copied into the store at the end: see KV_STAGE of kvstore.h. The zero
// value is none yet.
type Staged struct {
	Data []byte // all of it; Data[:Fit] may be filled
	Pin  uint64 // to be given to Release, 0: none
	Fit  int
	More bool // better to ask once more, with nothing new, before it is used

	gen *generation
}

// lentShare: one part in so many of the limit of memory may be lent. What is received is no entry
// yet, and may never be one; what is must not all go for it, nor writes of others be refused.
const lentShare = 4

// lending is what is lent, by pins.
type lending struct {
	bytes map[uint64]uint64
	sum   uint64
}

// set notes that so many bytes are lent under a pin, 0: that it was given back.
func (l *lending) set(pin, n uint64) {
	if l.bytes == nil {
		l.bytes = make(map[uint64]uint64)
	}
	l.sum += n - l.bytes[pin]
	if l.bytes[pin] = n; n == 0 {
		delete(l.bytes, pin)
	}
}

// mayLend tells whether the limit of memory lets s have `want` bytes of total in the end.
func (h *Host) mayLend(s *Staged, total, want int) bool {
	limit := h.limit.Load().MaxMemory
	if limit == 0 {
		return true
	}
	return uint64(total) <= limit/lentShare && h.lent.sum+uint64(max(want-s.Fit, 0)) <= limit/lentShare
}

// Stage begins s with room for total bytes, of which want can be filled when it
// returns, or goes on with it: then filled bytes of it are there and will not
// change. A value that lies in those is taken over by the operation that sets
// it, rather than copied. false: there is no such memory, or no more of it, and
// what s was it still is. What went to make room is in Removed. The lane is held.
func (h *Host) Stage(s *Staged, total, filled, want int, now int64) bool {
	h.house.Reset()
	g := h.cur
	if h.failed != nil || h.pins.translate || g.stageless || s.gen != nil && s.gen.owner() != g || !h.mayLend(s, total, want) {
		return false
	}
	h.latest = max(h.latest, now)
	op := h.house.Op(h.house.Stage(s.Pin, total, filled, want))
	// Not past the scheduler: making room for a mebibyte, and writing one down, takes long.
	st := g.store.exec(h.house.Seal(0, 1, now))
	if h.house.Events() != nil {
		h.moves++
	}
	if h.copy != nil {
		h.copy.follow(h.house, 0, 0, now, h.house.Events())
	}
	h.weigh()
	if st == batch.OK {
		st = op.Status
	}
	if st == batch.OK {
		*s = Staged{batch.Bytes(op.Value, uint64(total)), op.Pin, int(op.Length), op.Tag != 0, g}
		h.lent.set(s.Pin, op.Length)
	}
	g.stageless = st == batch.Unsupported
	return st == batch.OK
}
