package batch

import "unsafe"

// Flags of a scan.
const (
	ScanValues = 1 << 0 // with values
	ScanRandom = 1 << 1 // one entry, chosen by Seed
)

// ScanHeader mirrors struct kv_scan; see kvstore.h for the guarantee.
type ScanHeader struct {
	Size        uint32
	Flags       uint32
	Space       uint32
	_           uint32
	Cursor      uint64
	Budget      uint64
	BudgetBytes uint64
	Seed        uint64
	Now         int64
	Sink        uintptr
	First       uintptr // *Item
	Last        uintptr
	Count       uint64
}

// Item mirrors struct kv_item: an entry that a scan found.
type Item struct {
	Next     uintptr // *Item
	Key      uintptr
	KeyLen   uint64
	Value    uintptr
	ValueLen uint64
	Expiry   int64
	Tag      uint32
	Space    uint32
}

// Scan is a reusable walk step: set the header's fields, let an engine run
// it, go through the items. It belongs to one goroutine.
type Scan struct {
	*ScanHeader
	sink *Sink
	mem  []byte
}

// NewScan returns a scan with no space, cursor 0. Close gives it back.
func NewScan() *Scan {
	mem := mustMap(4096)
	s := &Scan{ScanHeader: (*ScanHeader)(unsafe.Pointer(unsafe.SliceData(mem))), sink: NewSink(), mem: mem}
	s.Size = uint32(unsafe.Sizeof(ScanHeader{}))
	s.Sink = uintptr(unsafe.Pointer(s.sink))
	return s
}

// Close gives the memory back.
func (s *Scan) Close() {
	s.sink.free()
	Unmap(s.mem)
	*s = Scan{}
}

// Prepare forgets the items of the step before and returns the address for
// the engine. The cursor stays.
func (s *Scan) Prepare() uintptr {
	s.sink.Reset()
	s.First, s.Last, s.Count = 0, 0, 0
	return uintptr(unsafe.Pointer(s.ScanHeader))
}

// Items calls fn for each entry found; slices are valid until Prepare.
func (s *Scan) Items(fn func(it *Item) bool) {
	for addr := s.First; addr != 0; {
		it := (*Item)(pointer(addr))
		if !fn(it) {
			return
		}
		addr = it.Next
	}
}

// KeyBytes is the entry's key.
func (it *Item) KeyBytes() []byte { return Bytes(it.Key, it.KeyLen) }

// ValueBytes is the entry's value, nil without ScanValues.
func (it *Item) ValueBytes() []byte { return Bytes(it.Value, it.ValueLen) }

// Stat mirrors struct kv_stat.
type Stat struct {
	Size           uint32
	Space          uint32
	Entries        uint64
	Expiring       uint64
	Payload        uint64
	Memory         uint64
	ReservedMemory uint64
	Pins           uint64
	NextSpace      uint32
	_              uint32
}

// MaintainHeader mirrors struct kv_maintain.
type MaintainHeader struct {
	Size   uint32
	More   uint32
	Budget uint64
	Used   uint64
	Now    int64
	Next   int64
	Events uintptr // *Events
}
