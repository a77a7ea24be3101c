package server

import (
	"slices"

	"kvstored/pkg/batch"
	"kvstored/pkg/command"
)

// store is the engine as commands see it in their Steps.
type store struct{ w *worker }

func (s store) Exec(b *batch.Batch, from, to int, now int64) error {
	return s.w.carryOut(b, from, to) // now is the tick's
}
func (s store) Scan(sc *batch.Scan) error             { return s.w.s.o.Engine.Scan(sc) }
func (s store) Stat(space uint32) (batch.Stat, error) { return s.w.s.o.Engine.Stat(space) }
func (s store) Has(capability uint64) bool            { return s.w.s.o.Engine.Has(capability) }
func (s store) EngineName() string                    { return s.w.s.o.Engine.EngineName() }
func (s store) Generation() uint64                    { return s.w.s.o.Engine.Generation() }
func (s store) Moves() uint64                         { return s.w.s.o.Engine.Moves() }

// host is the server as commands see it in their Steps.
type host struct{ w *worker }

// Config is the settings that match any of the patterns.
func (h host) Config(patterns []string) []string {
	var out []string
	for _, p := range h.w.s.o.Settings() {
		match := func(pattern string) bool { return command.Match([]byte(pattern), []byte(p.Name), true) }
		if slices.ContainsFunc(patterns, match) {
			out = append(out, p.Name, p.Value.(string))
		}
	}
	return out
}

// Clients is every open connection by id.
func (h host) Clients() []*command.Session {
	var all []*command.Session
	for _, cl := range h.clients() {
		cl.InBuf, cl.OutBuf = cl.conn.Buffered()
		all = append(all, &cl.Session)
	}
	return all
}

func (h host) LoadEngine(path string, done func(string, error)) { h.w.s.o.Reload(path, done) }

func (h host) CheckEngine(path string, done func(string, error)) { h.w.s.o.Check(path, done) }
