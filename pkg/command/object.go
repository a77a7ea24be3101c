package command

import (
	"kvstored/pkg/batch"
	"kvstored/pkg/resp"
)

var objectHelp = []string{
	"ENCODING <key>",
	"    Return the kind of internal representation used in order to store the value",
	"    associated with a <key>.",
	"FREQ <key>",
	"    Return the access frequency index of the <key>. The returned integer is",
	"    proportional to the logarithm of the recent access frequency of the key.",
	"IDLETIME <key>",
	"    Return the idle time of the <key>, that is the approximated number of",
	"    seconds elapsed since the last access to the key.",
	"REFCOUNT <key>",
	"    Return the number of references of the value associated with the specified",
	"    <key>.",
}

const (
	shortString = 44 // bytes up to which Redis keeps a value and its head together
	longNumber  = 20 // bytes of the longest number
	sharedMost  = 9999
	sharedRefs  = 1<<31 - 1 // of a number that Redis keeps once for all
)

// object plans a question about a value: how long it is, and the beginning
// that shows whether it is a number.
func (c *Call) object(render func(*resp.Writer, *batch.Batch, *Reply)) {
	c.Reply.Op = c.Batch.Meta(c.Session.DB, c.Args[2])
	c.Batch.GetRange(c.Session.DB, c.Args[2], 0, longNumber)
	c.Reply.Render = render
}

// there tells whether the entry is there; else it writes the reply.
func (r *Reply) there(w *resp.Writer, b *batch.Batch) bool {
	o := b.Op(r.Op)
	switch {
	case failed(w, o, r):
	case o.Status == batch.NotFound:
		w.Null()
	default:
		return true
	}
	return false
}

// number is the value as a number, where it is one.
func (r *Reply) number(b *batch.Batch) (int64, bool) {
	start := b.Op(r.Op + 1)
	if start.Status != batch.OK || b.Op(r.Op).ValueLen > longNumber {
		return 0, false
	}
	return parseInt(start.ValueBytes())
}

func planObjectEncoding(c *Call) { c.object(renderEncoding) }

func renderEncoding(w *resp.Writer, b *batch.Batch, r *Reply) {
	if !r.there(w, b) {
		return
	}
	if _, ok := r.number(b); ok {
		w.BulkString("int")
	} else if b.Op(r.Op).ValueLen <= shortString {
		w.BulkString("embstr")
	} else {
		w.BulkString("raw")
	}
	w.Drop(b.Op(r.Op + 1).Pin)
}

func planObjectRefcount(c *Call) { c.object(renderRefcount) }

func renderRefcount(w *resp.Writer, b *batch.Batch, r *Reply) {
	if !r.there(w, b) {
		return
	}
	if n, ok := r.number(b); ok && n >= 0 && n <= sharedMost {
		w.Int(sharedRefs)
	} else {
		w.Int(1)
	}
	w.Drop(b.Op(r.Op + 1).Pin)
}

const (
	noFrequency = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when " +
		"switching between policies at runtime LRU and LFU data will take some time to adjust."
	noIdleTimeLFU = "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when " +
		"switching between policies at runtime LRU and LFU data will take some time to adjust."
	noIdleTime = "ERR idle time is not tracked here; why: reading a key writes nothing; fix: let keys expire with GETEX instead"
)

func planObjectFreq(c *Call) {
	c.ofUse(func(w *resp.Writer, n int64, tracked bool) {
		if tracked {
			w.Int(n)
		} else {
			w.Error(noFrequency)
		}
	})
}

func planObjectIdletime(c *Call) {
	c.ofUse(func(w *resp.Writer, _ int64, tracked bool) {
		if tracked {
			w.Error(noIdleTimeLFU)
		} else {
			w.Error(noIdleTime)
		}
	})
}

// ofUse answers null without the key, else what answer makes of how often it
// was used.
func (c *Call) ofUse(answer func(w *resp.Writer, n int64, tracked bool)) {
	c.Keep()
	c.Reply.Step = func(x *Exec, r *Reply) {
		key := r.Args[2]
		op := x.Batch.Meta(r.DB, key)
		if !x.run(r) {
			return
		}
		if x.Batch.Op(op).Status == batch.NotFound {
			x.W.Null()
			return
		}
		n, tracked := x.Host.Frequency(r.DB, key)
		answer(x.W, n, tracked)
	}
}

func planMemoryUsage(c *Call) {
	for i := 3; i < len(c.Args); i += 2 {
		if !isWord(c.Args[i], "samples") || i+1 == len(c.Args) {
			c.Fail(syntaxError)
			return
		}
		n, ok := c.integer(i + 1)
		if ok && n < 0 {
			c.Fail(syntaxError)
		}
		if !ok || n < 0 {
			return
		}
	}
	c.Keep()
	c.Reply.Step = stepMemoryUsage
}

// stepMemoryUsage adds to the bytes of key and value what the engine uses
// besides, shared evenly by all entries: an engine does not say it of one.
func stepMemoryUsage(x *Exec, r *Reply) {
	op := x.Batch.Meta(r.DB, r.Args[2])
	if !x.run(r) {
		return
	}
	o := x.Batch.Op(op)
	if o.Status == batch.NotFound {
		x.W.Null()
		return
	}
	bytes := o.KeyLen + o.ValueLen
	// An engine without figures uses nothing that is known.
	if all, err := x.Store.Stat(batch.SpaceAll); err == nil && all.Entries > 0 && all.Memory > all.Payload {
		bytes += (all.Memory - all.Payload) / all.Entries
	}
	x.W.Int(int64(bytes))
}
