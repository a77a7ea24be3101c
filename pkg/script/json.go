package script

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	lua "github.com/yuin/gopher-lua"
)

// cjson: lua-cjson 2.1.0 as Redis has it. Its settings are all scripts', until
// SCRIPT FLUSH; what cjson.new returns has its own.

// jsonConfig is the settings.
type jsonConfig struct {
	sparseConvert bool // an array with too many holes is an object, not an error
	sparseRatio   int
	sparseSafe    int
	encodeDepth   int
	decodeDepth   int
	encodeInvalid int // what NaN and Inf are: one of invalidWords
	decodeInvalid bool
	precision     int
	keepBuffer    bool // a setting without an effect: there is a collector
}

const (
	invalidOff = iota
	invalidOn
	invalidNull
)

var (
	switchWords  = []string{"off", "on"}
	invalidWords = []string{"off", "on", "null"}
)

// jsonLibrary is the table "cjson".
func (v *VM) jsonLibrary() *lua.LTable {
	c := &jsonConfig{sparseRatio: 2, sparseSafe: 10, encodeDepth: 1000, decodeDepth: 1000, decodeInvalid: true,
		precision: 14, keepBuffer: true}
	t := v.state.NewTable()
	v.functions(t, map[string]lua.LGFunction{
		"encode":                  func(L *lua.LState) int { return v.jsonEncode(L, c) },
		"decode":                  func(L *lua.LState) int { return v.jsonDecode(L, c) },
		"encode_sparse_array":     c.setSparse,
		"encode_max_depth":        integerSetting(&c.encodeDepth, 1, math.MaxInt32),
		"decode_max_depth":        integerSetting(&c.decodeDepth, 1, math.MaxInt32),
		"encode_number_precision": integerSetting(&c.precision, 1, 14),
		"encode_keep_buffer":      switchSetting(&c.keepBuffer),
		"encode_invalid_numbers":  c.setEncodeInvalid,
		"decode_invalid_numbers":  switchSetting(&c.decodeInvalid),
		"new":                     func(L *lua.LState) int { L.Push(v.jsonLibrary()); return 1 },
	})
	t.RawSetString("null", v.null)
	t.RawSetString("_NAME", lua.LString("cjson"))
	t.RawSetString("_VERSION", lua.LString("2.1.0"))
	return t
}

func mostArguments(L *lua.LState, n int) {
	if L.GetTop() > n {
		argError(L, n+1, "found too many arguments")
	}
}

// integerOption changes a setting where argument n is given, and pushes it.
func integerOption(L *lua.LState, n int, setting *int, least, most int) {
	if L.Get(n) != lua.LNil {
		value := checkInt(L, n)
		if value < least || value > most {
			argError(L, 1, fmt.Sprintf("expected integer between %d and %d", least, most))
		}
		*setting = value
	}
	L.Push(lua.LNumber(*setting))
}

// wordOption is argument n as a place in words; a boolean is the first or
// the second.
func wordOption(L *lua.LState, n, setting int, words []string) int {
	switch value := L.Get(n).(type) {
	case *lua.LNilType:
		return setting
	case lua.LBool:
		if value {
			return 1
		}
		return 0
	}
	word := checkString(L, n)
	i := slices.Index(words, word)
	if i < 0 {
		argError(L, n, "invalid option '"+shortened(word)+"'")
	}
	return i
}

func switchOption(L *lua.LState, n int, setting *bool) {
	now := 0
	if *setting {
		now = 1
	}
	*setting = wordOption(L, n, now, switchWords) == 1
	L.Push(lua.LBool(*setting))
}

func integerSetting(setting *int, least, most int) lua.LGFunction {
	return func(L *lua.LState) int {
		mostArguments(L, 1)
		integerOption(L, 1, setting, least, most)
		return 1
	}
}

func switchSetting(setting *bool) lua.LGFunction {
	return func(L *lua.LState) int {
		mostArguments(L, 1)
		switchOption(L, 1, setting)
		return 1
	}
}

// setSparse is encode_sparse_array(convert, ratio, safe).
func (c *jsonConfig) setSparse(L *lua.LState) int {
	mostArguments(L, 3)
	L.SetTop(3)
	switchOption(L, 1, &c.sparseConvert)
	integerOption(L, 2, &c.sparseRatio, 0, math.MaxInt32)
	integerOption(L, 3, &c.sparseSafe, 0, math.MaxInt32)
	return 3
}

func (c *jsonConfig) setEncodeInvalid(L *lua.LState) int {
	mostArguments(L, 1)
	c.encodeInvalid = wordOption(L, 1, c.encodeInvalid, invalidWords)
	if c.encodeInvalid == invalidNull {
		L.Push(lua.LString("null"))
	} else {
		L.Push(lua.LBool(c.encodeInvalid == invalidOn))
	}
	return 1
}

// jsonWriter encodes one value.
type jsonWriter struct {
	*jsonConfig
	v    *VM
	L    *lua.LState
	text []byte
	used int // slots of the stack, as if it were C
}

func (v *VM) jsonEncode(L *lua.LState, c *jsonConfig) int {
	if L.GetTop() != 1 {
		argError(L, 1, "expected 1 argument")
	}
	w := jsonWriter{jsonConfig: c, v: v, L: L, used: 1}
	w.value(L.Get(1), 0)
	L.Push(v.made(L, w.text))
	return 1
}

// refuse is the error of a value that has no JSON.
func (w *jsonWriter) refuse(value lua.LValue, why string) {
	raise(w.L, "Cannot serialise "+value.Type().String()+": "+why)
}

func (w *jsonWriter) value(value lua.LValue, depth int) {
	w.v.ticks.step(w.L)
	w.text = w.v.extend(w.L, w.text, brief)
	switch value := value.(type) {
	case lua.LString:
		w.string(string(value))
	case lua.LNumber:
		w.number(float64(value))
	case lua.LBool:
		w.text = strconv.AppendBool(w.text, bool(value))
	case *lua.LNilType:
		w.text = append(w.text, "null"...)
	case *lua.LTable:
		w.table(value, depth+1)
	default:
		if value != w.v.null {
			w.refuse(value, "type not supported")
		}
		w.text = append(w.text, "null"...)
	}
}

func (w *jsonWriter) number(f float64) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		switch {
		case w.encodeInvalid == invalidOff:
			w.refuse(lua.LNumber(f), "must not be NaN or Inf")
		case w.encodeInvalid == invalidNull:
			w.text = append(w.text, "null"...)
			return
		case math.IsNaN(f):
			w.text = append(w.text, "nan"...)
			return
		}
	}
	w.text = appendNumber(w.text, f, w.precision)
}

func (w *jsonWriter) table(t *lua.LTable, depth int) {
	if depth > w.encodeDepth || w.used+3 > mostSlots {
		raise(w.L, fmt.Sprintf("Cannot serialise, excessive nesting (%d)", depth))
	}
	if n := w.arrayLength(t); n > 0 {
		w.used++
		for i := 1; i <= n; i++ {
			sep := byte(',')
			if i == 1 {
				sep = '['
			}
			w.text = append(w.text, sep)
			w.value(at(t, i), depth)
		}
		w.text = append(w.text, ']')
		w.used--
		return
	}
	w.used += 2
	sep := byte('{')
	w.v.each(w.L, t, func(key, value lua.LValue) {
		w.text = append(w.text, sep)
		sep = ','
		w.key(key)
		w.value(value, depth)
	})
	if sep == '{' {
		w.text = append(w.text, sep)
	}
	w.text = append(w.text, '}')
	w.used -= 2
}

func (w *jsonWriter) key(key lua.LValue) {
	switch key := key.(type) {
	case lua.LString:
		w.string(string(key))
		w.text = append(w.text, ':')
	case lua.LNumber:
		w.text = append(w.text, '"')
		w.number(float64(key))
		w.text = append(w.text, '"', ':')
	default:
		w.refuse(key, "table key must be a number or string")
	}
}

// arrayLength is the highest index when all keys are positive whole numbers,
// else 0. An index that is no int in C is the smallest one.
func (w *jsonWriter) arrayLength(t *lua.LTable) int {
	most, items, array := 0, 0, true
	w.v.each(w.L, t, func(key, _ lua.LValue) {
		n, ok := key.(lua.LNumber)
		if !ok || n < 1 || n != lua.LNumber(math.Floor(float64(n))) {
			array = false
			return
		}
		if items++; float64(n) > float64(most) {
			most = math.MinInt32
			if n <= math.MaxInt32 {
				most = int(n)
			}
		}
	})
	switch {
	case !array:
		return 0
	case w.sparseRatio > 0 && most > items*w.sparseRatio && most > w.sparseSafe:
		if !w.sparseConvert {
			w.refuse(t, "excessively sparse array")
		}
		return 0
	}
	return max(most, 0)
}

func (w *jsonWriter) string(s string) {
	const hex = "0123456789abcdef"
	to := append(w.v.extend(w.L, w.text, len(s)+2), '"')
	for i := range len(s) {
		w.v.grown(w.L, i, len(to))
		to = w.v.extend(w.L, to, len(`\u0000"`))
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
	w.text = append(to, '"')
}
