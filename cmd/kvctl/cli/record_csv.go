package cli

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strconv"
	"strings"
)

// csvSource reads CSV: key, value and, if there, expires and encoding.
type csvSource struct {
	reading
	csv     *csv.Reader
	feed    csvFeed
	columns map[string]int
}

// csvFeed gives the reader of CSV one record after the other.
type csvFeed struct{ raw []byte }

// Read gives the present record, and then its end.
func (f *csvFeed) Read(p []byte) (int, error) {
	n := copy(p, f.raw)
	f.raw = f.raw[n:]
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func newCSVSource(from reading, columns map[string]int) *csvSource {
	s := &csvSource{reading: from, columns: columns}
	s.csv = csv.NewReader(&s.feed)
	s.csv.FieldsPerRecord = -1
	s.csv.ReuseRecord = true
	return s
}

func (s *csvSource) next(b []byte) ([]byte, int64, error) {
	s.given = s.given[:0]
	raw, long, lines, err := s.raw()
	switch {
	case err != nil && err != io.EOF:
		return b, 0, err
	case long == nil && len(raw) == 0:
		return b, 0, io.EOF
	}
	size := int64(len(raw))
	if long != nil {
		size = long.Size()
	}
	first := s.lines + 1
	s.offset += size
	s.lines = first
	if long == nil && blank(raw) {
		return b, 0, nil
	}
	s.begins = first
	var r record
	var header bool
	if long != nil {
		r, err = s.parseLong(long)
	} else {
		r, header, err = s.parse(raw)
	}
	if err != nil {
		return b, 0, err
	}
	s.lines = first + max(lines-1, 0)
	if header {
		return b, 0, nil
	}
	return s.give(b, r)
}

// blank reports whether a record is an empty line.
func blank(raw []byte) bool {
	return len(bytes.TrimSuffix(bytes.TrimSuffix(raw, []byte("\n")), []byte("\r"))) == 0
}

// raw reads the bytes of one record, and counts the lines that end in it; one
// longer than longValue is kept to be read again and again.
func (s *csvSource) raw() (raw []byte, long *io.SectionReader, lines int64, err error) {
	q := csvQuotes{begin: true}
	var keep *keeper
	for {
		piece, err := s.in.ReadSlice('\n')
		q.over(piece)
		if err == nil {
			lines++
		}
		done := err == nil && !q.inside || err != nil && err != bufio.ErrBufferFull
		switch {
		case keep != nil:
			if err := keep.add(piece); err != nil {
				return nil, nil, 0, err
			}
		case done && raw == nil:
			return piece, nil, lines, err
		default:
			raw = append(raw, piece...)
		}
		if done && keep != nil {
			return nil, keep.all(), lines, err
		} else if done {
			return raw, nil, lines, err
		}
		if keep == nil && len(raw) > longValue {
			if keep, err = s.keeper(raw); err != nil {
				return nil, nil, 0, err
			}
		}
	}
}

// csvQuotes tells where a record ends: at the first line end outside of quotes.
type csvQuotes struct {
	inside bool
	begin  bool // a field begins
	shut   bool // the last byte may have ended the quotes
}

// over passes over the next bytes.
func (q *csvQuotes) over(b []byte) {
	if len(b) > 0 && !q.inside && bytes.IndexByte(b, '"') < 0 {
		last := b[len(b)-1]
		q.begin, q.shut = last == ',' || last == '\n', false
		return
	}
	for _, c := range b {
		switch {
		case q.inside:
			q.inside, q.shut = c != '"', c == '"'
		case c == '"' && (q.begin || q.shut):
			q.inside, q.begin, q.shut = true, false, false
		default:
			q.begin, q.shut = c == ',' || c == '\n', false
		}
	}
}

// parse reads a record that is held; header says that it names the columns.
func (s *csvSource) parse(raw []byte) (r record, header bool, err error) {
	s.feed.raw = raw
	fields, err := s.csv.Read()
	var wrong *csv.ParseError
	if errors.As(err, &wrong) {
		return r, false, s.bad(wrong.Err.Error())
	} else if err != nil {
		return r, false, err
	}
	if s.columns == nil {
		s.columns = map[string]int{"key": 0, "value": 1, "expires": 2, "encoding": 3}
		if fields[0] == "key" && len(fields) > 1 {
			s.columns = map[string]int{}
			for i, name := range fields {
				s.columns[strings.TrimSpace(name)] = i
			}
			return r, true, nil
		}
	}
	get := s.getter(fields)
	if i, ok := s.columns["value"]; !ok || i >= len(fields) {
		return r, false, s.bad("a key without a value")
	}
	if r, err = s.named(get); err != nil {
		return r, false, err
	}
	if r.value, err = bytesOf(get("value"), get("encoding")); err != nil {
		return r, false, s.bad(err.Error())
	}
	return r, false, nil
}

// getter gives the field of a column; empty where there is none.
func (s *csvSource) getter(fields []string) func(name string) string {
	return func(name string) string {
		if i, ok := s.columns[name]; ok && i < len(fields) {
			return fields[i]
		}
		return ""
	}
}

// named reads all of a record but its value.
func (s *csvSource) named(get func(name string) string) (r record, err error) {
	if r.key, err = bytesOf(get("key"), get("encoding")); err != nil {
		return r, s.bad(err.Error())
	}
	if text := get("expires"); text != "" {
		if r.expires, err = strconv.ParseInt(text, 10, 64); err != nil || r.expires <= 0 {
			return r, s.bad("not a time in milliseconds since 1970: " + shorten(text))
		}
	}
	return r, nil
}

// parseLong reads a record that is not held: all but the value, which is found
// again where it stands.
func (s *csvSource) parseLong(raw *io.SectionReader) (r record, err error) {
	if s.columns == nil {
		s.columns = map[string]int{"key": 0, "value": 1, "expires": 2, "encoding": 3}
	}
	column, ok := s.columns["value"]
	if !ok {
		return r, s.bad("a key without a value")
	}
	f := csvFields{line: raw, in: bufio.NewReaderSize(raw, 64<<10)}
	var fields []string
	value, size := int64(-1), int64(0)
	for i := 0; !f.ended; i++ {
		text := ""
		if i == column {
			value = f.at()
			size, err = io.Copy(io.Discard, f.field())
		} else {
			var all []byte
			all, err = io.ReadAll(f.field())
			text = string(all)
		}
		if err != nil {
			return r, s.bad(err.Error())
		}
		fields = append(fields, text)
	}
	if value < 0 {
		return r, s.bad("a key without a value")
	}
	get := s.getter(fields)
	if r, err = s.named(get); err != nil {
		return r, err
	}
	text := func() io.Reader {
		rest := io.NewSectionReader(raw, value, raw.Size()-value)
		again := csvFields{line: rest, in: bufio.NewReaderSize(rest, 64<<10)}
		return again.field()
	}
	if r.long, r.size, err = longBody(text, get("encoding"), size); err != nil {
		return r, s.bad(err.Error())
	}
	return r, nil
}

// csvFields walks over the fields of a record that is too long to be held.
type csvFields struct {
	line  *io.SectionReader
	in    *bufio.Reader
	ended bool // there is no further field
}

// at is how far it came.
func (f *csvFields) at() int64 {
	read, _ := f.line.Seek(0, io.SeekCurrent) // it never fails
	return read - int64(f.in.Buffered())
}

// field gives the next field, and takes what parts it from the one behind.
func (f *csvFields) field() io.Reader {
	head, _ := f.in.Peek(1)
	quoted := string(head) == `"`
	if quoted {
		_, _ = f.in.Discard(1)
	}
	return &csvField{of: f, quoted: quoted}
}

// csvField gives what one field stands for.
type csvField struct {
	of     *csvFields
	quoted bool
	ended  bool
}

// Read gives the next bytes.
func (f *csvField) Read(p []byte) (n int, err error) {
	for n < len(p) && !f.ended {
		if _, err := f.of.in.Peek(1); err != nil {
			f.ended, f.of.ended = true, true
			if f.quoted {
				return n, csv.ErrQuote
			}
			break
		}
		piece, _ := f.of.in.Peek(min(f.of.in.Buffered(), len(p)-n))
		plain := bytes.IndexAny(piece, "\",\r\n")
		if f.quoted {
			plain = bytes.IndexAny(piece, "\"\r")
		}
		if plain < 0 {
			plain = len(piece)
		}
		n += copy(p[n:], piece[:plain])
		_, _ = f.of.in.Discard(plain)
		if plain == len(piece) {
			continue
		}
		literal, err := f.special()
		if err != nil {
			return n, err
		}
		if literal != 0 {
			p[n] = literal
			n++
		}
	}
	if n == 0 && f.ended {
		return 0, io.EOF
	}
	return n, nil
}

// special reads what does not stand for itself: a byte that it stands for, or
// 0 where it is the field's end.
func (f *csvField) special() (byte, error) {
	in := f.of.in
	c, _ := in.ReadByte()
	next, _ := in.Peek(1)
	switch {
	case c == '\r' && string(next) == "\n" && f.quoted:
		_, _ = in.Discard(1)
		return '\n', nil
	case c == '\r' && string(next) != "\n" && (f.quoted || len(next) > 0):
		return c, nil
	case c == '\r':
		_, _ = in.Discard(1)
		f.ended, f.of.ended = true, true
	case c == ',':
		f.ended = true
	case c == '\n':
		f.ended, f.of.ended = true, true
	case !f.quoted:
		return 0, csv.ErrBareQuote
	case string(next) == `"`:
		_, _ = in.Discard(1)
		return '"', nil
	default:
		return 0, f.shut()
	}
	return 0, nil
}

// shut reads what follows the quote that ends a field.
func (f *csvField) shut() error {
	f.ended = true
	end, err := f.of.in.ReadByte()
	if err == nil && end == ',' {
		return nil
	}
	if err == nil && end == '\r' {
		end, err = f.of.in.ReadByte()
	}
	if err == nil && end != '\n' {
		return csv.ErrQuote
	}
	f.of.ended = true
	return nil
}
