package server

import (
	"fmt"
	"math"
	"strings"

	"kvstored/pkg/command"
	"kvstored/pkg/resp"
)

// How much of a slow command is kept, as in Redis.
const (
	slowArgs     = 32
	slowArgBytes = 128
)

// slowlog is the commands that took long. Reactor's goroutine only.
type slowlog struct {
	from    uint64 // nanoseconds from which a command is slow
	most    int    // entries
	entries []command.SlowEntry
	nextID  int64
	parser  resp.Parser
}

// setThreshold takes microseconds; negative: no command is slow.
func (l *slowlog) setThreshold(micros int64) {
	l.from = math.MaxUint64
	if micros >= 0 {
		l.from = uint64(micros) * 1000
	}
}

// setMost changes how many entries are kept.
func (l *slowlog) setMost(n int) {
	l.most = n
	l.trim()
}

func (l *slowlog) trim() {
	if over := len(l.entries) - l.most; over > 0 {
		l.entries = append([]command.SlowEntry(nil), l.entries[over:]...)
	}
}

// add notes a command; the latest stands last.
func (l *slowlog) add(r *command.Reply, now int64, nanos uint64) {
	if l.most == 0 {
		return
	}
	l.entries = append(l.entries, command.SlowEntry{ID: l.nextID, Time: now / 1000, Micros: int64(nanos / 1000),
		Args: l.arguments(r), Addr: r.Session.Addr, Name: r.Session.Name})
	l.nextID++
	l.trim()
}

// arguments reads the request again: it was not kept.
func (l *slowlog) arguments(r *command.Reply) []string {
	args := r.Args
	if r.Raw != nil {
		l.parser.Reset()
		if _, err := l.parser.Next(r.Raw); err == nil {
			args = l.parser.Args
		}
	}
	secret := r.Cmd != nil && (r.Cmd.Name == "auth" || r.Cmd.Name == "hello")
	var texts []string
	for i, a := range args {
		switch {
		case i == slowArgs-1 && len(args) > slowArgs:
			return append(texts, fmt.Sprintf("... (%d more arguments)", len(args)-slowArgs+1))
		case secret && i > 0:
			texts = append(texts, "(redacted)")
		case len(a) > slowArgBytes:
			texts = append(texts, fmt.Sprintf("%s... (%d more bytes)", a[:slowArgBytes], len(a)-slowArgBytes))
		default:
			texts = append(texts, strings.Clone(string(a)))
		}
	}
	return texts
}

// latest is at most n entries, the latest first; n < 0: all.
func (l *slowlog) latest(n int) []command.SlowEntry {
	if n < 0 || n > len(l.entries) {
		n = len(l.entries)
	}
	found := make([]command.SlowEntry, 0, n)
	for i := range n {
		found = append(found, l.entries[len(l.entries)-1-i])
	}
	return found
}
