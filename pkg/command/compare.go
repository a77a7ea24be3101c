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

// isDigest tells whether argument i can be a digest; else that is the reply.
// What has other digits is the digest of no value, as in Redis.
func (c *Call) isDigest(i int) bool {
	if len(c.Args[i]) == digestDigits {
		return true
	}
	c.Fail(fmt.Sprintf("ERR must be exactly %d hexadecimal characters", digestDigits))
	return false
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
		if c.isDigest(3) {
			c.delIf(c.Args[3], batch.ByDigest)
		}
	case isWord(c.Args[2], "ifdne"):
		if c.isDigest(3) {
			c.delIf(c.Args[3], batch.ByDigest|batch.IfDifferent)
		}
	default:
		c.Fail("ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE")
	}
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
