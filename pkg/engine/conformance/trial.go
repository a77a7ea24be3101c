package conformance

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"unsafe"

	"kvstored/pkg/batch"
)

// startTime is when every store begins; engines know no clock of their own.
const startTime = 1_000_000

// second is how late, in milliseconds, maintain may remove an expired entry.
const second = 1000

// trial is one check on the way: a store, a batch and a clock.
type trial struct {
	Engine
	size Size
	// prefix of this check's keys
	prefix string
	seed   uint64
	rng    *rand.Rand
	now    int64
	store  Store // nil before open and after close
	b      *batch.Batch
	scan   *batch.Scan
	held   []heldPin
}

// heldPin is a pinned value that is still read.
type heldPin struct {
	pin  uint64
	view []byte // in the store
	copy []byte
}

func newTrial(e Engine, size Size, seed uint64, prefix string) *trial {
	return &trial{
		Engine: e, size: size, seed: seed, prefix: prefix, now: startTime,
		rng: rand.New(rand.NewPCG(seed, 0x6b7673746f726564)),
		b:   batch.New(), scan: batch.NewScan(),
	}
}

// end gives everything back, after a failure too.
func (t *trial) end() {
	if t.store != nil {
		t.releaseHeld()
		t.store.Close()
	}
	t.b.Close()
	t.scan.Close()
}

func (t *trial) has(caps uint64) bool { return t.Capabilities&caps == caps }

func (t *trial) settings() Settings { return Settings{Now: t.now, Seed: t.seed} }

// open opens the store of this check.
func (t *trial) open() { t.openWith(t.settings()) }

func (t *trial) openWith(with Settings) {
	st, err := t.Open(with)
	if err != nil {
		t.failf("open failed: %v", err)
	}
	t.store = st
}

// close ends the store; every pin was released.
func (t *trial) close() {
	t.releaseHeld()
	t.store.Close()
	t.store = nil
}

// times is n in a full run and a tenth of it in a smoke run.
func (t *trial) times(n int) int {
	if t.size == Full {
		return n
	}
	return max(n/10, 1)
}

// unset is a status that no engine gives.
const unset batch.Status = -4711

// run carries out the batch. Every operation must get a status.
func (t *trial) run() {
	for i := range t.b.Len() {
		t.b.Op(i).Status = unset
	}
	if st := t.store.Exec(t.b, 0, t.b.Len(), t.now); st != batch.OK {
		t.failf("exec failed as a whole: %v", st)
	}
	for i := range t.b.Len() {
		if t.b.Op(i).Status == unset {
			t.failf("operation %d of %d got no status", i, t.b.Len())
		}
	}
}

// one carries out the single operation that add puts into the batch.
func (t *trial) one(add func(b *batch.Batch) int) *batch.Op {
	t.b.Reset()
	i := add(t.b)
	t.run()
	return t.b.Op(i)
}

// in copies bytes to where operations may point.
func (t *trial) in(data []byte) []byte { return t.b.Scratch.Copy(data) }

// expect ends the check unless op has the status.
func (t *trial) expect(what string, op *batch.Op, want batch.Status) {
	if op.Status != want {
		t.failf("%s: %q, want %q", what, op.Status, want)
	}
}

// set writes one entry that must be taken.
func (t *trial) set(space uint32, key string, value []byte, expiry int64, tag uint32) {
	op := t.one(func(b *batch.Batch) int {
		return b.Set(space, t.in([]byte(key)), t.in(value), expiry, tag, 0)
	})
	t.expect("SET", op, batch.OK)
}

// got is the whole entry of a key, with the value copied; nil when absent.
type got struct {
	value  []byte
	expiry int64
	tag    uint32
}

func (t *trial) get(space uint32, key string) *got {
	op := t.one(func(b *batch.Batch) int { return b.Get(space, t.in([]byte(key))) })
	if op.Status == batch.NotFound {
		return nil
	}
	t.expect("GET", op, batch.OK)
	return &got{t.taken(op), op.Expiry, op.Tag}
}

// taken copies what a GET gave and releases its pin.
func (t *trial) taken(op *batch.Op) []byte {
	value := bytes.Clone(op.ValueBytes())
	if op.Pin != 0 {
		t.mayPin()
		t.store.Release([]uint64{op.Pin})
	}
	return value
}

func (t *trial) mayPin() {
	if !t.Pins {
		t.failf("GET pinned a value, but the engine has no release function")
	}
}

// want ends the check unless the key has this value.
func (t *trial) want(space uint32, key string, value []byte) {
	switch g := t.get(space, key); {
	case g == nil:
		t.failf("GET %q finds nothing, but it was set", key)
	case !bytes.Equal(g.value, value):
		t.failf("GET %q gives %s, want %s", key, brief(g.value), brief(value))
	}
}

// wantNone ends the check if the key is there.
func (t *trial) wantNone(space uint32, key, why string) {
	if g := t.get(space, key); g != nil {
		t.failf("GET %q finds %s, but %s", key, brief(g.value), why)
	}
	op := t.one(func(b *batch.Batch) int { return b.Meta(space, t.in([]byte(key))) })
	if op.Status != batch.NotFound {
		t.failf("META %q says %q, but %s", key, op.Status, why)
	}
}

// brief shows a value in a message.
func brief(v []byte) string {
	if len(v) > 32 {
		return quote(v[:32]) + "... (" + itoa(len(v)) + " bytes)"
	}
	return quote(v)
}

// key is the name of the i-th key of this check, with NUL bytes where the
// engine takes them. Each check has keys of its own: the data of a library
// with plain set and get outlives its store.
func (t *trial) key(i int) string {
	if t.has(capBinary) {
		return "\x00\xff" + t.prefix + itoa(i)
	}
	return t.prefix + itoa(i)
}

// value makes n bytes that the engine can hold.
func (t *trial) value(n int) []byte {
	if t.MaxValue != 0 && uint64(n) > t.MaxValue {
		n = int(t.MaxValue)
	}
	v := make([]byte, n, n+8)
	for i := 0; i < n; i += 8 {
		binary.NativeEndian.PutUint64(v[i:i+8:cap(v)], t.rng.Uint64())
	}
	for i := range v {
		if t.has(capBinary) {
			break
		}
		v[i] = 'a' + v[i]%26
	}
	return v
}

// event is one entry that the engine removed itself.
type event struct {
	reason uint32
	space  uint32
	key    string
}

// events are those of the batch that ran last.
func (t *trial) events() []event {
	var all []event
	for e := t.b.Events(); e != nil; e = e.Following() {
		all = append(all, event{e.Reason, e.Space, string(e.KeyBytes())})
	}
	return all
}

// maintainAll keeps house until nothing is left to do and returns the events.
func (t *trial) maintainAll(budget uint64) []event {
	var all []event
	if !t.Maintains {
		return nil
	}
	for range 1_000_000 {
		m, events := t.maintainOnce(budget)
		all = append(all, events...)
		if m.More == 0 {
			return all
		}
	}
	t.failf("maintain still says that there is more to do after 1,000,000 slices")
	return nil
}

func (t *trial) maintainOnce(budget uint64) (batch.MaintainHeader, []event) {
	t.b.Reset()
	addr := t.b.Scratch.Alloc(int(unsafe.Sizeof(batch.Events{})))
	list := at[batch.Events](addr)
	*list = batch.Events{Sink: uintptr(unsafe.Pointer(t.b.Reply))}
	m := batch.MaintainHeader{
		Size: uint32(unsafe.Sizeof(batch.MaintainHeader{})), Budget: budget, Now: t.now, Events: addr,
	}
	if st := t.store.Maintain(&m); st != batch.OK {
		t.failf("maintain failed: %v", st)
	}
	var all []event
	for next := list.First; next != 0; {
		e := at[batch.Event](next)
		all = append(all, event{e.Reason, e.Space, string(e.KeyBytes())})
		next = e.Next
	}
	if uint64(len(all)) != list.Count {
		t.failf("maintain counts %d events and lists %d", list.Count, len(all))
	}
	return m, all
}

// at is the structure at an off-heap address.
func at[T any](addr uintptr) *T {
	var zero T
	return (*T)(unsafe.Pointer(unsafe.SliceData(batch.Bytes(addr, uint64(unsafe.Sizeof(zero))))))
}

// stat is the figures of a space, which must be had.
func (t *trial) stat(space uint32) batch.Stat {
	st, status := t.store.Stat(space)
	if status != batch.OK {
		t.failf("stat failed: %v", status)
	}
	return st
}

// item is one entry that a walk met.
type item struct {
	key    string
	value  []byte
	length uint64
	expiry int64
	tag    uint32
}

// step runs one step of a walk and checks its form.
func (t *trial) step(space uint32, flags uint32, cursor, budget uint64) (uint64, []item) {
	s := t.scan
	s.Space, s.Flags, s.Cursor, s.Budget, s.Now = space, flags, cursor, budget, t.now
	if st := t.store.Scan(s); st != batch.OK {
		t.failf("scan failed: %v", st)
	}
	var items []item
	s.Items(func(it *batch.Item) bool {
		if it.Space != space {
			t.failf("a walk over space %d met an entry of space %d", space, it.Space)
		}
		items = append(items, item{string(it.KeyBytes()), bytes.Clone(it.ValueBytes()),
			it.ValueLen, it.Expiry, it.Tag})
		return true
	})
	if uint64(len(items)) != s.Count {
		t.failf("scan counts %d items and lists %d", s.Count, len(items))
	}
	return s.Cursor, items
}

// walk goes over a whole space; between may write.
func (t *trial) walk(space uint32, flags uint32, budget uint64, between func()) []item {
	var all []item
	cursor := uint64(0)
	for range 4_000_000 {
		next, items := t.step(space, flags, cursor, budget)
		all = append(all, items...)
		if next == 0 {
			return all
		}
		cursor = next
		if between != nil {
			between()
		}
	}
	t.failf("a walk does not end")
	return nil
}

// hold keeps a pinned value for later, with a copy to compare with.
func (t *trial) hold(op *batch.Op) {
	if op.Pin != 0 {
		t.mayPin()
		t.held = append(t.held, heldPin{op.Pin, op.ValueBytes(), bytes.Clone(op.ValueBytes())})
	}
}

// checkHeld ends the check if a pinned value has changed.
func (t *trial) checkHeld(when string) {
	for _, h := range t.held {
		if !bytes.Equal(h.view, h.copy) {
			t.failf("a pinned value changed %s", when)
		}
	}
}

func (t *trial) releaseHeld() {
	for _, h := range t.held {
		t.store.Release([]uint64{h.pin})
	}
	t.held = nil
}

// handOver passes the store on; an offer that came to nothing comes before.
func (t *trial) handOver() {
	if err := t.store.TakeBack(); err != nil {
		t.failf("an offer could not be taken back: %v", err)
	}
	next, err := t.store.HandOver(t.settings())
	if err != nil {
		t.failf("hand-over failed: %v", err)
	}
	t.store = next
}
