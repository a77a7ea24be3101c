package cli

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonScan walks over a line of JSON that is too long to be held.
type jsonScan struct {
	line *io.SectionReader
	in   *bufio.Reader

	key         *string
	keyEncoding string
	encoding    string
	expires     int64
	value       int64 // where its text begins, behind the quote; -1: there is none
	size        int64 // of its text
}

// newJSONScan begins at a place in a line.
func newJSONScan(line *io.SectionReader, at int64) *jsonScan {
	rest := io.NewSectionReader(line, at, line.Size()-at)
	return &jsonScan{line: rest, in: bufio.NewReaderSize(rest, 64<<10), value: -1}
}

var errNotJSON = errors.New("not JSON")

// at is how far it came.
func (j *jsonScan) at() int64 {
	read, _ := j.line.Seek(0, io.SeekCurrent) // it never fails
	return read - int64(j.in.Buffered())
}

// object reads the members of the line.
func (j *jsonScan) object() error {
	if j.token() != '{' {
		return errNotJSON
	}
	for c := byte(','); c == ','; {
		if j.token() != '"' {
			return errNotJSON
		}
		name, err := j.text()
		if err != nil || j.token() != ':' {
			return errNotJSON
		}
		if err := j.member(name); err != nil {
			return err
		}
		if c = j.token(); c != ',' && c != '}' {
			return errNotJSON
		}
	}
	if j.token() != 0 {
		return errNotJSON
	}
	return nil
}

// token is the next byte that is no blank; 0 at the end.
func (j *jsonScan) token() byte {
	for {
		c, err := j.in.ReadByte()
		if err != nil {
			return 0
		}
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c
		}
	}
}

// text reads the rest of a string.
func (j *jsonScan) text() (string, error) {
	all, err := io.ReadAll(&jsonText{in: j.in})
	return string(all), err
}

// member reads the value of a member.
func (j *jsonScan) member(name string) error {
	c := j.token()
	if c == '"' {
		return j.textMember(name)
	}
	raw, err := j.raw(c)
	if err != nil {
		return err
	}
	var ignored any
	switch {
	case name == "expires":
		if j.expires, err = strconv.ParseInt(string(raw), 10, 64); err != nil {
			return errNotJSON
		}
	case string(raw) == "null":
	case name == "key", name == "value", name == "key_encoding", name == "encoding":
		return errNotJSON
	case json.Unmarshal(raw, &ignored) != nil:
		return errNotJSON
	}
	return nil
}

// textMember reads a string; of the value only how long it is.
func (j *jsonScan) textMember(name string) error {
	if name == "value" {
		j.value = j.at()
		var err error
		j.size, err = io.Copy(io.Discard, &jsonText{in: j.in})
		return err
	}
	text, err := j.text()
	if err != nil {
		return err
	}
	switch name {
	case "key":
		j.key = &text
	case "key_encoding":
		j.keyEncoding = text
	case "encoding":
		j.encoding = text
	case "expires":
		return errNotJSON
	}
	return nil
}

// raw reads a value that is no string and begins with c.
func (j *jsonScan) raw(c byte) ([]byte, error) {
	var raw []byte
	depth, quoted := 0, false
	for ; ; c, _ = j.in.ReadByte() {
		switch {
		case c == 0 || len(raw) > longValue:
			return nil, errNotJSON
		case quoted && c == '\\':
			raw = append(raw, c)
			c, _ = j.in.ReadByte()
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']' || c == ',':
			if depth == 0 {
				return raw, j.in.UnreadByte()
			}
			if c != ',' {
				depth--
			}
		case depth == 0 && (c == ' ' || c == '\t' || c == '\r' || c == '\n'):
			return raw, nil
		}
		raw = append(raw, c)
	}
}

// jsonText gives what a string of JSON stands for, from behind its first quote
// to its last, which it takes, too.
type jsonText struct {
	in    *bufio.Reader
	ready []byte // of an escape
	ended bool
}

// Read gives the next bytes.
func (t *jsonText) Read(p []byte) (n int, err error) {
	for n < len(p) && (!t.ended || len(t.ready) > 0) {
		if len(t.ready) > 0 {
			m := copy(p[n:], t.ready)
			t.ready = t.ready[m:]
			n += m
			continue
		}
		if _, err := t.in.Peek(1); err != nil {
			return n, errNotJSON
		}
		piece, _ := t.in.Peek(min(t.in.Buffered(), len(p)-n))
		plain := 0
		for plain < len(piece) && piece[plain] >= ' ' && piece[plain] != '"' && piece[plain] != '\\' {
			plain++
		}
		n += copy(p[n:], piece[:plain])
		_, _ = t.in.Discard(plain)
		if plain == len(piece) {
			continue
		}
		switch c, _ := t.in.ReadByte(); c {
		case '"':
			t.ended = true
		case '\\':
			if t.ready, err = t.escape(); err != nil {
				return n, err
			}
		default:
			return n, errNotJSON
		}
	}
	if n == 0 && t.ended {
		return 0, io.EOF
	}
	return n, nil
}

// escape reads what follows a backslash.
func (t *jsonText) escape() ([]byte, error) {
	c, err := t.in.ReadByte()
	if err != nil {
		return nil, errNotJSON
	}
	switch c {
	case '"', '\\', '/':
		return []byte{c}, nil
	case 'b':
		return []byte{'\b'}, nil
	case 'f':
		return []byte{'\f'}, nil
	case 'n':
		return []byte{'\n'}, nil
	case 'r':
		return []byte{'\r'}, nil
	case 't':
		return []byte{'\t'}, nil
	case 'u':
	default:
		return nil, errNotJSON
	}
	first, err := t.hex(0)
	if err != nil {
		return nil, err
	}
	_, _ = t.in.Discard(4)
	r := rune(first)
	if utf16.IsSurrogate(r) {
		second, err := t.hex(2)
		pair := utf16.DecodeRune(r, rune(second))
		if mark, _ := t.in.Peek(2); err != nil || string(mark) != `\u` || pair == utf8.RuneError {
			return []byte("\uFFFD"), nil // as encoding/json reads half of a pair
		}
		_, _ = t.in.Discard(6)
		r = pair
	}
	return utf8.AppendRune(nil, r), nil
}

// hex reads four digits some bytes ahead.
func (t *jsonText) hex(ahead int) (uint64, error) {
	b, err := t.in.Peek(ahead + 4)
	if err != nil {
		return 0, errNotJSON
	}
	n, err := strconv.ParseUint(string(b[ahead:]), 16, 16)
	if err != nil {
		return 0, errNotJSON
	}
	return n, nil
}

// longBody is the value that a text of so many bytes stands for; text begins it
// anew. What is base64 is read once to see that it is, and how long.
func longBody(text func() io.Reader, encoding string, size int64) (io.Reader, int64, error) {
	switch encoding {
	case "", "utf-8":
		return text(), size, nil
	case "base64":
		n, err := io.Copy(io.Discard, base64.NewDecoder(base64.StdEncoding, text()))
		if err != nil {
			return nil, 0, fmt.Errorf("not base64: %w", err)
		}
		return base64.NewDecoder(base64.StdEncoding, text()), n, nil
	}
	_, err := bytesOf("", encoding)
	return nil, 0, err
}
