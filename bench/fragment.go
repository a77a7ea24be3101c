package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"kvstored/pkg/client"
)

// fragmentName is the case that -only can choose.
const fragmentName = "fragmentation"

// FragmentPoint is how much memory servers have for the same live data, at one
// point of the run.
type FragmentPoint struct {
	Phase    string             `json:"phase"`
	Commands uint64             `json:"commands"` // so far
	Written  uint64             `json:"written_bytes"`
	Keys     int                `json:"keys"`
	Live     int                `json:"live_bytes"` // of keys and values
	Ratio    map[string]float64 `json:"memory_over_live"`
}

// fragmentPhase is a part of the run with sizes of its own.
type fragmentPhase struct {
	name  string
	sizes func(*rand.Rand) int
}

// fragmentPhases change from one kind of size to the next, so that what the
// one leaves is of little use to the other; the first comes again at the end.
func fragmentPhases() []fragmentPhase {
	all := between(churnLeast, churnMost)
	return []fragmentPhase{
		{"16 B–64 KiB", all},
		{"16–256 B", between(16, 256)},
		{"16–64 KiB", between(16<<10, 64<<10)},
		{"100–120 B", between(100, 120)},
		{"130–170 B", between(130, 170)},
		{"1–4 KiB", between(1<<10, 4<<10)},
		{"16–64 B or 32–64 KiB", either(0.995, between(16, 64), between(32<<10, 64<<10))},
		{"16 B–64 KiB again", all},
	}
}

// How often memory is read in a phase; how often the live data is written anew
// in a phase; and the commands after which a phase ends at the latest.
const (
	fragmentReads    = 4
	fragmentTurnover = 3
	fragmentCommands = 2_500_000
)

// settled is how long the servers may tidy up before memory is read the last
// time: jemalloc gives pages back within ten seconds.
const settled = 12 * time.Second

// fragmenter is one such run.
type fragmenter struct {
	peers []*peer
	conns []*client.Conn
	c     *churn
	done  uint64 // commands
	write uint64 // bytes
	out   []FragmentPoint
}

// fragmentation runs all servers that speak the protocol and know PXAT through
// the same commands at the same time.
func (b *bench) fragmentation(ctx context.Context, r *Report) error {
	peers, err := startAll(ctx, b.dir, b.speaking())
	defer stopAll(peers)
	if err != nil {
		return err
	}
	live := 64 << 20
	if b.o.quick {
		live = 16 << 20
	}
	f := &fragmenter{peers: peers, c: newChurn(live, 1)}
	defer f.close()
	if err := f.dial(); err != nil {
		return err
	}
	fmt.Fprintf(b.progress, "%-26s", fragmentName)
	for _, p := range fragmentPhases() {
		if err := f.phase(ctx, p); err != nil {
			return fmt.Errorf("%s, %s: %w", fragmentName, p.name, err)
		}
		fmt.Fprint(b.progress, ".")
	}
	if err := sleep(ctx, settled); err != nil {
		return err
	}
	err = f.read("12 s later")
	r.Fragmentation = f.out
	fmt.Fprintf(b.progress, " memory over live bytes at the end: %s\n", r.fragmentEnd())
	return err
}

func (f *fragmenter) dial() error {
	for _, p := range f.peers {
		c, err := client.Dial(p.socket)
		if err != nil {
			return err
		}
		f.conns = append(f.conns, c)
		if _, err := c.Do("PING"); err != nil {
			return err
		}
	}
	return nil
}

func (f *fragmenter) close() {
	for _, c := range f.conns {
		_ = c.Close() // the server goes next
	}
}

// phase goes on with sizes of its own until the live data was written anew a
// few times, reads memory meanwhile, and looks keys up at its end.
func (f *fragmenter) phase(ctx context.Context, p fragmentPhase) error {
	f.c.sizes = p.sizes
	f.c.written = 0
	whole, began := fragmentTurnover*f.c.target, f.done
	reads := 0
	for reads < fragmentReads {
		if err := ctx.Err(); err != nil {
			return err
		}
		f.c.next(time.Now().UnixMilli())
		if err := f.send(refused); err != nil {
			return err
		}
		f.done += uint64(f.c.commands)
		part := max(float64(f.c.written)/float64(whole), float64(f.done-began)/fragmentCommands)
		if part >= float64(reads+1)/fragmentReads {
			reads++
			if reads == fragmentReads {
				f.write += uint64(f.c.written)
				f.c.written = 0
			}
			if err := f.read(p.name); err != nil {
				return err
			}
		}
	}
	return f.verify()
}

// refused is the error that an answer is.
func refused(_ int, head client.Token) error {
	if head.Kind == client.Error {
		return errors.New("it answered " + string(head.Text))
	}
	return nil
}

// send has all servers carry out the batch, and looks at every answer.
func (f *fragmenter) send(look func(i int, head client.Token) error) error {
	errs := make([]error, len(f.conns))
	var all sync.WaitGroup
	for k, c := range f.conns {
		all.Go(func() {
			var wrong error
			err := c.Exchange(f.c.batch, f.c.commands, func(i int, head client.Token) {
				if e := look(i, head); e != nil && wrong == nil {
					wrong = e
				}
			})
			if err = errors.Join(err, wrong); err != nil {
				errs[k] = fmt.Errorf("%s: %w; its log: %s", f.peers[k].name, err, f.peers[k].lastWords())
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// verify sees that servers and model agree on some keys.
func (f *fragmenter) verify() error {
	want := f.c.sample(500)
	return f.send(func(i int, head client.Token) error {
		if head.Kind != client.Integer || head.N != want[i] {
			return fmt.Errorf("STRLEN of a key gave %c%d %s, want %d", head.Kind, head.N, head.Text, want[i])
		}
		return nil
	})
}

// read notes the memory of all servers now.
func (f *fragmenter) read(phase string) error {
	f.c.expire(time.Now().UnixMilli())
	p := FragmentPoint{Phase: phase, Commands: f.done, Written: f.write + uint64(f.c.written), Keys: len(f.c.alive), Live: f.c.live, Ratio: map[string]float64{}}
	for _, peer := range f.peers {
		n, err := memory(peer.pid())
		if err != nil {
			return err
		}
		p.Ratio[peer.name] = float64(n) / float64(p.Live)
	}
	f.out = append(f.out, p)
	return nil
}

// fragmentPeers are the servers of the run, in their usual order.
func (r *Report) fragmentPeers() []string {
	return slices.DeleteFunc(slices.Clone(speakers), func(name string) bool {
		_, ok := r.Fragmentation[0].Ratio[name]
		return !ok
	})
}

// fragmentEnd is the last figures in words.
func (r *Report) fragmentEnd() string {
	last := r.Fragmentation[len(r.Fragmentation)-1]
	var parts []string
	for _, name := range r.fragmentPeers() {
		parts = append(parts, fmt.Sprintf("%s %.2f", name, last.Ratio[name]))
	}
	return strings.Join(parts, ", ")
}

// fragmentTable has the last point of each phase.
func (r *Report) fragmentTable(b *strings.Builder) {
	if len(r.Fragmentation) == 0 {
		return
	}
	peers := r.fragmentPeers()
	b.WriteString("\n| memory over live bytes, sizes of values | commands | written | keys | live |")
	for _, name := range peers {
		fmt.Fprintf(b, " %s |", r.name(name))
	}
	b.WriteString("\n|---|---|---|---|---|" + strings.Repeat("---|", len(peers)) + "\n")
	for i, p := range r.Fragmentation {
		if i+1 < len(r.Fragmentation) && r.Fragmentation[i+1].Phase == p.Phase {
			continue
		}
		fmt.Fprintf(b, "| %s | %s | %d MiB | %s | %.1f MiB |", p.Phase, figure(float64(p.Commands)), p.Written>>20, figure(float64(p.Keys)), float64(p.Live)/(1<<20))
		for _, name := range peers {
			fmt.Fprintf(b, " %.2f |", p.Ratio[name])
		}
		b.WriteString("\n")
	}
}

// fragmentCurve is the ratios over the commands.
func (r *Report) fragmentCurve() curve {
	c := curve{file: "fragmentation.svg", title: "memory over live bytes, by millions of commands"}
	if len(r.Fragmentation) == 0 {
		return c
	}
	c.names = r.fragmentPeers()
	c.lines = make([][]float64, len(c.names))
	for _, p := range r.Fragmentation {
		c.points = append(c.points, fmt.Sprintf("%.1f", float64(p.Commands)/1e6))
		for k, name := range c.names {
			c.lines[k] = append(c.lines[k], p.Ratio[name])
		}
	}
	return c
}
