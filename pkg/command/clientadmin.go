package command

import (
	"fmt"
	"math"
	"strings"

	"kvstored/pkg/resp"
)

// Quiet is which replies a connection does not want (CLIENT REPLY).
type Quiet uint8

const (
	quietOff  Quiet = 1 << iota // none
	quietSkip                   // not that to the request being served
	quietNext                   // not that to the next request
)

// Hush tells whether the reply to the request just planned is not wanted, and
// goes on to the next request.
func (q *Quiet) Hush() bool {
	was := *q
	*q &^= quietSkip | quietNext
	if was&quietNext != 0 {
		*q |= quietSkip
	}
	return was&(quietOff|quietSkip) != 0
}

// Off tells whether no reply is wanted until CLIENT REPLY ON.
func (q Quiet) Off() bool { return q&quietOff != 0 }

var noReply = []byte{}

func planClientReply(c *Call) {
	s := c.Session
	switch {
	case isWord(c.Args[2], "on"):
		s.Quiet = 0
		c.Reply.Fixed = replyOK
	case isWord(c.Args[2], "off"):
		s.Quiet |= quietOff
		c.Reply.Fixed = noReply
	case isWord(c.Args[2], "skip"):
		if s.Quiet&quietOff == 0 {
			s.Quiet |= quietNext
		}
		c.Reply.Fixed = noReply
	default:
		c.Fail(syntaxError)
	}
}

// planReset makes the connection as it was when it was opened.
func planReset(c *Call) {
	s := c.Session
	s.DB, s.Proto, s.Name = 0, 2, ""
	s.Quiet, s.NoEvict, s.NoTouch = 0, false, false
	s.Multi, s.Watching = nil, false
	c.Reply.Proto, c.Reply.DB = 2, 0
	c.Reply.Step = func(x *Exec, r *Reply) {
		x.Host.Unwatch()
		x.Hub.Leave(r.Session)
		x.W.Status("RESET")
	}
}

// onOff reads argument 2, ON or OFF; ok is false when the reply is an error.
func (c *Call) onOff() (on, ok bool) {
	switch {
	case isWord(c.Args[2], "on"):
		return true, true
	case isWord(c.Args[2], "off"):
		return false, true
	}
	c.Fail(syntaxError)
	return false, false
}

func planClientNoEvict(c *Call) {
	if on, ok := c.onOff(); ok {
		c.Session.NoEvict = on
		c.Reply.Fixed = replyOK
	}
}

func planClientNoTouch(c *Call) {
	if on, ok := c.onOff(); ok {
		c.Session.NoTouch = on
		c.Reply.Fixed = replyOK
	}
}

// planClientPause reads the time as Redis does: milliseconds that fit.
func planClientPause(c *Call) {
	all := true
	switch {
	case len(c.Args) == 3:
	case len(c.Args) == 4 && isWord(c.Args[3], "write"):
		all = false
	case len(c.Args) == 4 && isWord(c.Args[3], "all"):
	case len(c.Args) == 4:
		c.Fail("ERR CLIENT PAUSE mode must be WRITE or ALL")
		return
	default:
		c.wrongSubcommand()
		return
	}
	ms, ok := parseInt(c.Args[2])
	switch {
	case !ok:
		c.Fail("ERR timeout is not an integer or out of range")
		return
	case ms > math.MaxInt64-c.Now:
		c.Fail("ERR timeout is out of range")
		return
	case ms < 0:
		c.Fail("ERR timeout is negative")
		return
	}
	until := c.Now + ms
	c.Reply.Step = func(x *Exec, _ *Reply) {
		x.Host.Pause(until, all)
		x.W.Status("OK")
	}
}

func planClientUnpause(c *Call) {
	c.Reply.Step = func(x *Exec, _ *Reply) {
		x.Host.Unpause()
		x.W.Status("OK")
	}
}

// wrongSubcommand answers a subcommand whose arguments make no sense.
func (c *Call) wrongSubcommand() {
	c.Fail(fmt.Sprintf("ERR unknown subcommand or wrong number of arguments for '%s'. Try %s HELP.",
		clip(c.Args[1], 128), upper(c.Cmd.parent.Name)))
}

// planClientUnblock answers 0 for every client: no command blocks here.
func planClientUnblock(c *Call) {
	if len(c.Args) > 4 {
		c.wrongSubcommand()
		return
	}
	if len(c.Args) == 4 && !isWord(c.Args[3], "timeout") && !isWord(c.Args[3], "error") {
		c.Fail("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
		return
	}
	if _, ok := parseInt(c.Args[2]); !ok {
		c.Fail("ERR value is not an integer or out of range")
		return
	}
	c.Answer(func(w *resp.Writer) { w.Int(0) })
}

// killFilter is what CLIENT KILL looks for; nil or 0 stands for anything.
type killFilter struct {
	addr, laddr []byte
	id          uint64
	kind        string
	user        []byte
	skipMe      bool
	nobody      bool // no connection can be meant
}

func (f *killFilter) match(s, self *Session) bool {
	switch {
	case f.nobody:
	case f.addr != nil && string(f.addr) != s.Addr:
	case f.laddr != nil && string(f.laddr) != s.Addr:
	case f.id != 0 && f.id != s.ID:
	case f.kind != "" && f.kind != s.kind():
	case f.skipMe && s == self:
	default:
		return true
	}
	return false
}

func planClientKill(c *Call) {
	if len(c.Args) == 3 {
		c.killOld()
		return
	}
	f := killFilter{skipMe: true}
	if len(c.Args)%2 != 0 {
		c.Fail(syntaxError)
		return
	}
	for i := 2; i < len(c.Args); i += 2 {
		if !c.killOption(&f, c.Args[i], c.Args[i+1]) {
			return
		}
	}
	c.Reply.Step = func(x *Exec, r *Reply) {
		n := x.Host.Kill(r.Session, func(s *Session) bool { return f.match(s, r.Session) })
		x.W.Int(int64(n))
	}
}

// killOld is the form of the first versions: one address, OK or an error.
func (c *Call) killOld() {
	f := killFilter{addr: append([]byte(nil), c.Args[2]...)}
	c.Reply.Step = func(x *Exec, r *Reply) {
		first := true
		n := x.Host.Kill(r.Session, func(s *Session) bool {
			yes := first && f.match(s, r.Session)
			first = first && !yes
			return yes
		})
		if n == 0 {
			x.W.Error("ERR No such client")
			return
		}
		x.W.Status("OK")
	}
}

// killOption reads one pair; false when the reply is an error.
func (c *Call) killOption(f *killFilter, opt, value []byte) bool {
	value = append([]byte(nil), value...) // the arguments are gone when the Step runs
	switch {
	case isWord(opt, "id"):
		id, ok := parseInt(value)
		if !ok || id < 1 {
			c.Fail("ERR client-id should be greater than 0")
			return false
		}
		f.id = uint64(id)
	case isWord(opt, "type"):
		kind, ok := clientKind(value)
		if !ok {
			c.Fail(fmt.Sprintf("ERR Unknown client type '%s'", cString(value)))
			return false
		}
		f.kind = kind
	case isWord(opt, "addr"):
		f.addr = value
	case isWord(opt, "laddr"):
		f.laddr = value
	case isWord(opt, "user"):
		if string(value) != "default" {
			c.Fail(fmt.Sprintf("ERR No such user '%s'", cString(value)))
			return false
		}
	case isWord(opt, "skipme"):
		return c.killSkipMe(f, value)
	default:
		c.Fail(syntaxError)
		return false
	}
	return true
}

func (c *Call) killSkipMe(f *killFilter, value []byte) bool {
	switch {
	case isWord(value, "yes"):
		f.skipMe = true
	case isWord(value, "no"):
		f.skipMe = false
	default:
		c.Fail(syntaxError)
		return false
	}
	return true
}

// clientKind is the name of a type of client, slave being a replica.
func clientKind(b []byte) (kind string, ok bool) {
	switch kind = strings.ToLower(string(cString(b))); kind {
	case "normal", "master", "replica", "pubsub":
		return kind, true
	case "slave":
		return "replica", true
	}
	return "", false
}

// kind is the type of this client.
func (s *Session) kind() string {
	if s.Subscribed() {
		return "pubsub"
	}
	return "normal"
}

// queued is how many requests the transaction of the client has, -1 outside one.
func (s *Session) queued() int {
	for _, q := range []*Queue{s.Running, s.Multi} {
		if q != nil {
			return q.Len()
		}
	}
	return -1
}

// flags are the letters of CLIENT LIST: U for a Unix socket, as all are.
func (s *Session) flags() string {
	flags := ""
	if s.Monitor {
		flags += "O"
	}
	if s.Subscribed() {
		flags += "P"
	}
	if s.queued() >= 0 {
		flags += "x"
	}
	if s.Tracking != nil {
		flags += "t"
		if s.Tracking.Broken {
			flags += "R"
		}
		if s.Tracking.Bcast {
			flags += "B"
		}
	}
	if s.Dirty {
		flags += "d"
	}
	flags += "U"
	if s.NoEvict {
		flags += "e"
	}
	if s.NoTouch {
		flags += "T"
	}
	return flags
}
