package server

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"kvstored/pkg/command"
)

// monitors is the connections that see what is asked.
type monitors struct {
	w    *worker
	list []*client
}

// Monitor has s see the requests that come from now on; again: it does
// already. Inside a transaction it is refused.
func (h *hub) Monitor(s *command.Session) (again bool, err error) {
	cl := clientOf(s)
	switch {
	case h.w.multi.exec != nil:
		return false, errors.New("MONITOR isn't allowed for DENY BLOCKING client")
	case s.Monitor || cl.gone:
		return true, nil
	}
	h.w.monitors.list = append(h.w.monitors.list, cl)
	s.Monitor = true
	s.Confine()
	h.w.observe(byMonitor, true)
	return false, nil
}

// leave ends that.
func (m *monitors) leave(cl *client) {
	if !cl.Monitor {
		return
	}
	cl.Monitor = false
	var rest []*client // a line may be on its way along the old list
	for _, o := range m.list {
		if o != cl {
			rest = append(rest, o)
		}
	}
	m.list = rest
	m.w.observe(byMonitor, len(rest) > 0)
}

func (m *monitors) send(l *letter) {
	for _, cl := range m.list {
		m.w.deliver(cl, l)
	}
}

// line is a request as MONITOR shows it, nil where it does not.
func (m *monitors) line(cl *client, r *command.Reply, args [][]byte, script bool) *letter {
	failed := len(r.Fixed) > 0 && r.Fixed[0] == '-'
	if r.Cmd == nil || r.Rejected || r.Cmd.Flags&command.Admin != 0 || r.Cmd.Flags&command.SkipMonitor != 0 && !failed {
		return nil
	}
	if script {
		return m.write(m.w.scripts.session.DB, "lua", args, r.Cmd)
	}
	return m.write(cl.DB, nameOf(cl), args, r.Cmd)
}

// nameOf is where a connection comes from.
func nameOf(cl *client) string { return "unix:" + strings.TrimSuffix(cl.Addr, ":0") }

// script shows EVAL, before what its script calls.
func (m *monitors) script(cl *client, r *command.Reply) {
	if m.w.observed&byMonitor != 0 {
		m.send(m.write(r.DB, nameOf(cl), r.Args, r.Cmd))
	}
}

func (m *monitors) write(db uint32, from string, args [][]byte, cmd *command.Command) *letter {
	now := time.Now()
	b := fmt.Appendf(nil, "+%d.%06d [%d %s]", now.Unix(), now.Nanosecond()/1000, db, from)
	for i, a := range args {
		b = append(b, ' ')
		if secret(cmd, args, i) {
			a = []byte("(redacted)")
		}
		b = appendQuoted(b, a)
	}
	return &letter{body: append(b, "\r\n"...)}
}

// secret tells whether argument i is shown to nobody: names and passwords of
// AUTH and HELLO … AUTH.
func secret(cmd *command.Command, args [][]byte, i int) bool {
	switch cmd.Name {
	case "auth":
		return i > 0
	case "hello":
		return i > 2 && strings.EqualFold(string(args[i-1]), "auth") ||
			i > 3 && strings.EqualFold(string(args[i-2]), "auth")
	}
	return false
}

// appendQuoted adds b as Redis quotes it.
func appendQuoted(to, b []byte) []byte {
	to = append(to, '"')
	for _, c := range b {
		switch {
		case c == '\\' || c == '"':
			to = append(to, '\\', c)
		case c == '\n':
			to = append(to, `\n`...)
		case c == '\r':
			to = append(to, `\r`...)
		case c == '\t':
			to = append(to, `\t`...)
		case c == '\a':
			to = append(to, `\a`...)
		case c == '\b':
			to = append(to, `\b`...)
		case c < ' ' || c > '~':
			to = fmt.Appendf(to, `\x%02x`, c)
		default:
			to = append(to, c)
		}
	}
	return append(to, '"')
}
