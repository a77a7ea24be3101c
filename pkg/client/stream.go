package client

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

const (
	readBuffer = 64 << 10
	maxLine    = 1 << 20 // longest status, error or number
	maxDepth   = 64      // deepest nesting of aggregates in a Reply
	growStep   = 1 << 20 // a body is allocated at most this far ahead of what arrived
)

// ProtocolError says that the other end does not speak the protocol.
type ProtocolError struct{ What string }

// Error describes the bytes that made no sense.
func (e *ProtocolError) Error() string { return "not an answer of a key-value server: " + e.What }

// Token is the head of one element of a reply.
type Token struct {
	Kind Kind
	N    int64  // Integer and Boolean: the value; string kinds: bytes that follow; aggregates: elements
	Text []byte // Simple, Error, Double, BigNumber; valid until the next call
}

// Stream walks through one reply without holding it.  Next gives the head of
// an element; the elements of an aggregate follow it, each by Next (a map's
// keys and values by turns, both counted in N).  After a string kind, Read
// gives the bytes until io.EOF; what is left unread is skipped by Next.
// io.EOF from Next means that the reply is at its end.
type Stream struct {
	r    *bufio.Reader
	open int64 // elements not yet begun
	body int64 // bytes of the present element not yet read
	tail bool  // a CR LF stands after the body
}

// begin makes the stream ready for one reply.
func (s *Stream) begin() { s.open = 1 }

// Next returns the head of the next element.
func (s *Stream) Next() (Token, error) {
	if err := s.skipBody(); err != nil {
		return Token{}, err
	}
	if s.open == 0 {
		return Token{}, io.EOF
	}
	t, err := s.head()
	if err != nil {
		return t, err
	}
	if t.Kind == attribute {
		s.open += t.N
		return s.dropAttribute(t.N)
	}
	s.open--
	if t.Kind.aggregate() {
		s.open += t.N
	}
	if t.Kind.sized() {
		s.body, s.tail = t.N, true
	}
	return t, nil
}

// dropAttribute passes over the n elements of an attribute, which belong to
// nobody here, and returns the element that they were about.
func (s *Stream) dropAttribute(n int64) (Token, error) {
	for target := s.open - n; s.open > target; {
		if _, err := s.Next(); err != nil {
			return Token{}, err
		}
	}
	return s.Next()
}

// Read gives the bytes of the string whose head came last.
func (s *Stream) Read(p []byte) (int, error) {
	if s.body == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > s.body {
		p = p[:s.body]
	}
	n, err := s.r.Read(p)
	s.body -= int64(n)
	return n, noEOF(err)
}

// skip passes over the rest of the reply.
func (s *Stream) skip() error {
	for {
		if _, err := s.Next(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// skipBody passes over what is left of the present string and its CR LF.
func (s *Stream) skipBody() error {
	for s.body > 0 {
		n, err := s.r.Discard(int(min(s.body, 1<<30)))
		s.body -= int64(n)
		if err != nil {
			return noEOF(err)
		}
	}
	if !s.tail {
		return nil
	}
	s.tail = false
	var end [2]byte
	if _, err := io.ReadFull(s.r, end[:]); err != nil {
		return noEOF(err)
	}
	if string(end[:]) != "\r\n" {
		return &ProtocolError{fmt.Sprintf("a string ends with %q", end[:])}
	}
	return nil
}

// head reads one line and says what it announces.
func (s *Stream) head() (Token, error) {
	line, err := s.line()
	if err != nil {
		return Token{}, err
	}
	if len(line) == 0 {
		return Token{}, &ProtocolError{"an empty line"}
	}
	t := Token{Kind: Kind(line[0]), Text: line[1:]}
	switch t.Kind {
	case Simple, Error, Double, BigNumber:
		return t, nil
	case Nil:
		return Token{Kind: Nil}, nil
	case Boolean:
		if len(t.Text) == 1 && t.Text[0] == 't' {
			t.N = 1
		}
		return t, nil
	case Integer:
		t.N, err = strconv.ParseInt(string(t.Text), 10, 64)
		if err != nil {
			return t, &ProtocolError{fmt.Sprintf("an integer %q", t.Text)}
		}
		return t, nil
	case Bulk, BlobError, Verbatim, Array, Set, Push, Map, attribute:
		return t.count()
	}
	return t, &ProtocolError{fmt.Sprintf("a line %.40q", line)}
}

// count reads the length that a head announces; -1 is the nil of RESP2.
func (t Token) count() (Token, error) {
	n, err := strconv.ParseInt(string(t.Text), 10, 64)
	if err != nil || n < -1 || n > 1<<48 || n < 0 && t.Kind != Bulk && t.Kind != Array {
		return t, &ProtocolError{fmt.Sprintf("a %s of length %q", t.Kind, t.Text)}
	}
	if n < 0 {
		return Token{Kind: Nil}, nil
	}
	if t.Kind == Map || t.Kind == attribute {
		n *= 2
	}
	return Token{Kind: t.Kind, N: n}, nil
}

// line returns the next line without its end.  It is valid until the next read.
func (s *Stream) line() ([]byte, error) {
	line, err := s.r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		line, err = s.longLine(line)
	}
	if err != nil {
		return nil, noEOF(err)
	}
	line = line[:len(line)-1]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, nil
}

// longLine goes on reading a line that does not fit the buffer.
func (s *Stream) longLine(start []byte) ([]byte, error) {
	whole := append([]byte(nil), start...)
	for {
		piece, err := s.r.ReadSlice('\n')
		whole = append(whole, piece...)
		if err != bufio.ErrBufferFull {
			return whole, err
		}
		if len(whole) > maxLine {
			return nil, &ProtocolError{"a line without an end"}
		}
	}
}

// reply reads the next element with all that it holds.
func (s *Stream) reply(depth int) (Reply, error) {
	t, err := s.Next()
	if err != nil {
		return Reply{}, err
	}
	return s.rest(t, depth)
}

// rest reads what follows the head of an element.
func (s *Stream) rest(t Token, depth int) (r Reply, err error) {
	if depth > maxDepth {
		return Reply{}, &ProtocolError{"nested too deeply"}
	}
	r = Reply{Kind: t.Kind}
	switch {
	case t.Kind.aggregate():
		r.Items = make([]Reply, 0, min(t.N, 1024))
		for range t.N {
			item, err := s.reply(depth + 1)
			if err != nil {
				return Reply{}, err
			}
			r.Items = append(r.Items, item)
		}
	case t.Kind.sized():
		if r.Bytes, err = s.all(); err != nil {
			return Reply{}, err
		}
		if t.Kind == Verbatim && len(r.Bytes) >= 4 {
			r.Bytes = r.Bytes[4:] // the three letters of the format and a colon
		}
	case t.Kind == Integer || t.Kind == Boolean:
		r.Int = t.N
	case t.Kind != Nil:
		r.Bytes = append([]byte{}, t.Text...)
	}
	return r, nil
}

// Bytes gives all that is left of the string whose head came last.
func (s *Stream) Bytes() ([]byte, error) { return s.all() }

// all reads the whole body and its end.  A length that the server merely
// announces does not make us allocate it.
func (s *Stream) all() ([]byte, error) {
	out := make([]byte, 0, min(s.body, growStep))
	for s.body > 0 {
		if len(out) == cap(out) {
			grown := make([]byte, len(out), min(int64(cap(out))*2, int64(len(out))+s.body))
			copy(grown, out)
			out = grown
		}
		n, err := s.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		if err != nil {
			return nil, err
		}
	}
	return out, s.skipBody()
}

// noEOF turns the end of the connection into an error of its own: io.EOF is
// kept for the end of a reply.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
