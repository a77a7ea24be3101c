package conformance

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"kvstored/pkg/batch"
)

// checkPins reads long values where they lie while they are written over.
func checkPins(t *trial) {
	t.open()
	sizes := []int{pinLength - 1, pinLength, pinLength + 1, 300_000, 3 << 20}
	if t.size == Full {
		sizes = append(sizes, 24<<20)
	}
	for i, n := range sizes {
		key := t.key(i)
		value := t.value(n)
		t.set(0, key, value, 0, 0)
		t.want(0, key, value)
		t.pin(key, 0)
		t.pin(key, 0)
		t.pin(key, 5)
		t.set(0, key, t.value(n), 0, 0)
		t.checkHeld("when its key was set")
		t.pin(key, 0)
		t.update(0, key, batch.FuncAppend, func(a *batch.Arg) { a.SetValue(t.in([]byte("more"))) })
		t.update(0, key, batch.FuncSetRange, func(a *batch.Arg) { a.SetValue(t.in([]byte("front"))) })
		t.checkHeld("when its entry was updated")
		t.pin(key, 0)
		if t.has(capDelete) {
			t.expect("DELETE", t.one(func(b *batch.Batch) int { return b.Delete(0, t.in([]byte(key))) }), batch.OK)
			t.checkHeld("when its key was deleted")
		}
		t.checkPinCount()
	}
	if t.has(capDelete | capScan) {
		t.set(0, "key", t.value(100_000), 0, 0)
		t.pin("key", 0)
		t.expect("CLEAR", t.one(func(b *batch.Batch) int { return b.Clear(0) }), batch.OK)
		t.maintainAll(1000)
		t.fill(0, 300)
		t.checkHeld("when its space was cleared")
	}
	if t.has(capHandover) {
		t.handOver()
		t.checkHeld("when the store was handed over")
		t.checkPinCount()
	}
	t.releaseHeld()
	t.checkPinCount()
}

// pin gets a value from an offset on and holds its pin.
func (t *trial) pin(key string, offset uint64) {
	op := t.one(func(b *batch.Batch) int {
		return b.GetRange(0, t.in([]byte(key)), offset, batch.ToEnd)
	})
	t.expect("GET of a long value", op, batch.OK)
	t.hold(op)
}

func (t *trial) checkPinCount() {
	if !t.has(capScan) {
		return
	}
	if st := t.stat(batch.SpaceAll); st.Pins != uint64(len(t.held)) {
		t.failf("stat counts %d pins, want %d", st.Pins, len(t.held))
	}
}

// checkFigures compares what stat says with what was done.
func checkFigures(t *trial) {
	t.open()
	var payload uint64
	n := t.times(2000)
	before := t.stat(batch.SpaceAll)
	for i := range n {
		value := t.value(t.rng.IntN(200))
		t.set(0, t.key(i), nil, 0, 0)
		t.set(0, t.key(i), value, 0, 0)
		payload += uint64(len(t.key(i)) + len(value))
	}
	st := t.stat(0)
	if st.Entries != uint64(n) || st.Payload != payload {
		t.failf("stat counts %d entries and %d bytes, want %d and %d", st.Entries, st.Payload, n, payload)
	}
	all := t.stat(batch.SpaceAll)
	if all.Entries != st.Entries || all.Payload != st.Payload {
		t.failf("stat counts other figures for all spaces than for the only one")
	}
	if before.Entries != 0 || before.Payload != 0 || before.NextSpace != batch.SpaceAll {
		t.failf("stat finds something in an empty store: %+v", before)
	}
	if all.NextSpace != 0 || st.NextSpace != batch.SpaceAll {
		t.failf("stat does not name space 0 as the only one with entries")
	}
	if all.Memory == 0 || all.ReservedMemory < all.Memory {
		t.failf("stat gives %d bytes in use of %d held", all.Memory, all.ReservedMemory)
	}
	t.checkExpiringFigures(n)
}

func (t *trial) checkExpiringFigures(n int) {
	if t.has(capExpiry) {
		t.set(0, t.key(0), nil, t.now+5, 0)
		t.set(0, t.key(1), nil, t.now+5, 0)
		t.set(0, t.key(1), nil, 0, 0)
		if st := t.stat(0); st.Expiring != 1 {
			t.failf("stat counts %d entries with an expiry time, want 1", st.Expiring)
		}
	}
	if t.has(capDelete) {
		for i := range n {
			t.one(func(b *batch.Batch) int { return b.Delete(0, t.in([]byte(t.key(i)))) })
		}
		if st := t.stat(0); st.Entries != 0 || st.Expiring != 0 || st.Payload != 0 {
			t.failf("after all were deleted stat counts %d entries, %d expiring, %d bytes",
				st.Entries, st.Expiring, st.Payload)
		}
	}
}

// checkHandOver passes a store on, again and again.
func checkHandOver(t *trial) {
	t.open()
	t.handOver() // of nothing
	want := t.fill(0, t.times(3000))
	if t.has(capExpiry) {
		t.set(0, "soon", []byte("value"), t.now+50, 0)
	}
	if t.has(capSpaces) {
		t.set(9, "key", []byte("nine"), 0, 0)
	}
	long := t.value(200_000)
	t.set(0, "long", long, 0, 0)
	want["long"] = long
	for round := range 5 {
		before := t.stat(batch.SpaceAll)
		t.handOver()
		after := t.stat(batch.SpaceAll)
		if before.Entries != after.Entries || before.Payload != after.Payload || before.Expiring != after.Expiring {
			t.failf("figures changed with a hand-over: %+v, then %+v", before, after)
		}
		key := t.key(round)
		want[key] = []byte(itoa(round))
		t.set(0, key, want[key], 0, 0)
		t.want(0, "long", long)
	}
	if t.has(capSpaces) {
		t.want(9, "key", []byte("nine"))
	}
	if t.has(capExpiry) {
		t.want(0, "soon", []byte("value"))
		t.now += 51
		t.wantNone(0, "soon", "its time passed after a hand-over")
		t.maintainAll(100)
	}
	t.checkMet(t.walk(0, batch.ScanValues, 50, nil), want, true)
}

// checkMemoryLimit fills a store until it is full: then writes are refused,
// reads go on, and what is deleted makes room.
func checkMemoryLimit(t *trial) {
	const bound = 16 << 20
	with := t.settings()
	with.MaxMemory = bound
	t.openWith(with)
	value := t.value(4000)
	n := 0
	for ; n < 4*bound/len(value); n++ {
		op := t.one(func(b *batch.Batch) int {
			return b.Set(0, t.in([]byte(t.key(n))), t.in(value), 0, 0, 0)
		})
		if op.Status == batch.OutOfMemory {
			break
		}
		t.expect("SET", op, batch.OK)
	}
	if used := n * len(value); used > bound || used < bound/4 {
		t.failf("with a limit of %d bytes it took %d", bound, used)
	}
	for i := range n {
		t.want(0, t.key(i), value)
	}
	t.wantNone(0, t.key(n), "there was no memory for it")
	for i := range n / 2 {
		op := t.one(func(b *batch.Batch) int { return b.Delete(0, t.in([]byte(t.key(i)))) })
		t.expect("DELETE in a full store", op, batch.OK)
	}
	t.maintainAll(1000)
	for i := range n / 4 {
		t.set(0, t.key(i), value, 0, 0)
		t.want(0, t.key(i), value)
	}
}

// checkLeftovers has a closed store leave no thread, descriptor or mapped file.
// The Go runtime may start a thread of its own meanwhile: an engine leaves
// something behind only if it does so every time.
func checkLeftovers(t *trial) {
	spareThreads()
	t.open() // what a first open sets up for good
	t.close()
	var left []string
	for range 4 {
		before := possessions()
		useStores(t)
		if left = leftSince(before); len(left) == 0 {
			return
		}
	}
	t.failf("after close there still is %s", strings.Join(left, ", "))
}

// useStores opens, uses and closes a store, a few times.
func useStores(t *trial) {
	for range 3 {
		t.open()
		t.fill(0, 100)
		t.set(0, "long", t.value(200_000), 0, 0)
		t.now += 10
		if t.has(capHandover) {
			t.handOver()
		}
		t.maintainAll(100)
		t.close()
	}
}

// leftSince lists what this process owns beyond before; a thread may need a
// moment to end.
func leftSince(before owned) (left []string) {
	for range 20 {
		if left = possessions().beyond(before); len(left) == 0 {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return left
}

// spareThreads makes the Go runtime keep some idle threads, so that it starts
// none by itself while threads are counted.
func spareThreads() {
	var ready, done = make(chan bool), make(chan bool)
	const n = 6
	for range n {
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			ready <- true
			<-done
		}()
	}
	for range n {
		<-ready
	}
	close(done)
	time.Sleep(time.Millisecond)
}

// owned counts what this process owns, by kind.
type owned map[string]int

func possessions() owned {
	o := owned{}
	entries, _ := os.ReadDir("/proc/self/task")
	o["thread"] = len(entries)
	entries, _ = os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			o["descriptor of "+to]++
		}
	}
	maps, _ := os.ReadFile("/proc/self/maps")
	for line := range bytes.Lines(maps) {
		if f := bytes.Fields(line); len(f) > 5 && f[5][0] == '/' {
			o["mapping of "+string(f[5])]++
		}
	}
	return o
}

// beyond lists what o has more of than before.
func (o owned) beyond(before owned) []string {
	var more []string
	for what, n := range o {
		if extra := n - before[what]; extra > 0 {
			more = append(more, fmt.Sprintf("%d more %s", extra, what))
		}
	}
	return more
}
