package server

import (
	"errors"
	"slices"
	"time"

	"kvstored/pkg/batch"
	"kvstored/pkg/command"
	"kvstored/pkg/reactor"
)

// Thresholds say what is noted as slow, and how much of it.
type Thresholds struct {
	SlowlogSlowerThan int64 // microseconds; negative: nothing
	// BusyAfter is how long a script may run before the others hear that it
	// does; 0: DefaultBusyAfter.
	BusyAfter      time.Duration
	SlowlogMaxLen  int
	LatencyMonitor int64  // milliseconds; 0: nothing
	Events         string // notify-keyspace-events
}

// Tune changes limits and thresholds from now on. From any goroutine.
func (s *Server) Tune(limits reactor.Limits, t Thresholds) error {
	return s.work.r.Post(func() { s.work.tune(limits, t) })
}

// tune is Tune on the reactor's goroutine.
func (w *worker) tune(limits reactor.Limits, t Thresholds) {
	w.s.o.Limits = limits
	w.r.SetLimits(limits)
	w.setThresholds(t)
}

func (w *worker) setThresholds(t Thresholds) {
	w.slowlog.setThreshold(t.SlowlogSlowerThan)
	w.s.SetBusyAfter(t.BusyAfter)
	w.slowlog.setMost(t.SlowlogMaxLen)
	w.latency.threshold = t.LatencyMonitor
	w.slowAt = w.slowFrom()
	_ = w.setEvents(t.Events) // the configuration has no wrong ones
}

// SetConfig changes settings while the daemon runs.
func (h host) SetConfig(names, values []string) error {
	if h.w.s.o.Set == nil {
		return errors.New("settings cannot be changed here")
	}
	limits, t, err := h.w.s.o.Set(names, values)
	if err != nil {
		return err
	}
	h.w.tune(limits, t)
	return nil
}

// RewriteConfig writes what SetConfig changed to the configuration.
func (h host) RewriteConfig() error {
	if h.w.s.o.Rewrite == nil {
		return errors.New("there is no configuration file")
	}
	return h.w.s.o.Rewrite()
}

// ResetStats sets the figures to zero that CONFIG RESETSTAT is about.
func (h host) ResetStats() {
	f := &h.w.s.figures
	h.w.stats.reset()
	h.w.base = h.w.r.Traffic()
	f.accepted.Store(0)
	f.rejected.Store(0)
	f.commands.Store(0)
	f.expired.Store(0)
	f.evicted.Store(0)
	h.w.stats.rates = rates{}
}

// Kill closes connections; self's own closes after its replies.
func (h host) Kill(self *command.Session, which func(*command.Session) bool) int {
	var others []*reactor.Conn
	n := 0
	for _, cl := range h.clients() {
		switch {
		case !which(&cl.Session):
			continue
		case &cl.Session == self:
			cl.conn.Closing()
		default:
			others = append(others, cl.conn)
		}
		n++
	}
	for _, c := range others {
		h.w.r.Kill(c)
	}
	return n
}

// clients is every open connection by id.
func (h host) clients() []*client {
	var all []*client
	h.w.r.Conns(func(c *reactor.Conn) {
		if cl, ok := c.Data.(*client); ok {
			all = append(all, cl)
		}
	})
	slices.SortFunc(all, func(a, b *client) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return all
}

func (h host) Slowlog(n int) []command.SlowEntry { return h.w.slowlog.latest(n) }
func (h host) SlowlogLen() int                   { return len(h.w.slowlog.entries) }
func (h host) SlowlogReset()                     { h.w.slowlog.entries = nil }

func (h host) LatencyEvents() []command.LatencyEvent { return h.w.latency.list() }
func (h host) LatencyReset(names []string) int       { return h.w.latency.reset(names) }
func (h host) LatencyThreshold() int64               { return h.w.latency.threshold }

// Histograms are those of the commands, or of all that were called.
func (h host) Histograms(cmds []*command.Command) []command.Histogram {
	var all []command.Histogram
	for _, cmd := range cmds {
		c := &h.w.stats.cmds[cmd.Index]
		if c.took == nil {
			continue
		}
		one := command.Histogram{Name: cmd.FullName(), Calls: c.took.TotalCount()}
		level, sum := int64(1024), int64(0)
		for _, bar := range c.took.Distribution() {
			for bar.From > level {
				one.Buckets = appendBucket(one.Buckets, level, sum)
				level *= 2
			}
			sum += bar.Count
		}
		one.Buckets = appendBucket(one.Buckets, level, sum)
		all = append(all, one)
	}
	return all
}

// appendBucket adds a bucket that ends at level, where it is not empty. The
// end is the highest value that the histogram cannot tell from it.
func appendBucket(buckets [][2]int64, level, sum int64) [][2]int64 {
	if sum == 0 || len(buckets) > 0 && buckets[len(buckets)-1][1] == sum {
		return buckets
	}
	return append(buckets, [2]int64{(level + level/128 - 1) / 1000, sum})
}

// Shutdown ends the daemon as a signal would.
func (h host) Shutdown(now bool) error {
	if h.w.s.o.Shutdown == nil {
		return errors.New("this server ends with its program")
	}
	h.w.s.o.Shutdown(now)
	return nil
}

// SetActiveExpire switches housekeeping off and on.
func (h host) SetActiveExpire(on bool) {
	h.w.dormant = !on
	if on {
		h.w.s.arm(keeperMore)
	}
}

// stat is the engine's figures; an engine without them has none. The lane is
// held.
func (w *worker) stat() batch.Stat {
	st, err := w.s.o.Engine.Stat(batch.SpaceAll)
	if err != nil {
		return batch.Stat{}
	}
	return st
}

// traffic is what went through the sockets since the last reset.
func (w *worker) traffic() reactor.Traffic {
	t := w.r.Traffic()
	t.BytesIn -= w.base.BytesIn
	t.BytesOut -= w.base.BytesOut
	t.Reads -= w.base.Reads
	t.Writes -= w.base.Writes
	return t
}

// counters are those whose growth INFO tells: commands, bytes in, bytes out.
func (w *worker) counters() [3]uint64 {
	t := w.traffic()
	return [3]uint64{w.s.figures.commands.Load(), t.BytesIn, t.BytesOut}
}

// uptime is the time since the server was made.
func (w *worker) uptime() time.Duration { return time.Since(w.s.started) }
