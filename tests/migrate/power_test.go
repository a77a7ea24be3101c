package migrate

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/batch"
	"kvstored/pkg/client"
	"kvstored/pkg/engine"
)

var cuts = flag.Int("cuts", 200, "how often the power is cut")

// promise is what was acknowledged when so many things had happened on disk.
type promise struct {
	events  int
	counted int64
}

// TestPowerCutWhileDataMoves records all that the daemon does on disk while its data moves from
// hash to lmdb and back, and snapshots are asked for, and cuts the power anywhere, half of the
// times about when the owner changes: what the disk could hold then has one owner, with
// everything acknowledged by Sync=always, and of each transaction and script all or nothing.
func TestPowerCutWhileDataMoves(t *testing.T) {
	t.Logf("seed %d", *seed)
	rnd := rand.New(rand.NewPCG(*seed, 1))
	for _, sync := range []string{"always", "interval"} {
		t.Run(sync, func(t *testing.T) {
			runs, owners := 0, map[string]int{}
			for done := 0; done < *cuts/2; runs++ {
				w := newWorld(t, 100, "hash", "lmdb")
				w.pause = 5 * time.Millisecond
				if err := os.WriteFile(filepath.Join(w.dir, "kvstored.conf"), []byte("Sync="+sync+"\nCheckTimeout=10min\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				d, promises := w.record()
				if sync != "always" {
					promises = promises[:1]
				}
				t.Setenv("KVSTORED_BOOT_ID", fmt.Sprint("after the power cut ", runs))
				for n := min(*cuts/2-done, 200); n > 0; n-- {
					owners[w.cutAt(d, d.moment(promises[0].events, rnd), rnd, promises)]++
					done++
				}
				os.Unsetenv("KVSTORED_BOOT_ID")
			}
			t.Logf("the power cut %d times in %d runs: the owner was %v", *cuts/2, runs, owners)
			if len(owners) < 2 {
				t.Error("no owner changed")
			}
		})
	}
}

// moment is one of those from first on.
func (d *disk) moment(first int, rnd *rand.Rand) int {
	var changes []int
	for i, e := range d.events {
		if i > first && e.kind == renaming && e.name == "owner" {
			changes = append(changes, i)
		}
	}
	if rnd.IntN(2) == 0 || len(changes) == 0 {
		return first + rnd.IntN(len(d.events)-first+1)
	}
	return min(changes[rnd.IntN(len(changes))]+1+rnd.IntN(20), len(d.events))
}

// record is a run and what was promised in it, the first when the keys were there.
func (w *world) record() (*disk, []promise) {
	w.t.Helper()
	d := newDisk(w.state())
	w.start("hash", d.observe)
	w.fill()
	w.save()
	promises := []promise{{d.count(), 0}}
	told, done := make(chan bool), make(chan bool)
	clients := []func(c *client.Conn, n int64) error{ // what each does for the nth time
		func(c *client.Conn, _ int64) error {
			r, err := c.Do("INCR", "counter")
			if err = cmp.Or(err, r.Err()); err == nil {
				n, _ := strconv.ParseInt(r.Text(), 10, 64)
				promises = append(promises, promise{d.count(), n})
			}
			return err
		},
		transact, evaluate, evaluate,
	}
	for i, do := range clients {
		go func() {
			defer func() { done <- true }()
			w.again(told, func(c *client.Conn, n int64) error { return do(c, n*int64(len(clients))+int64(i)) })
		}()
	}
	for _, engine := range []string{"lmdb", "hash"} {
		if w.load(engine) == 0 {
			w.t.Fatalf("the exchange for %s failed:\n%s", engine, w.log())
		}
		w.save()
	}
	close(told)
	for range clients {
		<-done
	}
	w.kill()
	return d, promises
}

// again has a client do something until it is told to end or fails.
func (w *world) again(told chan bool, do func(c *client.Conn, n int64) error) {
	c, err := client.Dial(w.socket())
	if err != nil {
		return
	}
	defer c.Close()
	for n := int64(1); do(c, n) == nil; n++ {
		select {
		case <-told:
			return
		case <-time.After(4 * w.pause):
		}
	}
}

// together are the keys that a transaction, and those that a script, gives the same number at once.
var together = map[string][]string{"transaction": {"t0", "t1", "t2", "t3"}, "script": {"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"}}

// pad is what a value needs to be so long that engines write it by itself.
var pad = strings.Repeat(" ", 300<<10)

// transact is a transaction.
func transact(c *client.Conn, n int64) error {
	number := fmt.Sprint(n)
	_, err := c.Do("MULTI")
	for i, key := range together["transaction"] {
		text := number
		if i == 1 {
			text += pad
		}
		if err == nil {
			_, err = c.Do("SET", key, text)
		}
	}
	if err != nil {
		return err
	}
	r, err := c.Do("EXEC")
	return cmp.Or(err, r.Err())
}

// evaluate is a script.
func evaluate(c *client.Conn, n int64) error {
	r, err := c.Do("EVAL", "for i = 0, 7 do redis.call('SET', 's' .. i, i == 3 and ARGV[1] .. ARGV[2] or ARGV[1]) end", "0", fmt.Sprint(n), pad)
	return cmp.Or(err, r.Err())
}

// save asks for a snapshot. Whether it is written is for tests/crash to see.
func (w *world) save() {
	c, err := client.Dial(w.socket())
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	if r, err := c.Do("SAVE"); err != nil || r.Err() != nil {
		w.t.Logf("SAVE: %v %v\n%s", err, r.Err(), w.log())
	}
}

// cutAt cuts the power and looks at what is left; its owner.
func (w *world) cutAt(d *disk, at int, rnd *rand.Rand, promises []promise) string {
	w.t.Helper()
	var low int64
	for _, p := range promises {
		if p.events <= at {
			low = p.counted
		}
	}
	dir := w.t.TempDir()
	defer os.RemoveAll(dir)
	if err := d.cut(at, rnd, dir); err != nil {
		w.t.Fatal(err)
	}
	before := tree(dir)
	text, err := os.ReadFile(filepath.Join(dir, "owner"))
	if err != nil {
		w.t.Fatalf("cut after event %d of %d: %v; there is %q", at, d.count(), err, before)
	}
	name := "hash"
	if strings.Contains(string(text), "engine=lmdb") {
		name = "lmdb"
	}
	h, err := engine.Open(w.engines[name], engine.Options{Trust: engine.Trust{AllowOwnUID: true}, StateDir: dir})
	if err != nil {
		w.t.Fatalf("cut after event %d of %d (%+v): %v; there was %q", at, d.count(), d.around(at), err, before)
	}
	defer h.Close()
	if err := w.whole(h, low); err != nil {
		w.t.Fatalf("cut after event %d of %d, of %s: %v", at, d.count(), name, err)
	}
	return name
}

// whole looks at every key of a store, and at the counter.
func (w *world) whole(h *engine.Host, low int64) error {
	h.Lock()
	defer h.Unlock()
	b := batch.New()
	defer b.Close()
	for i := range w.keys {
		b.Get(0, []byte(fmt.Sprint("key", i)))
	}
	b.Get(0, []byte("counter"))
	if err := h.Exec(b, 0, b.Len(), time.Now().UnixMilli()); err != nil {
		return err
	}
	for i := range w.keys {
		op := b.Op(i)
		if op.Status != batch.OK || string(op.ValueBytes()) != value(i) || op.Expiry != max(expiry(i), 0) {
			return fmt.Errorf("key%d: %s, %d bytes, expiry %d", i, op.Status, op.ValueLen, op.Expiry)
		}
		if op.Pin != 0 {
			defer h.Release(op.Pin)
		}
	}
	n, err := strconv.ParseInt(string(b.Op(w.keys).ValueBytes()), 10, 64)
	if err != nil || n < low {
		return fmt.Errorf("the counter is %d, %d were acknowledged (%v)", n, low, err)
	}
	for what, keys := range together {
		if err := same(h, b, keys); err != nil {
			return fmt.Errorf("half a %s: %w", what, err)
		}
	}
	return nil
}

// same wants the same number in all keys, or that none is there.
func same(h *engine.Host, b *batch.Batch, keys []string) error {
	from := b.Len()
	for _, key := range keys {
		b.Get(0, b.Scratch.Copy([]byte(key)))
	}
	if err := h.Exec(b, from, b.Len(), time.Now().UnixMilli()); err != nil {
		return err
	}
	var got []string
	for i := range keys {
		op := b.Op(from + i)
		text := op.Status.String()
		if op.Status == batch.OK {
			text = strings.TrimRight(string(op.ValueBytes()), " ")
		}
		if op.Pin != 0 {
			h.Release(op.Pin)
		}
		got = append(got, text)
	}
	if len(slices.Compact(slices.Clone(got))) != 1 {
		return fmt.Errorf("%q in %q", got, keys)
	}
	return nil
}

// around is the last event before a cut, for messages.
func (d *disk) around(at int) string {
	e := d.events[max(at-1, 0)]
	return fmt.Sprintf("kind %d of %q, file %d", e.kind, e.name, e.id)
}

// tree is what a directory holds.
func tree(dir string) (names []string) {
	_ = filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err == nil && path != dir {
			names = append(names, strings.TrimPrefix(path, dir+"/"))
		}
		return nil
	})
	return names
}
