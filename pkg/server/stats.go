package server

import (
	"bytes"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"kvstored/pkg/batch"
	"kvstored/pkg/command"
)

// Figures by command. What a call took is its part of the tick that executed
// it: the time in the lane is measured once for all operations and divided by
// their number, so that a call costs one addition here and not two looks at a
// clock. Steps, which run one by one, are measured one by one.

// Histograms as Redis keeps them: nanoseconds up to a second, two digits.
const (
	histogramLeast  = 1
	histogramMost   = 1_000_000_000
	histogramDigits = 2
)

// mostErrorCodes is how many different codes of errors are counted.
const mostErrorCodes = 128

// commandStats is the figures of one command. Reactor's goroutine only.
type commandStats struct {
	calls    uint64
	nanos    uint64
	rejected uint64 // before it was planned: wrong arity, not permitted
	failed   uint64
	took     *hdr.Histogram // made at the first call
}

// statistics is what INFO has beyond figures. Reactor's goroutine only.
type statistics struct {
	cmds   []commandStats // by Command.Index
	inTick []uint32       // single operations of this tick, by Command.Index
	met    []int          // the indices that are not 0 in inTick
	perOp  uint64         // nanoseconds, of this tick
	weight uint64         // operations and plain answers of this tick
	laneNS int64          // in the lane without the steps, this tick

	errors map[string]uint64 // by code
	failed uint64            // errors in all
	hits   uint64
	misses uint64
	peak   uint64 // of used memory, as far as looked at
	rates  rates

	refusing refusing
}

func newStatistics() statistics {
	return statistics{cmds: make([]commandStats, command.Count()), inTick: make([]uint32, command.Count()),
		errors: map[string]uint64{}}
}

// reset is CONFIG RESETSTAT.
func (st *statistics) reset() {
	clear(st.cmds)
	clear(st.errors)
	st.failed, st.hits, st.misses = 0, 0, 0
}

// share divides the tick's time in the lane among what was done there.
func (st *statistics) share() {
	st.perOp = uint64(max(st.laneNS, 0)) / max(st.weight, 1)
}

// cost is what a request took, in nanoseconds.
func (st *statistics) cost(r *command.Reply) uint64 {
	if r.Step != nil {
		return uint64(r.Took)
	}
	return st.perOp * uint64(max(r.N, 1))
}

// tally counts one request that was answered; text is its reply's beginning.
func (st *statistics) tally(r *command.Reply, b *batch.Batch, text []byte) {
	failed := len(text) > 0 && text[0] == '-'
	if failed || r.Cmd == nil || r.Rejected || r.Queued || r.Step != nil || r.N > 1 {
		st.tallyRare(r, b, failed, text)
		return
	}
	// One operation that was carried out, as most are.
	st.once(r.Cmd.Index)
	if r.Cmd.Looks && r.Render != nil && r.Op < b.Len() {
		st.lookup(b.Op(r.Op).Status)
	}
}

// once counts one operation of the command with this Index.
func (st *statistics) once(i int) {
	if st.inTick[i] == 0 {
		st.met = append(st.met, i)
	}
	st.inTick[i]++
}

// tallyRare is tally for what is not one operation that was carried out.
func (st *statistics) tallyRare(r *command.Reply, b *batch.Batch, failed bool, text []byte) {
	if failed {
		st.countError(text)
		st.refusing.note(r, text)
	}
	if r.Cmd == nil || r.Queued {
		return
	}
	i := r.Cmd.Index
	if r.Rejected {
		st.cmds[i].rejected++
		return
	}
	if failed {
		st.cmds[i].failed++
	}
	if r.Step == nil && r.N <= 1 {
		st.once(i)
	} else {
		st.cmds[i].add(1, st.cost(r))
	}
	st.lookups(r, b)
}

// tallyInner counts one request of a transaction; what it took comes with the
// end of the transaction.
func (st *statistics) tallyInner(r *command.Reply, b *batch.Batch, text []byte) {
	failed := len(text) > 0 && text[0] == '-'
	if failed {
		st.countError(text)
		st.refusing.note(r, text)
	}
	switch {
	case r.Cmd == nil:
		return
	case r.Rejected:
		st.cmds[r.Cmd.Index].rejected++
	case failed:
		st.cmds[r.Cmd.Index].failed++
	}
	st.lookups(r, b)
}

// endTransaction divides what a transaction took among its requests.
func (st *statistics) endTransaction(replies []command.Reply, took time.Duration) {
	for i := range replies {
		if r := &replies[i]; r.Cmd != nil && !r.Rejected {
			st.cmds[r.Cmd.Index].add(1, uint64(took)/uint64(len(replies)))
		}
	}
}

// add counts n calls that took so many nanoseconds each.
func (c *commandStats) add(n, nanos uint64) {
	c.calls += n
	c.nanos += n * nanos
	if c.took == nil {
		c.took = hdr.New(histogramLeast, histogramMost, histogramDigits)
	}
	_ = c.took.RecordValues(int64(min(max(nanos, histogramLeast), histogramMost)), int64(n)) // within its bounds
}

// lookups counts the keys that a command that Looks found and did not find.
func (st *statistics) lookups(r *command.Reply, b *batch.Batch) {
	if r.Render == nil || !r.Cmd.Looks {
		return
	}
	for i := r.Op; i < r.Op+max(r.N, 1) && i < b.Len(); i++ {
		st.lookup(b.Op(i).Status)
	}
}

func (st *statistics) lookup(s batch.Status) {
	switch s {
	case batch.OK:
		st.hits++
	case batch.NotFound:
		st.misses++
	}
}

// countError counts an error reply by its code: "-WRONGTYPE Operation …".
func (st *statistics) countError(text []byte) {
	st.failed++
	code := text[1:]
	if end := bytes.IndexAny(code, " \r"); end >= 0 {
		code = code[:end]
	}
	if n, known := st.errors[string(code)]; known {
		st.errors[string(code)] = n + 1
	} else if len(st.errors) < mostErrorCodes {
		st.errors[string(code)] = 1
	}
}

// endTick adds what the tick gathered.
func (st *statistics) endTick() {
	for _, i := range st.met {
		st.cmds[i].add(uint64(st.inTick[i]), st.perOp)
		st.inTick[i] = 0
	}
	st.met = st.met[:0]
	st.weight, st.laneNS = 0, 0
}

// rates is how fast counters grow: the mean over the last samples, as Redis
// has it. Samples are taken by ticks, so an idle daemon is not woken for them.
type rates struct {
	at  [rateSamples]int64 // nanoseconds since the start of the server
	sum [rateSamples][3]uint64
	n   int
}

const (
	rateSamples = 16
	rateEvery   = int64(100 * time.Millisecond)
	rateSpan    = int64(rateSamples) * rateEvery
)

// sample notes the counters, unless the last time is too near.
func (r *rates) sample(now int64, counters [3]uint64) {
	if r.n > 0 && now-r.at[(r.n-1)%rateSamples] < rateEvery {
		return
	}
	r.at[r.n%rateSamples], r.sum[r.n%rateSamples] = now, counters
	r.n++
}

// perSecond is the growth since the oldest sample within the span.
func (r *rates) perSecond(now int64, counters [3]uint64) (rate [3]float64) {
	for i := max(r.n-rateSamples, 0); i < r.n; i++ {
		at := r.at[i%rateSamples]
		if now-at > rateSpan || now-at < rateEvery/2 {
			continue
		}
		for k := range rate {
			rate[k] = float64(counters[k]-r.sum[i%rateSamples][k]) / (float64(now-at) / 1e9)
		}
		return rate
	}
	return rate
}
