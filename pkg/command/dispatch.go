package command

import (
	"bytes"
	"fmt"
	"strings"
)

// MinRoom is the least room in the batch that any command needs besides one
// operation per argument.
const MinRoom = 32

// Dispatch finds the command of c.Args, which is not empty, checks its arity
// and who may call it, and plans it. Afterwards c.Reply says how to answer;
// c.Reply.Cmd is nil for a command that does not exist.
func Dispatch(c *Call) {
	s, r := c.Session, c.Reply
	*r = Reply{} // in place: a literal with fields would be made elsewhere and copied
	r.Proto, r.DB, r.Session = s.Proto, s.DB, s
	cmd := Lookup(c.Args[0])
	if cmd == nil {
		c.Cmd, s.LastCmd = nil, nil
		c.unknown()
		return
	}
	if cmd.Subcommands != nil && len(c.Args) > 1 {
		sub := cmd.subcommand(c.Args[1])
		if sub == nil {
			c.Reply.Rejected, s.LastCmd = true, nil
			c.Fail(fmt.Sprintf("ERR unknown subcommand '%s'. Try %s HELP.",
				clip(c.Args[1], 128), strings.ToUpper(cmd.Name)))
			return
		}
		cmd = sub
	}
	c.Cmd, c.Reply.Cmd, s.LastCmd = cmd, cmd, cmd
	if n := len(c.Args); cmd.Arity > 0 && n != cmd.Arity || n < -cmd.Arity {
		c.Reply.Rejected = true
		c.wrongArity()
		return
	}
	if cmd.Flags&(AdminOnly|LoadsCode) != 0 && !s.MayLoad {
		c.forbidden()
		return
	}
	if c.Full && c.needsMemory() {
		c.Reply.Rejected = true
		c.refuseFull()
		return
	}
	if s.Confined && c.confined() {
		return
	}
	if s.Multi != nil && c.queue() {
		return
	}
	cmd.Plan(c)
}

// forbidden refuses what is for root and the daemon's own user.
func (c *Call) forbidden() {
	why := "it concerns everybody's data"
	if c.Cmd.Flags&AdminOnly == 0 {
		why = "it loads code into the daemon"
	}
	words := strings.ToUpper(c.Cmd.words())
	c.Reply.Rejected = true
	c.Fail(fmt.Sprintf("NOPERM %s is for root and the daemon's own user; why: %s, and you are uid %d; fix: sudo kvctl %s",
		words, why, c.Session.UID, words))
}

// subcommand finds one by name, nil when there is none.
func (cmd *Command) subcommand(name []byte) *Command {
	for _, sub := range cmd.Subcommands {
		if equalFold(name, sub.Name) {
			return sub
		}
	}
	return nil
}

// FullName is the name as Redis gives it: "client|list" for a subcommand.
func (cmd *Command) FullName() string { return cmd.full }

// words is the name as people write it: "client list".
func (cmd *Command) words() string { return strings.ReplaceAll(cmd.full, "|", " ") }

// wrongArity answers as Redis does.
func (c *Call) wrongArity() {
	what := "wrong number of arguments for '" + c.Cmd.full + "' command"
	if c.Cmd.full == "exec" {
		c.abortExec("EXECABORT Transaction discarded because of: " + what)
		return
	}
	c.Fail("ERR " + what)
}

// unknown answers a name that is no command here: what Redis says, or, where
// Redis has the command, what is missing.
func (c *Call) unknown() {
	name := c.Args[0]
	if lacks := absent(name); lacks != "" {
		c.Fail(fmt.Sprintf("ERR unknown command '%s': %s", clip(name, 128), lacks))
		return
	}
	var args []byte
	for _, a := range c.Args[1:] {
		if len(args) >= 128 {
			break
		}
		args = fmt.Appendf(args, "'%s' ", clip(a, 128-len(args)))
	}
	c.Fail(fmt.Sprintf("ERR unknown command '%s', with args beginning with: %s", clip(name, 128), args))
}

// clip is at most n bytes of b, and nothing after a NUL byte.
func clip(b []byte, n int) []byte {
	b = b[:min(len(b), n)]
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return b
}
