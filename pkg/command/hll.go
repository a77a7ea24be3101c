package command

import (
	"encoding/binary"
	"math"
	"math/bits"

	"kvstored/pkg/batch"
	"kvstored/pkg/resp"
)

// HyperLogLogs are strings in Redis's format, which pkg/engine/update_hll.c
// describes. That file changes registers; here they are read and counted.

const (
	hllRegisters = 1 << 14
	hllHashBits  = 64 - 14 // of a hash that do not choose the register
	hllHead      = 16
	hllDenseSize = hllHead + hllRegisters*6/8
	hllStale     = 0x80 // in the last byte of the head: the cached count does not hold

	notHLL    = "WRONGTYPE Key is not a valid HyperLogLog string value."
	brokenHLL = "INVALIDOBJ Corrupted HLL object detected"
)

// murmur is MurmurHash64A by Austin Appleby, with Redis's seed.
func murmur(b []byte) uint64 {
	const mul, shift, seed = 0xc6a4a7935bd1e995, 47, 0xadc83b19
	h := seed ^ uint64(len(b))*mul
	for ; len(b) >= 8; b = b[8:] {
		k := binary.LittleEndian.Uint64(b) * mul
		k ^= k >> shift
		h = (h ^ k*mul) * mul
	}
	if len(b) > 0 {
		var last [8]byte
		copy(last[:], b)
		h = (h ^ binary.LittleEndian.Uint64(last[:])) * mul
	}
	h ^= h >> shift
	h *= mul
	return h ^ h>>shift
}

// hllWord is an element as FuncPfAdd takes it: its register and how many bits
// of its hash are zero before the first one, which is counted too.
func hllWord(element []byte) uint32 {
	h := murmur(element)
	register := uint32(h % hllRegisters)
	run := bits.TrailingZeros64(h>>14|1<<hllHashBits) + 1
	return register<<8 | uint32(run)
}

// hllWords returns room for n words outside the Go heap.
func hllWords(s *batch.Sink, n int) []byte {
	return batch.Bytes(s.Alloc(4*n+1), uint64(4*n))
}

func planPfadd(c *Call) {
	words := hllWords(c.Batch.Scratch, len(c.Args)-2)
	for i, element := range c.Args[2:] {
		binary.NativeEndian.PutUint32(words[4*i:], hllWord(element))
	}
	op, a := c.Batch.Update(c.Session.DB, c.Args[1], batch.FuncPfAdd)
	a.SetValue(words)
	c.Reply.Op, c.Reply.Render = op, renderPfadd
}

func renderPfadd(w *resp.Writer, b *batch.Batch, r *Reply) {
	o := b.Op(r.Op)
	if failed(w, o, r) {
		return
	}
	switch outcome := o.Args().Outcome; outcome {
	case batch.Done:
		w.Int(1)
	case batch.NotDone:
		w.Int(0)
	default:
		w.Error(outcomeError(outcome))
	}
}

// registers is how high each register is.
type registers [hllRegisters]uint8

// isHLL tells whether a value can be a HyperLogLog, and whether it is dense.
func isHLL(value []byte) (ok, dense bool) {
	if len(value) < hllHead || string(value[:4]) != "HYLL" {
		return false, false
	}
	dense = value[4] == 0
	return dense && len(value) == hllDenseSize || value[4] == 1, dense
}

// merge raises the registers to those of a HyperLogLog; false when it is broken.
func (m *registers) merge(value []byte) bool {
	_, dense := isHLL(value)
	value = value[hllHead:]
	if !dense {
		return m.mergeSparse(value)
	}
	for i := range m {
		at, shift := i*6/8, uint(i*6%8)
		v := value[at] >> shift
		if shift > 2 {
			v |= value[at+1] << (8 - shift)
		}
		m[i] = max(m[i], v&63)
	}
	return true
}

func (m *registers) mergeSparse(runs []byte) bool {
	i := 0
	for len(runs) > 0 {
		c, size, n, v := int(runs[0]), 1, 0, 0
		switch {
		case c&0x80 != 0:
			n, v = c&3+1, c>>2&31+1
		case c&0x40 != 0:
			size = min(2, len(runs))
			n = c&63<<8 + 1
			if size == 2 {
				n += int(runs[1])
			}
		default:
			n = c&63 + 1
		}
		if i+n > hllRegisters {
			return false
		}
		if v > 0 {
			for j := i; j < i+n; j++ {
				m[j] = max(m[j], uint8(v))
			}
		}
		i += n
		runs = runs[size:]
	}
	return i == hllRegisters
}

// count estimates how many different elements made the registers what they
// are: Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog
// sketches", arXiv:1702.01284, as Redis does since version 5. The conversions
// keep processors from fusing a multiplication with an addition.
func (m *registers) count() int64 {
	var histogram [64]int
	for _, v := range m {
		histogram[v]++
	}
	const n = float64(hllRegisters)
	z := n * hllTau((n-float64(histogram[hllHashBits+1]))/n)
	for i := hllHashBits; i >= 1; i-- {
		z += float64(histogram[i])
		z *= 0.5
	}
	z += float64(n * hllSigma(float64(histogram[0])/n))
	const alpha = 0.721347520444481703680 // 0.5 / ln 2
	return int64(math.Round(alpha * n * n / z))
}

func hllSigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	y, z := 1.0, x
	for before := -1.0; before != z; {
		x *= x
		before = z
		z += float64(x * y)
		y += y
	}
	return z
}

func hllTau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	y, z := 1.0, 1-x
	for before := -1.0; before != z; {
		x = math.Sqrt(x)
		before = z
		y *= 0.5
		z -= float64(float64((1-x)*(1-x)) * y)
	}
	return z / 3
}

func planPfcount(c *Call) {
	c.Keep()
	c.Reply.Step = stepPfcount
}

// stepPfcount counts the union of the keys. Of a single one the count is kept
// in its head, as in Redis, so that the next PFCOUNT need not look at the registers.
func stepPfcount(x *Exec, r *Reply) {
	keys := r.Args[1:]
	defer x.releaseAll()
	var m registers
	_, ok := x.union(r, keys, func(value []byte) bool {
		if len(keys) == 1 && value[hllHead-1]&hllStale == 0 {
			x.W.Int(int64(binary.LittleEndian.Uint64(value[8:])))
			return false
		}
		return true
	}, &m)
	if !ok {
		return
	}
	n := m.count()
	if len(keys) == 1 && x.Batch.Op(0).Status == batch.OK {
		count := batch.Bytes(x.Batch.Scratch.Alloc(8), 8)
		binary.LittleEndian.PutUint64(count, uint64(n))
		_, a := x.Batch.Update(r.DB, keys[0], batch.FuncSetRange)
		a.SetValue(count)
		a.Offset, a.Limit = 8, MaxString
		// That it could not be kept does not matter: the count is right.
		if err := x.Run(); err != nil {
			x.W.Error("ERR " + err.Error())
			return
		}
	}
	x.W.Int(n)
}

// union merges the HyperLogLogs of the keys into m; look sees each before and
// may end it. A missing key is an empty one. Without ok the reply is written.
func (x *Exec) union(r *Reply, keys [][]byte, look func([]byte) bool, m *registers) (anyDense, ok bool) {
	first := x.Batch.Len()
	for _, key := range keys {
		x.Batch.Get(r.DB, key)
	}
	if !x.run(r) {
		return false, false
	}
	for i := range keys {
		o := x.Batch.Op(first + i)
		if o.Status == batch.NotFound {
			continue
		}
		value := o.ValueBytes()
		is, dense := isHLL(value)
		if !is {
			x.W.Error(notHLL)
			return false, false
		}
		anyDense = anyDense || dense
		if !look(value) {
			return false, false
		}
		if !m.merge(value) {
			x.W.Error(brokenHLL)
			return false, false
		}
	}
	return anyDense, true
}

func planPfmerge(c *Call) {
	c.Keep()
	c.Reply.Step = stepPfmerge
}

// stepPfmerge raises the registers of the first key to those of all.
func stepPfmerge(x *Exec, r *Reply) {
	defer x.releaseAll()
	var m registers
	dense, ok := x.union(r, r.Args[1:], func([]byte) bool { return true }, &m)
	if !ok {
		return
	}
	words := hllWords(x.Batch.Scratch, hllRegisters)
	n := 0
	for i, v := range m {
		if v > 0 {
			binary.NativeEndian.PutUint32(words[n:], uint32(i)<<8|uint32(v))
			n += 4
		}
	}
	op, a := x.Batch.Update(r.DB, r.Args[1], batch.FuncPfAdd)
	a.SetValue(words[:n])
	a.Flags = batch.PfForget
	if dense {
		a.Flags |= batch.PfDense
	}
	if !x.run(r) {
		return
	}
	if a := x.Batch.Op(op).Args(); a.Outcome != batch.Done {
		x.W.Error(outcomeError(a.Outcome))
		return
	}
	x.W.Raw(replyOK)
}
