package server

import (
	"slices"
	"strings"

	"kvstored/pkg/command"
)

// keptSamples is how many samples the latency monitor keeps of one event.
const keptSamples = 160

// latency is the latency monitor: events that took longer than a threshold.
// Reactor's goroutine only.
type latency struct {
	threshold int64 // milliseconds; 0: nothing is noted
	events    map[string]*command.LatencyEvent
}

// note takes an event that took so many nanoseconds.
func (l *latency) note(event string, now int64, nanos uint64) {
	millis := int64(nanos / 1e6)
	if l.threshold == 0 || millis < l.threshold {
		return
	}
	e := l.events[event]
	if e == nil {
		if l.events == nil {
			l.events = map[string]*command.LatencyEvent{}
		}
		e = &command.LatencyEvent{Name: event}
		l.events[event] = e
	}
	e.Max = max(e.Max, millis)
	if n := len(e.Samples); n > 0 && e.Samples[n-1].Time == now/1000 {
		e.Samples[n-1].Millis = max(e.Samples[n-1].Millis, millis)
		return
	}
	if len(e.Samples) == keptSamples {
		e.Samples = slices.Delete(e.Samples, 0, 1)
	}
	e.Samples = append(e.Samples, command.LatencySample{Time: now / 1000, Millis: millis})
}

// list is a copy of the events in the order of their names.
func (l *latency) list() []command.LatencyEvent {
	var all []command.LatencyEvent
	for _, e := range l.events {
		all = append(all, command.LatencyEvent{Name: e.Name, Max: e.Max, Samples: slices.Clone(e.Samples)})
	}
	slices.SortFunc(all, func(a, b command.LatencyEvent) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// reset forgets events by name, or all, and returns how many there were.
func (l *latency) reset(names []string) int {
	if len(names) == 0 {
		n := len(l.events)
		clear(l.events)
		return n
	}
	n := 0
	for _, name := range names {
		name = strings.ToLower(name)
		if l.events[name] != nil {
			delete(l.events, name)
			n++
		}
	}
	return n
}

// slow notes a command that is slow by either measure.
func (w *worker) slow(r *command.Reply, nanos uint64) {
	if nanos >= w.slowlog.from && r.Session != nil && (r.Cmd == nil || r.Cmd.Flags&command.SkipSlowlog == 0) {
		w.slowlog.add(r, w.now, nanos)
	}
	if r.Cmd == nil {
		return
	}
	event := "command"
	if r.Cmd.Flags&command.Fast != 0 {
		event = "fast-command"
	}
	w.latency.note(event, w.now, nanos)
}

// slowFrom is from how many nanoseconds on slow is to be told.
func (w *worker) slowFrom() uint64 {
	if w.latency.threshold == 0 {
		return w.slowlog.from
	}
	return min(w.slowlog.from, uint64(w.latency.threshold)*1e6)
}
