package script

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"kvstored/pkg/resp"
)

// mostNested is how deep a reply may be nested.
const mostNested = 1000

// reply writes a script's result. The script's own version of the protocol
// decides what booleans mean, the client's how all of it is written.
func (v *VM) reply(w *resp.Writer, value lua.LValue, depth int) {
	if depth > mostNested {
		w.Error("ERR reached lua stack limit")
		return
	}
	switch value := value.(type) {
	case lua.LString:
		w.Value([]byte(value), 0)
	case lua.LNumber:
		w.Int(truncate(float64(value)))
	case lua.LBool:
		switch {
		case v.proto == 3:
			w.Bool(bool(value))
		case bool(value):
			w.Int(1)
		default:
			w.Null()
		}
	case *lua.LTable:
		v.replyTable(w, value, depth)
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

func (v *VM) replyTable(w *resp.Writer, t *lua.LTable, depth int) {
	if text, is := errorText(t); is {
		w.Error(text)
		return
	}
	if ok, is := t.RawGetString("ok").(lua.LString); is {
		w.Status(oneLine(untilZero(string(ok))))
		return
	}
	if d, is := t.RawGetString("double").(lua.LNumber); is {
		w.Double(float64(d))
		return
	}
	if m, is := t.RawGetString("map").(*lua.LTable); is {
		n := 0
		m.ForEach(func(_, _ lua.LValue) { n++ })
		w.Map(n)
		m.ForEach(func(key, value lua.LValue) {
			v.reply(w, key, depth+1)
			v.reply(w, value, depth+1)
		})
		return
	}
	if s, is := t.RawGetString("set").(*lua.LTable); is {
		n := 0
		s.ForEach(func(_, _ lua.LValue) { n++ })
		w.Set(n)
		s.ForEach(func(key, _ lua.LValue) { v.reply(w, key, depth+1) })
		return
	}
	if b, is := t.RawGetString("big_number").(lua.LString); is {
		if text := oneLine(string(b)); w.Proto == 3 {
			w.Raw([]byte("(" + text + "\r\n"))
		} else {
			w.BulkString(text)
		}
		return
	}
	if vs, is := t.RawGetString("verbatim_string").(*lua.LTable); is {
		text, format := vs.RawGetString("string"), vs.RawGetString("format")
		if text.Type() == lua.LTString && format.Type() == lua.LTString {
			verbatim(w, text.String(), format.String())
			return
		}
	}
	n := 1
	for t.RawGetInt(n) != lua.LNil {
		n++
	}
	w.Array(n - 1)
	for i := 1; i < n; i++ {
		v.reply(w, t.RawGetInt(i), depth+1)
	}
}

// verbatim writes a text with a format of three letters.
func verbatim(w *resp.Writer, text, format string) {
	if w.Proto != 3 {
		w.BulkString(text)
		return
	}
	format = (format + "   ")[:3]
	w.Raw([]byte("=" + strconv.Itoa(len(text)+4) + "\r\n" + format + ":" + text + "\r\n"))
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
// left. The replies are our own: they are whole.
func (v *VM) value(b []byte) (lua.LValue, []byte) {
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
		return lua.LString(rest[:n]), rest[n+2:]
	case kind == '=':
		t := v.state.NewTable()
		t.RawSetString("format", lua.LString(rest[:3]))
		t.RawSetString("string", lua.LString(rest[4:n]))
		return v.field("verbatim_string", t), rest[n+2:]
	}
	return v.aggregate(kind, n, rest)
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

func (v *VM) aggregate(kind byte, n int, rest []byte) (lua.LValue, []byte) {
	t := v.state.NewTable()
	var one, two lua.LValue
	switch kind {
	case '%':
		for range n {
			one, rest = v.value(rest)
			two, rest = v.value(rest)
			if one != lua.LNil {
				t.RawSet(one, two)
			}
		}
		return v.field("map", t), rest
	case '~':
		for range n {
			if one, rest = v.value(rest); one != lua.LNil {
				t.RawSet(one, lua.LTrue)
			}
		}
		return v.field("set", t), rest
	}
	for i := range n {
		one, rest = v.value(rest)
		t.RawSetInt(i+1, one)
	}
	return t, rest
}
