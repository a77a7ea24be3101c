package command

import (
	"math"

	"kvstored/pkg/batch"
	"kvstored/pkg/resp"
)

// Options of SET and GETEX.
const (
	optNX = 1 << iota
	optXX
	optGet
	optKeepTTL
	optPersist
	optEX
	optPX
	optEXAT
	optPXAT
	optIfEq
	optIfNe
	optIfDigestEq
	optIfDigestNe

	optTimes      = optEX | optPX | optEXAT | optPXAT
	optDigest     = optIfDigestEq | optIfDigestNe
	optCompare    = optIfEq | optIfNe | optDigest
	optConditions = optNX | optXX | optCompare
)

const syntaxError = "ERR syntax error"

// replyOK never changes.
var replyOK = []byte("+OK\r\n")

func planSet(c *Call) {
	if len(c.Args) == 3 {
		c.Reply.Op = c.Batch.Set(c.Session.DB, c.Args[1], c.Args[2], 0, 0, 0)
		c.Reply.Render = renderSet
		return
	}
	opts, at, ok := c.options(3, optConditions|optGet|optKeepTTL|optTimes)
	if !ok {
		return
	}
	var expiry int64
	if at.time != 0 {
		if expiry, ok = c.expiry(at.time, opts); !ok {
			return
		}
	}
	if opts&optDigest != 0 && !isDigest(c.Args[at.compare]) {
		c.setByWrongDigest(opts, expiry)
		return
	}
	c.set(c.Args[1], c.Args[2], opts, expiry)
	if opts&optCompare != 0 {
		c.Batch.Op(c.Batch.Len() - 1).Args().SetCompare(c.Args[at.compare])
	}
}

// set plans what SET with these options does, and its reply.
func (c *Call) set(key, value []byte, opts uint32, expiry int64) {
	switch {
	case opts&(optConditions|optGet) != 0:
		var a *batch.Arg
		if opts&optGet != 0 {
			a = c.getBefore(key, batch.FuncSet)
		} else {
			c.Reply.Op, a = c.Batch.Update(c.Session.DB, key, batch.FuncSet)
			c.Reply.Render = renderSetIf
		}
		a.SetValue(value)
		a.Expiry, a.Now, a.Flags = expiry, c.Now, setFlags(opts)
	case expiry != 0 && expiry < c.Now:
		c.Reply.Op = c.Batch.Gone(c.Session.DB, key)
		c.Reply.Render = renderSet
	default:
		flags := uint16(0)
		if opts&optKeepTTL != 0 {
			flags = batch.KeepExpiry
		}
		c.Reply.Op = c.Batch.Set(c.Session.DB, key, value, expiry, 0, flags)
		c.Reply.Render = renderSet
	}
}

func setFlags(opts uint32) uint64 {
	var flags uint64
	if opts&optNX != 0 {
		flags |= batch.IfAbsent
	}
	if opts&optXX != 0 {
		flags |= batch.IfPresent
	}
	if opts&(optIfEq|optIfDigestEq) != 0 {
		flags |= batch.IfEqual
	}
	if opts&(optIfNe|optIfDigestNe) != 0 {
		flags |= batch.IfDifferent
	}
	if opts&optDigest != 0 {
		flags |= batch.ByDigest
	}
	if opts&optKeepTTL != 0 {
		flags |= batch.KeepTTL
	}
	return flags
}

// optionValues is which arguments hold an option's time and the value to
// compare with; 0 for none.
type optionValues struct{ time, compare int }

// options reads the options from argument i on, of those allowed; duplicates
// are fine, the last time counts, as in Redis; at is where their values are.
func (c *Call) options(i int, allowed uint32) (opts uint32, at optionValues, ok bool) {
	for ; i < len(c.Args); i++ {
		bit := option(c.Args[i]) & allowed
		switch {
		case bit&optTimes != 0 && i+1 < len(c.Args) && opts&(optKeepTTL|optPersist|optTimes&^bit) == 0:
			i++
			at.time = i
		case bit&optCompare != 0 && i+1 < len(c.Args) && opts&optConditions == 0:
			i++
			at.compare = i
		case bit&(optNX|optXX) != 0 && opts&optConditions&^bit == 0:
		case bit&(optKeepTTL|optPersist) != 0 && opts&optTimes == 0:
		case bit&optGet != 0:
		default:
			c.Fail(syntaxError)
			return 0, at, false
		}
		opts |= bit
	}
	return opts, at, true
}

// option is the bit of an option, 0 when it is none.
func option(b []byte) uint32 {
	switch b = cString(b); len(b) {
	case 2:
		switch (uint32(b[0])<<8 | uint32(b[1])) | 0x2020 {
		case 'n'<<8 | 'x':
			return optNX
		case 'x'<<8 | 'x':
			return optXX
		case 'e'<<8 | 'x':
			return optEX
		case 'p'<<8 | 'x':
			return optPX
		}
	case 3:
		if equalFold(b, "get") {
			return optGet
		}
	case 4:
		switch {
		case equalFold(b, "exat"):
			return optEXAT
		case equalFold(b, "pxat"):
			return optPXAT
		case equalFold(b, "ifeq"):
			return optIfEq
		case equalFold(b, "ifne"):
			return optIfNe
		}
	case 5:
		switch {
		case equalFold(b, "ifdeq"):
			return optIfDigestEq
		case equalFold(b, "ifdne"):
			return optIfDigestNe
		}
	case 7:
		switch {
		case equalFold(b, "keepttl"):
			return optKeepTTL
		case equalFold(b, "persist"):
			return optPersist
		}
	}
	return 0
}

// expiry reads argument i as the time of an option, and returns when that is.
func (c *Call) expiry(i int, opts uint32) (int64, bool) {
	t, ok := c.integer(i)
	if !ok {
		return 0, false
	}
	seconds := opts&(optEX|optEXAT) != 0
	if t <= 0 || seconds && t > math.MaxInt64/1000 {
		c.wrongExpiry()
		return 0, false
	}
	if seconds {
		t *= 1000
	}
	if opts&(optEX|optPX) != 0 {
		t += c.Now
	}
	if t <= 0 { // went over the end
		c.wrongExpiry()
		return 0, false
	}
	return t, true
}

func (c *Call) wrongExpiry() {
	c.Fail("ERR invalid expire time in '" + c.Cmd.full + "' command")
}

func renderSet(w *resp.Writer, b *batch.Batch, r *Reply) {
	if o := b.Op(r.Op); o.Status == batch.OK || !failed(w, o, r) {
		w.Raw(replyOK)
	}
}

// renderSetIf answers OK, or null when the condition did not hold.
func renderSetIf(w *resp.Writer, b *batch.Batch, r *Reply) {
	o := b.Op(r.Op)
	switch {
	case failed(w, o, r):
	case noMemory(w, o):
	case o.Args().Outcome == batch.Done:
		w.Raw(replyOK)
	default:
		w.Null()
	}
}

// getBefore plans to read the value that fn then changes or removes, for the
// reply. An operation of its own: a large value is pinned, and written from where
// it lies when its entry has gone. What cannot be read is not changed.
func (c *Call) getBefore(key []byte, fn batch.Func) *batch.Arg {
	c.Reply.Op = c.Batch.Get(c.Session.DB, key)
	c.Reply.Render = renderBefore
	_, a := c.Batch.Update(c.Session.DB, key, fn)
	a.SetGot(c.Batch.Op(c.Reply.Op))
	return a
}

// renderBefore answers with the value that was there before, or null.
func renderBefore(w *resp.Writer, b *batch.Batch, r *Reply) {
	got, then := b.Op(r.Op), b.Op(r.Op+1)
	lacks := got.Status != batch.OK && got.Status != batch.NotFound
	if !lacks && (failed(w, then, r) || noMemory(w, then)) {
		if got.Status == batch.OK {
			w.Drop(got.Pin)
		}
		return
	}
	writeGot(w, got, r)
}

// noMemory writes the error of an update function that had no memory.
func noMemory(w *resp.Writer, o *batch.Op) bool {
	if o.Args().Outcome != batch.NoMemory {
		return false
	}
	w.Error(outcomeError(batch.NoMemory))
	return true
}

func planSetnx(c *Call) {
	c.set(c.Args[1], c.Args[2], optNX, 0)
	c.Reply.Render = renderDone
}

// renderDone answers 1 when the update was made, else 0.
func renderDone(w *resp.Writer, b *batch.Batch, r *Reply) {
	o := b.Op(r.Op)
	switch {
	case failed(w, o, r):
	case noMemory(w, o):
	case o.Args().Outcome == batch.Done && o.Status == batch.OK:
		w.Int(1)
	default:
		w.Int(0)
	}
}

func planSetex(c *Call)  { c.setex(optEX) }
func planPsetex(c *Call) { c.setex(optPX) }

func (c *Call) setex(opt uint32) {
	if t, ok := c.expiry(2, opt); ok {
		c.set(c.Args[1], c.Args[3], opt, t)
	}
}

func planGetset(c *Call) { c.set(c.Args[1], c.Args[2], optGet, 0) }

func planGetdel(c *Call) {
	c.getBefore(c.Args[1], batch.FuncGetDel).Now = c.Now
}

func planGetex(c *Call) {
	opts, at, ok := c.options(2, optPersist|optTimes)
	if !ok {
		return
	}
	if opts == 0 {
		planGet(c)
		return
	}
	var expiry int64
	if at.time != 0 {
		if expiry, ok = c.expiry(at.time, opts); !ok {
			c.failIfThere()
			return
		}
	}
	a := c.getBefore(c.Args[1], batch.FuncGetEx)
	a.Now, a.Expiry = c.Now, expiry
	if opts&optPersist != 0 {
		a.Flags = batch.Persist
	}
}

// failIfThere makes the error that is the reply depend on the key: without it
// the reply is null. GETEX looks for the key before it looks at the time.
func (c *Call) failIfThere() {
	text := c.Reply.Fixed
	c.Reply.Fixed = nil
	c.Reply.Op = c.Batch.Meta(c.Session.DB, c.Args[1])
	c.Reply.Data = text
	c.Reply.Render = renderIfThere
}

func renderIfThere(w *resp.Writer, b *batch.Batch, r *Reply) {
	if r.there(w, b) {
		w.Raw(r.Data)
	}
}
