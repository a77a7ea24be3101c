package server

import (
	"strings"

	"kvstored/pkg/batch"
	"kvstored/pkg/command"
	"kvstored/pkg/reactor"
	"kvstored/pkg/resp"
)

// bystander serves the connections that have no part in a tick while a script
// of that tick takes long. It answers SCRIPT KILL and what concerns only the
// connection; everything else is BUSY. The lane is held by the script: nothing
// here may ask the engine.
type bystander struct {
	w      *worker
	batch  *batch.Batch // stays empty
	parser resp.Parser
	call   command.Call
	reply  command.Reply
}

// Open greets a connection.
func (b *bystander) Open(c *reactor.Conn) bool { return b.w.Open(c) }

// Closed forgets one.
func (b *bystander) Closed(c *reactor.Conn) { b.w.Closed(c) }

// Refuse reports a limit.
func (b *bystander) Refuse(c *reactor.Conn, why reactor.Reason, figure int) {
	b.w.Refuse(c, why, figure)
}

// Unpin gives back a pin of what was sent.
func (b *bystander) Unpin(pin uint64) { b.w.Unpin(pin) }

// Execute has nothing to do.
func (b *bystander) Execute() {}

// Done has nothing to do.
func (b *bystander) Done() {}

// Answer sends what Parse has answered.
func (b *bystander) Answer(c *reactor.Conn) {
	cl := c.Data.(*client)
	if len(cl.aside) > 0 {
		b.w.r.Send(c, cl.aside, nil)
	}
	cl.aside = nil
}

// Parse answers the complete requests in data.
func (b *bystander) Parse(c *reactor.Conn, data []byte) (taken, need int, v reactor.Verdict) {
	cl := c.Data.(*client)
	p := &b.parser
	if cl.parser != nil {
		p = cl.parser
	}
	for {
		n, err := p.Next(data[taken:])
		switch {
		case err == resp.ErrIncomplete:
			return taken, b.unfinished(cl, p, len(data)-taken), reactor.NeedMore
		case err != nil:
			var w resp.Writer
			w.Error("ERR " + err.Error())
			cl.aside = append(cl.aside, w.Buf...)
			p.Reset()
			return taken, 0, reactor.Broken
		}
		taken += n
		if len(p.Args) == 0 {
			continue
		}
		cl.aside = append(cl.aside, b.answer(cl, p.Args)...)
		if cl.Session.Closing {
			return taken, 0, reactor.Broken
		}
	}
}

// unfinished leaves the start of a request for another turn.
func (b *bystander) unfinished(cl *client, p *resp.Parser, left int) (need int) {
	need = p.Need()
	switch {
	case p == &b.parser:
		p.Reset()
	case left == 0:
		cl.parser = nil
	}
	return need
}

func (b *bystander) answer(cl *client, args [][]byte) []byte {
	if cmd := command.Find(args); cmd != nil && cmd.FullName() == "script|kill" && len(args) == 2 && cl.Multi == nil {
		return b.w.scripts.kill()
	}
	if len(args) == 2 && strings.EqualFold(string(args[0]), "shutdown") && strings.EqualFold(string(args[1]), "nosave") &&
		cl.MayLoad && cl.Multi == nil && b.w.s.o.Shutdown != nil {
		b.w.s.o.Shutdown(false) // which ends the script, too
		return nil
	}
	c := &b.call
	c.Args, c.Session, c.Batch, c.Now, c.Reply = args, &cl.Session, b.batch, b.w.now, &b.reply
	return command.AnswerBusy(c)
}
