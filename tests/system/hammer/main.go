// Hammer loads a kvstored with clients that know what every answer must be.
//
//	hammer -socket PATH -fill 1000000      # write keys that never change
//	hammer -socket PATH -fill 9 -expiring  # the same, every other one with an expiry time
//	hammer -socket PATH -keys 1000000      # eight clients until standard input ends
//	hammer -socket PATH -lines "GET name"  # plain lines, and the bytes of their answers
//
// The clients write, read, delete and count without pause, each on keys of its
// own and on counters that all share, in requests of one to sixteen commands
// at a time. Each answer is compared with what it must be; the first wrong
// one, an error or a closed connection ends the program with exit status 1.
//
// Each line on standard input is a mark: the longest pause that any client saw
// since the one before is printed. At the end everything is read back once
// more, and the figures are printed as one line of JSON.
//
// With -restarts a closed connection is made anew; all that was answered before
// must still be there.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// options are the flags.
type options struct {
	socket   string
	clients  int
	fill     int  // write this many keys, then end
	keys     int  // this many keys of an earlier -fill are there to be read
	expiring bool // every other one of those has an expiry time
	restarts bool // connections may be closed
	values   int  // bytes of the largest value
	lines    []string
}

// result is what is printed at the end.
type result struct {
	Clients     int     `json:"clients"`
	Commands    int64   `json:"commands"`
	Seconds     float64 `json:"seconds"`
	Increments  int64   `json:"increments"`
	Counted     int64   `json:"counted"`
	Reconnects  int64   `json:"reconnects"`
	MaxPause    float64 `json:"max_pause_ms"`
	P50         float64 `json:"p50_ms"`
	P999        float64 `json:"p999_ms"`
	KeysChecked int64   `json:"keys_checked"`
}

func main() {
	var o options
	flag.StringVar(&o.socket, "socket", "/run/kvstored/kvstored.sock", "connect to `PATH`")
	flag.IntVar(&o.clients, "clients", 8, "`NUMBER` of clients")
	flag.IntVar(&o.fill, "fill", 0, "write this `NUMBER` of keys and end")
	flag.IntVar(&o.keys, "keys", 0, "`NUMBER` of keys that an earlier -fill wrote")
	flag.BoolVar(&o.expiring, "expiring", false, "every other key of -fill and -keys has an expiry time")
	flag.IntVar(&o.values, "values", 300, "the largest value has this many `BYTES`")
	flag.BoolVar(&o.restarts, "restarts", false, "the server may be restarted")
	lines := flag.Bool("lines", false, "send the arguments as plain lines")
	flag.Parse()
	if *lines {
		o.lines = flag.Args()
	}
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "hammer:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	switch {
	case o.fill > 0:
		return fill(o)
	case len(o.lines) > 0:
		return plain(o)
	}
	return load(o)
}

// plain sends plain lines and prints their answers as they come.
func plain(o options) error {
	c := newClient(o, "", 0)
	if err := c.connect(); err != nil {
		return err
	}
	var answers []string
	for _, line := range o.lines {
		fmt.Fprintf(c.conn, "%s\r\n", line)
		answer, err := c.in.ReadString('\n')
		if err == nil && strings.HasPrefix(answer, "$") && answer[1] != '-' {
			var value string
			value, err = c.in.ReadString('\n')
			answer += value
		}
		if err != nil {
			return err
		}
		answers = append(answers, strings.Fields(answer)...)
	}
	fmt.Println(strings.Join(answers, " "))
	return nil
}

// load runs the clients until standard input ends.
func load(o options) error {
	var stop atomic.Bool
	clients := make([]*client, o.clients)
	errs := make(chan error, o.clients)
	name := strconv.FormatInt(time.Now().UnixNano(), 36)
	for i := range clients {
		clients[i] = newClient(o, name, i)
		if err := clients[i].connect(); err != nil {
			return err
		}
	}
	start := time.Now()
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() {
			if err := c.hammer(&stop); err != nil {
				errs <- fmt.Errorf("client %d: %w", c.number, err)
			}
		})
	}
	ended := make(chan struct{})
	go marks(clients, ended)
	select {
	case err := <-errs:
		return err
	case <-ended:
	}
	stop.Store(true)
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
	}
	return report(o, clients, time.Since(start))
}

// marks prints the longest pause since the mark before, for each line of
// standard input, and closes ended at its end.
func marks(clients []*client, ended chan<- struct{}) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var longest time.Duration
		for _, c := range clients {
			longest = max(longest, time.Duration(c.sinceMark.Swap(0)))
		}
		fmt.Printf("mark %s %.3f\n", lines.Text(), float64(longest.Microseconds())/1000)
	}
	close(ended)
}

// report reads everything back and prints the figures.
func report(o options, clients []*client, took time.Duration) error {
	r := result{Clients: len(clients), Seconds: took.Seconds()}
	var all histogram
	for _, c := range clients {
		checked, err := c.readBack()
		if err != nil {
			return fmt.Errorf("client %d, reading back: %w", c.number, err)
		}
		r.KeysChecked += checked
		r.Commands += c.commands
		r.Increments += c.increments
		r.Reconnects += c.reconnects
		all.add(&c.times)
	}
	counted, err := clients[0].shared()
	if err != nil {
		return err
	}
	r.Counted = counted
	if !o.restarts && r.Counted != r.Increments {
		return fmt.Errorf("the shared counters add up to %d, but were incremented %d times", r.Counted, r.Increments)
	}
	r.MaxPause, r.P50, r.P999 = all.max(), all.quantile(0.5), all.quantile(0.999)
	line, err := json.Marshal(r)
	fmt.Printf("%s\n", line)
	return err
}

// fill writes the keys that never change, in requests of a thousand.
func fill(o options) error {
	c := newClient(o, "", 0)
	if err := c.connect(); err != nil {
		return err
	}
	for from := 0; from < o.fill; from += 1000 {
		for i := from; i < min(from+1000, o.fill); i++ {
			if o.expires(i) {
				c.ask("OK", "SET", fillKey(i), fillValue(i), "PXAT", fillExpiry(i))
			} else {
				c.ask("OK", "SET", fillKey(i), fillValue(i))
			}
		}
		if err := c.exchange(); err != nil {
			return err
		}
	}
	fmt.Printf("filled %d\n", o.fill)
	return nil
}

func fillKey(i int) string { return fmt.Sprintf("fill:%d", i) }

// fillValue is what fillKey(i) holds: a length and contents that depend on i.
func fillValue(i int) string {
	return fmt.Sprintf("value-%d-%0*d", i, i%40+1, i%7)
}

// expires tells whether fillKey(i) has an expiry time.
func (o options) expires(i int) bool { return o.expiring && i%2 == 1 }

// fillExpiry is when fillKey(i) expires: in the year 2100, a millisecond apart.
func fillExpiry(i int) string { return strconv.FormatInt(4_102_444_800_000+int64(i), 10) }
