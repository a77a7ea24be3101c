package cli

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/spf13/cobra"

	"kvstored/pkg/client"
)

// benchmark is what kvctl bench is asked for.
type benchmark struct {
	app      *app
	conns    int
	pipeline int
	keys     int64
	size     int
	ratio    string
	total    int64
	span     time.Duration
	prefix   string
	keep     bool

	sets, gets int
	left       atomic.Int64 // commands still to be sent; below 0: no limit
	ended      atomic.Bool
	done       atomic.Int64
}

// bench loads the daemon and measures it.
func (a *app) bench() *cobra.Command {
	b := &benchmark{app: a}
	cmd := &cobra.Command{
		Use:   "bench [OPTION...]",
		Short: "load the daemon with SET and GET, and draw how long answers take",
		Long: `Sends SET and GET of random keys over several connections and tells how many
were answered in a second and how long the answers took. The keys begin with
kvctl-bench: and are deleted at the end. On the daemon of a busy machine it takes
what others then lack.

With --pipeline the time of an answer is that of the whole batch.`,
		Example: `  kvctl bench
  kvctl bench --connections 1 --pipeline 1
  kvctl bench --pipeline 64 --size 1000 --ratio 1:1 --keys 1000000
  kvctl --json bench --for 10s`,
		Args:              atMost(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(*cobra.Command, []string) error { return b.run() },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVarP(&b.conns, "connections", "c", 10, "use N connections")
	f.IntVarP(&b.pipeline, "pipeline", "P", 1, "send N commands at once")
	f.Int64VarP(&b.keys, "keys", "r", 100_000, "choose among N keys")
	f.IntVarP(&b.size, "size", "d", 32, "values of N bytes")
	f.StringVar(&b.ratio, "ratio", "1:4", "so many SET to so many GET, as SETS:GETS")
	f.DurationVar(&b.span, "for", 3*time.Second, "run for TIME")
	f.Int64Var(&b.total, "count", 0, "end after N commands")
	f.BoolVar(&b.keep, "keep", false, "leave the keys there")
	for name, word := range map[string]string{"connections": "N", "pipeline": "N", "keys": "N", "size": "N", "ratio": "SETS:GETS", "for": "TIME", "count": "N"} {
		placeholder(f, name, word)
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	a.dbFlag(cmd)
	return cmd
}

// check reads the options.
func (b *benchmark) check() error {
	sets, gets, ok := strings.Cut(b.ratio, ":")
	var err1, err2 error
	b.sets, err1 = strconv.Atoi(sets)
	b.gets, err2 = strconv.Atoi(gets)
	switch {
	case !ok || err1 != nil || err2 != nil || b.sets < 0 || b.gets < 0 || b.sets+b.gets == 0:
		return usage("bench: --ratio=" + b.ratio + ": it is SETS:GETS, such as 1:4")
	case b.conns < 1 || b.conns > 10_000 || b.pipeline < 1 || b.pipeline > 100_000 || b.keys < 1 || b.size < 0 || b.size > 64<<20:
		return usage("bench: connections (1 to 10000), pipeline (1 to 100000), keys (from 1) and size (up to 64 MiB) are out of their range")
	}
	return nil
}

// benchResult is what --json prints.
type benchResult struct {
	Commands   int64   `json:"commands"`
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"commands_per_second"`
	Errors     int64   `json:"errors"`
	Hits       int64   `json:"hits"`
	CPUCommand float64 `json:"server_cpu_us_per_command"`
	Times      times   `json:"times"`
}

// worker is one connection's part.
type worker struct {
	h            *hdrhistogram.Histogram
	errors, hits int64
	err          error
}

// run measures.
func (b *benchmark) run() error {
	if err := b.check(); err != nil {
		return err
	}
	a := b.app
	control, err := a.dial()
	if err != nil {
		return err
	}
	defer control.Close()
	b.prefix = "kvctl-bench:" + strconv.Itoa(os.Getpid()) + ":"
	b.left.Store(-1)
	if b.total > 0 {
		b.left.Store(b.total)
	}
	before, err := readInfo(control)
	if err != nil {
		return err
	}
	stop, done := b.app.signals()
	defer done()
	begun := time.Now()
	workers := b.start(stop)
	took := time.Since(begun).Seconds()
	after, err := readInfo(control)
	if err != nil {
		return err
	}
	whole := newHistogram()
	result := benchResult{Commands: b.done.Load(), Seconds: took, PerSecond: float64(b.done.Load()) / took}
	for _, w := range workers {
		if w.err != nil {
			return failure{what: "bench: " + w.err.Error(), why: "a connection was lost or not made", fix: "kvctl doctor", code: ExitConnect}
		}
		whole.Merge(w.h)
		result.Errors += w.errors
		result.Hits += w.hits
	}
	result.Times = timesOf(whole)
	if s := between(before, after, took); b.done.Load() > 0 {
		result.CPUCommand = s.CPU / 100 * took * 1e6 / float64(b.done.Load())
	}
	if !b.keep {
		if err := b.sweep(control); err != nil {
			return err
		}
	}
	return b.say(result, whole)
}

// start runs the workers until time, count or a person ends them.
func (b *benchmark) start(stop <-chan os.Signal) []*worker {
	workers := make([]*worker, b.conns)
	var wait sync.WaitGroup
	for i := range workers {
		workers[i] = &worker{h: newHistogram()}
		wait.Add(1)
		go func() {
			defer wait.Done()
			workers[i].err = b.work(workers[i], uint64(i))
		}()
	}
	finished := make(chan struct{})
	go func() { wait.Wait(); close(finished) }()
	bar := b.app.progress(b.total, func() state { return state{done: b.done.Load(), keys: b.done.Load(), noun: "commands"} })
	var late <-chan time.Time
	if b.total == 0 {
		late = time.After(b.span)
	}
	select {
	case <-late:
	case <-stop:
	case <-finished:
	}
	b.ended.Store(true)
	<-finished
	bar.end()
	return workers
}

// work sends batches on one connection.
func (b *benchmark) work(w *worker, seed uint64) error {
	c, err := b.app.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Do("PING"); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(seed, 1))
	value := make([]byte, b.size)
	for i := range value {
		value[i] = byte('a' + i%26)
	}
	var wire []byte
	for !b.ended.Load() {
		n := b.pipeline
		if b.total > 0 {
			n = int(min(int64(n), b.left.Add(-int64(n))+int64(n)))
			if n <= 0 {
				return nil
			}
		}
		wire = b.batch(wire[:0], n, random, value)
		begun := time.Now()
		err := c.Exchange(wire, n, func(_ int, head client.Token) {
			switch head.Kind {
			case client.Error, client.BlobError:
				w.errors++
			case client.Bulk:
				w.hits++
			}
		})
		if err != nil {
			return err
		}
		_ = w.h.RecordValues(max(time.Since(begun).Nanoseconds(), 100), int64(n))
		b.done.Add(int64(n))
	}
	return nil
}

// batch makes n commands.
func (b *benchmark) batch(wire []byte, n int, random *rand.Rand, value []byte) []byte {
	key := make([]byte, 0, 64)
	for range n {
		key = strconv.AppendInt(append(key[:0], b.prefix...), random.Int64N(b.keys), 10)
		if random.IntN(b.sets+b.gets) < b.sets {
			wire = client.AppendCommand(wire, []byte("SET"), key, value)
		} else {
			wire = client.AppendCommand(wire, []byte("GET"), key)
		}
	}
	return wire
}

// sweep deletes the keys.
func (b *benchmark) sweep(c *client.Conn) error {
	for cursor := "0"; ; {
		r, err := c.Do("SCAN", cursor, "MATCH", b.prefix+"*", "COUNT", "10000")
		if err != nil || len(r.Items) != 2 {
			return err
		}
		if keys := r.Items[1].Items; len(keys) > 0 {
			args := []string{"DEL"}
			for _, key := range keys {
				args = append(args, key.Text())
			}
			if _, err := c.Do(args...); err != nil {
				return err
			}
		}
		if cursor = r.Items[0].Text(); cursor == "0" {
			return nil
		}
	}
}

// say prints the outcome.
func (b *benchmark) say(r benchResult, h *hdrhistogram.Histogram) error {
	a := b.app
	code := error(nil)
	if r.Errors > 0 {
		code = quiet(ExitServer)
	}
	if a.json {
		if err := a.object(r); err != nil {
			return err
		}
		return code
	}
	fmt.Fprintf(a.out, "%s commands/s: %s in %s, %s, %d at once, values of %s\n", grouped(int64(r.PerSecond)), counted(r.Commands, "command"), seconds(r.Seconds),
		counted(int64(b.conns), "connection"), b.pipeline, size(int64(b.size)))
	fmt.Fprintf(a.out, "server CPU %.2f µs a command; %s errors\n%s\n", r.CPUCommand, grouped(r.Errors), a.quantileLines(h))
	if a.outTTY && h.TotalCount() > 0 {
		fmt.Fprintln(a.out)
		a.drawHistogram(h)
	}
	return code
}
