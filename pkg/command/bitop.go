package command

import (
	"encoding/binary"

	"kvstored/pkg/batch"
)

// The operations of BITOP, as Reply.Num.
const (
	bitAnd = iota
	bitOr
	bitXor
	bitNot
)

var bitOps = []string{bitAnd: "and", bitOr: "or", bitXor: "xor", bitNot: "not"}

func planBitop(c *Call) {
	c.Reply.Num = -1
	for i, name := range bitOps {
		if isWord(c.Args[1], name) {
			c.Reply.Num = int64(i)
		}
	}
	switch {
	case c.Reply.Num < 0:
		c.Fail(syntaxError)
		return
	case c.Reply.Num == bitNot && len(c.Args) != 4:
		c.Fail("ERR BITOP NOT must be called with a single source key.")
		return
	}
	c.Keep()
	c.Reply.Step = stepBitop
}

// stepBitop reads all sources, makes the result outside the Go heap and sets it.
func stepBitop(x *Exec, r *Reply) {
	defer x.releaseAll()
	sources := make([][]byte, len(r.Args)-3)
	for _, key := range r.Args[3:] {
		x.Batch.Get(r.DB, key)
	}
	if !x.run(r) {
		return
	}
	longest := 0
	for i := range sources {
		if o := x.Batch.Op(i); o.Status == batch.OK {
			sources[i] = o.ValueBytes()
		}
		longest = max(longest, len(sources[i]))
	}
	if longest == 0 {
		x.Batch.Delete(r.DB, r.Args[2])
	} else {
		result, free, ok := x.buffer(longest)
		if !ok {
			return
		}
		defer free()
		combine(result, sources, r.Num)
		x.Batch.Set(r.DB, r.Args[2], result, 0, 0, 0)
	}
	if x.run(r) {
		x.W.Int(int64(longest))
	}
}

// smallBuffer is what the batch's own memory is used for.
const smallBuffer = 64 << 10

// buffer returns n bytes outside the Go heap, zeroed, until free is called;
// without memory the error is the reply.
func (x *Exec) buffer(n int) (b []byte, free func(), ok bool) {
	if n <= smallBuffer {
		b = batch.Bytes(x.Batch.Scratch.Alloc(n), uint64(n))
		clear(b)
		return b, func() {}, true
	}
	b, err := batch.Map(n)
	if err != nil {
		x.W.Error(outcomeError(batch.NoMemory))
		return nil, nil, false
	}
	return b, func() { batch.Unmap(b) }, true
}

// combine puts the bits of all sources together; a source that ends early goes
// on with zeros. result is as long as the longest source.
func combine(result []byte, sources [][]byte, op int64) {
	copy(result, sources[0])
	if op == bitNot {
		invert(result)
		return
	}
	for _, s := range sources[1:] {
		join(result, s, op)
		if op == bitAnd {
			clear(result[len(s):])
		}
	}
}

func invert(b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, ^binary.LittleEndian.Uint64(b))
	}
	for i := range b {
		b[i] = ^b[i]
	}
}

// join puts the bits of s into those of to, which is not shorter.
func join(to, s []byte, op int64) {
	for ; len(s) >= 8; s, to = s[8:], to[8:] {
		a, b := binary.LittleEndian.Uint64(to), binary.LittleEndian.Uint64(s)
		switch op {
		case bitAnd:
			a &= b
		case bitOr:
			a |= b
		default:
			a ^= b
		}
		binary.LittleEndian.PutUint64(to, a)
	}
	for i, c := range s {
		switch op {
		case bitAnd:
			to[i] &= c
		case bitOr:
			to[i] |= c
		default:
			to[i] ^= c
		}
	}
}
