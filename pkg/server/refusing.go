package server

import (
	"bytes"
	"time"

	"kvstored/pkg/command"
)

// refusing is whether the disk has the engine refuse writes, as far as they
// were tried: from the first reply that said so to the first tick that wrote
// without one. Reactor's goroutine only.
type refusing struct {
	why    string // "": writes are taken
	since  time.Time
	inTick bool
}

const (
	diskFull   = "the disk is full"
	diskFailed = "the disk failed, or its file system is read-only"
)

// diskErrors is how replies begin when a write was refused for the disk's
// sake, and what they mean.
var diskErrors = []struct{ begins, why string }{
	{"-MISCONF the engine", diskFull},
	{"-READONLY the engine", diskFailed},
	{"-ERR input/output error in the engine", diskFailed},
	{"-ERR outcome unknown", diskFailed},
}

// note looks at an error that answers r.
func (f *refusing) note(r *command.Reply, text []byte) {
	if r.Cmd == nil || r.Cmd.Flags&command.Write == 0 && r.Cmd.Group != "scripting" {
		return
	}
	for _, e := range diskErrors {
		if bytes.HasPrefix(text, []byte(e.begins)) {
			f.begin(e.why)
		}
	}
}

// failed notes a tick whose writes the engine could not write down.
func (f *refusing) failed() { f.begin(diskFailed) }

func (f *refusing) begin(why string) {
	if f.why == "" {
		f.since = time.Now()
	}
	f.why, f.inTick = why, true
}

// endTick takes notice that a tick wrote.
func (f *refusing) endTick() {
	if !f.inTick {
		f.why = ""
	}
	f.inTick = false
}

// toldRefusing tells the daemon when writes begin to be refused, and when
// they are taken again.
func (w *worker) toldRefusing() {
	w.stats.refusing.endTick()
	now := w.stats.refusing.why != ""
	if now != w.refusing && w.s.o.OnRefusing != nil {
		w.s.o.OnRefusing()
	}
	w.refusing = now
}

// EngineStatus is ENGINE STATUS: what the host says of the engine, and whether
// writes are taken.
func (h host) EngineStatus() []command.Pair { return h.w.engineStatus() }

func (w *worker) engineStatus() []command.Pair {
	writes, why := "taken", ""
	if f := &w.stats.refusing; f.why != "" {
		writes, why = "refused", f.why+"; since "+f.since.UTC().Format(time.RFC3339)
	}
	return append(w.s.o.Engine.Status(),
		command.Pair{Name: "writes", Value: writes}, command.Pair{Name: "writes_why", Value: why})
}
