package script

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"
)

// cjson.decode. A zero byte is the end of the text, as for C.

// jsonReader decodes one text.
type jsonReader struct {
	*jsonConfig
	v     *VM
	L     *lua.LState
	text  string
	at    int
	depth int
	used  int // slots of the stack, as if it were C
	token jsonToken
}

// jsonToken is a token: kind is its name in errors.
type jsonToken struct {
	kind  string
	at    int
	value lua.LValue // of a string, number, boolean or null
}

// kinds are the tokens of one character.
var kinds = map[byte]string{
	'{': "T_OBJ_BEGIN", '}': "T_OBJ_END", '[': "T_ARR_BEGIN", ']': "T_ARR_END", ',': "T_COMMA", ':': "T_COLON",
}

func (v *VM) jsonDecode(L *lua.LState, c *jsonConfig) int {
	if L.GetTop() != 1 {
		argError(L, 1, "expected 1 argument")
	}
	text := checkString(L, 1)
	v.ticks.work(len(text))
	if len(text) >= 2 && (text[0] == 0 || text[1] == 0) {
		raise(L, "JSON parser does not support UTF-16 or UTF-32")
	}
	text, _, _ = strings.Cut(text, "\x00")
	r := &jsonReader{jsonConfig: c, v: v, L: L, text: text, used: 1}
	r.next()
	value := r.value()
	if r.next(); r.token.kind != "T_END" {
		r.fail("the end")
	}
	L.Push(value)
	return 1
}

// fail raises lua-cjson's error: what was expected, what was found.
func (r *jsonReader) fail(expected string) {
	raise(r.L, fmt.Sprintf("Expected %s but found %s at character %d", expected, r.token.kind, r.token.at+1))
}

// peek is the character at an offset, zero after the end.
func (r *jsonReader) peek(offset int) byte {
	if at := r.at + offset; at < len(r.text) {
		return r.text[at]
	}
	return 0
}

// tableSize is how many bytes a table takes about, valueSize what is in one.
const tableSize, valueSize = 200, 32

// next reads a token.
func (r *jsonReader) next() {
	r.v.ticks.step(r.L)
	for c := r.peek(0); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = r.peek(0) {
		r.at++
	}
	r.token = jsonToken{at: r.at}
	c := r.peek(0)
	if r.token.kind = kinds[c]; r.token.kind != "" {
		r.at++
		return
	}
	switch {
	case c == 0:
		r.token.kind = "T_END"
	case c == '"':
		r.string()
	case c == '-' || isDigit(c):
		if !r.decodeInvalid && r.isInvalidNumber() {
			r.token.kind = "invalid number"
			return
		}
		r.number()
	default:
		r.word()
	}
}

// word reads true, false, null, or a number that is none in JSON.
func (r *jsonReader) word() {
	for _, word := range []struct {
		text, kind string
		value      lua.LValue
	}{{"true", "T_BOOLEAN", lua.LTrue}, {"false", "T_BOOLEAN", lua.LFalse}, {"null", "T_NULL", r.v.null}} {
		if strings.HasPrefix(r.text[r.at:], word.text) {
			r.at += len(word.text)
			r.token.kind, r.token.value = word.kind, word.value
			return
		}
	}
	if strings.IndexByte("iInN+", r.peek(0)) >= 0 && r.decodeInvalid && r.isInvalidNumber() {
		r.number()
		return
	}
	r.token.kind = "invalid token"
}

// isInvalidNumber tells what strtod takes and JSON does not.
func (r *jsonReader) isInvalidNumber() bool {
	if r.peek(0) == '+' {
		return true
	}
	i := 0
	if r.peek(0) == '-' {
		i = 1
	}
	if c := r.peek(i); c == '0' {
		second := r.peek(i + 1)
		return second|0x20 == 'x' || isDigit(second)
	} else if c <= '9' {
		return false
	}
	word := strings.ToLower(r.text[r.at+i : min(len(r.text), r.at+i+3)])
	return word == "inf" || word == "nan"
}

func (r *jsonReader) number() {
	f, n := strtod(r.text[r.at:])
	if n == 0 {
		r.token.kind = "invalid number"
		return
	}
	r.token.kind, r.token.value = "T_NUMBER", lua.LNumber(f)
	r.at += n
}

// value is what the token begins.
func (r *jsonReader) value() lua.LValue {
	switch r.token.kind {
	case "T_STRING", "T_NUMBER", "T_BOOLEAN", "T_NULL":
		return r.token.value
	case "T_OBJ_BEGIN":
		return r.object()
	case "T_ARR_BEGIN":
		return r.array()
	}
	r.fail("value")
	return nil
}

// descend steps into a table that needs slots.
func (r *jsonReader) descend(slots int) {
	if r.depth++; r.depth > r.decodeDepth || r.used+slots > mostSlots {
		raise(r.L, fmt.Sprintf("Found too many nested data structures (%d) at character %d", r.depth, r.at))
	}
	r.used += slots - 1
}

func (r *jsonReader) ascend(slots int) {
	r.depth--
	r.used -= slots - 1
}

func (r *jsonReader) array() lua.LValue {
	r.descend(2)
	defer r.ascend(2)
	r.v.spend(r.L, tableSize)
	t := r.L.NewTable()
	if r.next(); r.token.kind == "T_ARR_END" {
		return t
	}
	for i := 1; ; i++ {
		r.v.spend(r.L, valueSize)
		r.v.storeAt(r.L, t, i, r.value())
		switch r.next(); r.token.kind {
		case "T_ARR_END":
			return t
		case "T_COMMA":
		default:
			r.fail("comma or array end")
		}
		r.next()
	}
}

func (r *jsonReader) object() lua.LValue {
	r.descend(3)
	defer r.ascend(3)
	r.v.spend(r.L, tableSize)
	t := r.L.NewTable()
	if r.next(); r.token.kind == "T_OBJ_END" {
		return t
	}
	for {
		if r.token.kind != "T_STRING" {
			r.fail("object key string")
		}
		key := string(r.token.value.(lua.LString))
		if r.next(); r.token.kind != "T_COLON" {
			r.fail("colon")
		}
		r.next()
		r.v.spend(r.L, 3*valueSize)
		t.RawSetString(key, r.value())
		switch r.next(); r.token.kind {
		case "T_OBJ_END":
			return t
		case "T_COMMA":
		default:
			r.fail("comma or object end")
		}
		r.next()
	}
}

// string reads a text in quotes.
func (r *jsonReader) string() {
	var out []byte
	for r.at++; ; {
		r.v.grown(r.L, len(out), len(out))
		switch c := r.peek(0); c {
		case '"':
			r.at++
			r.v.spend(r.L, 2*len(out))
			r.token.kind, r.token.value = "T_STRING", lua.LString(out)
			return
		case 0:
			r.token.kind, r.token.at = "unexpected end of string", r.at
			return
		case '\\':
			text, n, why := unescape(out, r.text[r.at+1:])
			if n == 0 {
				r.token.kind, r.token.at = why, r.at
				return
			}
			out = text
			r.at += 1 + n
		default:
			out = append(out, c)
			r.at++
		}
	}
}

// unescape appends what stands after a backslash; n is its length, 0 when it
// is nothing known, and why.
func unescape(out []byte, s string) (text []byte, n int, why string) {
	const escapes, meanings = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if s == "" {
		return out, 0, "invalid escape code"
	}
	if i := strings.IndexByte(escapes, s[0]); i >= 0 {
		return append(out, meanings[i]), 1, ""
	}
	if s[0] != 'u' {
		return out, 0, "invalid escape code"
	}
	first, ok := hex4(s[1:])
	if ok && !utf16.IsSurrogate(first) {
		return utf8.AppendRune(out, first), 5, ""
	}
	if ok && len(s) > 6 && s[5] == '\\' && s[6] == 'u' {
		if second, ok := hex4(s[7:]); ok {
			if full := utf16.DecodeRune(first, second); full != utf8.RuneError {
				return utf8.AppendRune(out, full), 11, ""
			}
		}
	}
	return out, 0, "invalid unicode escape code"
}

func hex4(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(s[:4], 16, 32)
	return rune(n), err == nil
}
