// Package differential sends the same random commands to kvstored and to
// redis-server and compares what they answer, byte for byte where the answer
// depends on nothing else.
//
//	go test ./tests/differential -commands 200000 -seed 7 -v
package differential

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// Value is one reply of RESP2 or RESP3.
type Value struct {
	Kind  byte   // the first byte
	Text  []byte // of scalars; the announced length of aggregates
	Elems []Value
}

// Null tells whether the reply is one of the nulls.
func (v *Value) Null() bool {
	return v.Kind == '_' || (v.Kind == '$' || v.Kind == '*') && string(v.Text) == "-1" && v.Elems == nil
}

// Int is an integer reply's number.
func (v *Value) Int() (int64, bool) {
	if v.Kind != ':' {
		return 0, false
	}
	n, err := strconv.ParseInt(string(v.Text), 10, 64)
	return n, err == nil
}

// Read reads one reply. Bulk strings have their text in Text; a null one has
// the kind '_' or Text "-1" as it came.
func Read(r *bufio.Reader) (Value, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return Value{}, fmt.Errorf("read a reply: %w", err)
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return Value{}, fmt.Errorf("read a reply: bad line %q", line)
	}
	v := Value{Kind: line[0], Text: bytes.Clone(line[1 : len(line)-2])}
	switch v.Kind {
	case '+', '-', ':', '_', '#', ',', '(':
		return v, nil
	}
	n, err := strconv.Atoi(string(v.Text))
	if err != nil {
		return v, fmt.Errorf("read a reply: bad length in %q", line)
	}
	switch v.Kind {
	case '$', '=', '!':
		return v, v.readBulk(r, n)
	case '*', '~', '>':
		return v, v.readElems(r, n)
	case '%', '|':
		return v, v.readElems(r, 2*n)
	}
	return v, fmt.Errorf("read a reply: unknown kind %q", line)
}

func (v *Value) readBulk(r *bufio.Reader, n int) error {
	if n < 0 {
		return nil
	}
	b := make([]byte, n+2)
	if _, err := io.ReadFull(r, b); err != nil {
		return fmt.Errorf("read a bulk of %d bytes: %w", n, err)
	}
	if string(b[n:]) != "\r\n" {
		return fmt.Errorf("read a bulk of %d bytes: it ends with %q", n, b[n:])
	}
	v.Text = b[:n]
	v.Elems = []Value{}
	return nil
}

func (v *Value) readElems(r *bufio.Reader, n int) error {
	if n < 0 {
		return nil
	}
	v.Elems = make([]Value, n)
	for i := range v.Elems {
		var err error
		if v.Elems[i], err = Read(r); err != nil {
			return err
		}
	}
	return nil
}

// Equal compares kind, text and elements.
func (v *Value) Equal(o *Value) bool {
	return v.Kind == o.Kind && bytes.Equal(v.Text, o.Text) && v.sameElems(o)
}

func (v *Value) sameElems(o *Value) bool {
	return len(v.Elems) == len(o.Elems) && (v.Elems == nil) == (o.Elems == nil) &&
		slices.EqualFunc(v.Elems, o.Elems, func(a, b Value) bool { return a.Equal(&b) })
}

// String shows the reply in one line, long texts clipped.
func (v *Value) String() string {
	text := v.Text
	clipped := ""
	if len(text) > 80 {
		clipped = fmt.Sprintf("… (%d bytes)", len(text))
		text = text[:80]
	}
	s := fmt.Sprintf("%c%q%s", v.Kind, text, clipped)
	if len(v.Elems) == 0 {
		return s
	}
	s += "["
	for i := range v.Elems {
		if i == 12 {
			s += " …"
			break
		}
		s += " " + v.Elems[i].String()
	}
	return s + " ]"
}

// Sorted returns the elements' texts in order, for replies that are sets.
func (v *Value) Sorted() []string {
	var all []string
	for i := range v.Elems {
		all = append(all, v.Elems[i].String()+string(v.Elems[i].Text))
	}
	slices.Sort(all)
	return all
}
