package script

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"
	"unsafe"

	lua "github.com/yuin/gopher-lua"

	"kvstored/pkg/resp"
)

// Limits of a script's reply.
const (
	mostNested = 1000
	maxReply   = maxGrowth // bytes
)

var errReply = errors.New("the reply of the script is too large")

// reply writes a script's result, or why it could not be written: a table that
// holds itself has no end, and one that holds another many times takes more
// than the script itself.
func (v *VM) reply(w *resp.Writer, value lua.LValue) {
	buf, refs := len(w.Buf), len(w.Refs)
	p := replier{v: v, w: w}
	if p.value(value, 0); p.failed == nil {
		return
	}
	clear(w.Refs[refs:])
	w.Buf, w.Refs = w.Buf[:buf], w.Refs[:refs]
	w.Error("ERR " + p.failed.Error() + " script: " + v.run.Script.SHA + ".")
}

// replier writes one reply.
type replier struct {
	v      *VM
	w      *resp.Writer
	size   int   // bytes that were written
	failed error // why nothing more is
}

// brief is more than a value takes that is no text, and what stands around it.
const brief = 64

// takes counts n bytes that are to be written, of which copied are not the
// script's own any more, and asks whether to go on.
func (p *replier) takes(n, copied int) (ok bool) {
	t := &p.v.ticks
	if had, room := len(p.w.Buf), cap(p.w.Buf); had+copied+brief > room {
		t.ahead = uint64(2 * (room + copied)) // it will be moved
		t.make(2 * (room + copied))
	}
	t.make(copied)
	if p.size += n + brief; p.size > maxReply {
		p.failed = errReply
	}
	if p.failed == nil && t.Done() != nil {
		p.failed = t.end
	}
	t.ahead = 0
	return p.failed == nil
}

// value writes one. The script's own version of the protocol decides what
// booleans mean, the client's how all of it is written.
func (p *replier) value(value lua.LValue, depth int) {
	w := p.w
	if text, ok := value.(lua.LString); ok {
		if p.takes(len(text), min(len(text), resp.RefLength)) {
			w.Text(string(text))
		}
		return
	}
	if !p.takes(0, 0) {
		return
	}
	if depth > mostNested {
		w.Error("ERR reached lua stack limit")
		return
	}
	switch value := value.(type) {
	case lua.LNumber:
		w.Int(truncate(float64(value)))
	case lua.LBool:
		switch {
		case p.v.proto == 3:
			w.Bool(bool(value))
		case bool(value):
			w.Int(1)
		default:
			w.Null()
		}
	case *lua.LTable:
		p.table(value, depth)
	default:
		w.Null()
	}
}

// truncate is a number as C's (long long) makes it on this kind of machine.
func truncate(f float64) int64 {
	if f != f || f >= 1<<63 || f < -1<<63 {
		return math.MinInt64
	}
	return int64(f)
}

// table writes a table, or what its one field says that it is.
func (p *replier) table(t *lua.LTable, depth int) {
	w := p.w
	if text, is := errorText(t); is {
		if p.takes(len(text), 2*len(text)) {
			w.Error(text)
		}
		return
	}
	if ok, is := t.RawGetString("ok").(lua.LString); is {
		if p.takes(len(ok), 3*len(ok)) {
			w.Status(oneLine(untilZero(string(ok))))
		}
		return
	}
	if d, is := t.RawGetString("double").(lua.LNumber); is {
		w.Double(float64(d))
		return
	}
	if m, is := t.RawGetString("map").(*lua.LTable); is {
		w.Map(p.count(m))
		p.pairs(m, func(key, value lua.LValue) {
			p.value(key, depth+1)
			p.value(value, depth+1)
		})
		return
	}
	if s, is := t.RawGetString("set").(*lua.LTable); is {
		w.Set(p.count(s))
		p.pairs(s, func(key, _ lua.LValue) { p.value(key, depth+1) })
		return
	}
	if b, is := t.RawGetString("big_number").(lua.LString); is {
		p.bigNumber(string(b))
		return
	}
	if vs, is := t.RawGetString("verbatim_string").(*lua.LTable); is {
		text, format := vs.RawGetString("string"), vs.RawGetString("format")
		if text.Type() == lua.LTString && format.Type() == lua.LTString {
			p.verbatim(text.String(), format.String())
			return
		}
	}
	n := 1
	for at(t, n) != lua.LNil {
		n++
	}
	w.Array(n - 1)
	for i := 1; i < n && p.failed == nil; i++ {
		p.value(at(t, i), depth+1)
	}
}

// pairs goes through a table in the order of next.
func (p *replier) pairs(t *lua.LTable, do func(key, value lua.LValue)) {
	for key, value := t.Next(lua.LNil); key != lua.LNil && p.failed == nil; key, value = t.Next(key) {
		do(key, value)
	}
}

func (p *replier) count(t *lua.LTable) (n int) {
	p.pairs(t, func(_, _ lua.LValue) { n++ })
	return n
}

func (p *replier) bigNumber(text string) {
	switch {
	case !p.takes(len(text), 4*len(text)):
	case p.w.Proto == 3:
		p.w.Raw([]byte("(" + oneLine(text) + "\r\n"))
	default:
		p.w.BulkString(oneLine(text))
	}
}

// verbatim writes a text with a format of three letters.
func (p *replier) verbatim(text, format string) {
	switch {
	case !p.takes(len(text), 2*len(text)):
	case p.w.Proto == 3:
		format = (format + "   ")[:3]
		p.w.Raw([]byte("=" + strconv.Itoa(len(text)+4) + "\r\n" + format + ":" + text + "\r\n"))
	default:
		p.w.BulkString(text)
	}
}

// errorText is the err field of a table, if it has one.
func errorText(t *lua.LTable) (text string, is bool) {
	err, is := t.RawGetString("err").(lua.LString)
	return untilZero(string(err)), is
}

// untilZero is what C sees of a text.
func untilZero(s string) string {
	s, _, _ = strings.Cut(s, "\x00")
	return s
}

// oneLine has no line breaks.
func oneLine(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c == '\r' || c == '\n' {
			b[i] = ' '
		}
	}
	return string(b)
}

// value reads one reply of a command at the start of b and returns what is
// left. The replies are our own: they are whole, and do not change.
func (v *VM) value(L *lua.LState, b []byte) (lua.LValue, []byte) {
	v.spend(L, 2*valueSize)
	line, rest, _ := bytes.Cut(b, []byte("\r\n"))
	kind, text := line[0], line[1:]
	switch kind {
	case '+':
		return v.field("ok", lua.LString(text)), rest
	case '-':
		return answered(v.field("err", lua.LString(text))), rest
	case ':':
		n, _ := strconv.ParseInt(string(text), 10, 64)
		return lua.LNumber(n), rest
	case '_':
		return lua.LNil, rest
	case '#':
		return lua.LBool(text[0] == 't'), rest
	case ',':
		f, _ := strconv.ParseFloat(string(text), 64)
		return v.field("double", lua.LNumber(f)), rest
	case '(':
		return v.field("big_number", lua.LString(text)), rest
	}
	n, _ := strconv.Atoi(string(text))
	switch {
	case n < 0:
		return lua.LFalse, rest
	case kind == '$':
		return v.shared(L, rest, n), rest[n+2:]
	case kind == '=':
		t := v.state.NewTable()
		t.RawSetString("format", lua.LString(rest[:3]))
		t.RawSetString("string", lua.LString(rest[4:n]))
		return v.field("verbatim_string", t), rest[n+2:]
	}
	return v.aggregate(L, kind, n, rest)
}

// shared is a text of n bytes at the start of what is left of a reply: a long
// one that is most of it stays where it is.
func (v *VM) shared(L *lua.LState, rest []byte, n int) lua.LString {
	if n >= 1<<16 && n >= len(rest)/2 {
		return lua.LString(unsafe.String(unsafe.SliceData(rest), n))
	}
	v.spend(L, n)
	return lua.LString(rest[:n])
}

// answered marks the error of a command as Redis does.
func answered(fault *lua.LTable) *lua.LTable {
	fault.RawSetString("ignore_error_stats_update", lua.LTrue)
	return fault
}

func (v *VM) field(name string, value lua.LValue) *lua.LTable {
	t := v.state.CreateTable(0, 1)
	t.RawSetString(name, value)
	return t
}

func (v *VM) aggregate(L *lua.LState, kind byte, n int, rest []byte) (lua.LValue, []byte) {
	v.spend(L, tableSize)
	t := v.state.NewTable()
	var one, two lua.LValue
	switch kind {
	case '%':
		for range n {
			one, rest = v.value(L, rest)
			two, rest = v.value(L, rest)
			if one != lua.LNil {
				t.RawSet(one, two)
			}
		}
		return v.field("map", t), rest
	case '~':
		for range n {
			if one, rest = v.value(L, rest); one != lua.LNil {
				t.RawSet(one, lua.LTrue)
			}
		}
		return v.field("set", t), rest
	}
	for i := range n {
		one, rest = v.value(L, rest)
		v.storeAt(L, t, i+1, one)
	}
	return t, rest
}
