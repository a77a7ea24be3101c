// Package batch holds a tick's operations and replies as flat memory outside
// the Go heap, laid out as kvstore.h says, so that one call hands all of it
// to an engine and the collector has nothing to scan.
//
// A [Batch] and everything it returns belong to one goroutine. Byte slices
// that are put in (keys, values) must be off-heap and stay unchanged until the
// batch was executed; those that come out are valid until Reset.
package batch

import (
	"fmt"
	"unsafe"
)

// Operation codes: enum kv_code.
const (
	Get    = 10
	Meta   = 20
	Set    = 30
	Delete = 40
	Clear  = 50
	Update = 60
	Stage  = 70
)

// Flags of an operation.
const (
	WithNext   = 1 << 0 // all or nothing with the next operation
	KeepExpiry = 1 << 1 // Set: keep the present entry's expiry
)

// Flags of a batch.
const readOnly = 1 << 0

// ToEnd as Op.Length asks for the whole value.
const ToEnd = ^uint64(0)

// SpaceAll means all spaces together; it is never a space of its own.
const SpaceAll = ^uint32(0)

// Op mirrors struct kv_op; see kvstore.h for what is in and what is out.
type Op struct {
	Code     uint16
	Flags    uint16
	Status   Status
	Space    uint32
	Tag      uint32
	Key      uintptr
	KeyLen   uint64
	Value    uintptr
	ValueLen uint64
	Expiry   int64 // milliseconds since 1970, 0: never
	Offset   uint64
	Length   uint64
	Update   uintptr
	Arg      uintptr // *Arg
	Pin      uint64
}

// KeyBytes is the operation's key.
func (o *Op) KeyBytes() []byte { return Bytes(o.Key, o.KeyLen) }

// ValueBytes is the operation's value, in or out; nil where there is none.
func (o *Op) ValueBytes() []byte { return Bytes(o.Value, o.ValueLen) }

// Args is the argument block of an Update.
func (o *Op) Args() *Arg { return (*Arg)(pointer(o.Arg)) }

// Header mirrors struct kv_batch.
type Header struct {
	Size   uint32
	OpSize uint32
	Flags  uint32
	_      uint32
	Count  uint64
	Ops    uintptr
	Now    int64
	Reply  uintptr // *Sink
	Events uintptr // *Events
}

// Events mirrors struct kv_events.
type Events struct {
	Sink  uintptr
	First uintptr // *Event
	Last  uintptr
	Count uint64
}

// Event mirrors struct kv_event: one entry that the engine removed itself.
type Event struct {
	Next   uintptr // *Event
	Reason uint32
	Space  uint32
	Key    uintptr
	KeyLen uint64
}

// Reasons of an event.
const (
	Expired = 10
	Evicted = 20
)

// MaxOps is how many operations one batch can hold. Address space for that
// many is reserved; memory is used only for those there are.
const MaxOps = 1 << 21

// keptOps is how many operations' memory a batch keeps over a Reset.
const keptOps = 1 << 15

// Batch is the operations of one tick. See the package comment for ownership.
type Batch struct {
	ops           []Op // view of all there is room for
	n             int
	writes        int
	note, noteNew bool // see Note
	head          *Header
	events        *Events
	mem           []byte
	// Reply is where engines and update functions put values.
	Reply *Sink
	// Scratch is for what goes in: argument blocks, texts made on the way.
	Scratch *Sink
}

// New returns an empty batch. Close gives its memory back.
func New() *Batch { return NewFor(MaxOps) }

// NewFor returns an empty batch of at most n operations.
func NewFor(n int) *Batch {
	mem := mustMap(4096 + n*int(unsafe.Sizeof(Op{})))
	base := unsafe.Pointer(unsafe.SliceData(mem))
	b := &Batch{
		mem:     mem,
		head:    (*Header)(base),
		events:  (*Events)(unsafe.Add(base, 1024)),
		ops:     unsafe.Slice((*Op)(unsafe.Add(base, 4096)), n),
		Reply:   NewSink(),
		Scratch: NewSink(),
	}
	b.head.Size = uint32(unsafe.Sizeof(Header{}))
	b.head.OpSize = uint32(unsafe.Sizeof(Op{}))
	b.head.Ops = uintptr(unsafe.Pointer(&b.ops[0]))
	b.head.Reply = uintptr(unsafe.Pointer(b.Reply))
	b.head.Events = uintptr(unsafe.Pointer(b.events))
	b.events.Sink = b.head.Reply
	return b
}

// Close gives the memory back. The batch is not used again.
func (b *Batch) Close() {
	b.Reply.free()
	b.Scratch.free()
	Unmap(b.mem)
	*b = Batch{}
}

// Reset empties the batch. What came out of it is no longer valid; pins must
// have been taken over by then.
func (b *Batch) Reset() {
	if b.n > keptOps {
		b.giveBack()
	}
	b.n, b.writes = 0, 0
	b.Reply.Reset()
	b.Scratch.Reset()
	b.events.First, b.events.Last, b.events.Count = 0, 0, 0
}

// Len is the number of operations, Writes how many of them may write.
func (b *Batch) Len() int    { return b.n }
func (b *Batch) Writes() int { return b.writes }

// Room is how many more operations fit.
func (b *Batch) Room() int { return len(b.ops) - b.n }

// Op is operation i, 0 <= i < Len.
func (b *Batch) Op(i int) *Op {
	if uint(i) >= uint(b.n) {
		b.noOp(i)
	}
	return &b.ops[i]
}

// noOp is apart so that Op itself is inlined.
func (b *Batch) noOp(i int) { panic(fmt.Sprintf("batch: operation %d of %d", i, b.n)) }

// Events is the first event, nil when there is none; follow with Next.
func (b *Batch) Events() *Event {
	if b.events.First == 0 {
		return nil
	}
	return (*Event)(pointer(b.events.First))
}

// Following is the event after e, or nil.
func (e *Event) Following() *Event {
	if e.Next == 0 {
		return nil
	}
	return (*Event)(pointer(e.Next))
}

// KeyBytes is the key of the entry that went.
func (e *Event) KeyBytes() []byte { return Bytes(e.Key, e.KeyLen) }

// Seal fills the header for operations [from, to) and returns its address for
// the engine. now is in milliseconds since 1970.
func (b *Batch) Seal(from, to int, now int64) uintptr {
	h := b.head
	h.Ops = uintptr(unsafe.Pointer(&b.ops[0])) + uintptr(from)*unsafe.Sizeof(Op{})
	h.Count = uint64(to - from)
	h.Now = now
	h.Flags = 0
	if b.writes == 0 {
		h.Flags = readOnly
	}
	return uintptr(unsafe.Pointer(h))
}

// add returns the index and the zeroed next operation.
func (b *Batch) add(code uint16, space uint32, key []byte) (int, *Op) {
	if b.n == len(b.ops) {
		panic("batch: full; ask Room first")
	}
	i := b.n
	b.n++
	o := &b.ops[i]
	*o = Op{Code: code, Space: space, Key: Addr(key), KeyLen: uint64(len(key))}
	return i, o
}

// Get adds a read of the whole value and returns its index, as all of these do.
func (b *Batch) Get(space uint32, key []byte) int {
	i, o := b.add(Get, space, key)
	o.Length = ToEnd
	return i
}

// GetRange adds a read of at most length bytes from offset.
func (b *Batch) GetRange(space uint32, key []byte, offset, length uint64) int {
	i, o := b.add(Get, space, key)
	o.Offset, o.Length = offset, length
	return i
}

// Meta adds a question for existence, length, expiry and tag.
func (b *Batch) Meta(space uint32, key []byte) int {
	i, _ := b.add(Meta, space, key)
	return i
}

// Set adds a write; expiry 0 is never; flags 0 or KeepExpiry.
func (b *Batch) Set(space uint32, key, value []byte, expiry int64, tag uint32, flags uint16) int {
	if b.noteNew && tag == 0 {
		return b.setNoted(space, key, value, expiry, flags)
	}
	i, o := b.add(Set, space, key)
	o.Value, o.ValueLen = Addr(value), uint64(len(value))
	o.Expiry, o.Tag, o.Flags = expiry, tag, flags
	b.writes++
	return i
}

// Delete adds a removal.
func (b *Batch) Delete(space uint32, key []byte) int {
	i, _ := b.add(Delete, space, key)
	b.writes++
	return i
}

// asSet as Op.Length of a Delete, where engines do not look, marks [Batch.Gone].
const asSet = 1

// Stage adds a call for memory of the store that is filled from outside; see
// KV_STAGE of kvstore.h.
func (b *Batch) Stage(pin uint64, total, filled, want int) int {
	i, o := b.add(Stage, 0, nil)
	o.Pin, o.ValueLen, o.Offset, o.Length = pin, uint64(total), uint64(filled), uint64(want)
	b.writes++
	return i
}

// Gone adds a Set whose expiry time has passed already: a removal that counts
// as a change even when there was nothing.
func (b *Batch) Gone(space uint32, key []byte) int {
	i := b.Delete(space, key)
	b.ops[i].Length = asSet
	return i
}

// Clear adds the removal of everything in space.
func (b *Batch) Clear(space uint32) int {
	i, _ := b.add(Clear, space, nil)
	b.writes++
	return i
}

// Update adds a call of the host function fn and returns its argument block,
// zeroed but for Reply, to be filled in.
func (b *Batch) Update(space uint32, key []byte, fn Func) (int, *Arg) {
	i, o := b.add(Update, space, key)
	addr := b.Scratch.Alloc(int(unsafe.Sizeof(Arg{})))
	a := (*Arg)(pointer(addr))
	*a = Arg{Reply: b.head.Reply}
	o.Update, o.Arg = funcs[fn], addr
	if b.note {
		o.Update, a.Function = noted, funcs[fn]
	}
	b.writes++
	return i, a
}
