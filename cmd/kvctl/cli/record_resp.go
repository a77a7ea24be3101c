package cli

import (
	"bufio"
	"bytes"
	"hash"
	"io"
	"strconv"
	"strings"
	"sync/atomic"

	"kvstored/pkg/client"
)

const (
	respLimit = 512 << 20 // the longest argument that a server takes
	lineLimit = 64 << 20  // the longest plain line, which is held
)

// respSource reads commands as they travel: arrays of strings, or plain lines.
// They are passed on as they are; only their bounds are looked for. In what
// kvctl export wrote the records are counted, too.
type respSource struct {
	reading
	begun bool        // a command was read
	lined atomic.Bool // the first was a plain line: lines are counted, else commands
	early int64       // lines without a command before the next one

	ours   bool  // an export has begun
	open   int64 // exports that have begun and not ended
	args   []int // where the arguments of the present command begin and end
	long   longArgument
	export sum // what the ends of exports say
}

// longArgument is one that is not held.
type longArgument struct {
	size  int64 // 0: there is none
	index int64 // which argument of the command
	of    int64 // arguments of the command
}

// unit is what is counted.
func (s *respSource) unit() string {
	if s.lined.Load() {
		return "line"
	}
	return "command"
}

func (s *respSource) next(b []byte) ([]byte, int64, error) {
	s.given = s.given[:0]
	line, err := s.in.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		line, err = s.longLine(line)
	}
	if len(line) == 0 {
		return b, 0, s.end(err)
	}
	if err != nil && err != io.EOF {
		return b, 0, err
	}
	begin := len(b)
	if line[0] != '*' {
		return s.inline(b, line)
	}
	s.begun = true
	s.lines++
	n, ok := respNumber(line, '*')
	if !ok || n > 1<<20 {
		return b, 0, s.badCommand("not the head of a command: " + shorten(string(bytes.TrimSpace(line))))
	}
	b = append(b, line...)
	s.args = s.args[:0]
	for i := range int64(n) {
		if b, err = s.argument(b); err != nil {
			return b[:begin], 0, err
		}
		if s.long.size > 0 {
			s.long.index, s.long.of = i, int64(n)
			s.offset += int64(len(b) - begin)
			return s.begin(b)
		}
	}
	s.offset += int64(len(b) - begin)
	if n <= 0 {
		return b[:begin], 0, nil
	}
	if s.ours || s.lines == 1 {
		return s.look(b, begin)
	}
	return b, 1, nil
}

// end is what the end of the input means.
func (s *respSource) end(err error) error {
	switch {
	case err != io.EOF:
		return err
	case s.open > 0:
		return badInput{"the end", "an export was cut off: the line that ends it is missing"}
	}
	return io.EOF
}

// badCommand is a mistake in the present command.
func (s *respSource) badCommand(what string) error {
	return badInput{s.unit() + " " + strconv.FormatInt(s.lines, 10), what}
}

// longLine reads a plain line that does not fit the buffer.
func (s *respSource) longLine(line []byte) ([]byte, error) {
	whole := append([]byte{}, line...)
	for err := bufio.ErrBufferFull; err == bufio.ErrBufferFull; {
		if len(whole) > lineLimit {
			s.lines++
			return nil, s.badCommand("a line longer than " + size(lineLimit) + "; such a command is written as an array of strings")
		}
		line, err = s.in.ReadSlice('\n')
		whole = append(whole, line...)
		if err != bufio.ErrBufferFull {
			return whole, err
		}
	}
	return whole, nil
}

// inline passes a plain line on, as an array: a line has a limit of its own.
func (s *respSource) inline(b, line []byte) ([]byte, int64, error) {
	s.offset += int64(len(line))
	text := strings.TrimSpace(string(line))
	if text == "" || text[0] == '#' { // append-only files have notes of the time
		s.early++
		return b, 0, nil
	}
	if !s.begun {
		s.begun = true
		s.lined.Store(true)
	}
	if s.lines++; s.lined.Load() {
		s.lines += s.early
	}
	s.early = 0
	words, err := split(string(bytes.TrimRight(line, "\r\n")))
	if err != nil {
		return b, 0, s.badCommand(err.Error())
	}
	args := make([][]byte, len(words))
	for i, w := range words {
		args[i] = []byte(w)
	}
	return client.AppendCommand(b, args...), 1, nil
}

// argument passes one string on, and notes where it is; of a long one its head,
// and that it follows.
func (s *respSource) argument(b []byte) ([]byte, error) {
	head, err := s.in.ReadSlice('\n')
	if err != nil {
		return b, s.badCommand("it ends in the middle")
	}
	size, ok := respNumber(head, '$')
	if !ok || size < 0 || size > respLimit {
		return b, s.badCommand("not the head of an argument: " + shorten(string(bytes.TrimSpace(head))))
	}
	b = append(b, head...)
	s.args = append(s.args, len(b), len(b)+size)
	if size > longValue {
		s.long.size = int64(size)
		return b, nil
	}
	for left := size + 2; left > 0; {
		piece, err := s.in.Peek(min(left, s.in.Size()))
		if len(piece) == 0 || err != nil && err != bufio.ErrBufferFull {
			return b, s.badCommand("it ends in the middle")
		}
		b = append(b, piece...)
		_, _ = s.in.Discard(len(piece))
		left -= len(piece)
	}
	if b[len(b)-2] != '\r' || b[len(b)-1] != '\n' {
		return b, s.badCommand("an argument is longer than it says")
	}
	return b, nil
}

// arg is an argument of the present command.
func (s *respSource) arg(b []byte, i int) []byte { return b[s.args[2*i]:s.args[2*i+1]] }

// begin hands out a command whose next argument is long.
func (s *respSource) begin(b []byte) ([]byte, int64, error) {
	if s.ours && s.long.index == 2 && string(s.arg(b, 0)) == "SET" {
		s.given = append(s.given, record{key: bytes.Clone(s.arg(b, 1)), long: s.in, size: s.long.size})
	}
	return b, 1, nil
}

// rest passes on what follows of a command with long arguments.
func (s *respSource) rest() func(io.Writer) ([]byte, error) {
	if s.long.size == 0 {
		return nil
	}
	return func(w io.Writer) (end []byte, err error) {
		var h hash.Hash
		to := w
		if len(s.given) > 0 {
			h = recordHash(s.given[0].key)
			to = io.MultiWriter(w, h)
		}
		for s.long.size > 0 {
			if _, err := w.Write(end); err != nil {
				return nil, err
			}
			if end, err = s.body(to); err != nil {
				return nil, err
			}
		}
		s.offset += int64(len(end))
		if h != nil {
			err = s.tookLong(h, end)
		}
		return end, err
	}
}

// body passes on a long argument, and gives what follows it up to the next
// long one or the command's end.
func (s *respSource) body(w io.Writer) (end []byte, err error) {
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{io.LimitReader(s.in, s.long.size)}, make([]byte, pieceSize))
	s.offset += n
	switch {
	case err != nil:
		return nil, err
	case n < s.long.size:
		return nil, s.badCommand("it ends in the middle")
	}
	end = make([]byte, 2)
	if n, _ := fill(s.in, end); n < 2 {
		return nil, s.badCommand("it ends in the middle")
	} else if string(end) != "\r\n" {
		return nil, s.badCommand("an argument is longer than it says")
	}
	s.args, s.long.size = s.args[:0], 0
	for s.long.index++; s.long.index < s.long.of; s.long.index++ {
		if end, err = s.argument(end); err != nil {
			return nil, err
		}
		if s.long.size > 0 {
			s.offset += int64(len(end))
			return end, nil
		}
	}
	return end, nil
}

// tookLong counts a record of an export whose value was passed on; end is what
// followed.
func (s *respSource) tookLong(h hash.Hash, end []byte) error {
	r := &s.given[0]
	switch {
	case len(s.args) == 0:
	case len(s.args) == 4 && string(s.arg(end, 0)) == "PXAT":
		var err error
		if r.expires, err = strconv.ParseInt(string(s.arg(end, 1)), 10, 64); err != nil {
			return s.badCommand("not a time in milliseconds since 1970: " + shorten(string(s.arg(end, 1))))
		}
	default:
		return nil // no record of ours
	}
	s.sum.took(h, r.expires)
	return nil
}

// look finds what kvctl export wrote: its marks, which are not passed on, and
// its records, which are counted.
func (s *respSource) look(b []byte, begin int) ([]byte, int64, error) {
	n := len(s.args) / 2
	switch verb := string(s.arg(b, 0)); {
	case verb == "ECHO" && n == 2 && bytes.HasPrefix(s.arg(b, 1), []byte(respMark+" ")):
		return b[:begin], 0, s.mark(string(s.arg(b, 1)[len(respMark)+1:]))
	case verb != "SET" || !s.ours || n != 3 && n != 5:
		return b, 1, nil
	}
	r := record{key: s.arg(b, 1), value: s.arg(b, 2)}
	if n == 5 {
		var err error
		if r.expires, err = strconv.ParseInt(string(s.arg(b, 4)), 10, 64); err != nil || string(s.arg(b, 3)) != "PXAT" {
			return b, 1, nil
		}
	}
	s.sum.add(r)
	s.given = append(s.given, r)
	return b, 1, nil
}

// mark is the beginning or the end of an export; several may follow one another.
func (s *respSource) mark(text string) error {
	if text == "begins" {
		s.ours = true
		s.open++
		return nil
	}
	said, ok := sumOf(strings.TrimPrefix(text, "ends: "))
	if !ok || s.open == 0 {
		return s.badCommand("not the end of an export: " + shorten(text))
	}
	s.open--
	s.export.keys += said.keys
	s.export.total += said.total
	s.want = &claim{s.export.keys, s.export.String(), inLastCommand}
	return nil
}

// respNumber reads "$12\r\n".
func respNumber(line []byte, kind byte) (int, bool) {
	if len(line) < 4 || line[0] != kind || line[len(line)-2] != '\r' {
		return 0, false
	}
	n := 0
	for _, c := range line[1 : len(line)-2] {
		if c < '0' || c > '9' || n > respLimit {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}
