package command

import (
	"fmt"

	"github.com/zeebo/xxh3"

	"kvstored/pkg/batch"
	"kvstored/pkg/resp"
)

// Compare-and-set beyond Redis 7.2, as later releases have it: DELIFEQ of Valkey
// 9, DELEX and DIGEST of Redis 8.4. SET's conditions are in set.go. What is
// compared is compared by the update function, inside the engine.

// digestDigits is how long a digest is: XXH3 of 64 bits in hexadecimal.
const digestDigits = 16

// What Redis says of a condition that cannot be met. It looks for the key first:
// where there is none nothing is compared, and nothing is wrong.
const wrongCondition = "ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"

var wrongDigest = fmt.Sprintf("ERR must be exactly %d hexadecimal characters", digestDigits)

// isDigest tells whether an argument can be a digest. What has other digits is
// the digest of no value, as in Redis.
func isDigest(arg []byte) bool { return len(arg) == digestDigits }

// wrongIfThere plans an error where the key exists, else another reply.
func (c *Call) wrongIfThere(text string, absent func(w *resp.Writer)) {
	c.Reply.Op = c.Batch.Meta(c.Session.DB, c.Args[1])
	c.Reply.Render = func(w *resp.Writer, b *batch.Batch, r *Reply) {
		o := b.Op(r.Op)
		switch {
		case failed(w, o, r):
		case o.Status == batch.NotFound:
			absent(w)
		default:
			w.Error(text)
		}
	}
}

// setByWrongDigest is SET on a condition with a digest of the wrong length: what
// is absent has no digest, so it differs.
func (c *Call) setByWrongDigest(opts uint32, expiry int64) {
	if opts&optIfDigestEq != 0 {
		c.wrongIfThere(wrongDigest, (*resp.Writer).Null)
		return
	}
	c.set(c.Args[1], c.Args[2], opts&^optDigest|optNX, expiry)
	reply := c.Reply.Render
	c.Reply.Render = func(w *resp.Writer, b *batch.Batch, r *Reply) {
		switch o := b.Op(r.Op); {
		case opts&optGet != 0 && o.Status == batch.OK:
			w.Drop(o.Pin)
			w.Error(wrongDigest)
		case opts&optGet == 0 && o.Status == batch.OK && o.Args().Outcome == batch.NotDone:
			w.Error(wrongDigest)
		default:
			reply(w, b, r)
		}
	}
}

func planDigest(c *Call) {
	c.Reply.Op = c.Batch.Get(c.Session.DB, c.Args[1])
	c.Reply.Render = renderDigest
}

func renderDigest(w *resp.Writer, b *batch.Batch, r *Reply) {
	if o := b.Op(r.Op); r.there(w, b) {
		w.BulkString(fmt.Sprintf("%016x", xxh3.Hash(o.ValueBytes())))
		w.Drop(o.Pin)
	}
}

func planDelifeq(c *Call) { c.delIf(c.Args[2], 0) }

// planDelex is DEL of one key, or deletes it on a condition.
func planDelex(c *Call) {
	switch {
	case len(c.Args) == 2:
		planDel(c)
	case len(c.Args) != 4:
		c.wrongArity()
	case isWord(c.Args[2], "ifeq"):
		c.delIf(c.Args[3], 0)
	case isWord(c.Args[2], "ifne"):
		c.delIf(c.Args[3], batch.IfDifferent)
	case isWord(c.Args[2], "ifdeq"):
		c.delIfDigest(0)
	case isWord(c.Args[2], "ifdne"):
		c.delIfDigest(batch.IfDifferent)
	default:
		c.wrongIfThere(wrongCondition, zero)
	}
}

func zero(w *resp.Writer) { w.Int(0) }

// delIfDigest is delIf with the digest of the value.
func (c *Call) delIfDigest(flags uint64) {
	if !isDigest(c.Args[3]) {
		c.wrongIfThere(wrongDigest, zero)
		return
	}
	c.delIf(c.Args[3], batch.ByDigest|flags)
}

// delIf plans to delete the key when it compares with text as flags say.
func (c *Call) delIf(text []byte, flags uint64) {
	op, a := c.Batch.Update(c.Session.DB, c.Args[1], batch.FuncDelIf)
	a.SetCompare(text)
	a.Flags = flags
	c.Reply.Op, c.Reply.Render = op, renderDone
}

// useOfDelex is what DELEX does to its key: it reads it on a condition.
func useOfDelex(args [][]byte) string {
	if len(args) > 2 {
		return "RW access delete"
	}
	return "RM delete"
}
