package main

import (
	"fmt"
	"strconv"
	"time"
)

// Case is one kind of load. Its mark is the highest ratio of kvstored's CPU
// per request to redis's that is good enough; 0: there is none.
type Case struct {
	Name        string  `json:"name"`
	Connections int     `json:"connections"`
	Pipeline    int     `json:"pipeline"`
	Get         int     `json:"get_percent"`
	Rate        float64 `json:"rate,omitempty"`
	Mark        float64 `json:"mark,omitempty"`

	seconds float64
	poisson bool
}

// idleName and idleMark are the case that is not a load.
const (
	idleName = "idle"
	idleMark = 2.0 // wake-ups a second
)

// allCases are the cases of the project's marks.
func allCases(o options) []Case {
	var all []Case
	busy, paced := 0.6, 2.0
	if o.quick {
		busy, paced = 0.25, 0.7
	}
	for _, depth := range []struct {
		pipeline int
		mark     float64
	}{{1, 1.0}, {16, 0.5}, {64, 0.3}} {
		for _, get := range []int{0, 100} {
			all = append(all, Case{Name: fmt.Sprintf("%s P=%d", verb(get), depth.pipeline),
				Connections: o.conns, Pipeline: depth.pipeline, Get: get, Mark: depth.mark, seconds: busy})
		}
	}
	for _, rate := range []float64{200, 2000, 20000} {
		all = append(all, Case{Name: fmt.Sprintf("%.0f/s", rate), Connections: o.conns, Pipeline: 1,
			Get: 50, Rate: rate, Mark: 1.0, seconds: paced, poisson: o.poisson})
	}
	return append(all, Case{Name: "one connection", Connections: 1, Pipeline: 1, Get: 50, seconds: busy})
}

func verb(get int) string {
	if get == 0 {
		return "SET"
	}
	return "GET"
}

// chooseCases are those that -only lets through.
func chooseCases(o options) []Case {
	var chosen []Case
	for _, c := range allCases(o) {
		if o.wants(c.Name) {
			chosen = append(chosen, c)
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
func (c Case) args(o options, seed int) []string {
	warmup := 0.1
	if c.Rate > 0 {
		warmup = 0.2
	}
	args := []string{"--connections", strconv.Itoa(c.Connections), "--pipeline", strconv.Itoa(c.Pipeline),
		"--get", strconv.Itoa(c.Get), "--keys", strconv.Itoa(o.keys), "--value", strconv.Itoa(o.value),
		"--seconds", fmt.Sprint(c.seconds), "--warmup", fmt.Sprint(warmup), "--seed", strconv.Itoa(seed)}
	if c.Rate > 0 {
		args = append(args, "--rate", fmt.Sprint(c.Rate))
	}
	if c.poisson {
		args = append(args, "--poisson")
	}
	return args
}
