package script

import (
	"strings"
	"testing"
)

// TestSparseTables: an index far away is a key, until the array has grown up to it.
func TestSparseTables(t *testing.T) {
	holds(t, map[string]string{
		"local t = {} for i = 5000, 1, -1 do t[i] = i end return {#t, t[1], t[1024], t[1025], t[5000]}":                                                                                 ":5000\r\n:1\r\n:1024\r\n:1025\r\n:5000",
		"local t = {[6e7] = 'far'} return {#t, t[6e7], rawget(t, 6e7), select('#', t[6e7-1])}":                                                                                          ":0\r\n$3\r\nfar\r\n$3\r\nfar\r\n:1\r\n",
		"local t = {[3000] = 'x', [2000] = 'y'} for i = 1, 2999 do t[i] = i end return {#t, t[2000], t[3000]}":                                                                          ":3000\r\n:2000\r\n$1\r\nx",
		"local function f() return unpack({}, 1, 3000) end local t = {[2000] = 1, [3001] = 2, f()} return {#t, tostring(t[2000]), t[3001]}":                                             ":3001\r\n$3\r\nnil\r\n:2",
		"local t = {} t[5e6] = 1 t[7e6] = 2 t[5e6] = nil local s = '' for k, v in pairs(t) do s = s .. k .. v end return {s, next(t)}":                                                  "$8\r\n70000002\r\n:7000000",
		"local t = setmetatable({}, {__index = {[4000] = 'through'}}) return t[4000]":                                                                                                   "through",
		"local u = {} local t = setmetatable({}, {__newindex = u}) t[4000] = 7 return {u[4000], tostring(rawget(t, 4000))}":                                                             ":7\r\n$3\r\nnil",
		"local t = setmetatable({}, {__index = function(_, k) return k end, __newindex = function(t, k, v) rawset(t, k, v * 2) end}) local a = t[9999] t[9999] = 4 return {a, t[9999]}": ":9999\r\n:8",
		"local t = {} table.insert(t, 50000, 'x') return {#t, t[50000], table.maxn(t), unpack(t, 50000, 50000)}":                                                                        ":0\r\n$1\r\nx\r\n:50000\r\n$1\r\nx",
		"local t = cmsgpack.unpack(cmsgpack.pack({[50000] = 'x'})) return {#t, t[50000], table.concat(t, '', 50000, 50000)}":                                                            ":0\r\n$1\r\nx\r\n$1\r\nx",
		"return (string.gsub(string.rep('a', 2000), '()', {[1999] = '<'}))":                                                                                                             "a<aa",
		"local t = {} t[1500] = 'b' for i = 1, 1499 do table.insert(t, i) end return {#t, table.remove(t), #t}":                                                                         ":1500\r\n$1\r\nb\r\n:1499",
		"local t = {} for i = 1, 3000, 2 do t[i] = i end for i = 2, 3000, 2 do t[i] = i end return {#t, t[2999], t[3000]}":                                                              ":3000\r\n:2999\r\n:3000",
		"local t = {} t[1e5] = 1 local n = 0 for k in pairs(t) do t[k] = nil n = n + 1 end return {n, tostring(next(t))}":                                                               ":1\r\n$3\r\nnil",
	})
}

// TestOrderOfPairs: what has the indexes 1 to n comes first and in their order,
// however it was put there.
func TestOrderOfPairs(t *testing.T) {
	const walk = " local s = {} for k in pairs(t) do s[#s+1] = tostring(k) end return table.concat(s, ' ')"
	holds(t, map[string]string{
		"local t = {} t[3] = 1 t[2] = 1 t[1] = 1" + walk:                 "1 2 3\r\n",
		"local t = {x = 1, [3] = 1, 'a', 'b'}" + walk:                    "1 2 3 x\r\n",
		"local t = {} t.x = 1 t[2] = 1 t[1] = 1 t.y = 1 t[3] = 1" + walk: "1 2 3 x y\r\n",
		"local t = {} for i = 2000, 1, -1 do t[i] = 1 end t[0] = 1 local n = 0 for k in pairs(t) do n = n + 1 if n <= 2000 and k ~= n then return k end end return n": ":2001\r\n",
	})
}

// TestRepliesAreBounded: a table that holds another many times is more than the
// script's memory.
func TestRepliesAreBounded(t *testing.T) {
	const tooLarge = "-ERR the reply of the script is too large"
	for text, part := range map[string]string{
		"local t = {1} for i = 1, 40 do t = {t, t} end redis.call('x') return t":                 "-ERR Script killed by user",
		"local t = {1} for i = 1, 40 do t = {map = {a = t, b = t}} end redis.call('x') return t": "-ERR Script killed by user",
		"local t, s = {}, string.rep('x', 1e8) for i = 1, 20 do t[i] = s end return t":           tooLarge,
		"return {string.rep('x', 1e5), {err = 'E'}, {ok = 'O'}}":                                 "\r\n-E\r\n+O\r\n",
	} {
		h := &counted{host: host{reply: "+OK\r\n", polls: -2}}
		if got := eval(t, text, h); !strings.Contains(got, part) {
			t.Errorf("%.100s: %.200q, want %q", text, got, part)
		}
	}
}

// TestLongErrors are cut, those in a reply are not.
func TestLongErrors(t *testing.T) {
	for text, want := range map[string]int{
		"error(string.rep('x', 3e6), 0)":                 maxError,
		"error({err = string.rep('x', 3e6)})":            maxError,
		"return redis.error_reply(string.rep('x', 3e6))": 3e6,
	} {
		if got := strings.Count(eval(t, text, &host{polls: -2}), "x"); got < want-10 || got > want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}
