package command

import (
	"encoding/binary"
	"math/bits"

	"kvstored/pkg/batch"
	"kvstored/pkg/resp"
)

const (
	wrongBitOffset = "ERR bit offset is not an integer or out of range"
	wrongBit       = "ERR bit is not an integer or out of range"
)

// bitOffset reads argument i as the number of a bit. With a width above 0 it
// may be "#n" as well, the n-th field of that width.
func (c *Call) bitOffset(i, width int) (uint64, bool) {
	text := c.Args[i]
	times := int64(1)
	if width > 0 && len(text) > 0 && text[0] == '#' {
		text, times = text[1:], int64(width)
	}
	n, ok := parseInt(text)
	n *= times
	if !ok || n < 0 || n>>3 >= MaxString {
		c.Fail(wrongBitOffset)
		return 0, false
	}
	return uint64(n), true
}

func planSetbit(c *Call) {
	offset, ok := c.bitOffset(2, 0)
	if !ok {
		return
	}
	bit, ok := parseInt(c.Args[3])
	if !ok || bit&^1 != 0 {
		c.Fail(wrongBit)
		return
	}
	op, a := c.Batch.Update(c.Session.DB, c.Args[1], batch.FuncSetBit)
	a.Offset, a.Number = offset, bit
	c.Reply.Op, c.Reply.Render = op, renderResult
}

func planGetbit(c *Call) {
	offset, ok := c.bitOffset(2, 0)
	if !ok {
		return
	}
	c.Reply.Op = c.Batch.GetRange(c.Session.DB, c.Args[1], offset>>3, 1)
	c.Reply.Num = int64(offset & 7)
	c.Reply.Render = renderGetbit
}

func renderGetbit(w *resp.Writer, b *batch.Batch, r *Reply) {
	o := b.Op(r.Op)
	if failed(w, o, r) {
		return
	}
	w.Drop(o.Pin)
	value := o.ValueBytes()
	if o.Status == batch.NotFound || len(value) == 0 {
		w.Int(0)
		return
	}
	w.Int(int64(value[0] >> (7 - r.Num) & 1))
}

// bitSpan is the part of a value that BITCOUNT and BITPOS look at: inclusive,
// negative from the end, in bytes or bits.
type bitSpan struct {
	start, end int64
	inBits     bool
	endGiven   bool
}

// cut is the span as bits [from, to) of n bytes; from >= to: none.
func (s bitSpan) cut(n int64) (from, to int64) {
	unit := int64(8)
	if s.inBits {
		n, unit = n*8, 1
	}
	start, end := s.start, s.end
	if start < 0 {
		start = max(start+n, 0)
	}
	if end < 0 {
		end = max(end+n, 0)
	}
	end = min(end, n-1)
	if start > end {
		return 0, 0
	}
	return start * unit, (end + 1) * unit
}

// backwards tells whether the span is empty whatever the value.
func (s bitSpan) backwards() bool { return s.start < 0 && s.end < 0 && s.start > s.end }

// unit reads argument i as BIT or BYTE.
func (c *Call) unit(i int, s *bitSpan) bool {
	switch {
	case isWord(c.Args[i], "bit"):
		s.inBits = true
	case isWord(c.Args[i], "byte"):
	default:
		c.Fail(syntaxError)
		return false
	}
	return true
}

// failUnless makes the error that is the reply depend on the key: without it
// the reply is the number absent. BITCOUNT and BITPOS look for the key first.
func (c *Call) failUnless(absent int64) {
	c.failIfThere()
	c.Reply.Num = absent
	c.Reply.Render = renderIfThereElse
}

func renderIfThereElse(w *resp.Writer, b *batch.Batch, r *Reply) {
	o := b.Op(r.Op)
	switch {
	case failed(w, o, r):
	case o.Status == batch.NotFound:
		w.Int(r.Num)
	default:
		w.Raw(r.Data)
	}
}

func planBitcount(c *Call) {
	span := bitSpan{start: 0, end: -1}
	if len(c.Args) > 2 && !c.bitcountSpan(&span) {
		c.failUnless(0)
		return
	}
	c.Reply.Op = c.Batch.Get(c.Session.DB, c.Args[1])
	c.Reply.Render = span.count
}

// bitcountSpan reads BITCOUNT's "start end [BIT | BYTE]".
func (c *Call) bitcountSpan(s *bitSpan) (ok bool) {
	if len(c.Args) != 4 && len(c.Args) != 5 {
		c.Fail(syntaxError)
		return false
	}
	if s.start, ok = c.integer(2); !ok {
		return false
	}
	if s.end, ok = c.integer(3); !ok {
		return false
	}
	if s.backwards() { // 0 before the unit is looked at
		return true
	}
	return len(c.Args) == 4 || c.unit(4, s)
}

func (s bitSpan) count(w *resp.Writer, b *batch.Batch, r *Reply) {
	o := b.Op(r.Op)
	if failed(w, o, r) {
		return
	}
	value := o.ValueBytes()
	switch {
	case o.Status == batch.NotFound, s.backwards():
		w.Int(0)
	default:
		from, to := s.cut(int64(len(value)))
		w.Int(countBits(value, from, to))
	}
	if o.Status == batch.OK {
		w.Drop(o.Pin)
	}
}

// countBits is how many of the bits [from, to) are set.
func countBits(b []byte, from, to int64) (n int64) {
	if from >= to {
		return 0
	}
	first, last := from>>3, (to-1)>>3
	n = -int64(bits.OnesCount8(b[first] &^ (0xff >> (from & 7))))
	n -= int64(bits.OnesCount8(b[last] & (1<<(7-(to-1)&7) - 1)))
	b = b[first : last+1]
	for ; len(b) >= 8; b = b[8:] {
		n += int64(bits.OnesCount64(binary.LittleEndian.Uint64(b)))
	}
	for _, c := range b {
		n += int64(bits.OnesCount8(c))
	}
	return n
}

func planBitpos(c *Call) {
	bit, ok := c.integer(2)
	if !ok {
		return
	}
	if bit != 0 && bit != 1 {
		c.Fail("ERR The bit argument must be 1 or 0.")
		return
	}
	span := bitSpan{start: 0, end: -1}
	if len(c.Args) > 3 && !c.bitposSpan(&span) {
		c.failUnless(-bit)
		return
	}
	c.Reply.Op = c.Batch.Get(c.Session.DB, c.Args[1])
	c.Reply.Num = bit
	c.Reply.Render = span.find
}

// bitposSpan reads BITPOS's "start [end [BIT | BYTE]]".
func (c *Call) bitposSpan(s *bitSpan) (ok bool) {
	if len(c.Args) > 6 {
		c.Fail(syntaxError)
		return false
	}
	if s.start, ok = c.integer(3); !ok {
		return false
	}
	if len(c.Args) == 6 && !c.unit(5, s) {
		return false
	}
	if len(c.Args) >= 5 {
		s.endGiven = true
		if s.end, ok = c.integer(4); !ok {
			return false
		}
	}
	return true
}

func (s bitSpan) find(w *resp.Writer, b *batch.Batch, r *Reply) {
	o := b.Op(r.Op)
	if failed(w, o, r) {
		return
	}
	if o.Status == batch.NotFound {
		w.Int(-r.Num)
		return
	}
	value := o.ValueBytes()
	from, to := s.cut(int64(len(value)))
	at := int64(-1)
	if from < to {
		at = findBit(value, from, to, byte(r.Num))
		if at < 0 && r.Num == 0 && !s.endGiven {
			at = to // after the end all is zero
		}
	}
	w.Int(at)
	w.Drop(o.Pin)
}

// findBit is the first of the bits [from, to), at least one, that is bit; -1: none.
func findBit(b []byte, from, to int64, bit byte) int64 {
	flip := byte(0) // what makes the wanted bit a 1
	if bit == 0 {
		flip = 0xff
	}
	first, last := from>>3, (to-1)>>3
	for i := first; i <= last; i++ {
		if i > first && i+8 <= last && binary.LittleEndian.Uint64(b[i:]) == skipped[bit] {
			i += 7
			continue
		}
		c := b[i] ^ flip
		if i == first {
			c &= 0xff >> (from & 7)
		}
		if i == last {
			c &^= 1<<(7-(to-1)&7) - 1
		}
		if c != 0 {
			return i<<3 + int64(bits.LeadingZeros8(c))
		}
	}
	return -1
}

// skipped is eight bytes that do not hold the bit.
var skipped = [2]uint64{^uint64(0), 0}
