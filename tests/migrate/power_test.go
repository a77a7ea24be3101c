package migrate

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
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

// TestPowerCutWhileDataMoves records all that the daemon does on disk with
// Sync=always while its data moves from hash to lmdb and back, and snapshots are asked for, and cuts the
// power anywhere: what the disk could hold then has one owner, with everything acknowledged.
func TestPowerCutWhileDataMoves(t *testing.T) {
	t.Logf("seed %d", *seed)
	rnd := rand.New(rand.NewPCG(*seed, 1))
	runs, owners := 0, map[string]int{}
	for done := 0; done < *cuts; runs++ {
		w := newWorld(t, 100, "hash", "lmdb")
		w.pause = 5 * time.Millisecond
		if err := os.WriteFile(filepath.Join(w.dir, "kvstored.conf"), []byte("Sync=always\nCheckTimeout=10min\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		d, promises := w.record()
		t.Setenv("KVSTORED_BOOT_ID", fmt.Sprint("after the power cut ", runs))
		first, all := promises[0].events, d.count()
		for range min(*cuts-done, 200) {
			at := first + rnd.IntN(all-first+1)
			owners[w.cutAt(d, at, rnd, promises)]++
			done++
		}
		os.Unsetenv("KVSTORED_BOOT_ID")
	}
	t.Logf("the power cut %d times in %d runs: the owner was %v", *cuts, runs, owners)
	if len(owners) < 2 {
		t.Error("no owner changed")
	}
}

// record is a run and what was promised in it, the first when the keys were there.
func (w *world) record() (*disk, []promise) {
	w.t.Helper()
	d := newDisk(w.state())
	w.start("hash", d.observe)
	w.fill()
	promises := []promise{{d.count(), 0}}
	var lock sync.Mutex
	told, done := make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		c, err := client.Dial(w.socket())
		if err != nil {
			return
		}
		defer c.Close()
		for {
			r, err := c.Do("INCR", "counter")
			if err != nil || r.Err() != nil {
				return
			}
			n, _ := strconv.ParseInt(r.Text(), 10, 64)
			lock.Lock()
			promises = append(promises, promise{d.count(), n})
			lock.Unlock()
			select {
			case <-told:
				return
			case <-time.After(w.pause):
			}
		}
	}()
	w.save()
	for _, engine := range []string{"lmdb", "hash"} {
		if w.load(engine) == 0 {
			w.t.Fatalf("the exchange for %s failed:\n%s", engine, w.log())
		}
		w.save()
	}
	close(told)
	<-done
	w.kill()
	return d, promises
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
