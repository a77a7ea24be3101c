package script

import (
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"
)

// cjson: encode and decode of lua-cjson with its default settings.

const (
	jsonDepth  = 1000
	sparseFrom = 10 // an array with more than half its places empty is none beyond this
)

func (v *VM) jsonLibrary() *lua.LTable {
	v.null = v.state.NewUserData()
	t := v.state.NewTable()
	v.functions(t, map[string]lua.LGFunction{"encode": v.jsonEncode, "decode": v.jsonDecode})
	t.RawSetString("null", v.null)
	t.RawSetString("_NAME", lua.LString("cjson"))
	t.RawSetString("_VERSION", lua.LString("2.1.0"))
	return t
}

func (v *VM) jsonEncode(L *lua.LState) int {
	if L.GetTop() != 1 {
		L.ArgError(1, "expected 1 argument")
	}
	text := v.appendJSON(L, nil, L.Get(1), 1)
	L.Push(lua.LString(text))
	return 1
}

func (v *VM) appendJSON(L *lua.LState, to []byte, value lua.LValue, depth int) []byte {
	if len(to) > maxString {
		L.RaiseError("resulting string too large")
	}
	switch value := value.(type) {
	case lua.LString:
		return appendJSONText(to, string(value))
	case lua.LNumber:
		f := float64(value)
		if math.IsInf(f, 0) || math.IsNaN(f) {
			L.RaiseError("Cannot serialise number: must not be NaN or Inf")
		}
		return appendNumber(to, f, 14)
	case lua.LBool:
		return strconv.AppendBool(to, bool(value))
	case *lua.LNilType:
		return append(to, "null"...)
	case *lua.LTable:
		if depth > jsonDepth {
			L.RaiseError("Cannot serialise, excessive depth (%d)", depth)
		}
		return v.appendJSONTable(L, to, value, depth)
	case *lua.LUserData:
		if value == v.null {
			return append(to, "null"...)
		}
	}
	L.RaiseError("Cannot serialise %s: type not supported", value.Type())
	return nil
}

func (v *VM) appendJSONTable(L *lua.LState, to []byte, t *lua.LTable, depth int) []byte {
	if n := arrayLength(L, t); n > 0 {
		for i := 1; i <= n; i++ {
			sep := byte(',')
			if i == 1 {
				sep = '['
			}
			to = v.appendJSON(L, append(to, sep), t.RawGetInt(i), depth+1)
		}
		return append(to, ']')
	}
	to = append(to, '{')
	first := true
	t.ForEach(func(key, value lua.LValue) {
		if !first {
			to = append(to, ',')
		}
		first = false
		switch key := key.(type) {
		case lua.LString:
			to = appendJSONText(to, string(key))
		case lua.LNumber:
			to = append(appendNumber(append(to, '"'), float64(key), 14), '"')
		default:
			L.RaiseError("Cannot serialise table: table key must be a number or string")
		}
		to = v.appendJSON(L, append(to, ':'), value, depth+1)
	})
	return append(to, '}')
}

// arrayLength is the highest index when all keys are positive whole numbers,
// else 0.
func arrayLength(L *lua.LState, t *lua.LTable) int {
	most, items := 0, 0
	t.ForEach(func(key, _ lua.LValue) {
		n, ok := key.(lua.LNumber)
		if !ok || n < 1 || n != lua.LNumber(math.Floor(float64(n))) || n > math.MaxInt32 {
			most = -1
		}
		if most >= 0 {
			most = max(most, int(n))
			items++
		}
	})
	if most > sparseFrom && most > items*2 {
		L.RaiseError("Cannot serialise table: excessively sparse array")
	}
	return max(most, 0)
}

func appendJSONText(to []byte, s string) []byte {
	const hex = "0123456789abcdef"
	to = append(to, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\' || c == '/':
			to = append(to, '\\', c)
		case c == '\b':
			to = append(to, `\b`...)
		case c == '\t':
			to = append(to, `\t`...)
		case c == '\n':
			to = append(to, `\n`...)
		case c == '\f':
			to = append(to, `\f`...)
		case c == '\r':
			to = append(to, `\r`...)
		case c < ' ' || c == 0x7f:
			to = append(to, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			to = append(to, c)
		}
	}
	return append(to, '"')
}

// jsonReader decodes one text.
type jsonReader struct {
	v    *VM
	L    *lua.LState
	text string
	at   int
}

func (v *VM) jsonDecode(L *lua.LState) int {
	if L.GetTop() != 1 {
		L.ArgError(1, "expected 1 argument")
	}
	r := &jsonReader{v: v, L: L, text: L.CheckString(1)}
	value := r.value(1)
	if r.blank(); r.at < len(r.text) {
		r.fail("the end")
	}
	L.Push(value)
	return 1
}

func (r *jsonReader) blank() {
	for r.at < len(r.text) {
		switch r.text[r.at] {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return
		}
	}
}

// fail raises lua-cjson's error: what was expected, what was found.
func (r *jsonReader) fail(expected string) {
	found := "invalid token"
	if r.at >= len(r.text) {
		found = "T_END"
	} else {
		switch r.text[r.at] {
		case '{':
			found = "T_OBJ_BEGIN"
		case '}':
			found = "T_OBJ_END"
		case '[':
			found = "T_ARR_BEGIN"
		case ']':
			found = "T_ARR_END"
		case ',':
			found = "T_COMMA"
		case ':':
			found = "T_COLON"
		case '"':
			found = "T_STRING"
		case 't', 'f':
			found = "T_BOOLEAN"
		case 'n':
			found = "T_NULL"
		case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			found = "T_NUMBER"
		}
	}
	r.L.RaiseError("Expected %s but found %s at character %d", expected, found, r.at+1)
}

// take steps over a character after blanks, if it is the next.
func (r *jsonReader) take(c byte) bool {
	if r.blank(); r.at < len(r.text) && r.text[r.at] == c {
		r.at++
		return true
	}
	return false
}

func (r *jsonReader) value(depth int) lua.LValue {
	if depth > jsonDepth+1 {
		r.L.RaiseError("Found too many nested data structures (%d)", depth-1)
	}
	r.blank()
	if r.at == len(r.text) {
		r.fail("value")
	}
	switch r.text[r.at] {
	case '"':
		return lua.LString(r.string())
	case '{':
		return r.object(depth)
	case '[':
		return r.array(depth)
	}
	for word, value := range map[string]lua.LValue{"true": lua.LTrue, "false": lua.LFalse, "null": r.v.null} {
		if len(r.text)-r.at >= len(word) && r.text[r.at:r.at+len(word)] == word {
			r.at += len(word)
			return value
		}
	}
	return r.number()
}

func (r *jsonReader) number() lua.LValue {
	end := r.at
	for end < len(r.text) && (r.text[end] >= '0' && r.text[end] <= '9' || r.text[end] == '-' || r.text[end] == '+' ||
		r.text[end] == '.' || r.text[end] == 'e' || r.text[end] == 'E') {
		end++
	}
	f, err := strconv.ParseFloat(r.text[r.at:end], 64)
	if err != nil && !math.IsInf(f, 0) || end > r.at && r.text[r.at] == '+' {
		r.fail("value")
	}
	r.at = end
	return lua.LNumber(f)
}

func (r *jsonReader) array(depth int) lua.LValue {
	t := r.L.NewTable()
	r.at++
	if r.take(']') {
		return t
	}
	for i := 1; ; i++ {
		t.RawSetInt(i, r.value(depth+1))
		switch {
		case r.take(','):
		case r.take(']'):
			return t
		default:
			r.fail("comma or array end")
		}
	}
}

func (r *jsonReader) object(depth int) lua.LValue {
	t := r.L.NewTable()
	r.at++
	if r.take('}') {
		return t
	}
	for {
		if r.blank(); r.at >= len(r.text) || r.text[r.at] != '"' {
			r.fail("object key string")
		}
		key := r.string()
		if !r.take(':') {
			r.fail("colon")
		}
		t.RawSetString(key, r.value(depth+1))
		switch {
		case r.take(','):
		case r.take('}'):
			return t
		default:
			r.fail("comma or object end")
		}
	}
}

// string reads a text in quotes.
func (r *jsonReader) string() string {
	var out []byte
	for i := r.at + 1; i < len(r.text); i++ {
		switch c := r.text[i]; {
		case c == '"':
			r.at = i + 1
			return string(out)
		case c < ' ':
			r.at = i
			r.fail("value")
		case c != '\\':
			out = append(out, c)
		default:
			i++
			var n int
			if out, n = unescape(out, r.text[i:]); n == 0 {
				r.at = i - 1
				r.L.RaiseError("Expected value but found invalid escape code at character %d", i)
			}
			i += n - 1
		}
	}
	r.at = len(r.text)
	r.L.RaiseError("Expected value but found unexpected end of string at character %d", r.at+1)
	return ""
}

// unescape appends what stands after a backslash; n is its length, 0 when it
// is nothing known.
func unescape(out []byte, s string) (text []byte, n int) {
	if s == "" {
		return out, 0
	}
	switch s[0] {
	case '"', '\\', '/':
		return append(out, s[0]), 1
	case 'b':
		return append(out, '\b'), 1
	case 't':
		return append(out, '\t'), 1
	case 'n':
		return append(out, '\n'), 1
	case 'f':
		return append(out, '\f'), 1
	case 'r':
		return append(out, '\r'), 1
	case 'u':
		first, ok := hex4(s[1:])
		if !ok {
			return out, 0
		}
		if !utf16.IsSurrogate(first) {
			return utf8.AppendRune(out, first), 5
		}
		if len(s) > 6 && s[5] == '\\' && s[6] == 'u' {
			if second, ok := hex4(s[7:]); ok {
				if full := utf16.DecodeRune(first, second); full != utf8.RuneError {
					return utf8.AppendRune(out, full), 11
				}
			}
		}
	}
	return out, 0
}

func hex4(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(s[:4], 16, 32)
	return rune(n), err == nil
}
