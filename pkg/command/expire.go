package command

import (
	"fmt"
	"math"

	"kvstored/pkg/batch"
	"kvstored/pkg/resp"
)

func planExpire(c *Call)    { c.expire(c.Now, true) }
func planPexpire(c *Call)   { c.expire(c.Now, false) }
func planExpireat(c *Call)  { c.expire(0, true) }
func planPexpireat(c *Call) { c.expire(0, false) }

// expire plans EXPIRE and its kin: a time after base, in seconds or milliseconds.
func (c *Call) expire(base int64, seconds bool) {
	flags, ok := c.expireOptions()
	if !ok {
		return
	}
	when, ok := c.integer(2)
	if !ok {
		return
	}
	if seconds {
		if when > math.MaxInt64/1000 || when < math.MinInt64/1000 {
			c.wrongExpiry()
			return
		}
		when *= 1000
	}
	if when > math.MaxInt64-base {
		c.wrongExpiry()
		return
	}
	op, a := c.Batch.Update(c.Session.DB, c.Args[1], batch.FuncExpire)
	a.Expiry, a.Now, a.Flags = when+base, c.Now, flags
	c.Reply.Op, c.Reply.Render = op, renderDone
}

func (c *Call) expireOptions() (uint64, bool) {
	var flags uint64
	for _, opt := range c.Args[3:] {
		switch {
		case isWord(opt, "nx"):
			flags |= batch.ExpireNX
		case isWord(opt, "xx"):
			flags |= batch.ExpireXX
		case isWord(opt, "gt"):
			flags |= batch.ExpireGT
		case isWord(opt, "lt"):
			flags |= batch.ExpireLT
		default:
			c.Fail(fmt.Sprintf("ERR Unsupported option %s", cString(opt)))
			return 0, false
		}
	}
	if flags&batch.ExpireNX != 0 && flags != batch.ExpireNX {
		c.Fail("ERR NX and XX, GT or LT options at the same time are not compatible")
		return 0, false
	}
	if flags&batch.ExpireGT != 0 && flags&batch.ExpireLT != 0 {
		c.Fail("ERR GT and LT options at the same time are not compatible")
		return 0, false
	}
	return flags, true
}

func planPersist(c *Call) {
	op, a := c.Batch.Update(c.Session.DB, c.Args[1], batch.FuncPersist)
	a.Now = c.Now
	c.Reply.Op, c.Reply.Render = op, renderDone
}

func planTTL(c *Call)         { c.meta(renderTTL) }
func planPTTL(c *Call)        { c.meta(renderPTTL) }
func planExpiretime(c *Call)  { c.meta(renderExpiretime) }
func planPexpiretime(c *Call) { c.meta(renderPexpiretime) }

func renderTTL(w *resp.Writer, b *batch.Batch, r *Reply) {
	if o := b.Op(r.Op); timed(w, o, r) {
		w.Int(nearestSecond(max(o.Expiry-r.Num, 0)))
	}
}

func renderPTTL(w *resp.Writer, b *batch.Batch, r *Reply) {
	if o := b.Op(r.Op); timed(w, o, r) {
		w.Int(max(o.Expiry-r.Num, 0))
	}
}

func renderExpiretime(w *resp.Writer, b *batch.Batch, r *Reply) {
	if o := b.Op(r.Op); timed(w, o, r) {
		w.Int(nearestSecond(o.Expiry))
	}
}

func renderPexpiretime(w *resp.Writer, b *batch.Batch, r *Reply) {
	if o := b.Op(r.Op); timed(w, o, r) {
		w.Int(o.Expiry)
	}
}

// nearestSecond rounds milliseconds, not negative, as Redis does; the largest
// there are do not overflow.
func nearestSecond(ms int64) int64 { return int64((uint64(ms) + 500) / 1000) }

// timed tells whether the entry has an expiry time; else it writes the reply.
func timed(w *resp.Writer, o *batch.Op, r *Reply) bool {
	switch {
	case failed(w, o, r):
	case o.Status == batch.NotFound:
		w.Int(-2)
	case o.Expiry == 0:
		w.Int(-1)
	default:
		return true
	}
	return false
}
