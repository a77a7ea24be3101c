package batch

import "unsafe"

// Sink mirrors struct kv_sink: a growing run of off-heap memory made of
// pieces that never move. The newest piece is Host; each starts with a
// [Piece]. C code grows a sink through More, see [SetMore].
type Sink struct {
	Next uintptr // first free byte
	End  uintptr // one past the last free byte
	More uintptr // int (*)(struct kv_sink *, uint64_t need)
	Host uintptr // the newest *Piece
}

// Piece heads each run of memory of a sink.
type Piece struct {
	Prev uintptr // the piece before, 0 in the first
	Size uint64  // bytes, this header included
	Sum  uint64  // Size of this one and of all before
}

const (
	pieceHeader  = uint64(unsafe.Sizeof(Piece{}))
	firstPiece   = 256 << 10
	SinkMost     = 1 << 30 // bytes that C code may put into one sink, KVH_SINK_MOST
	keptPieceMax = 4 << 20 // a sink that needed more starts with at most this next time
)

// moreFunc is the C function that grows sinks; set once, before any engine runs.
var moreFunc uintptr

// SetMore names the C function that C code calls to grow a sink. It must map
// a new piece of at least need bytes plus header, with the Piece filled in,
// and set Next, End and Host; or refuse. It refuses what would make one sink
// larger than [SinkMost]: a short request can ask for the same value a million
// times.
func SetMore(fn uintptr) { moreFunc = fn }

// NewSink returns an empty sink in off-heap memory.
func NewSink() *Sink {
	s := (*Sink)(unsafe.Pointer(unsafe.SliceData(mustMap(4096))))
	s.More = moreFunc
	if !s.grow(firstPiece - pieceHeader) {
		panic("map the first piece of a sink: no memory")
	}
	return s
}

// grow adds a piece with room for at least need bytes.
func (s *Sink) grow(need uint64) bool {
	size := (need + pieceHeader + firstPiece - 1) &^ (firstPiece - 1)
	if size < need {
		return false
	}
	addr := rawMap(size)
	if addr == 0 {
		return false
	}
	sum := size
	if s.Host != 0 {
		sum += (*Piece)(pointer(s.Host)).Sum
	}
	*(*Piece)(pointer(addr)) = Piece{Prev: s.Host, Size: size, Sum: sum}
	s.use(addr, size)
	return true
}

func (s *Sink) use(addr uintptr, size uint64) {
	s.Host = addr
	s.Next = addr + uintptr(pieceHeader)
	s.End = addr + uintptr(size)
}

// Alloc returns n bytes, aligned to 8, not zeroed, valid until Reset; it
// panics when the system has no memory left.
func (s *Sink) Alloc(n int) uintptr {
	need := (uintptr(n) + 7) &^ 7
	if s.End-s.Next < need && !s.grow(uint64(need)) {
		panic("grow a sink: no memory")
	}
	p := s.Next
	s.Next += need
	return p
}

// Copy puts b into the sink and returns the off-heap copy.
func (s *Sink) Copy(b []byte) []byte {
	addr := s.Alloc(len(b) + 1)
	c := Bytes(addr, uint64(len(b)))
	copy(c, b)
	return c
}

// Reset forgets everything allocated. A sink that had to grow starts with one
// larger piece next time, up to 4 MiB.
func (s *Sink) Reset() {
	top := (*Piece)(pointer(s.Host))
	if top.Prev == 0 {
		s.use(s.Host, top.Size)
		return
	}
	var total uint64
	for addr := s.Host; addr != 0; {
		p := *(*Piece)(pointer(addr))
		total += p.Size
		rawUnmap(addr, p.Size)
		addr = p.Prev
	}
	s.Host = 0
	if !s.grow(min(total, keptPieceMax) - pieceHeader) {
		panic("map the first piece of a sink: no memory")
	}
}

// free unmaps every piece; the sink itself stays allocated for the process.
func (s *Sink) free() {
	for addr := s.Host; addr != 0; {
		p := *(*Piece)(pointer(addr))
		rawUnmap(addr, p.Size)
		addr = p.Prev
	}
	rawUnmap(uintptr(unsafe.Pointer(s)), 4096)
}
