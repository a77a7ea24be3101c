package main

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Case is one kind of load.
type Case struct {
	Name        string  `json:"name"`
	Connections int     `json:"connections"`
	Pipeline    int     `json:"pipeline"`
	Get         int     `json:"get_percent"`
	Rate        float64 `json:"rate,omitempty"` // requests a second; 0: closed loop
	Keys        int     `json:"keys"`
	Value       int     `json:"value_bytes"`
	Zipf        float64 `json:"zipf,omitempty"` // skew of the choice of keys
	Marks       []Mark  `json:"marks,omitempty"`

	seconds float64
	warmup  float64 // seconds; 0: as short as the load allows
	poisson bool
	steady  bool // short windows, many rounds, a processor for the server and one for the load
}

// steadyRounds is how many rounds of a steady case there are to one of another.
const steadyRounds = 3

// Mark is a bound for a ratio of one of kvstored's figures.
type Mark struct {
	Figure string  `json:"figure"`
	Peer   string  `json:"peer,omitempty"` // to whose figure in the same case, or
	Case   string  `json:"case,omitempty"` // to its own in another case
	Limit  float64 `json:"limit"`
	Least  bool    `json:"least,omitempty"` // the ratio is to be at least Limit, else at most
	Below  bool    `json:"below,omitempty"` // the ratio is to be less than Limit
}

// Figures that marks are about.
const (
	figureCPU  = "CPU per request"
	figureRate = "throughput"
	figureP50  = "p50 latency"
	figureSync = "syncs per request"
)

// oneName is the case of one connection by itself.
const oneName = "one connection"

// idleName and idleMark are the case that is not a load.
const (
	idleName = "idle"
	idleMark = 2.0 // wake-ups a second
)

// group is cases that are measured on the same servers.
type group struct {
	name      string
	cases     []Case
	idle      bool // watched idle afterwards
	memory    bool // memory per key is read before each case
	noFloor   bool
	perClient bool   // kvstored's memory per idle connection is read first
	clients   int    // the most connections of a case
	capacity  int    // bytes that memcached must be able to keep
	engine    string // kvstored's in this group, which keeps its data on disk; "": options.engine
	sync      string // all servers keep their data on disk, as with this Sync=; "": redis keeps nothing
}

// cpuMarks are those of the CPU time of a request, 0: none.
func cpuMarks(redis, pogocache, floor float64) []Mark {
	var marks []Mark
	for _, m := range []Mark{{Peer: "redis", Limit: redis}, {Peer: "pogocache", Limit: pogocache}, {Peer: "floor", Limit: floor}} {
		if m.Limit > 0 {
			m.Figure = figureCPU
			marks = append(marks, m)
		}
	}
	return marks
}

// allGroups are the cases of the project's marks, and what puts them in
// proportion.
func allGroups(o options) []group {
	return []group{o.base(), o.values(1 << 10), o.values(64 << 10), o.many(), o.large(), o.onDisk(), o.synced(syncInterval), o.synced(syncAlways)}
}

// lengths are the seconds of a closed and of an open loop.
func (o options) lengths() (busy, paced float64) {
	if o.quick {
		return 0.25, 0.7
	}
	return 0.6, 2
}

// base is small values and few keys: what the server itself costs.
func (o options) base() group {
	busy, paced := o.lengths()
	g := group{name: "small values", idle: true, clients: o.conns}
	add := func(c Case) {
		c.Keys, c.Value, c.poisson = o.keys, o.value, o.poisson
		g.cases = append(g.cases, c)
	}
	for _, depth := range []struct {
		pipeline int
		marks    []Mark
	}{{1, cpuMarks(0.85, 0.95, 1.20)}, {16, cpuMarks(0.40, 0.60, 0)}, {64, cpuMarks(0.20, 0.33, 0)}} {
		for _, get := range []int{0, 100} {
			c := Case{Name: fmt.Sprintf("%s P=%d", verb(get), depth.pipeline), Connections: o.conns,
				Pipeline: depth.pipeline, Get: get, Marks: depth.marks, seconds: busy}
			if depth.pipeline == 1 { // compared with the floor, which spreads most
				c.steady, c.seconds, c.warmup = true, busy/2, 0.2
			}
			add(c)
		}
	}
	for _, depth := range []int{1, 16} {
		add(Case{Name: fmt.Sprintf("90/10 Zipf P=%d", depth), Connections: o.conns, Pipeline: depth, Get: 90, Zipf: 0.99, seconds: busy})
	}
	for _, rate := range []float64{200, 2000, 20000} {
		add(Case{Name: fmt.Sprintf("%.0f/s", rate), Connections: o.conns, Pipeline: 1,
			Get: 50, Rate: rate, Marks: cpuMarks(0.9, 0, 0), seconds: paced})
	}
	add(Case{Name: oneName, Connections: 1, Pipeline: 1, Get: 50, seconds: busy, Marks: []Mark{
		{Figure: figureP50, Peer: "redis", Limit: 0.5}, {Figure: figureRate, Peer: "redis", Limit: 2, Least: true},
		{Figure: figureP50, Peer: "pogocache", Limit: 0.5}, {Figure: figureRate, Peer: "pogocache", Limit: 2, Least: true},
		{Figure: figureCPU, Peer: "redis", Limit: 1}}})
	return g
}

// values is larger values.
func (o options) values(size int) group {
	busy, _ := o.lengths()
	keys := min(o.keys, 256<<20/size)
	g := group{name: sizeName(size) + " values", noFloor: true, clients: o.conns}
	for _, get := range []int{0, 100} {
		for _, depth := range []int{1, 16} {
			if size*depth > 256<<10 {
				continue // the kernel copying
			}
			g.cases = append(g.cases, Case{Name: fmt.Sprintf("%s %s P=%d", verb(get), sizeName(size), depth), Connections: o.conns,
				Pipeline: depth, Get: get, Keys: keys, Value: size, seconds: busy})
		}
	}
	return g
}

func sizeName(n int) string { return strconv.Itoa(n>>10) + " KiB" }

// many is many connections.
func (o options) many() group {
	busy, _ := o.lengths()
	g := group{name: "connections", noFloor: true, perClient: true, clients: 10000}
	for _, n := range []int{50, 1000, 10000} {
		c := Case{Name: fmt.Sprintf("%d connections", n), Connections: n, Pipeline: 1, Get: 50, Keys: o.keys, Value: o.value, seconds: busy}
		if n == 10000 {
			c.seconds = 3 * busy // each has its turn
			c.Marks = []Mark{{Figure: figureCPU, Case: "50 connections", Limit: 1.3}}
		}
		g.cases = append(g.cases, c)
	}
	return g
}

// large is from few keys to millions.
func (o options) large() group {
	busy, _ := o.lengths()
	g := group{name: "many keys", noFloor: true, memory: true, clients: o.conns, capacity: 4 << 30}
	sizes := []int{10_000, 1_000_000, 5_000_000, 10_000_000}
	if o.quick {
		sizes = sizes[:2]
	}
	for _, n := range sizes {
		c := Case{Name: "GET P=64, " + keysName(n), Connections: o.conns, Pipeline: 64, Get: 100, Keys: n, Value: 32, seconds: busy}
		switch n {
		case 5_000_000:
			c.Marks = cpuMarks(0.18, 0.30, 0)
		case 10_000_000:
			c.Marks = []Mark{{Figure: figureCPU, Case: "GET P=64, 10 thousand keys", Limit: 1.5}}
		}
		g.cases = append(g.cases, c)
	}
	return g
}

// onDisk is the engine for data larger than memory, while the data still fits.
func (o options) onDisk() group {
	busy, _ := o.lengths()
	g := group{name: "lmdb", noFloor: true, clients: o.conns, engine: o.lmdb}
	if o.lmdb != "" {
		g.cases = []Case{{Name: "lmdb GET P=64, 1 million keys", Connections: o.conns, Pipeline: 64, Get: 100, Keys: 1_000_000, Value: 32,
			seconds: busy, Marks: cpuMarks(1, 0, 0)}}
	}
	return g
}

func keysName(n int) string {
	if n >= 1_000_000 {
		return strconv.Itoa(n/1_000_000) + " million keys"
	}
	return strconv.Itoa(n/1000) + " thousand keys"
}

func verb(get int) string {
	if get == 0 {
		return "SET"
	}
	return "GET"
}

// chooseGroups are those that -only lets something through of.
func chooseGroups(o options) []group {
	var chosen []group
	for _, g := range allGroups(o) {
		g.cases = slices.DeleteFunc(g.cases, func(c Case) bool { return !o.wants(c.Name) })
		g.idle = g.idle && o.wants(idleName)
		g.perClient = g.perClient && o.wants(idleClientsName)
		if len(g.cases) > 0 || g.idle || g.perClient {
			chosen = append(chosen, g)
		}
	}
	return chosen
}

// rounds is how often each case is measured.
func (o options) roundsWanted() int {
	switch {
	case o.rounds > 0:
		return o.rounds
	case o.quick:
		return 2
	}
	return 5
}

// settleTime is how long servers may tidy up after the load before they count
// as idle, idleTime how long they are watched then.
func (o options) settleTime() time.Duration {
	if o.quick {
		return 11 * time.Second
	}
	return 12 * time.Second
}

func (o options) idleTime() time.Duration {
	if o.quick {
		return 4 * time.Second
	}
	return 12 * time.Second
}

// args are the generator's for one run of c.
func (c Case) args(seed int) []string {
	warmup := 0.1
	switch {
	case c.warmup > 0:
		warmup = c.warmup
	case c.Rate > 0 || c.Connections >= 1000:
		warmup = 0.2
	}
	args := []string{"--connections", strconv.Itoa(c.Connections), "--pipeline", strconv.Itoa(c.Pipeline),
		"--get", strconv.Itoa(c.Get), "--keys", strconv.Itoa(c.Keys), "--value", strconv.Itoa(c.Value),
		"--seconds", fmt.Sprint(c.seconds), "--warmup", fmt.Sprint(warmup), "--seed", strconv.Itoa(seed)}
	if c.Rate > 0 {
		args = append(args, "--rate", fmt.Sprint(c.Rate))
	}
	if c.Zipf > 0 {
		args = append(args, "--zipf", fmt.Sprint(c.Zipf))
	}
	if c.poisson {
		args = append(args, "--poisson")
	}
	return args
}
