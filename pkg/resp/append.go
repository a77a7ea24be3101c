package resp

import (
	"encoding/binary"
	"strconv"
	"unsafe"
)

// Writer collects replies for one connection. Small ones are copied to Buf;
// large values are kept as references to where they lie, so that they are
// written from there. The zero value writes RESP2.
type Writer struct {
	Buf  []byte
	Refs []Ref
	// Proto is 2 or 3 (0 is 2).
	Proto int
}

// Ref is a value to be written between Buf[:At] and Buf[At:].
type Ref struct {
	At   int
	Data []byte // valid until the tick ends, or until Pin is released
	Pin  uint64 // 0: none
	Own  bool   // Data stays as it is for ever: it lies on the heap
}

// RefLength is the length from which a value is referred to, not copied.
const RefLength = 16 << 10

// Reset forgets all replies and keeps the memory.
func (w *Writer) Reset() {
	clear(w.Refs)
	w.Buf, w.Refs = w.Buf[:0], w.Refs[:0]
}

// Len is the number of bytes to be written.
func (w *Writer) Len() int {
	n := len(w.Buf)
	for i := range w.Refs {
		n += len(w.Refs[i].Data)
	}
	return n
}

// Raw appends ready protocol bytes.
func (w *Writer) Raw(b []byte) { w.Buf = append(w.Buf, b...) }

// Status appends a simple string, which must not hold CR or LF.
func (w *Writer) Status(s string) {
	w.Buf = append(w.Buf, '+')
	w.Buf = append(w.Buf, s...)
	w.crlf()
}

// Error appends an error; s starts with its code, as in "ERR no such key".
// CR and LF in it become blanks.
func (w *Writer) Error(s string) {
	w.Buf = append(w.Buf, '-')
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\r' || c == '\n' {
			c = ' '
		}
		w.Buf = append(w.Buf, c)
	}
	w.crlf()
}

// Int appends an integer.
func (w *Writer) Int(n int64) {
	w.line(':', n)
}

// Bulk appends a copy of b as a bulk string.
func (w *Writer) Bulk(b []byte) {
	at, n := len(w.Buf), len(b)
	if n >= 100 || cap(w.Buf)-at < n+7 {
		w.line('$', int64(n))
		w.Buf = append(w.Buf, b...)
		w.crlf()
		return
	}
	// All at once: most values are short, and there is room.
	to := w.Buf[at : at+n+7]
	head := 4
	if n < 10 {
		binary.LittleEndian.PutUint32(to, '$'|uint32('0'+n)<<8|'\r'<<16|'\n'<<24)
	} else {
		binary.LittleEndian.PutUint32(to, '$'|uint32('0'+n/10)<<8|uint32('0'+n%10)<<16|'\r'<<24)
		to[4] = '\n'
		head = 5
	}
	end := head + copy(to[head:], b)
	to[end], to[end+1] = '\r', '\n'
	w.Buf = w.Buf[:at+end+2]
}

// BulkString appends a copy of s as a bulk string.
func (w *Writer) BulkString(s string) {
	w.line('$', int64(len(s)))
	w.Buf = append(w.Buf, s...)
	w.crlf()
}

// Value appends b as a bulk string; above RefLength, or pinned, by reference.
func (w *Writer) Value(b []byte, pin uint64) {
	if pin == 0 && len(b) < RefLength {
		w.Bulk(b)
		return
	}
	w.line('$', int64(len(b)))
	w.Refs = append(w.Refs, Ref{At: len(w.Buf), Data: b, Pin: pin})
	w.crlf()
}

// Text appends a text as a bulk string, a long one by reference.
func (w *Writer) Text(s string) {
	if len(s) < RefLength {
		w.BulkString(s)
		return
	}
	w.line('$', int64(len(s)))
	w.Whole(unsafe.Slice(unsafe.StringData(s), len(s)))
	w.crlf()
}

// Join appends what another writer has, by reference where it is long. head is
// its Buf, which must not change any more; what its Refs have outlives the tick.
func (w *Writer) Join(head []byte, refs []Ref) {
	at := 0
	for _, ref := range refs {
		w.Whole(head[at:ref.At])
		at = ref.At
		ref.At = len(w.Buf)
		w.Refs = append(w.Refs, ref)
	}
	w.Whole(head[at:])
}

// Whole appends ready protocol bytes that never change, by reference where they
// are long.
func (w *Writer) Whole(b []byte) {
	if len(b) < RefLength {
		w.Buf = append(w.Buf, b...)
		return
	}
	w.Refs = append(w.Refs, Ref{At: len(w.Buf), Data: b[:len(b):len(b)], Own: true})
}

// Drop gives a pin back with the reply, of a value that is not written.
func (w *Writer) Drop(pin uint64) {
	if pin != 0 {
		w.Refs = append(w.Refs, Ref{At: len(w.Buf), Pin: pin})
	}
}

// Wrapped appends a bulk string made of head, b and tail; b as Value does.
func (w *Writer) Wrapped(head, b, tail []byte, pin uint64) {
	w.line('$', int64(len(head)+len(b)+len(tail)))
	w.Buf = append(w.Buf, head...)
	if pin == 0 && len(b) < RefLength {
		w.Buf = append(w.Buf, b...)
	} else {
		w.Refs = append(w.Refs, Ref{At: len(w.Buf), Data: b, Pin: pin})
	}
	w.Buf = append(w.Buf, tail...)
	w.crlf()
}

// Null appends the null of the protocol: a null bulk string in RESP2.
func (w *Writer) Null() {
	if w.Proto == 3 {
		w.Buf = append(w.Buf, "_\r\n"...)
		return
	}
	w.Buf = append(w.Buf, "$-1\r\n"...)
}

// NullArray appends the null that stands for an array.
func (w *Writer) NullArray() {
	if w.Proto == 3 {
		w.Buf = append(w.Buf, "_\r\n"...)
		return
	}
	w.Buf = append(w.Buf, "*-1\r\n"...)
}

// Array announces n elements.
func (w *Writer) Array(n int) { w.line('*', int64(n)) }

// Set announces n elements of a set: an array in RESP2.
func (w *Writer) Set(n int) {
	if w.Proto == 3 {
		w.line('~', int64(n))
		return
	}
	w.line('*', int64(n))
}

// Push announces n elements that come without having been asked for: an array
// in RESP2.
func (w *Writer) Push(n int) {
	if w.Proto == 3 {
		w.line('>', int64(n))
		return
	}
	w.line('*', int64(n))
}

// Map announces n pairs: in RESP2 an array of 2n elements.
func (w *Writer) Map(n int) {
	if w.Proto == 3 {
		w.line('%', int64(n))
		return
	}
	w.line('*', 2*int64(n))
}

// Bool appends a boolean: an integer in RESP2.
func (w *Writer) Bool(b bool) {
	switch {
	case w.Proto == 3 && b:
		w.Buf = append(w.Buf, "#t\r\n"...)
	case w.Proto == 3:
		w.Buf = append(w.Buf, "#f\r\n"...)
	case b:
		w.Int(1)
	default:
		w.Int(0)
	}
}

// Double appends a floating-point number, a bulk string in RESP2, written by
// [AppendDouble].
func (w *Writer) Double(f float64) {
	var scratch [32]byte
	text := AppendDouble(scratch[:0], f)
	if w.Proto != 3 {
		w.Bulk(text)
		return
	}
	w.Buf = append(w.Buf, ',')
	w.Buf = append(w.Buf, text...)
	w.crlf()
}

// Verbatim appends a text for people: a verbatim string "txt" in RESP3, a bulk
// string in RESP2.
func (w *Writer) Verbatim(s string) {
	if w.Proto != 3 {
		w.BulkString(s)
		return
	}
	w.line('=', int64(len(s)+4))
	w.Buf = append(w.Buf, "txt:"...)
	w.Buf = append(w.Buf, s...)
	w.crlf()
}

func (w *Writer) crlf() { w.Buf = append(w.Buf, '\r', '\n') }

func (w *Writer) line(kind byte, n int64) {
	switch {
	case n >= 0 && n < 10:
		w.Buf = append(w.Buf, kind, byte('0'+n), '\r', '\n')
		return
	case n >= 10 && n < 100:
		w.Buf = append(w.Buf, kind, byte('0'+n/10), byte('0'+n%10), '\r', '\n')
		return
	}
	w.Buf = append(w.Buf, kind)
	w.Buf = strconv.AppendInt(w.Buf, n, 10)
	w.crlf()
}
