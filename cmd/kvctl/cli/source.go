package cli

import (
	"bufio"
	"cmp"
	"io"
	"os"
	"strconv"
)

// source gives what is to be loaded, piece by piece.
type source interface {
	// next appends commands in their wire form: n of them, and where in the
	// file the last one ends. io.EOF is the end. Of a command with a long value
	// it is the beginning only, and rest is called before the next one.
	next(b []byte) (wire []byte, n int64, err error)
	// rest writes what follows, but for the end; nil where nothing does.
	rest() func(w io.Writer) (end []byte, err error)
	// place is how many bytes of the file were used, and lines or commands.
	place() (offset, lines int64)
	// began is the line, or the number of the command, where the last one that
	// was given begins.
	began() int64
	// records are those that the last next gave, where the source knows.
	records() []record
	// totals are what was counted, and what the file says it holds.
	totals() (got sum, want *claim)
}

// badInput is a mistake in a file.
type badInput struct {
	place string
	what  string
}

// Error names the place.
func (e badInput) Error() string { return e.place + ": " + e.what }

// reading is what all sources keep.
type reading struct {
	in     *bufio.Reader
	file   *os.File // that in reads from the offset on; nil where it cannot be read twice
	spool  *spool   // for what cannot be
	offset int64
	lines  int64
	begins int64 // the line of the last command; 0: the last line
	sum    sum
	want   *claim
	given  []record
	body   *record // the long one of given, until rest
}

// idle reports whether nothing is left that was read ahead.
func (c *reading) idle() bool { return c.in != nil && c.in.Buffered() == 0 }

func (c *reading) records() []record { return c.given }

// give counts a record and hands it out.
func (c *reading) give(b []byte, r record) ([]byte, int64, error) {
	c.given = append(c.given[:0], r)
	if r.long != nil {
		c.body = &c.given[0]
		head, _ := setAround(b, r)
		return head, 1, nil
	}
	c.sum.add(r)
	return appendSet(b, r), 1, nil
}

// rest writes the long value of the record that was given.
func (c *reading) rest() func(w io.Writer) ([]byte, error) {
	r := c.body
	if r == nil {
		return nil
	}
	c.body = nil
	return func(w io.Writer) ([]byte, error) {
		h := recordHash(r.key)
		if err := around(io.MultiWriter(w, h), nil, r.long, nil); err != nil {
			return nil, err
		}
		c.sum.took(h, r.expires)
		_, tail := setAround(nil, *r)
		return tail, nil
	}
}

func (c *reading) place() (int64, int64) { return c.offset, c.lines }

func (c *reading) began() int64 { return cmp.Or(c.begins, c.lines) }

func (c *reading) totals() (sum, *claim) { return c.sum, c.want }

// bad is a mistake in the present line.
func (c *reading) bad(what string) error {
	return badInput{"line " + strconv.FormatInt(c.lines, 10), what}
}

// line reads a line with its end; at the end of the input what is left. Of one
// longer than longValue it gives a part that can be read again and again.
func (c *reading) line() (line []byte, long *io.SectionReader, err error) {
	line, err = c.in.ReadSlice('\n')
	if err != bufio.ErrBufferFull {
		return line, nil, err
	}
	line = append([]byte{}, line...)
	for err == bufio.ErrBufferFull && len(line) < longValue {
		var piece []byte
		piece, err = c.in.ReadSlice('\n')
		line = append(line, piece...)
	}
	if err != bufio.ErrBufferFull {
		return line, nil, err
	}
	return c.longLine(line)
}

// longLine reads on.
func (c *reading) longLine(line []byte) ([]byte, *io.SectionReader, error) {
	keep, err := c.keeper(line)
	for err == nil {
		var piece []byte
		piece, err = c.in.ReadSlice('\n')
		if keepErr := keep.add(piece); keepErr != nil {
			return nil, nil, keepErr
		}
		if err != bufio.ErrBufferFull {
			break
		}
		err = nil
	}
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	return nil, keep.all(), nil
}

// keeper keeps what is read from the present offset on so that it can be read
// again: in the file where it stands, else in the spool.
type keeper struct {
	c *reading
	n int64
}

// keeper begins with what was read already.
func (c *reading) keeper(begun []byte) (*keeper, error) {
	k := &keeper{c: c}
	if c.file == nil {
		if err := c.spool.reset(); err != nil {
			return nil, err
		}
	}
	return k, k.add(begun)
}

// add keeps the next bytes.
func (k *keeper) add(piece []byte) error {
	k.n += int64(len(piece))
	if k.c.file != nil {
		return nil
	}
	_, err := k.c.spool.Write(piece)
	return err
}

// all gives all that was kept.
func (k *keeper) all() *io.SectionReader {
	if k.c.file != nil {
		return io.NewSectionReader(k.c.file, k.c.offset, k.n)
	}
	return k.c.spool.all()
}
