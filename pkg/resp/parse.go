// Package resp reads and writes the Redis serialization protocol: RESP2,
// RESP3 replies and plain inline lines. It parses bytes and appends bytes; it
// never does input or output.
//
// Behaviour and error texts follow Redis 7's processMultibulkBuffer and
// processInlineBuffer, as its clients see them.
package resp

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Limits of one request.
const (
	MaxArgs   = 1 << 20   // arguments
	MaxBulk   = 512 << 20 // bytes of one argument, Redis's proto-max-bulk-len
	MaxInline = 64 << 10  // bytes of an inline line, and of a length line
)

// ErrIncomplete says that a request has begun but not ended.
var ErrIncomplete = errors.New("incomplete request")

// ProtocolError is input that is no request. The reply is "-ERR Protocol
// error: " and the text; then the connection is closed.
type ProtocolError string

func (e ProtocolError) Error() string { return "Protocol error: " + string(e) }

// Parser takes requests from a buffer. The zero value is ready. It keeps its
// place within an incomplete request, so that a request that arrives in many
// pieces is looked at once; that place is an offset, so the unread bytes may
// move to another buffer between calls, but must be presented again from the
// start of the request.
type Parser struct {
	Args [][]byte // of the last complete request: views of the buffer

	spans []span // arguments found so far
	left  int    // arguments still to come; 0: at the start of a request
	pos   int    // where the next argument begins, from the request's start
	need  int    // bytes the request is known to need, from its start
}

type span struct{ from, to int }

// Idle tells whether the parser is between requests.
func (p *Parser) Idle() bool { return p.left == 0 }

// Need is, after ErrIncomplete, the least length from the start of the request
// that can take the parser further; 0 when it is not known.
func (p *Parser) Need() int { return p.need }

// Reset forgets an incomplete request.
func (p *Parser) Reset() { p.left, p.pos, p.need, p.spans = 0, 0, 0, p.spans[:0] }

// Next takes the request at the start of buf. It returns the bytes consumed
// with Args set (no arguments: an empty line or array, to be ignored), or
// ErrIncomplete with nothing consumed, or a ProtocolError.
func (p *Parser) Next(buf []byte) (int, error) {
	if p.left == 0 {
		if len(buf) == 0 {
			return 0, ErrIncomplete
		}
		if buf[0] != '*' {
			return p.inline(buf)
		}
		if n := p.quick(buf); n > 0 {
			return n, nil
		}
		if n, done, err := p.begin(buf); done || err != nil {
			return n, err
		}
	}
	return p.bulks(buf)
}

// quick takes the common request: complete, with short length lines that end
// in CRLF. It returns 0 for every other one, which the careful way then takes.
func (p *Parser) quick(buf []byte) int {
	count, i := length(buf, 0, '*')
	if i == 0 || count == 0 {
		return 0
	}
	return p.brief(buf, i, count, p.Args[:0])
}

// brief adds the count bulk strings at buf[i:] to args, which become the
// request's; 0 when one is for the careful way.
func (p *Parser) brief(buf []byte, i, count int, args [][]byte) int {
	for ; count > 0; count-- {
		var size, data int
		if len(buf)-i >= 8 {
			size, data = lengthIn(binary.LittleEndian.Uint64(buf[i:]), '$')
		}
		if data > 0 {
			data += i
		} else if size, data = length(buf, i, '$'); data == 0 {
			return 0
		}
		end := data + size
		if end+2 > len(buf) {
			return 0
		}
		args = append(args, buf[data:end:end])
		i = end + 2
	}
	p.Args = args
	return i
}

// lengthIn reads a length line of one or two digits, as most are, from the eight
// bytes in w. next is its length, 0 when something else is there.
func lengthIn(w, kind uint64) (n, next int) {
	const one, two = '\r'<<16 | '\n'<<24, '\r'<<24 | '\n'<<32
	first, second := w>>8&0xff-'0', w>>16&0xff-'0'
	if w&0xffff00ff == kind|one && first <= 9 {
		return int(first), 4
	}
	if w&0xffff0000ff == kind|two && first-1 <= 8 && second <= 9 {
		return int(first*10 + second), 5
	}
	return 0, 0
}

// Head is how a request begins, up to its second argument: clients often send
// the same command again and again, and a request that begins like the one
// before needs neither its name nor the number of its arguments read.
type Head struct {
	first, last uint64 // its first 16 bytes
	mask        uint64 // which of those in last count
	args        int    // how many arguments there are
	name        int    // bytes of the first one, which begins at 8
}

// headLeast is how many bytes a request has whose head can be compared.
const headLeast = 16

// Head is the head of request, the complete one that Next took last; ok is
// false when it is none that can be compared: the count of arguments and the
// length of the name have one digit, the name six bytes at most.
func (p *Parser) Head(request []byte) (h Head, ok bool) {
	if len(request) < headLeast {
		return h, false
	}
	h.first, h.last = binary.LittleEndian.Uint64(request), binary.LittleEndian.Uint64(request[8:])
	var count, lines int
	h.args, count = lengthIn(h.first, '*')
	h.name, lines = lengthIn(h.first>>32, '$')
	if count != 4 || lines != 4 || h.args < 1 || h.name > 6 {
		return h, false
	}
	h.mask = 1<<(8*(h.name+2)) - 1
	return h, request[8+h.name] == '\r' && request[9+h.name] == '\n'
}

// NextLike is Next for a request that begins with h and is complete; it
// returns 0, with nothing taken, for every other one. The parser is between
// requests.
func (p *Parser) NextLike(h *Head, buf []byte) int {
	if len(buf) < headLeast || binary.LittleEndian.Uint64(buf) != h.first ||
		(binary.LittleEndian.Uint64(buf[8:])^h.last)&h.mask != 0 {
		return 0
	}
	return p.brief(buf, 8+h.name+2, h.args-1, append(p.Args[:0], buf[8:8+h.name:8+h.name]))
}

// length reads the length line of this kind at buf[i:]; next is 0 when it is
// none, or one for the careful way.
func length(buf []byte, i int, kind byte) (n, next int) {
	if i >= len(buf) || buf[i] != kind {
		return 0, 0
	}
	if len(buf)-i >= 8 {
		if n, next = lengthIn(binary.LittleEndian.Uint64(buf[i:]), uint64(kind)); next > 0 {
			return n, i + next
		}
	}
	return short(buf, i+1)
}

// short reads a number of one to four digits without leading zeros and CRLF
// at buf[i:]. next is 0 when something else is there.
func short(buf []byte, i int) (n, next int) {
	for k := i; k < len(buf)-1 && k < i+5; k++ {
		c := buf[k] - '0'
		if c <= 9 {
			n = n*10 + int(c)
			continue
		}
		if k == i || buf[k] != '\r' || buf[k+1] != '\n' || (buf[i] == '0' && k > i+1) {
			return 0, 0
		}
		return n, k + 2
	}
	return 0, 0
}

// begin reads "*<count>\r\n". done is true when there is nothing to follow.
func (p *Parser) begin(buf []byte) (n int, done bool, err error) {
	count, next, err := number(buf, 0, "too big mbulk count string")
	if err != nil {
		if err == errNumber {
			err = ProtocolError("invalid multibulk length")
		}
		p.need = 0
		return 0, false, err
	}
	if count > MaxArgs {
		return 0, false, ProtocolError("invalid multibulk length")
	}
	p.Args = p.Args[:0]
	if count <= 0 {
		return next, true, nil
	}
	p.left, p.pos, p.spans = int(count), next, p.spans[:0]
	return 0, false, nil
}

// bulks reads the arguments that are complete.
func (p *Parser) bulks(buf []byte) (int, error) {
	for p.left > 0 {
		if p.pos >= len(buf) {
			p.need = p.pos + 1
			return 0, ErrIncomplete
		}
		if c := buf[p.pos]; c != '$' {
			return 0, ProtocolError("expected '$', got '" + string([]byte{c}) + "'")
		}
		size, data, err := number(buf, p.pos, "too big bulk count string")
		if err != nil {
			if err == errNumber {
				err = ProtocolError("invalid bulk length")
			}
			p.need = 0
			return 0, err
		}
		if size < 0 || size > MaxBulk {
			return 0, ProtocolError("invalid bulk length")
		}
		end := data + int(size)
		if end+2 > len(buf) {
			p.need = end + 2
			return 0, ErrIncomplete
		}
		p.spans = append(p.spans, span{data, end})
		p.pos = end + 2
		p.left--
	}
	p.Args = p.Args[:0]
	for _, s := range p.spans {
		p.Args = append(p.Args, buf[s.from:s.to:s.to])
	}
	n := p.pos
	p.Reset()
	return n, nil
}

var errNumber = errors.New("not a number")

// number reads the decimal after the type byte at buf[at] up to CRLF, and
// returns the position after it. A line above MaxInline is refused with tooBig.
func number(buf []byte, at int, tooBig string) (value int64, next int, err error) {
	i := at + 1
	neg := i < len(buf) && buf[i] == '-'
	if neg {
		i++
	}
	start := i
	for i < len(buf) && buf[i]-'0' <= 9 && i-start < 18 {
		value = value*10 + int64(buf[i]-'0')
		i++
	}
	if i+1 < len(buf) && buf[i] == '\r' {
		// Redis takes any byte after the carriage return for the line feed.
		if i == start || (buf[start] == '0' && (neg || i-start > 1)) {
			return 0, 0, errNumber
		}
		if neg {
			value = -value
		}
		return value, i + 2, nil
	}
	return 0, 0, badNumber(buf[at:], tooBig)
}

// badNumber tells an unfinished line from one that is too long or no number.
func badNumber(line []byte, tooBig string) error {
	cr := bytes.IndexByte(line[:min(len(line), MaxInline+1)], '\r')
	switch {
	case cr < 0 && len(line) > MaxInline:
		return ProtocolError(tooBig)
	case cr < 0 || cr+1 >= len(line):
		return ErrIncomplete
	}
	return errNumber
}

// inline reads a line of blank-separated words, with quotes as Redis has them.
func (p *Parser) inline(buf []byte) (int, error) {
	nl := bytes.IndexByte(buf[:min(len(buf), MaxInline+1)], '\n')
	if nl < 0 {
		if len(buf) > MaxInline {
			return 0, ProtocolError("too big inline request")
		}
		p.need = 0
		return 0, ErrIncomplete
	}
	line := buf[:nl]
	if len(line) > 0 && line[len(line)-1] == '\r' {
		line = line[:len(line)-1]
	}
	args, ok := Split(p.Args[:0], line)
	if !ok {
		return 0, ProtocolError("unbalanced quotes in request")
	}
	p.Args = args
	return nl + 1, nil
}
