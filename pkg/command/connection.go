package command

import (
	"fmt"

	"kvstored/pkg/batch"
	"kvstored/pkg/resp"
)

var replyPong = []byte("+PONG\r\n")

func planPing(c *Call) {
	if len(c.Args) <= 2 && c.Session.Subscribed() && c.Session.Proto != 3 {
		c.pong()
		return
	}
	switch len(c.Args) {
	case 1:
		c.Reply.Fixed = replyPong
	case 2:
		c.echo(c.Args[1])
	default:
		c.wrongArity()
	}
}

func planEcho(c *Call) { c.echo(c.Args[1]) }

// echo answers with an argument, from where it lies.
func (c *Call) echo(b []byte) {
	c.Reply.Data = b
	c.Reply.Render = renderData
}

func renderData(w *resp.Writer, _ *batch.Batch, r *Reply) { w.Value(r.Data, 0) }

func planQuit(c *Call) {
	c.Session.Closing = true
	c.Reply.Fixed = replyOK
}

func planSelect(c *Call) {
	if db, ok := c.database(1); ok {
		c.Session.DB = db
		c.Reply.Fixed = replyOK
	}
}

// planAuth accepts what Redis accepts without a password: identity comes from
// the kernel.
func planAuth(c *Call) {
	switch {
	case len(c.Args) > 3:
		c.Fail(syntaxError)
	case len(c.Args) == 2:
		c.Fail("ERR AUTH <password> called without any password configured for the default user. " +
			"Are you sure your configuration is correct?")
	case !c.auth(c.Args[1]):
	default:
		c.Reply.Fixed = replyOK
	}
}

// auth checks the only user there is; any password will do.
func (c *Call) auth(user []byte) bool {
	if string(user) == "default" {
		return true
	}
	c.Fail("WRONGPASS invalid username-password pair or user is disabled.")
	return false
}

func planHello(c *Call) {
	s := c.Session
	proto := s.Proto
	i := 1
	if len(c.Args) > 1 {
		ver, ok := parseInt(c.Args[1])
		if !ok {
			c.Fail("ERR Protocol version is not an integer or out of range")
			return
		}
		if ver < 2 || ver > 3 {
			c.Fail("NOPROTO unsupported protocol version")
			return
		}
		proto = int(ver)
		i = 2
	}
	for ; i < len(c.Args); i++ {
		n := c.helloOption(i)
		if n == 0 {
			return
		}
		i += n
	}
	s.Proto, c.Reply.Proto = max(proto, 2), max(proto, 2)
	c.Answer(func(w *resp.Writer) { writeHello(w, s) })
}

// helloOption carries out the option at argument i and returns how many
// arguments it has; 0 when the reply is an error.
func (c *Call) helloOption(i int) int {
	left := len(c.Args) - i - 1
	switch {
	case isWord(c.Args[i], "auth") && left >= 2:
		if c.auth(c.Args[i+1]) {
			return 2
		}
	case isWord(c.Args[i], "setname") && left >= 1:
		if c.setName(c.Args[i+1]) {
			return 1
		}
	default:
		c.Fail(fmt.Sprintf("ERR Syntax error in HELLO option '%s'", cString(c.Args[i])))
	}
	return 0
}

func writeHello(w *resp.Writer, s *Session) {
	w.Map(7)
	w.BulkString("server")
	w.BulkString("kvstored")
	w.BulkString("version")
	w.BulkString(s.Version)
	w.BulkString("proto")
	w.Int(int64(w.Proto))
	w.BulkString("id")
	w.Int(int64(s.ID))
	w.BulkString("mode")
	w.BulkString("standalone")
	w.BulkString("role")
	w.BulkString("master")
	w.BulkString("modules")
	w.Array(0)
}
