package command

import "kvstored/pkg/batch"

// The same command again, from a client that sends many at once: see
// [Command.Again]. The reply is the first one's, so its Render looks at nothing
// but the operation and what all of them have in common.

func againGet(c *Call) bool {
	c.Batch.Get(c.Session.DB, c.Args[1])
	return true
}

// againSet is for SET without options.
func againSet(c *Call) bool {
	if len(c.Args) != 3 {
		return false
	}
	c.Batch.Set(c.Session.DB, c.Args[1], c.Args[2], 0, 0, 0)
	return true
}

func againMeta(c *Call) bool {
	c.Batch.Meta(c.Session.DB, c.Args[1])
	return true
}

func againExists(c *Call) bool { return len(c.Args) == 2 && againMeta(c) }

// againDel is for one key.
func againDel(c *Call) bool {
	if len(c.Args) != 2 {
		return false
	}
	c.Batch.Delete(c.Session.DB, c.Args[1])
	return true
}

func againIncr(c *Call) bool { return c.againAdd(1) }
func againDecr(c *Call) bool { return c.againAdd(-1) }

func (c *Call) againAdd(by int64) bool {
	_, a := c.Batch.Update(c.Session.DB, c.Args[1], batch.FuncIncr)
	a.Number = by
	return true
}
