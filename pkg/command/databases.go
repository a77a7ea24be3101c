package command

import (
	"math"

	"kvstored/pkg/batch"
	"kvstored/pkg/resp"
)

// planMove keeps the target database in Num.
func planMove(c *Call) {
	db, ok := c.database(2)
	if !ok {
		return
	}
	if db == c.Session.DB {
		c.Fail("ERR source and destination objects are the same")
		return
	}
	c.Keep()
	c.Reply.Num = int64(db)
	c.Reply.Step = stepMove
}

func stepMove(x *Exec, r *Reply) {
	key, target := r.Args[1], uint32(r.Num)
	src := x.Batch.Get(r.DB, key)
	defer x.releaseAll()
	dst := x.Batch.Meta(target, key)
	if !x.run(r) {
		return
	}
	if x.Batch.Op(src).Status == batch.NotFound || x.Batch.Op(dst).Status == batch.OK {
		x.W.Int(0)
		return
	}
	x.put(target, key, x.Batch.Op(src), batch.WithNext)
	x.Batch.Delete(r.DB, key)
	if x.run(r) {
		x.W.Int(1)
	}
}

// swapSlice is how many keys SWAPDB exchanges at once.
const swapSlice = 64

// planSwapdb keeps the databases in Num and Offset.
func planSwapdb(c *Call) {
	var db [2]int64
	for i, text := range []string{"ERR invalid first DB index", "ERR invalid second DB index"} {
		n, ok := parseInt(c.Args[i+1])
		if !ok || n != int64(int32(n)) {
			c.Fail(text)
			return
		}
		db[i] = n
	}
	for _, n := range db {
		if n < 0 || n >= Databases {
			c.Fail("ERR DB index is out of range")
			return
		}
	}
	c.Reply.Num, c.Reply.Offset = db[0], db[1]
	c.Reply.Step = stepSwapdb
}

// stepSwapdb exchanges the entries of two databases key by key: an engine knows
// spaces, not their names. When it fails half way the exchanges made are made
// again, which undoes them.
func stepSwapdb(x *Exec, r *Reply) {
	a, b := uint32(r.Num), uint32(r.Offset)
	if a == b {
		x.W.Raw(replyOK)
		return
	}
	keys, ok := x.keysOfBoth(a, b)
	if !ok {
		return
	}
	for from := 0; from < len(keys); from += swapSlice {
		if x.exchange(r, a, b, keys[from:min(from+swapSlice, len(keys))]) {
			continue
		}
		quiet := *x
		quiet.W = &resp.Writer{}
		for ; from > 0; from -= swapSlice {
			quiet.exchange(r, a, b, keys[from-swapSlice:from])
		}
		return
	}
	x.W.Raw(replyOK)
}

// keysOfBoth is every key of two databases, once.
func (x *Exec) keysOfBoth(a, b uint32) (keys [][]byte, ok bool) {
	inFirst := map[string]bool{}
	add := func(it *batch.Item) bool {
		key := string(it.KeyBytes())
		if !inFirst[key] {
			inFirst[key] = true
			keys = append(keys, []byte(key))
		}
		return true
	}
	return keys, x.walk(a, add) && x.walk(b, add)
}

// exchange swaps the entries of some keys; false: not all of them could be,
// and the error is the reply. A slice that fails is put back as it was.
func (x *Exec) exchange(r *Reply, a, b uint32, keys [][]byte) bool {
	x.Batch.Reset()
	x.ran = 0
	defer x.releaseAll()
	copies := make([][]byte, len(keys))
	for i, key := range keys {
		copies[i] = x.Batch.Scratch.Copy(key)
		x.Batch.Get(a, copies[i])
		x.Batch.Get(b, copies[i])
	}
	if !x.run(r) {
		return false
	}
	for i, key := range copies { // nothing is deleted before everything is in its new place
		inA, inB := x.Batch.Op(2*i), x.Batch.Op(2*i+1)
		if inA.Status == batch.OK {
			x.put(b, key, inA, 0)
		}
		if inB.Status == batch.OK {
			x.put(a, key, inB, 0)
		}
	}
	if !x.run(r) {
		for i, key := range copies {
			x.move(a, key, x.Batch.Op(2*i))
			x.move(b, key, x.Batch.Op(2*i+1))
		}
		_ = x.Run() // the error is told already
		return false
	}
	for i, key := range copies {
		inA, inB := x.Batch.Op(2*i).Status, x.Batch.Op(2*i+1).Status
		if inA == batch.OK && inB != batch.OK {
			x.Batch.Delete(a, key)
		}
		if inB == batch.OK && inA != batch.OK {
			x.Batch.Delete(b, key)
		}
	}
	return x.run(r)
}

// move makes key what the Get o found, nothing included.
func (x *Exec) move(space uint32, key []byte, o *batch.Op) {
	if o.Status == batch.OK {
		x.put(space, key, o, 0)
	} else {
		x.Batch.Delete(space, key)
	}
}

// planWait answers at once: there is no replica to wait for.
func planWait(c *Call) {
	if _, ok := c.integer(1); ok && c.timeout(2) {
		c.Answer(func(w *resp.Writer) { w.Int(0) })
	}
}

// timeout checks argument i as a time in milliseconds.
func (c *Call) timeout(i int) bool {
	n, ok := parseInt(c.Args[i])
	switch {
	case !ok:
		c.Fail("ERR timeout is not an integer or out of range")
	case n < 0:
		c.Fail("ERR timeout is negative")
	case n > math.MaxInt64-c.Now:
		c.Fail("ERR timeout is out of range")
	default:
		return true
	}
	return false
}

func planWaitaof(c *Call) {
	local, ok := c.integer(1)
	if !ok {
		return
	}
	if local < 0 || local > 1 {
		c.Fail("ERR value is out of range, value must between 0 and 1")
		return
	}
	if n, ok := parseInt(c.Args[2]); !ok || n < 0 {
		c.Fail("ERR value is out of range, must be positive")
		return
	}
	if !c.timeout(3) {
		return
	}
	if local > 0 {
		c.Fail("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")
		return
	}
	c.Answer(func(w *resp.Writer) {
		w.Array(2)
		w.Int(0)
		w.Int(0)
	})
}
