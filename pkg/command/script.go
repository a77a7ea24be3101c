package command

import (
	"strings"

	"kvstored/pkg/resp"
)

// Scripts is what EVAL and SCRIPT need of the server around them. Called from
// a Step, with the lane held.
type Scripts interface {
	// Eval runs a script and writes its reply to x.W; r is EVAL's own.
	Eval(x *Exec, r *Reply, e Evaluation)
	// LoadScript keeps a script and returns its name; an error is the reply.
	LoadScript(body []byte) (sha string, err error)
	// HasScript tells whether a script is known by this name in lower case.
	HasScript(sha string) bool
	FlushScripts()
}

// Evaluation is one EVAL or EVALSHA.
type Evaluation struct {
	Body       []byte // of the script; nil: SHA names it
	SHA        string // lower case
	Keys, Args [][]byte
	ReadOnly   bool // EVAL_RO and EVALSHA_RO
}

func planEval(c *Call)   { c.eval(false, false) }
func planEvalRo(c *Call) { c.eval(false, true) }

func planEvalsha(c *Call)   { c.eval(true, false) }
func planEvalshaRo(c *Call) { c.eval(true, true) }

// eval checks the number of keys and plans the run.
func (c *Call) eval(bySHA, readOnly bool) {
	keys, ok := c.integer(2)
	switch {
	case !ok:
		return
	case keys > int64(len(c.Args)-3):
		c.Fail("ERR Number of keys can't be greater than number of args")
		return
	case keys < 0:
		c.Fail("ERR Number of keys can't be negative")
		return
	}
	c.Keep()
	e := Evaluation{ReadOnly: readOnly, Keys: c.Reply.Args[3 : 3+keys], Args: c.Reply.Args[3+keys:]}
	if bySHA {
		e.SHA = strings.ToLower(string(c.Args[1]))
	} else {
		e.Body = c.Reply.Args[1]
	}
	c.Reply.Step = func(x *Exec, r *Reply) { x.Host.Eval(x, r, e) }
}

var scriptHelp = []string{
	"DEBUG (YES|SYNC|NO)",
	"    Set the debug mode for subsequent scripts executed.",
	"EXISTS <sha1> [<sha1> ...]",
	"    Return information about the existence of the scripts in the script cache.",
	"FLUSH [ASYNC|SYNC]",
	"    Flush the Lua scripts cache. Very dangerous on replicas.",
	"    When called without the optional mode argument, the behavior is determined by the",
	"    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
	"    * ASYNC: Asynchronously flush the scripts cache.",
	"    * SYNC: Synchronously flush the scripts cache.",
	"KILL",
	"    Kill the currently executing Lua script.",
	"LOAD <script>",
	"    Load a script into the scripts cache without executing it.",
}

func planScriptLoad(c *Call) {
	c.Keep()
	c.Reply.Step = func(x *Exec, r *Reply) {
		sha, err := x.Host.LoadScript(r.Args[2])
		if err != nil {
			x.W.Error(err.Error())
			return
		}
		x.W.BulkString(sha)
	}
}

// planScriptDebug refuses what would have the next EVAL wait for a debugger.
func planScriptDebug(c *Call) {
	switch {
	case isWord(c.Args[2], "no"):
		c.Reply.Fixed = replyOK
	case isWord(c.Args[2], "yes"), isWord(c.Args[2], "sync"):
		c.Fail("ERR there is no debugger for scripts here: redis.log writes what a script knows to the journal")
	default:
		c.Fail("ERR Use SCRIPT DEBUG YES/SYNC/NO")
	}
}

func planScriptExists(c *Call) {
	var names []string
	for _, a := range c.Args[2:] {
		names = append(names, strings.ToLower(string(a)))
	}
	c.Reply.Step = func(x *Exec, _ *Reply) {
		x.W.Array(len(names))
		for _, name := range names {
			if x.Host.HasScript(name) {
				x.W.Int(1)
			} else {
				x.W.Int(0)
			}
		}
	}
}

func planScriptFlush(c *Call) {
	if len(c.Args) > 3 || len(c.Args) == 3 && !isWord(c.Args[2], "sync") && !isWord(c.Args[2], "async") {
		c.Fail("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
		return
	}
	c.Reply.Step = func(x *Exec, _ *Reply) {
		x.Host.FlushScripts()
		x.W.Raw(replyOK)
	}
}

// planScriptKill answers where no script runs; while one does the server
// answers itself.
func planScriptKill(c *Call) { c.Fail("NOTBUSY No scripts in execution right now.") }

// Find is the command, or the subcommand, of a request; nil when there is none.
func Find(args [][]byte) *Command {
	cmd := Lookup(args[0])
	if cmd != nil && cmd.Subcommands != nil && len(args) > 1 {
		return cmd.subcommand(args[1])
	}
	return cmd
}

// Refusal says why a script may not call a request of this command, "" when
// it may. cmd may be nil.
func (cmd *Command) Refusal(args int, readOnly bool) string {
	switch {
	case cmd == nil:
		return "ERR Unknown Redis command called from script"
	case cmd.Arity > 0 && args != cmd.Arity || args < -cmd.Arity:
		return "ERR Wrong number of args calling Redis command from script"
	case cmd.Flags&(NoScript|LoadsCode) != 0:
		return "ERR This Redis command is not allowed from script"
	case readOnly && cmd.Flags&Write != 0:
		return "ERR Write commands are not allowed from read-only scripts."
	}
	return ""
}

const busyScript = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."

// AnswerBusy answers a request while a script runs that takes long: what needs
// neither the engine nor the order among others is carried out; everything
// else is refused, and a transaction that it belongs to with it.
func AnswerBusy(c *Call) (reply []byte) {
	s := c.Session
	cmd := Find(c.Args)
	if cmd != nil && cmd.answersBusy(s) {
		Dispatch(c)
		if c.Reply.Step == nil && c.Reply.Render == nil {
			return c.Reply.Fixed
		}
	}
	w := resp.Writer{Proto: s.Proto}
	switch {
	case cmd != nil && cmd.Name == "exec" && s.Multi != nil:
		s.Multi = nil
		w.Error("EXECABORT Transaction discarded because of: " + busyScript)
	default:
		if s.Multi != nil {
			s.Multi.refused()
		}
		w.Error(busyScript)
	}
	return w.Buf
}

// answersBusy tells whether a command is a matter of the connection alone.
func (cmd *Command) answersBusy(s *Session) bool {
	switch cmd.full {
	case "multi", "quit", "hello", "auth":
		return true
	case "discard", "unwatch":
		return !s.Watching
	}
	return false
}
