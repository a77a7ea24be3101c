package cli

import (
	"bytes"
	"cmp"
	"io"
	"os"
	"unicode/utf8"
)

// pieceSize is what of a long value is held at a time.
const pieceSize = 256 << 10

// spool is a file without a name for what must be read twice and is too long to
// be held. It is made when it is first needed, and used again and again.
type spool struct {
	file *os.File
	n    int64
}

// spoolDir is where such files are: unlike /tmp, /var/tmp is hardly ever memory.
func spoolDir() string {
	dir := cmp.Or(os.Getenv("TMPDIR"), "/var/tmp")
	if _, err := os.Stat(dir); err != nil {
		return os.TempDir()
	}
	return dir
}

// reset empties the file.
func (p *spool) reset() error {
	p.n = 0
	if p.file != nil {
		return spooled(p.file.Truncate(0))
	}
	f, err := os.CreateTemp(spoolDir(), "kvctl-*")
	if err != nil {
		return spooled(err)
	}
	p.file = f
	return spooled(os.Remove(f.Name()))
}

// Write appends.
func (p *spool) Write(b []byte) (int, error) {
	n, err := p.file.WriteAt(b, p.n)
	p.n += int64(n)
	return n, spooled(err)
}

// all gives what was written.
func (p *spool) all() *io.SectionReader { return io.NewSectionReader(p.file, 0, p.n) }

// close gives the room back.
func (p *spool) close() {
	if p.file != nil {
		_ = p.file.Close()
		p.file = nil
	}
}

// spooled is the failure to keep what is too long to be held.
func spooled(err error) error {
	if err == nil {
		return nil
	}
	return failure{what: "cannot keep a long value for a moment: " + errText(err),
		why: "what kind of text it is shows at its end only", fix: "TMPDIR=DIRECTORY kvctl …, one with room for it", code: ExitUsage}
}

// decide reads a long value until it is known whether it is text, and returns
// all of it. A value that is none mostly shows that at once, and is not kept.
func (p *spool) decide(in io.Reader, check *textCheck) (text bool, all io.Reader, err error) {
	head := make([]byte, pieceSize)
	n, err := fill(in, head)
	head = head[:n]
	switch {
	case err != nil && err != io.EOF:
		return false, nil, err
	case !check.takes(head):
		return false, io.MultiReader(bytes.NewReader(head), in), nil
	case err == io.EOF:
		return check.whole(), bytes.NewReader(head), nil
	}
	if err := p.reset(); err != nil {
		return false, nil, err
	}
	piece := make([]byte, pieceSize)
	for {
		n, err := fill(in, piece)
		if _, err := p.Write(piece[:n]); err != nil {
			return false, nil, err
		}
		kept := io.MultiReader(bytes.NewReader(head), p.all())
		switch {
		case err != nil && err != io.EOF:
			return false, nil, err
		case !check.takes(piece[:n]):
			return false, io.MultiReader(kept, in), nil
		case err == io.EOF:
			return check.whole(), kept, nil
		}
	}
}

// fill reads until b is full or the input at its end, which is io.EOF.
func fill(in io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = in.Read(b[n:])
		n += m
	}
	return n, err
}

// textCheck tells, piece by piece, whether bytes are UTF-8 without any of the
// characters in none.
type textCheck struct {
	none string
	part []byte // the beginning of a character at the end of the last piece
}

// takes looks at the next piece; false: it is no text.
func (t *textCheck) takes(b []byte) bool {
	if bytes.ContainsAny(b, t.none) {
		return false
	}
	for len(t.part) > 0 && len(b) > 0 {
		t.part, b = append(t.part, b[0]), b[1:]
		if utf8.FullRune(t.part) {
			if r, _ := utf8.DecodeRune(t.part); r == utf8.RuneError && !bytes.Equal(t.part, []byte("\uFFFD")) {
				return false
			}
			t.part = t.part[:0]
		}
	}
	if len(b) == 0 {
		return true
	}
	whole := wholeRunes(b)
	t.part = append(t.part, b[len(whole):]...)
	return utf8.Valid(whole)
}

// whole reports whether what came ends with a whole character.
func (t *textCheck) whole() bool { return len(t.part) == 0 }
