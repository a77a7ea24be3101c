package command

import (
	"kvstored/pkg/batch"
)

// Limits of one transaction.
const (
	maxQueued     = 1 << 30                // bytes of arguments
	maxQueuedArgs = batch.MaxOps - MinRoom // one operation for each argument
)

const (
	execAborted  = "EXECABORT Transaction discarded because of previous errors."
	notInMulti   = "ERR Command not allowed inside a transaction"
	tooMuchMulti = "ERR transaction is too large; why: it holds more than 1 GiB or two million arguments; " +
		"fix: divide it"
)

var replyQueued = []byte("+QUEUED\r\n")

// Transactions is what MULTI, EXEC and WATCH need of the server around them.
// Called from a Step, with the lane held; the session is that of the Step.
type Transactions interface {
	// Watch has the session's next transaction fail when the key changes, which
	// is there or not at present.
	Watch(space uint32, key []byte, present bool, expiry int64)
	// Unwatch forgets what the session watches and tells whether it changed.
	Unwatch() (changed bool)
	// Transact carries out q and writes the array of its replies to x.W; r is
	// the reply of EXEC.
	Transact(x *Exec, r *Reply, q *Queue)
}

// Queue is the requests that came after MULTI. It belongs to its session's
// reactor.
type Queue struct {
	buf    []byte // the arguments, one after the other
	ends   []uint32
	counts []int32 // arguments of each request
	failed bool    // a request was refused: EXEC will be, too
	grows  bool    // a request needs memory
	cuts   bool    // a request changes the session: what follows EXEC is planned after it
}

// Len is how many requests there are.
func (q *Queue) Len() int { return len(q.counts) }

// Size is the bytes of their arguments.
func (q *Queue) Size() int { return len(q.buf) }

// Each calls fn with the arguments of each request in order, as views of an
// off-heap copy that alloc made.
func (q *Queue) Each(alloc func([]byte) []byte, fn func(args [][]byte)) {
	buf := alloc(q.buf)
	var args [][]byte
	from, arg := uint32(0), 0
	for _, n := range q.counts {
		args = args[:0]
		for range n {
			to := q.ends[arg]
			args = append(args, buf[from:to:to])
			from = to
			arg++
		}
		fn(args)
	}
}

// atOnce tells whether a command is carried out at once between MULTI and EXEC.
func (cmd *Command) atOnce() bool {
	switch cmd.full {
	case "multi", "exec", "discard", "watch", "quit", "reset":
		return true
	}
	return false
}

// queue takes the request for the transaction that the session is in, unless
// it is one of those that are carried out at once.
func (c *Call) queue() bool {
	q, cmd := c.Session.Multi, c.Cmd
	if cmd.atOnce() {
		return false
	}
	if cmd.Flags&(NoMulti|LoadsCode) != 0 {
		c.Fail(notInMulti)
		return true
	}
	c.Reply.Fixed, c.Reply.Queued = replyQueued, true
	if q.failed {
		return true // it will not be carried out
	}
	size := len(q.buf)
	for _, a := range c.Args {
		size += len(a)
	}
	if size > maxQueued || len(q.ends)+len(c.Args) > maxQueuedArgs {
		c.Fail(tooMuchMulti)
		return true
	}
	for _, a := range c.Args {
		q.buf = append(q.buf, a...)
		q.ends = append(q.ends, uint32(len(q.buf)))
	}
	q.counts = append(q.counts, int32(len(c.Args)))
	q.grows = q.grows || cmd.Flags&DenyOOM != 0
	q.cuts = q.cuts || cmd.Flags&(Write|ReadOnly) == 0 || cmd.Group == "scripting"
	return true
}

// refused notes that a request of a transaction was refused.
func (q *Queue) refused() {
	q.failed = true
	q.buf, q.ends, q.counts = nil, nil, nil
}

// failHere makes an error the reply that does not fail the transaction.
func (c *Call) failHere(text string) {
	q := c.Session.Multi
	c.Session.Multi = nil
	c.Fail(text)
	c.Session.Multi = q
}

func planMulti(c *Call) {
	if c.Session.Multi != nil {
		c.failHere("ERR MULTI calls can not be nested")
		return
	}
	c.Session.Multi = &Queue{}
	c.Reply.Fixed = replyOK
}

func planDiscard(c *Call) {
	if c.Session.Multi == nil {
		c.Fail("ERR DISCARD without MULTI")
		return
	}
	c.Session.Multi = nil
	c.unwatch(replyOK)
}

// unwatch forgets what the session watches, then gives the reply.
func (c *Call) unwatch(reply []byte) {
	if !c.Session.Watching {
		c.Reply.Fixed = reply
		return
	}
	c.Session.Watching = false
	c.Reply.Step = func(x *Exec, _ *Reply) {
		x.Host.Unwatch()
		x.W.Raw(reply)
	}
}

// leaveMulti ends the session's transaction, if it is in one, and forgets
// what it watches; reply is the answer.
func (c *Call) leaveMulti(reply []byte) {
	c.Session.Multi = nil
	c.unwatch(reply)
}

// abortExec ends the transaction with the reason.
func (c *Call) abortExec(text string) {
	c.Session.Multi = nil
	c.Fail(text)
	reply := c.Reply.Fixed
	c.Reply.Fixed = nil
	c.unwatch(reply)
}

func planExec(c *Call) {
	q := c.Session.Multi
	switch {
	case q == nil:
		c.Fail("ERR EXEC without MULTI")
		return
	case q.failed:
		c.abortExec(execAborted)
		return
	}
	c.Session.Multi, c.Session.Watching = nil, false
	c.Reply.Cut = q.cuts
	c.Reply.Step = func(x *Exec, r *Reply) {
		if x.Host.Unwatch() {
			x.W.NullArray()
			return
		}
		x.Host.Transact(x, r, q)
	}
}

func planWatch(c *Call) {
	if c.Session.Multi != nil {
		c.failHere("ERR WATCH inside MULTI is not allowed")
		return
	}
	c.Session.Watching = true
	c.Keep()
	c.Reply.Step = stepWatch
}

func stepWatch(x *Exec, r *Reply) {
	keys := r.Args[1:]
	for _, key := range keys {
		x.Batch.Meta(r.DB, key)
	}
	if !x.run(r) {
		return
	}
	for i, key := range keys {
		o := x.Batch.Op(i)
		x.Host.Watch(r.DB, key, o.Status == batch.OK, o.Expiry)
	}
	x.W.Raw(replyOK)
}

func planUnwatch(c *Call) { c.unwatch(replyOK) }
