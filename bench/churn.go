package main

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"

	"kvstored/pkg/client"
)

// churn makes commands that overwrite, add, delete and let expire keys so that
// keys and values together stay at about the same number of bytes. It knows at
// any time which keys live and how large they are.
type churn struct {
	rng    *rand.Rand
	target int // bytes
	live   int // bytes of keys and values
	sizes  func(*rand.Rand) int

	keys     []churnKey // by number
	alive    []uint32   // numbers of keys that live
	free     []uint32   // of those that do not, and did
	due      deadlines
	filler   []byte
	batch    []byte // commands in their wire form
	commands int    // in batch
	written  int    // bytes of keys and values that were set
}

// churnKey is what the model knows of one key.
type churnKey struct {
	size     int
	place    int   // in alive, -1: not there
	deadline int64 // milliseconds since 1970, 0: none
}

// deadlines are keys with the times at which they end, the earliest first.
type deadlines []deadline

type deadline struct {
	at  int64
	key uint32
}

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].at < d[j].at }
func (d deadlines) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *deadlines) Push(x any)        { *d = append(*d, x.(deadline)) }
func (d *deadlines) Pop() any {
	last := len(*d) - 1
	x := (*d)[last]
	*d = (*d)[:last]
	return x
}

// The sizes of values in the run.
const (
	churnLeast = 16
	churnMost  = 64 << 10
)

func newChurn(target int, seed uint64) *churn {
	filler := make([]byte, churnMost)
	for i := range filler {
		filler[i] = 'a' + byte(i%26)
	}
	return &churn{rng: rand.New(rand.NewPCG(seed, 11)), target: target, filler: filler, sizes: between(churnLeast, churnMost)}
}

// between are sizes whose logarithms are evenly spread.
func between(least, most int) func(*rand.Rand) int {
	return func(r *rand.Rand) int {
		return int(float64(least) * math.Exp(r.Float64()*math.Log(float64(most)/float64(least))))
	}
}

// either mixes two distributions: a share of first, else second.
func either(share float64, first, second func(*rand.Rand) int) func(*rand.Rand) int {
	return func(r *rand.Rand) int {
		if r.Float64() < share {
			return first(r)
		}
		return second(r)
	}
}

// next makes about a batch of commands for the time now: a few hundred, or
// what fits 256 KiB.
func (c *churn) next(now int64) {
	c.batch, c.commands = c.batch[:0], 0
	c.expire(now)
	for c.commands < 400 && len(c.batch) < 256<<10 {
		switch p := c.rng.IntN(100); {
		case len(c.alive) == 0 || c.live < c.target*95/100:
			c.set(c.unused(), now)
		case p < 50:
			c.set(c.any(), now)
		case p < 80:
			c.set(c.unused(), now)
		default:
			c.delete(c.any())
		}
		for c.live > c.target {
			c.delete(c.any())
		}
	}
}

// expire forgets the keys whose time is over.
func (c *churn) expire(now int64) {
	for len(c.due) > 0 && c.due[0].at <= now {
		d := heap.Pop(&c.due).(deadline)
		if k := &c.keys[d.key]; k.place >= 0 && k.deadline == d.at {
			c.forget(d.key)
		}
	}
}

func (c *churn) any() uint32 { return c.alive[c.rng.IntN(len(c.alive))] }

// unused is a key that does not live, at times one that did.
func (c *churn) unused() uint32 {
	if n := len(c.free); n > 0 {
		id := c.free[n-1]
		c.free = c.free[:n-1]
		return id
	}
	c.keys = append(c.keys, churnKey{place: -1})
	return uint32(len(c.keys) - 1)
}

// set gives a key a value of a new size; one in six ends within three seconds.
func (c *churn) set(id uint32, now int64) {
	k := &c.keys[id]
	if k.place < 0 {
		k.place = len(c.alive)
		c.alive = append(c.alive, id)
		c.live += keySize
	} else {
		c.live -= k.size
	}
	k.size, k.deadline = c.sizes(c.rng), 0
	c.live += k.size
	c.written += keySize + k.size
	if c.rng.IntN(6) == 0 {
		k.deadline = now + 200 + c.rng.Int64N(2800)
		heap.Push(&c.due, deadline{k.deadline, id})
		c.add([]byte("SET"), churnName(id), c.filler[:k.size], []byte("PXAT"), fmt.Append(nil, k.deadline))
		return
	}
	c.add([]byte("SET"), churnName(id), c.filler[:k.size])
}

func (c *churn) delete(id uint32) {
	c.forget(id)
	c.add([]byte("DEL"), churnName(id))
}

// forget takes a key that lives out of the model.
func (c *churn) forget(id uint32) {
	k := &c.keys[id]
	last := c.alive[len(c.alive)-1]
	c.alive[k.place] = last
	c.keys[last].place = k.place
	c.alive = c.alive[:len(c.alive)-1]
	c.live -= keySize + k.size
	*k = churnKey{place: -1}
	c.free = append(c.free, id)
}

func (c *churn) add(args ...[]byte) {
	c.batch = client.AppendCommand(c.batch, args...)
	c.commands++
}

func churnName(id uint32) []byte { return fmt.Appendf(nil, "key:%012d", id) }

// sample makes a batch of STRLEN of keys without a time to end, and returns
// what the answers must be.
func (c *churn) sample(n int) (want []int64) {
	c.batch, c.commands = c.batch[:0], 0
	for tries := 0; len(want) < n && tries < 10*n; tries++ {
		if id := c.any(); c.keys[id].deadline == 0 {
			c.add([]byte("STRLEN"), churnName(id))
			want = append(want, int64(c.keys[id].size))
		}
	}
	return want
}
