package command

import (
	"fmt"
	"strings"

	"kvstored/pkg/resp"
)

var clientHelp = []string{
	"CACHING (YES|NO)",
	"    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
	"GETREDIR",
	"    Return the client ID we are redirecting to when tracking is enabled.",
	"GETNAME",
	"    Return the name of the current connection.",
	"ID",
	"    Return the ID of the current connection.",
	"INFO",
	"    Return information about the current client connection.",
	"KILL <address>",
	"    Close the connection made from <address>.",
	"KILL <option> <value> [<option> <value> [...]]",
	"    Close connections. Options are:",
	"    * ADDR <unixsocket>:0",
	"      Close connections made from the specified address.",
	"    * LADDR <unixsocket>:0",
	"      Close connections made to the specified local address.",
	"    * ID <client-id>",
	"      Close the connection with this id.",
	"    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
	"      Close connections by type.",
	"    * USER <username>",
	"      Close connections of <username>: default is the only one.",
	"    * SKIPME (YES|NO)",
	"      Leave the current connection alone (default: yes).",
	"LIST [options ...]",
	"    Return information about client connections. Options:",
	"    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
	"      Return clients of specified type.",
	"    * ID <client-id> [<client-id> ...]",
	"      Return clients with these ids.",
	"NO-EVICT (ON|OFF)",
	"    Protect current client connection from eviction.",
	"NO-TOUCH (ON|OFF)",
	"    Will not touch LRU/LFU stats when this mode is on.",
	"PAUSE <timeout> [WRITE|ALL]",
	"    Hold back all clients, or just those that write, for <timeout> milliseconds.",
	"REPLY (ON|OFF|SKIP)",
	"    Control the replies sent to the current connection.",
	"SETINFO <LIB-NAME|LIB-VER> <value>",
	"    Record the client library's name or version.",
	"SETNAME <name>",
	"    Assign the name <name> to the current connection.",
	"TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
	"         [OPTIN] [OPTOUT] [NOLOOP]",
	"    Control server assisted client side caching.",
	"TRACKINGINFO",
	"    Report tracking status for the current connection.",
	"UNBLOCK <clientid> [TIMEOUT|ERROR]",
	"    Unblock the specified blocked client.",
	"UNPAUSE",
	"    End a pause.",
}

func planClientID(c *Call) {
	c.Answer(func(w *resp.Writer) { w.Int(int64(c.Session.ID)) })
}

func planClientGetname(c *Call) {
	c.Answer(func(w *resp.Writer) {
		if c.Session.Name == "" {
			w.Null()
			return
		}
		w.BulkString(c.Session.Name)
	})
}

func planClientSetname(c *Call) {
	if c.setName(c.Args[2]) {
		c.Reply.Fixed = replyOK
	}
}

// setName names the connection; an empty name takes the name away.
func (c *Call) setName(name []byte) bool {
	if !printable(name) {
		c.Fail("ERR Client names cannot contain spaces, newlines or special characters.")
		return false
	}
	c.Session.Name = string(name)
	return true
}

// printable tells whether b can stand in a line of CLIENT LIST.
func printable(b []byte) bool {
	for _, ch := range b {
		if ch < '!' || ch > '~' {
			return false
		}
	}
	return true
}

func planClientSetinfo(c *Call) {
	value := c.Args[3]
	name := cString(c.Args[2])
	switch {
	case !isWord(name, "lib-name") && !isWord(name, "lib-ver"):
		c.Fail(fmt.Sprintf("ERR Unrecognized option '%s'", name))
	case !printable(value):
		c.Fail(fmt.Sprintf("ERR %s cannot contain spaces, newlines or special characters.", name))
	case isWord(name, "lib-name"):
		c.Session.LibName = string(value)
		c.Reply.Fixed = replyOK
	default:
		c.Session.LibVer = string(value)
		c.Reply.Fixed = replyOK
	}
}

func planClientInfo(c *Call) {
	c.Answer(func(w *resp.Writer) { w.Verbatim(c.Session.line(c.Now) + "\n") })
}

// planClientList keeps the ids asked for; all when there are none.
func planClientList(c *Call) {
	keep, ok := c.clientFilter()
	if !ok {
		return
	}
	c.Reply.Step = func(x *Exec, r *Reply) {
		own := r.Session
		defer func(last *Command) { own.LastCmd = last }(own.LastCmd) // requests behind this one may be planned
		own.LastCmd = r.Cmd
		var text strings.Builder
		for _, s := range x.Host.Clients() {
			if keep(s) {
				text.WriteString(s.line(x.Now))
				text.WriteByte('\n')
			}
		}
		x.W.Verbatim(text.String())
	}
}

// clientFilter reads the options of CLIENT LIST.
func (c *Call) clientFilter() (keep func(*Session) bool, ok bool) {
	switch {
	case len(c.Args) == 2:
		return func(*Session) bool { return true }, true
	case len(c.Args) == 4 && isWord(c.Args[2], "type"):
		if kind, known := clientKind(c.Args[3]); known {
			return func(s *Session) bool { return s.kind() == kind }, true
		}
		c.Fail(fmt.Sprintf("ERR Unknown client type '%s'", cString(c.Args[3])))
	case len(c.Args) > 3 && isWord(c.Args[2], "id"):
		ids := map[uint64]bool{}
		for i := range c.Args[3:] {
			id, valid := parseInt(c.Args[3+i])
			if !valid {
				c.Fail("ERR Invalid client ID")
				return nil, false
			}
			ids[uint64(id)] = true
		}
		return func(s *Session) bool { return ids[s.ID] }, true
	default:
		c.Fail(syntaxError)
	}
	return nil, false
}

// line describes a connection in the form of Redis's CLIENT LIST; what does
// not exist here is 0.
func (s *Session) line(now int64) string {
	cmd := "NULL"
	if s.Running != nil {
		cmd = "exec"
	} else if s.LastCmd != nil {
		cmd = s.LastCmd.full
	}
	return fmt.Sprintf("id=%d addr=%s laddr=%s fd=%d name=%s age=%d idle=%d flags=%s db=%d sub=%d psub=%d ssub=%d multi=%d "+
		"qbuf=%d qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=%d oll=0 omem=%d tot-mem=%d events=r cmd=%s "+
		"user=default redir=%d resp=%d lib-name=%s lib-ver=%s",
		s.ID, s.Addr, s.Addr, s.FD, s.Name, max(now-s.Created, 0)/1000, max(now-s.LastSeen, 0)/1000, s.flags(), s.DB,
		s.Subs[Channels], s.Subs[Patterns], s.Subs[Shards], s.queued(),
		s.InBuf, s.OutBuf, s.OutBuf, s.InBuf+s.OutBuf, cmd,
		s.redirection(), max(s.Proto, 2), s.LibName, s.LibVer)
}
