package command

import (
	"bytes"

	"kvstored/pkg/batch"
	"kvstored/pkg/resp"
)

// Databases is how many numbered databases there are.
const Databases = 16

// CapSpaces is KV_CAP_SPACES: the engine keeps databases apart.
const CapSpaces = 1 << 2

const noSuchKey = "ERR no such key"

// run carries out what the step has added and answers with the first error;
// it tells whether all went well (a missing key is well).
func (x *Exec) run(r *Reply) bool {
	from := x.ran
	if err := x.Run(); err != nil {
		x.W.Error("ERR " + err.Error())
		return false
	}
	for i := from; i < x.Batch.Len(); i++ {
		if failed(x.W, x.Batch.Op(i), r) {
			return false
		}
	}
	return true
}

// release gives the pin of operation i back, if it has one.
func (x *Exec) release(i int) {
	if o := x.Batch.Op(i); o.Pin != 0 {
		x.Release(o.Pin)
		o.Pin = 0
	}
}

func planDel(c *Call) {
	c.Reply.Op, c.Reply.N = c.Batch.Len(), len(c.Args)-1
	last := len(c.Args) - 1
	for i := 1; i <= last; i++ {
		op := c.Batch.Delete(c.Session.DB, c.Args[i])
		if i < last {
			c.Batch.Op(op).Flags = batch.WithNext
		}
	}
	c.Reply.Render = renderCount
}

func planExists(c *Call) {
	c.Reply.Op, c.Reply.N = c.Batch.Len(), len(c.Args)-1
	for _, key := range c.Args[1:] {
		c.Batch.Meta(c.Session.DB, key)
	}
	c.Reply.Render = renderCount
}

// renderCount answers how many operations found their key.
func renderCount(w *resp.Writer, b *batch.Batch, r *Reply) {
	var n int64
	for i := r.Op; i < r.Op+r.N; i++ {
		o := b.Op(i)
		if o.Status == batch.OK {
			n++
		} else if failed(w, o, r) {
			return
		}
	}
	w.Int(n)
}

func planRename(c *Call) {
	c.Keep()
	c.Reply.Step = stepRename
}

func stepRename(x *Exec, r *Reply) { x.rename(r, false) }

func planRenamenx(c *Call) {
	c.Keep()
	c.Reply.Step = stepRenamenx
}

func stepRenamenx(x *Exec, r *Reply) { x.rename(r, true) }

// rename moves an entry with its value, expiry and tag to another key.
func (x *Exec) rename(r *Reply, ifAbsent bool) {
	from, to := r.Args[1], r.Args[2]
	src := x.Batch.Get(r.DB, from)
	defer x.releaseAll()
	dst := x.Batch.Meta(r.DB, to)
	if !x.run(r) {
		return
	}
	switch {
	case x.Batch.Op(src).Status == batch.NotFound:
		x.W.Error(noSuchKey)
		return
	case ifAbsent && x.Batch.Op(dst).Status == batch.OK: // the same key included
		x.W.Int(0)
		return
	case bytes.Equal(from, to):
		x.W.Raw(replyOK)
		return
	}
	x.put(r.DB, to, x.Batch.Op(src), batch.WithNext)
	x.Batch.Delete(r.DB, from)
	switch {
	case !x.run(r):
	case ifAbsent:
		x.W.Int(1)
	default:
		x.W.Raw(replyOK)
	}
}

// put sets key to what the Get o found.
func (x *Exec) put(space uint32, key []byte, o *batch.Op, flags uint16) {
	x.Batch.Set(space, key, o.ValueBytes(), o.Expiry, o.Tag, flags)
}

// releaseAll gives every pin of the step back.
func (x *Exec) releaseAll() {
	for i := range x.ran {
		x.release(i)
	}
}

// planCopy keeps the target database in Num, and in Offset whether to replace.
func planCopy(c *Call) {
	c.Reply.Num = int64(c.Session.DB)
	for i := 3; i < len(c.Args); i++ {
		switch {
		case isWord(c.Args[i], "replace"):
			c.Reply.Offset = 1
		case isWord(c.Args[i], "db") && i+1 < len(c.Args):
			i++
			db, ok := c.database(i)
			if !ok {
				return
			}
			c.Reply.Num = int64(db)
		default:
			c.Fail(syntaxError)
			return
		}
	}
	if c.Reply.Num == int64(c.Session.DB) && bytes.Equal(c.Args[1], c.Args[2]) {
		c.Fail("ERR source and destination objects are the same")
		return
	}
	c.Keep()
	c.Reply.Step = stepCopy
}

func stepCopy(x *Exec, r *Reply) {
	target := uint32(r.Num)
	defer x.releaseAll()
	src := x.Batch.Get(r.DB, r.Args[1])
	dst := x.Batch.Meta(target, r.Args[2])
	if !x.run(r) {
		return
	}
	if x.Batch.Op(src).Status == batch.NotFound || r.Offset == 0 && x.Batch.Op(dst).Status == batch.OK {
		x.W.Int(0)
		return
	}
	x.put(target, r.Args[2], x.Batch.Op(src), 0)
	if x.run(r) {
		x.W.Int(1)
	}
}

// database reads argument i as the number of a database.
func (c *Call) database(i int) (uint32, bool) {
	db, ok := c.int32(i)
	if !ok {
		return 0, false
	}
	if db < 0 || db >= Databases {
		c.Fail("ERR DB index is out of range")
		return 0, false
	}
	return uint32(db), true
}

func planDbsize(c *Call) { c.Reply.Step = stepDbsize }

func stepDbsize(x *Exec, r *Reply) {
	stat, err := x.Store.Stat(r.DB)
	if err != nil {
		x.W.Error("ERR " + err.Error())
		return
	}
	x.W.Int(int64(stat.Entries))
}

func planFlushdb(c *Call) {
	if !c.flushMode() {
		return
	}
	c.Reply.Op, c.Reply.N = c.Batch.Clear(c.Session.DB), 1
	c.Reply.Render = renderAllOK
}

func planFlushall(c *Call) {
	if c.flushMode() {
		c.Reply.Step = stepFlushall
	}
}

// flushMode checks SYNC and ASYNC, which make no difference: clearing takes
// the same short time whatever there is.
func (c *Call) flushMode() bool {
	if len(c.Args) == 1 || len(c.Args) == 2 && (isWord(c.Args[1], "sync") || isWord(c.Args[1], "async")) {
		return true
	}
	c.Fail(syntaxError)
	return false
}

func stepFlushall(x *Exec, r *Reply) {
	spaces := 1
	if x.Store.Has(CapSpaces) {
		spaces = Databases
	}
	for i := range spaces {
		op := x.Batch.Clear(uint32(i))
		if i+1 < spaces {
			x.Batch.Op(op).Flags = batch.WithNext
		}
	}
	if x.run(r) {
		x.W.Raw(replyOK)
	}
}
