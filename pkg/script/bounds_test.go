package script

import (
	"runtime"
	"strconv"
	"strings"
	"testing"

	"kvstored/pkg/resp"
)

// host answers every command with reply, and ends a script after polls.
type host struct {
	reply string
	polls int // that are left; negative: any number
}

func (h *host) Call([][]byte, int, bool) (reply []byte, refusal string) { return []byte(h.reply), "" }
func (h *host) Known([][]byte) bool                                     { return true }
func (h *host) Log(int, string)                                         {}
func (h *host) Poll() bool {
	h.polls--
	return h.polls == -1
}

// eval runs a text and returns the reply.
func eval(t *testing.T, text string, h Host) string {
	t.Helper()
	return evalWith(t, New(), text, h)
}

func evalWith(t *testing.T, v *VM, text string, h Host) string {
	t.Helper()
	s, err := v.Eval([]byte(text))
	if err != nil {
		return "-" + err.Error()
	}
	w := resp.Writer{Proto: 2}
	v.Run(Run{Script: s, Host: h, W: &w})
	return string(w.Buf)
}

// holds evaluates texts and looks for what must stand in their replies.
func holds(t *testing.T, want map[string]string) {
	t.Helper()
	for text, part := range want {
		runtime.GC() // what the one before threw away would count
		if got := eval(t, text, &host{polls: -2}); !strings.Contains(got, part) {
			t.Errorf("%.100s: %.200q, want %q", text, got, part)
		}
	}
}

// TestNestedFunctionsCompile: 3 to the power of k steps would not end.
func TestNestedFunctionsCompile(t *testing.T) {
	for _, block := range []string{"do do ", "do while false do ", "if true then do "} {
		const k = 60
		text := strings.Repeat(block+"local function f() ", k) + strings.Repeat("end end end ", k) + "return 1"
		holds(t, map[string]string{text: ":1\r\n"})
	}
}

// TestHighTreesAreRefused: chains that nest in the tree and not in the text.
func TestHighTreesAreRefused(t *testing.T) {
	const n, tooHigh = 200_000, "chunk has too many syntax levels"
	holds(t, map[string]string{
		"return " + strings.Repeat("not ", n) + "true":                                             tooHigh,
		"local a = 1 return 1" + strings.Repeat("+a", n):                                           tooHigh,
		"local a = 1 return a" + strings.Repeat("..a", n):                                          tooHigh,
		"local a = 1 return a" + strings.Repeat("^a", n):                                           tooHigh,
		"local a = 1 return a" + strings.Repeat(" and a", n/2):                                     tooHigh,
		"local a = 1 return a" + strings.Repeat(".a", n):                                           tooHigh,
		"local a = 1 return a" + strings.Repeat("()", n):                                           tooHigh,
		"local a = 1 a" + strings.Repeat(":b{}", n):                                                tooHigh,
		"if a then " + strings.Repeat("elseif a then ", n/4) + "end":                               tooHigh,
		"return " + strings.Repeat("{", n) + strings.Repeat("}", n):                                tooHigh,
		"return " + strings.Repeat("(", n) + strings.Repeat(")", n):                                tooHigh,
		"return " + strings.Repeat("f(", n) + strings.Repeat(")", n):                               tooHigh,
		strings.Repeat("do ", n/2) + strings.Repeat("end ", n/2):                                   tooHigh,
		"return " + strings.Repeat("(1"+strings.Repeat("+a", 400), 150) + strings.Repeat(")", 150): tooHigh,
		"local a = 1 return 1" + strings.Repeat("+a", 300):                                         ":301\r\n",
		"return '" + strings.Repeat("x", maxText) + "'":                                            "chunk is too long",
	})
}

// TestManyConstants: the compiler takes the square of their number.
func TestManyConstants(t *testing.T) {
	list := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strconv.Itoa(100_000+i) + ",")
		}
		return "return #{" + b.String() + "}"
	}
	holds(t, map[string]string{list(140_000): "constant table overflow", list(5000): ":5000\r\n"})
}

// TestRulesOfLua51: what a later Lua takes is refused, as by Redis.
func TestRulesOfLua51(t *testing.T) {
	holds(t, map[string]string{
		"goto out ::out:: return 1":            "'=' expected near 'out'",
		"local f = tostring f\n(1)":            "ambiguous syntax (function call x new statement)",
		`return '\300'`:                        "escape sequence too large",
		"return 'a\\r\nb'":                     "a",
		"return #'a\\nb' --[==[ x ]] ]==] + 1": ":4\r\n",
	})
}

// TestCallsAreBounded over all threads: the end of Go's stack is that of the
// process. The numbers are those of Redis.
func TestCallsAreBounded(t *testing.T) {
	holds(t, map[string]string{
		"local d = 0 local function f(n) d = n local ok, e = pcall(f, n+1) return e end return {f(1), d}":                                                             "C stack overflow\r\n:199\r\n",
		"local d = 0 local function f(n) d = n coroutine.wrap(function() f(n+1) end)() end return {select(2, pcall(f, 1)):match('C stack.*'), d}":                     "C stack overflow\r\n:199\r\n",
		"local function f(n) return select(2, xpcall(function() return f(n+1) end, function(e) return 'H' .. e end)) end return f(1)":                                 "HC stack overflow",
		"local function e() error() end for i = 1, 300 do pcall(e) pcall(coroutine.wrap(e)) coroutine.resume(coroutine.create(e)) end return 'balanced'":              "balanced",
		"local function f(n) return select(2, pcall(f, n+1)) end f(1) return select(2, pcall(tostring, 5))":                                                           "5",
		"local co co = coroutine.create(function() return coroutine.resume(co) end) return {select(3, coroutine.resume(co))}":                                         "cannot resume running coroutine",
		"local co co = coroutine.create(function() return coroutine.wrap(function() return coroutine.resume(co) end)() end) return {select(3, coroutine.resume(co))}": "cannot resume normal coroutine",
		"local function f(n,d) if n==0 then if d==0 then return end coroutine.wrap(function() f(2000,d-1) end)() else pcall(f,n-1,d) end end f(2000,300) return 1":    ":1\r\n",
		"local function deep(n, d) if n > 0 then string.gsub('x', '(x)', function() deep(n-1, d) end) elseif d > 0 then coroutine.wrap(function() deep(2500, d-1) end)() end end " +
			"return select(2, pcall(deep, 2500, 1000))": "C stack overflow",
	})
}

// TestStringsAreBounded: what grows is ended while it grows.
func TestStringsAreBounded(t *testing.T) {
	const large = "resulting string too large"
	holds(t, map[string]string{
		"local s = string.rep('x', 2^20) return #string.gsub(s, '.+', string.rep('%0', 2^20))":       large,
		"local s = string.rep('x', 2^20) return #string.gsub(s, '(.+)', string.rep('%1', 2^20))":     large,
		"return #cmsgpack.pack(string.rep('x', 2^28), string.rep('x', 2^28), string.rep('x', 2^28))": "too",
	})
	// Of these two bounds, which are about as wide, either is met first: what is not collected yet counts.
	for _, text := range []string{"return #string.format('%q', string.rep('\\0', 2^28))", "return #cjson.encode(string.rep('\\0', 2^28))"} {
		got := eval(t, text, &host{polls: -2})
		if !strings.Contains(got, large) && !strings.Contains(got, "the script holds too much memory") {
			t.Errorf("%s: %.200q", text, got)
		}
	}
}

// TestMemoryIsBounded where one call of a builtin takes much of it.
func TestMemoryIsBounded(t *testing.T) {
	h := &host{polls: -2, reply: "$10000000\r\n" + strings.Repeat("x", 10_000_000) + "\r\n"}
	for _, each := range []string{
		"string.reverse(s)", "string.lower(s)", "struct.pack('s', s)", "redis.call('x')",
		"string.format('%s%s', s, s)", "{unpack({}, 1, 7000)}", "s .. i", "cmsgpack.pack(s)", "table.concat({s, s})", "coroutine.create(function() end)",
	} {
		text := "local s = string.rep('x', 1e7) " +
			"local t = {} for i = 1, 1e5 do local value = " + each + " t[i] = value end"
		runtime.GC() // what the last one left would be taken for the heap's beginning
		v := New()
		v.ticks.growth = 128 << 20
		if got := evalWith(t, v, text, h); !strings.Contains(got, "the script holds too much memory") {
			t.Errorf("%s: %.200q", each, got)
		}
	}
}

// TestBuiltinsAreEnded: what takes long in one call hears that it must end.
func TestBuiltinsAreEnded(t *testing.T) {
	for _, text := range []string{
		"table.insert({}, -50000000, 1)", "table.insert({}, -2000000000, 1)", "string.find(s, '.-b')", "string.find(s, '.*.*b')", "string.find(s, '%bxy')",
		"string.find(string.rep('x', 1e4), '[' .. string.rep('y', 1e4) .. ']')", "table.sort(list)", "table.foreachi(list, math.randomseed)", "cjson.encode(nested)", "cmsgpack.pack(nested)",
		"string.find(s .. s, '(.*)%1%1b')", "cjson.encode(list)", "cjson.decode('[' .. string.rep('1,', 1e5) .. '1]')", "cmsgpack.unpack('\\220\\255\\255' .. string.rep('\\1', 65535))",
		"table.remove(list, 1)", "table.concat(list)", "table.maxn(list)", "struct.unpack(string.rep(' ', 1e6), '')", "string.format('%q', s .. s .. s)", "for i = 1, 4 do string.find(s, 'xy', 1, true) end",
	} {
		text = "local s, list, nested = string.rep('x', 1e6), cmsgpack.unpack('\\220\\255\\255' .. string.rep('\\1', 65535)), {} " +
			"for i = 1, 14 do nested = {nested, nested, nested, nested} end redis.call('x') " + text + " return 'not ended'"
		h := &counted{host: host{reply: "+OK\r\n", polls: -2}}
		if got := eval(t, text, h); !strings.Contains(got, "Script killed by user") {
			t.Errorf("%s: %.200q", text, got)
		}
	}
}

// counted ends a script at the second poll after its first command.
type counted struct {
	host
	begun bool
}

func (h *counted) Call([][]byte, int, bool) (reply []byte, refusal string) {
	h.begun, h.polls = true, 0
	return []byte(h.reply), ""
}

func (h *counted) Poll() bool {
	h.polls++
	return h.begun && h.polls == 2
}

// TestThreadsAreCounted with the arguments that wait on their stacks, and tables
// with what "..." put into them: a few instructions take megabytes.
func TestThreadsAreCounted(t *testing.T) {
	const grow = "local t = {} local function f(n, ...) if n > 0 then return f(n-1, 1,1,1,1,1,1,1,1,1,1, ...) end for i = 1, 300 do "
	for _, each := range []string{"t[i] = {...}", "t[i] = coroutine.create(function(...) coroutine.yield(...) end) coroutine.resume(t[i], ...)"} {
		runtime.GC()
		v := New()
		v.ticks.growth = 64 << 20
		if got := evalWith(t, v, grow+each+" end end f(3000) return 1", &host{polls: -2}); !strings.Contains(got, "the script holds too much memory") {
			t.Errorf("%s: %.200q", each, got)
		}
	}
}
