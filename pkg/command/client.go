package command

import (
	"fmt"
	"strings"

	"kvstored/pkg/resp"
)

var clientHelp = []string{
	"GETNAME",
	"    Return the name of the current connection.",
	"ID",
	"    Return the ID of the current connection.",
	"INFO",
	"    Return information about the current client connection.",
	"LIST [options ...]",
	"    Return information about client connections. Options:",
	"    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
	"      Return clients of specified type.",
	"    * ID <client-id> [<client-id> ...]",
	"      Return clients with these ids.",
	"SETINFO <LIB-NAME|LIB-VER> <value>",
	"    Record the client library's name or version.",
	"SETNAME <name>",
	"    Assign the name <name> to the current connection.",
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
	ids, none, ok := c.clientFilter()
	if !ok {
		return
	}
	c.Reply.Step = func(x *Exec, r *Reply) {
		var text strings.Builder
		for _, s := range x.Host.Clients() {
			if !none && (ids == nil || ids[s.ID]) {
				text.WriteString(s.line(x.Now))
				text.WriteByte('\n')
			}
		}
		x.W.Verbatim(text.String())
	}
}

// clientFilter reads the options of CLIENT LIST. none is for a type of client
// that does not exist here.
func (c *Call) clientFilter() (ids map[uint64]bool, none, ok bool) {
	switch {
	case len(c.Args) == 2:
		return nil, false, true
	case len(c.Args) == 4 && isWord(c.Args[2], "type"):
		kind := strings.ToLower(string(cString(c.Args[3])))
		switch kind {
		case "normal":
			return nil, false, true
		case "master", "replica", "slave", "pubsub":
			return nil, true, true
		}
		c.Fail(fmt.Sprintf("ERR Unknown client type '%s'", cString(c.Args[3])))
	case len(c.Args) > 3 && isWord(c.Args[2], "id"):
		ids = map[uint64]bool{}
		for i := range c.Args[3:] {
			id, valid := parseInt(c.Args[3+i])
			if !valid {
				c.Fail("ERR Invalid client ID")
				return nil, false, false
			}
			ids[uint64(id)] = true
		}
		return ids, false, true
	default:
		c.Fail(syntaxError)
	}
	return nil, false, false
}

// line describes a connection in the form of Redis's CLIENT LIST; what does
// not exist here is 0.
func (s *Session) line(now int64) string {
	cmd := "NULL"
	if s.LastCmd != nil {
		cmd = s.LastCmd.full
	}
	return fmt.Sprintf("id=%d addr=%s laddr=%s fd=%d name=%s age=%d idle=%d flags=U db=%d sub=0 psub=0 ssub=0 multi=-1 "+
		"qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd=%s "+
		"user=default redir=-1 resp=%d lib-name=%s lib-ver=%s",
		s.ID, s.Addr, s.Addr, s.FD, s.Name, max(now-s.Created, 0)/1000, max(now-s.LastSeen, 0)/1000, s.DB, cmd,
		max(s.Proto, 2), s.LibName, s.LibVer)
}
