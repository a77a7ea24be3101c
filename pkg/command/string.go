package command

import (
	"math"

	"kvstored/pkg/batch"
	"kvstored/pkg/resp"
)

// MaxString is the longest value that APPEND and SETRANGE may make, Redis's
// proto-max-bulk-len.
const MaxString = resp.MaxBulk

const tooLong = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"

func planGet(c *Call) {
	c.Reply.Op = c.Batch.Get(c.Session.DB, c.Args[1])
	c.Reply.Render = renderGet
}

func renderGet(w *resp.Writer, b *batch.Batch, r *Reply) {
	o := b.Op(r.Op)
	if o.Status == batch.OK && o.Pin == 0 && o.ValueLen < resp.RefLength {
		w.Bulk(o.ValueBytes()) // as writeGot would
		return
	}
	writeGot(w, o, r)
}

// writeGot writes the value of a Get, null for a missing key, or its error.
func writeGot(w *resp.Writer, o *batch.Op, r *Reply) {
	switch o.Status {
	case batch.OK:
		w.Value(o.ValueBytes(), o.Pin)
	case batch.NotFound:
		w.Null()
	default:
		failed(w, o, r)
	}
}

func planMget(c *Call) {
	c.Reply.Op, c.Reply.N = c.Batch.Len(), len(c.Args)-1
	for _, key := range c.Args[1:] {
		c.Batch.Get(c.Session.DB, key)
	}
	c.Reply.Render = renderMget
}

func renderMget(w *resp.Writer, b *batch.Batch, r *Reply) {
	w.Array(r.N)
	for i := r.Op; i < r.Op+r.N; i++ {
		writeGot(w, b.Op(i), r)
	}
}

func planMset(c *Call) {
	if len(c.Args)%2 == 0 {
		c.wrongArity()
		return
	}
	c.Reply.Op, c.Reply.N = c.Batch.Len(), (len(c.Args)-1)/2
	for i := 1; i < len(c.Args); i += 2 {
		flags := uint16(batch.WithNext)
		if i+2 == len(c.Args) {
			flags = 0
		}
		c.Batch.Set(c.Session.DB, c.Args[i], c.Args[i+1], 0, 0, flags)
	}
	c.Reply.Render = renderAllOK
}

// renderAllOK answers OK when every operation was carried out.
func renderAllOK(w *resp.Writer, b *batch.Batch, r *Reply) {
	for i := r.Op; i < r.Op+r.N; i++ {
		if failed(w, b.Op(i), r) {
			return
		}
	}
	w.Raw(replyOK)
}

func planMsetnx(c *Call) {
	if len(c.Args)%2 == 0 {
		c.wrongArity()
		return
	}
	c.Keep()
	c.Reply.Step = stepMsetnx
}

func stepMsetnx(x *Exec, r *Reply) {
	for i := 1; i < len(r.Args); i += 2 {
		x.Batch.Meta(r.DB, r.Args[i])
	}
	n := x.Batch.Len()
	if !x.run(r) {
		return
	}
	for i := 0; i < n; i++ {
		if x.Batch.Op(i).Status == batch.OK {
			x.W.Int(0)
			return
		}
	}
	for i := 1; i < len(r.Args); i += 2 {
		flags := uint16(batch.WithNext)
		if i+2 == len(r.Args) {
			flags = 0
		}
		x.Batch.Set(r.DB, r.Args[i], r.Args[i+1], 0, 0, flags)
	}
	if x.run(r) {
		x.W.Int(1)
	}
}

// planStrlen and the others below ask for the entry without its value.
func planStrlen(c *Call) { c.meta(renderStrlen) }
func planType(c *Call)   { c.meta(renderType) }

func (c *Call) meta(render func(*resp.Writer, *batch.Batch, *Reply)) {
	c.Reply.Op = c.Batch.Meta(c.Session.DB, c.Args[1])
	c.Reply.Num = c.Now
	c.Reply.Render = render
}

func renderStrlen(w *resp.Writer, b *batch.Batch, r *Reply) {
	o := b.Op(r.Op)
	switch {
	case failed(w, o, r):
	case o.Status == batch.NotFound:
		w.Int(0)
	default:
		w.Int(int64(o.ValueLen))
	}
}

func renderType(w *resp.Writer, b *batch.Batch, r *Reply) {
	o := b.Op(r.Op)
	switch {
	case failed(w, o, r):
	case o.Status == batch.NotFound:
		w.Status("none")
	default:
		w.Status("string")
	}
}

func planGetrange(c *Call) {
	start, ok := c.integer(2)
	if !ok {
		return
	}
	end, ok := c.integer(3)
	if !ok {
		return
	}
	switch {
	case start < 0 && end < 0 && start > end, start >= 0 && end >= 0 && start > end:
		// Nothing, whatever is there; but an engine that cannot use this
		// database says so.
		c.Reply.Op = c.Batch.GetRange(c.Session.DB, c.Args[1], 0, 0)
		c.Reply.Render = renderNothing
	case start >= 0 && end >= 0:
		n := uint64(end-start) + 1
		c.Reply.Op = c.Batch.GetRange(c.Session.DB, c.Args[1], uint64(start), n)
		c.Reply.Render = renderRange
	default:
		// Counted from the end: cut when the value is known.
		c.Reply.Op = c.Batch.Get(c.Session.DB, c.Args[1])
		c.Reply.Num = start
		c.Reply.Offset = end
		c.Reply.Render = renderCut
	}
}

func renderNothing(w *resp.Writer, b *batch.Batch, r *Reply) {
	if o := b.Op(r.Op); !failed(w, o, r) {
		w.Value(nil, o.Pin)
	}
}

func renderRange(w *resp.Writer, b *batch.Batch, r *Reply) {
	o := b.Op(r.Op)
	switch {
	case failed(w, o, r):
	case o.Status == batch.NotFound:
		w.Bulk(nil)
	default:
		w.Value(o.ValueBytes(), o.Pin)
	}
}

// renderCut answers GETRANGE with an end that counts from the last byte.
func renderCut(w *resp.Writer, b *batch.Batch, r *Reply) {
	o := b.Op(r.Op)
	switch {
	case failed(w, o, r):
		return
	case o.Status == batch.NotFound:
		w.Bulk(nil)
		return
	}
	value := o.ValueBytes()
	from, to := span(r.Num, r.Offset, int64(len(value)))
	w.Value(value[from:to], o.Pin)
}

// span turns Redis's start and end, both inclusive and negative from the end,
// into a half-open range of n bytes.
func span(start, end, n int64) (from, to int64) {
	if start < 0 {
		start = max(start+n, 0)
	}
	if end < 0 {
		end = max(end+n, 0)
	}
	end = min(end, n-1)
	if start > end || n == 0 {
		return 0, 0
	}
	return start, end + 1
}

func planAppend(c *Call) {
	op, a := c.Batch.Update(c.Session.DB, c.Args[1], batch.FuncAppend)
	a.SetValue(c.Args[2])
	a.Limit = MaxString
	c.Reply.Op, c.Reply.Render = op, renderResult
}

func planSetrange(c *Call) {
	offset, ok := c.integer(2)
	if !ok {
		return
	}
	if offset < 0 {
		c.Fail("ERR offset is out of range")
		return
	}
	value := c.Args[3]
	if len(value) == 0 {
		// Changes nothing, creates nothing, and has no limit.
		c.meta(renderStrlen)
		return
	}
	if offset > MaxString-int64(len(value)) {
		c.Fail(tooLong)
		return
	}
	op, a := c.Batch.Update(c.Session.DB, c.Args[1], batch.FuncSetRange)
	a.SetValue(value)
	a.Offset, a.Limit = uint64(offset), MaxString
	c.Reply.Op, c.Reply.Render = op, renderResult
}

// updated is what the update function of a reply's operation left; when it was
// not made the error is the reply, and nil returned.
func updated(w *resp.Writer, b *batch.Batch, r *Reply) *batch.Arg {
	o := b.Op(r.Op)
	if failed(w, o, r) {
		return nil
	}
	a := o.Args()
	if a.Outcome != batch.Done && a.Outcome != batch.Same {
		w.Error(outcomeError(a.Outcome))
		return nil
	}
	return a
}

// renderResult answers with the number that an update function left.
func renderResult(w *resp.Writer, b *batch.Batch, r *Reply) {
	if a := updated(w, b, r); a != nil {
		w.Int(a.Result)
	}
}

// outcomeError is the error that an update function came to.
func outcomeError(o batch.Outcome) string {
	switch o {
	case batch.NotInteger:
		return notInteger
	case batch.Overflow:
		return "ERR increment or decrement would overflow"
	case batch.NotFloat:
		return "ERR value is not a valid float"
	case batch.NaN:
		return "ERR increment would produce NaN or Infinity"
	case batch.TooLong:
		return tooLong
	case batch.NotHLL:
		return notHLL
	case batch.BrokenHLL:
		return brokenHLL
	case batch.NoMemory:
		return outOfMemory
	}
	return "ERR the update was not made"
}

func planIncr(c *Call) { c.incr(1) }
func planDecr(c *Call) { c.incr(-1) }

func planIncrby(c *Call) {
	if by, ok := c.integer(2); ok {
		c.incr(by)
	}
}

func planDecrby(c *Call) {
	by, ok := c.integer(2)
	if !ok {
		return
	}
	if by == math.MinInt64 {
		c.Fail("ERR decrement would overflow")
		return
	}
	c.incr(-by)
}

func (c *Call) incr(by int64) {
	op, a := c.Batch.Update(c.Session.DB, c.Args[1], batch.FuncIncr)
	a.Number = by
	c.Reply.Op, c.Reply.Render = op, renderResult
}

func planIncrbyfloat(c *Call) {
	op, a := c.Batch.Update(c.Session.DB, c.Args[1], batch.FuncIncrFloat)
	a.SetValue(c.Args[2])
	c.Reply.Op, c.Reply.Render = op, renderFloat
}

func renderFloat(w *resp.Writer, b *batch.Batch, r *Reply) {
	if a := updated(w, b, r); a != nil {
		w.Bulk(a.OldBytes())
	}
}
