// Package conformance tells whether an engine keeps the promises of kvstore.h.
//
//	for _, r := range conformance.Run(engine, conformance.Smoke, seed) {
//		fmt.Println(r)
//	}
//
// Every check is relative to the capabilities that the engine declares: what
// it cannot do it must refuse, what it can it must do exactly. The same seed
// makes the same calls. The package knows no C; who loads libraries puts an
// [Engine] around one.
package conformance

import (
	"fmt"

	"kvstored/pkg/batch"
)

// The KV_CAP_ flags of kvstore.h that checks depend on.
const (
	capDelete   uint64 = 1 << 0
	capExpiry   uint64 = 1 << 1
	capSpaces   uint64 = 1 << 2
	capTags     uint64 = 1 << 3
	capScan     uint64 = 1 << 4
	capOrdered  uint64 = 1 << 5
	capBinary   uint64 = 1 << 6
	capUpdate   uint64 = 1 << 7
	capHandover uint64 = 1 << 11
)

// pinLength is KV_PIN_LENGTH: values from here on should be pinned.
const pinLength = 65536

// Engine is a loaded library under test.
type Engine struct {
	Name         string
	Capabilities uint64 // KV_CAP_ flags
	MaxKey       uint64 // bytes, 0: any
	MaxValue     uint64
	// Pins: the engine has a release function.
	Pins bool
	// Maintains: the engine has a maintain function.
	Maintains bool
	// Begin, if there is one, is told of every check before it is made: who
	// waits in another process learns where a crash or a hang was.
	Begin func(check string)
	// Open opens an empty store of the library.
	Open func(with Settings) (Store, error)
}

// Settings is what a store is opened with.
type Settings struct {
	Now       int64
	Seed      uint64
	MaxMemory uint64
}

// Store is an open store. Calls come one at a time, from one goroutine.
type Store interface {
	Exec(b *batch.Batch, from, to int, now int64) batch.Status
	Scan(s *batch.Scan) batch.Status
	Maintain(m *batch.MaintainHeader) batch.Status
	Stat(space uint32) (batch.Stat, batch.Status)
	Release(pins []uint64)
	// TakeBack offers the store and takes it back at once.
	TakeBack() error
	// HandOver passes everything on to a new store, of the same library or
	// another one with its format, and closes this one as given.
	HandOver(with Settings) (Store, error)
	Close()
}

// Size is how thorough a run is.
type Size int

// Smoke takes a fraction of a second and belongs before every swap; Full is
// for those who write engines.
const (
	Smoke Size = iota
	Full
)

// Result is what one check came to.
type Result struct {
	Name    string `json:"name"`
	Skipped string `json:"skipped,omitempty"` // why it does not apply
	Failure string `json:"failure,omitempty"` // what was wrong
}

// OK tells that the check found nothing wrong.
func (r Result) OK() bool { return r.Failure == "" }

// String is the result in one line.
func (r Result) String() string {
	switch {
	case r.Failure != "":
		return r.Name + ": FAILED: " + r.Failure
	case r.Skipped != "":
		return r.Name + ": not checked: " + r.Skipped
	}
	return r.Name + ": ok"
}

// check is one promise and how to try it.
type check struct {
	name  string
	needs uint64 // capabilities without which it does not apply
	full  bool   // in Full only
	run   func(t *trial)
}

// checks in the order in which they run: plain ones first, since people are
// told of the first that fails.
var checks = []check{
	{name: "open and close", run: checkOpenClose},
	{name: "get what was set", run: checkSetGet},
	{name: "order within a batch", run: checkOrder},
	{name: "part of a value", run: checkRange},
	{name: "keys and values of any bytes", needs: capBinary, run: checkBinary},
	{name: "limits of length", run: checkLimits},
	{name: "refusal of what is unknown", run: checkUnknown},
	{name: "refusal of what it cannot do", run: checkCannot},
	{name: "delete", needs: capDelete, run: checkDelete},
	{name: "update", run: checkUpdate},
	{name: "tags", needs: capTags, run: checkTags},
	{name: "expiry", needs: capExpiry, run: checkExpiry},
	{name: "events of expiry", needs: capExpiry | capScan, run: checkEvents},
	{name: "spaces", needs: capSpaces, run: checkSpaces},
	{name: "clear", needs: capDelete | capScan, run: checkClear},
	{name: "hand-over", needs: capHandover, run: checkHandOver},
	{name: "long values and pins", run: checkPins},
	{name: "memory that the host fills", run: checkStage},
	{name: "walk", needs: capScan, run: checkWalk},
	{name: "walk from any cursor", needs: capScan, run: checkCursors},
	{name: "one at random", needs: capScan, run: checkRandom},
	{name: "walk while others write", needs: capScan, run: checkWalkBesideWrites},
	{name: "figures", needs: capScan, run: checkFigures},
	{name: "random operations against a model", run: checkModel},
	{name: "limit of memory", needs: capScan | capDelete, full: true, run: checkMemoryLimit},
	{name: "nothing left behind", run: checkLeftovers},
}

// Run makes every check that applies and gives a result for each, in order.
func Run(e Engine, size Size, seed uint64) []Result {
	return runAll(checks, e, size, seed)
}

// takeOvers are the checks in which a store changes hands.
var takeOvers = []check{
	{name: "taking over from the engine that serves", needs: capHandover, run: checkHandOver},
	{name: "taking long values over", needs: capHandover, run: checkPins},
	{name: "random operations while taking over", needs: capHandover, run: checkModel},
}

// RunTakeOver makes the checks in which a store changes hands, for an engine
// whose stores go to another library and back.
func RunTakeOver(e Engine, size Size, seed uint64) []Result {
	return runAll(takeOvers, e, size, seed)
}

func runAll(checks []check, e Engine, size Size, seed uint64) []Result {
	var results []Result
	for _, c := range checks {
		if c.full && size != Full {
			continue
		}
		r := Result{Name: c.name}
		if missing := c.needs &^ e.Capabilities; missing != 0 {
			r.Skipped = "the engine does not have it among its capabilities"
		} else {
			if e.Begin != nil {
				e.Begin(c.name)
			}
			r.Failure = runOne(c, e, size, seed)
		}
		results = append(results, r)
	}
	return results
}

// Failures are the results that found something wrong.
func Failures(results []Result) []Result {
	var bad []Result
	for _, r := range results {
		if !r.OK() {
			bad = append(bad, r)
		}
	}
	return bad
}

// failure ends a check; runOne turns it into text.
type failure string

// runOne makes one check and returns what was wrong, "" for nothing.
func runOne(c check, e Engine, size Size, seed uint64) (wrong string) {
	t := newTrial(e, size, seed, c.name+".")
	defer func() {
		switch p := recover().(type) {
		case nil:
		case failure:
			wrong = string(p)
		default:
			panic(p)
		}
		t.end()
	}()
	c.run(t)
	return ""
}

func (t *trial) failf(format string, args ...any) {
	panic(failure(fmt.Sprintf(format, args...)))
}
