package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"kvstored/pkg/client"
)

// startName is the case that -only can choose.
const startName = "start"

// startMark is the most that kvstored may need of the time that redis needs.
const startMark = 0.02

// startKeys are looked up after each start.
const startKeys = 1000

// startStop is how long a stop may take that writes all data.
const startStop = 2 * time.Minute

// Start is how quickly a server is there again with its data after a clean
// stop, in seconds.
type Start struct {
	Peer    string `json:"peer"`
	Keys    int    `json:"keys"`
	Dropped bool   `json:"page_cache_dropped"`
	First   Spread `json:"first_reply_s"` // from its start
	Lookups Spread `json:"lookups_s"`     // of startKeys random keys after that, one by one
	Stop    Spread `json:"stop_s"`        // the clean stop before
	Ratio   Spread `json:"ratio"`         // of First to the reference's, round by round

	first, lookups, stop []float64
}

// kept is a server that keeps its data.
type kept struct {
	r    recipe
	dir  string
	peer *peer
	warm Start
	cold Start
}

// keepers are kvstored and redis, each with a directory of its own.
func (b *bench) keepers() []*kept {
	var all []*kept
	for _, r := range recipes(b.tools, b.o, group{}) {
		dir := filepath.Join(b.dir, startName+"-"+r.name)
		base := r.args
		switch r.name {
		case subject:
			r.args = func(s string) []string { return append(base(s), "--state-dir", dir) }
		case reference:
			r.args = func(s string) []string { return append(base(s), "--dir", dir) }
		default:
			continue
		}
		all = append(all, &kept{r: r, dir: dir})
	}
	return all
}

// starts measures starts after a clean stop, the servers turn and turn about.
func (b *bench) starts(ctx context.Context, r *Report) error {
	keys, rounds := 10_000_000, 2
	if b.o.quick {
		keys, rounds = 1_000_000, 2
	}
	all := b.keepers()
	for _, k := range all {
		defer func() {
			if k.peer != nil {
				k.peer.stop()
			}
		}()
		if err := b.fillKept(ctx, k, keys); err != nil {
			return err
		}
	}
	for _, dropped := range []bool{false, true} {
		if dropped && os.Geteuid() != 0 {
			fmt.Fprintf(b.progress, "%-26s page cache dropped: not measured, it needs root\n", startName)
			break
		}
		for range rounds {
			for _, k := range all {
				if err := b.again(ctx, k, keys, dropped); err != nil {
					return fmt.Errorf("start %s again: %w; its log: %s", k.r.name, err, k.peer.lastWords())
				}
			}
		}
		b.addStarts(r, all, keys, dropped)
	}
	return nil
}

// fillKept starts a server with an empty directory and fills it.
func (b *bench) fillKept(ctx context.Context, k *kept, keys int) (err error) {
	if err = os.Mkdir(k.dir, 0o700); err != nil {
		return err
	}
	if k.peer, err = start(ctx, b.dir, k.r); err != nil {
		return err
	}
	_, err = b.tools.run(ctx, k.peer, fillArgs(0, keys, 32)...)
	return err
}

// again stops a server cleanly, starts it and looks keys up.
func (b *bench) again(ctx context.Context, k *kept, keys int, dropped bool) error {
	s := &k.warm
	if dropped {
		s = &k.cold
	}
	began := time.Now()
	if err := k.end(); err != nil {
		return err
	}
	s.stop = append(s.stop, time.Since(began).Seconds())
	if dropped {
		syscall.Sync()
		if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
			return err
		}
	}
	first, err := k.begin(ctx, keys)
	if err != nil {
		return err
	}
	s.first = append(s.first, first.Seconds())
	took, err := lookUp(k.peer, keys, startKeys)
	s.lookups = append(s.lookups, took.Seconds())
	return err
}

// end stops it cleanly; redis writes its RDB first.
func (k *kept) end() error {
	if k.r.name == reference {
		c, err := client.Dial(k.peer.socket)
		if err != nil {
			return err
		}
		defer c.Close()
		if reply, err := c.Do("SAVE"); err != nil || reply.Err() != nil {
			return errors.Join(err, reply.Err())
		}
	}
	if err := k.peer.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-k.peer.ended:
		return nil
	case <-time.After(startStop):
		return fmt.Errorf("it did not stop within %v", startStop)
	}
}

// begin starts it and returns how long it took until a key was there.
func (k *kept) begin(ctx context.Context, keys int) (time.Duration, error) {
	log, err := os.Create(k.peer.log)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	_ = os.Remove(k.peer.socket) // the old one, if it was left
	p := &peer{name: k.peer.name, socket: k.peer.socket, log: k.peer.log, loadArgs: k.peer.loadArgs, ended: make(chan struct{})}
	program, err := exec.LookPath(k.r.program)
	if err != nil {
		return 0, err
	}
	p.cmd = exec.Command(program, k.r.args(p.socket)...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return 0, err
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in its log
		close(p.ended)
	}()
	k.peer = p
	for {
		if _, err = lookUp(p, keys, 1); err == nil {
			return time.Since(began), nil
		}
		select {
		case <-p.ended:
			return 0, errors.New("it ended")
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Millisecond):
		}
		if time.Since(began) > startStop {
			return 0, err
		}
	}
}

// lookUp gets n random keys one by one and sees that each has its value.
func lookUp(p *peer, keys, n int) (time.Duration, error) {
	c, err := client.Dial(p.socket)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	began := time.Now()
	for range n {
		key := fmt.Sprintf("key:%012d", rand.IntN(keys))
		reply, err := c.Do("GET", key)
		if err != nil {
			return 0, err
		}
		if err := reply.Err(); err != nil {
			return 0, err
		}
		if text := reply.Text(); len(text) != 32 || !strings.HasPrefix(text, key) {
			return 0, fmt.Errorf("%s has %q", key, text)
		}
	}
	return time.Since(began), nil
}

// addStarts puts what was measured into the report.
func (b *bench) addStarts(r *Report, all []*kept, keys int, dropped bool) {
	var theirs []float64
	for _, k := range all {
		if k.r.name == reference {
			theirs = k.of(dropped).first
		}
	}
	for _, k := range all {
		s := k.of(dropped)
		s.Peer, s.Keys, s.Dropped = k.r.name, keys, dropped
		s.First, s.Lookups, s.Stop = spread(s.first), spread(s.lookups), spread(s.stop)
		if theirs != nil {
			per := make([]float64, len(theirs))
			for i := range per {
				per[i] = s.first[i] / theirs[i]
			}
			s.Ratio = spread(per)
		}
		r.Starts = append(r.Starts, *s)
		fmt.Fprintf(b.progress, "%-26s %s %s: first reply after %s s, %s of redis\n", startName, keysName(keys), s.title(), figure(s.First.Median), figure(s.Ratio.Median))
	}
}

func (k *kept) of(dropped bool) *Start {
	if dropped {
		return &k.cold
	}
	return &k.warm
}

// title is what the table calls it, name what the mark is about.
func (s *Start) title() string { return s.Peer + ", page cache " + s.cache() }

func (s *Start) name() string {
	return fmt.Sprintf("start with %s, page cache %s", keysName(s.Keys), s.cache())
}

func (s *Start) cache() string {
	if s.Dropped {
		return "dropped"
	}
	return "warm"
}

// startTable has the starts of all peers.
func (r *Report) startTable(b *strings.Builder) {
	if len(r.Starts) == 0 {
		return
	}
	fmt.Fprintf(b, "\n| start with %s after a clean stop | first reply, s | to redis | then %d keys, s | the stop, s |\n|---|---|---|---|---|\n",
		keysName(r.Starts[0].Keys), startKeys)
	for i := range r.Starts {
		s := &r.Starts[i]
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", s.title(), s.First, s.Ratio, s.Lookups, s.Stop)
	}
}
