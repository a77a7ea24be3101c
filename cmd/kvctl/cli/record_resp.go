package cli

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
	"strings"
	"sync/atomic"

	"kvstored/pkg/client"
)

// respLimit is the longest argument that a server takes.
const respLimit = 512 << 20

// respSource reads commands as they travel: arrays of strings, or plain lines.
// They are passed on as they are; only their bounds are looked for.
type respSource struct {
	reading
	begun bool        // a command was read
	lined atomic.Bool // the first was a plain line: lines are counted, else commands
	early int64       // lines without a command before the next one
}

// unit is what is counted.
func (s *respSource) unit() string {
	if s.lined.Load() {
		return "line"
	}
	return "command"
}

func (s *respSource) next(b []byte) ([]byte, int64, error) {
	line, err := readLine(s.in)
	if len(line) == 0 {
		return b, 0, err
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
	for range n {
		if b, err = s.argument(b); err != nil {
			return b[:begin], 0, err
		}
	}
	s.offset += int64(len(b) - begin)
	if n <= 0 {
		return b[:begin], 0, nil
	}
	return b, 1, nil
}

// badCommand is a mistake in the present command.
func (s *respSource) badCommand(what string) error {
	return badInput{s.unit() + " " + strconv.FormatInt(s.lines, 10), what}
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

// argument passes one string on.
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
