package differential

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// request is one generated command.
type request struct {
	args  []string
	keys  []string // the keys it touches; the first one decides the state that is counted
	label []string // "SET NX": what it covers
	rule  *rule
	write bool // a key that has expired is gone for good afterwards
}

// generator makes random requests over a small pool of keys. live holds what
// is likely to be there, so that most commands meet a live key; stale what has
// expired and was not written since.
type generator struct {
	*rand.Rand
	pool  []string
	live  map[string]bool
	stale []string
	now   int64 // seconds

	release int // of redis-server
}

func newGenerator(seed uint64) *generator {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), live: map[string]bool{}}
	for i := range 20 {
		g.pool = append(g.pool, fmt.Sprintf("key:%d", i))
	}
	g.pool = append(g.pool, "", "\x00bin\r\n\xff", "a[b]*c?", strings.Repeat("long", 300))
	return g
}

func pick[T any](g *generator, list []T) T { return list[g.IntN(len(list))] }

// chance is true once in n times.
func (g *generator) chance(n int) bool { return g.IntN(n) == 0 }

// key prefers keys that are likely to be there, or that have expired.
func (g *generator) key() string {
	if len(g.stale) > 0 && g.chance(8) {
		return pick(g, g.stale)
	}
	k := pick(g, g.pool)
	for try := 0; try < 3 && !g.live[k]; try++ {
		k = pick(g, g.pool)
	}
	return k
}

var wholeNumbers = []string{"0", "1", "-1", "7", "42", "100", "-100", "9223372036854775807", "-9223372036854775808",
	"9223372036854775806", "-9223372036854775807", "4611686018427387904", "123456789012345678"}

var oddNumbers = []string{"9223372036854775808", "-9223372036854775809", "18446744073709551616", "+1", " 1", "1 ", "01",
	"-0", "0x10", "1e3", "", "-", "1.0", "abc", "1\x00", "99999999999999999999999"}

var floats = []string{"0.1", "-0.5", "3.14159265358979323846", "1e10", "1e-10", "5.0e3", "1e400", "-1e308", "0", "10.50",
	"0.00000000000000001", "123456789.987654321", "-0.0", "1e4000", "0x1p-3", ".5", "5."}

var oddFloats = []string{"nan", "inf", "-inf", "+inf", "infinity", "1e5000", "abc", "", " 1.5", "1.5 ", "1,5", "1.5.5", "0x",
	"1e", "1e-5000"}

// value is a text of some kind: numbers, floats, binary, empty, long.
func (g *generator) value() string {
	switch g.IntN(12) {
	case 0, 1:
		return pick(g, wholeNumbers)
	case 2:
		return pick(g, oddNumbers)
	case 3:
		return pick(g, floats)
	case 4:
		return pick(g, oddFloats)
	case 5:
		return ""
	case 6:
		return string([]byte{0, 1, '\r', '\n', byte(g.IntN(256)), 0xff, '"'})
	case 7:
		if g.chance(8) {
			return g.long()
		}
		return strings.Repeat("ab", g.IntN(40))
	default:
		return fmt.Sprintf("v%d", g.IntN(1000))
	}
}

// long is a value around the lengths at which servers change their ways.
func (g *generator) long() string {
	n := pick(g, []int{16<<10 - 1, 16 << 10, 32 << 10, 64<<10 - 1, 64 << 10, 64<<10 + 1, 100 << 10})
	return strings.Repeat(string(rune('a'+g.IntN(26))), n)
}

// integer is mostly small, sometimes at a limit, sometimes none at all.
func (g *generator) integer() string {
	switch g.IntN(8) {
	case 0:
		return pick(g, wholeNumbers)
	case 1:
		return pick(g, oddNumbers)
	default:
		return strconv.Itoa(g.IntN(200) - 100)
	}
}

// ttl is a time to live: long, or wrong, or past; never one that ends during
// the test.
func (g *generator) ttl(option string) string {
	base := int64(0)
	if strings.HasSuffix(strings.ToLower(option), "at") {
		base = g.now
	}
	t := base + 5000 + g.Int64N(100000)
	if strings.HasPrefix(strings.ToLower(option), "p") {
		t *= 1000
	}
	switch g.IntN(14) {
	case 0:
		return pick(g, oddNumbers)
	case 1:
		return pick(g, []string{"0", "-1", "-100", "-9223372036854775808"})
	case 2:
		return pick(g, []string{"9223372036854775807", "9223372036854775", "9223372036854776", "9223370000000000", "-9223372036854775"})
	case 3:
		if base != 0 {
			return strconv.Itoa(1 + g.IntN(100000)) // long past
		}
	}
	return strconv.FormatInt(t, 10)
}

// word changes the case of an option now and then.
func (g *generator) word(s string) string {
	switch g.IntN(6) {
	case 0:
		return strings.ToLower(s)
	case 1:
		return strings.ToUpper(s[:1]) + strings.ToLower(s[1:])
	}
	return s
}

// times are the options that take a time.
var times = []string{"EX", "PX", "EXAT", "PXAT"}

// options adds up to n of the options to args, with their times, and labels.
func (g *generator) options(r *request, n int, from ...string) {
	name := r.args[0]
	for range n {
		opt := pick(g, from)
		r.label = append(r.label, name+" "+opt)
		r.args = append(r.args, g.word(opt))
		for _, t := range times {
			if t == opt && !g.chance(20) {
				r.args = append(r.args, g.ttl(opt))
			}
		}
	}
}

// family is a kind of command that the generator knows to make.
type family struct {
	weight int
	make   func(g *generator) request
}

// simple makes a command of a name, a key and arguments.
func simple(name string, u *rule, write bool, args ...func(g *generator) string) func(g *generator) request {
	return func(g *generator) request {
		k := g.key()
		r := request{args: []string{name, k}, keys: []string{k}, rule: u, write: write}
		for _, a := range args {
			r.args = append(r.args, a(g))
		}
		return r
	}
}

// several makes a command of a name and one to five keys.
func several(name string, write bool) func(g *generator) request {
	return func(g *generator) request {
		r := request{args: []string{name}, rule: exact, write: write}
		for range 1 + g.IntN(5) {
			r.keys = append(r.keys, g.key())
		}
		r.args = append(r.args, r.keys...)
		return r
	}
}

func pairs(name string) func(g *generator) request {
	return func(g *generator) request {
		r := request{args: []string{name}, rule: exact, write: true}
		for range 1 + g.IntN(4) {
			k := g.key()
			if name == "MSETNX" && g.chance(2) {
				k = pick(g, g.pool)
			}
			r.keys = append(r.keys, k)
			r.args = append(r.args, k, g.value())
		}
		return r
	}
}

func makeSet(g *generator) request {
	k := g.key()
	if g.chance(2) {
		k = pick(g, g.pool)
	}
	r := request{args: []string{"SET", k, g.value()}, keys: []string{k}, rule: exact, write: true}
	if g.chance(2) {
		g.options(&r, 1+g.IntN(3), "NX", "XX", "GET", "EX", "PX", "EXAT", "PXAT", "KEEPTTL")
		if g.chance(30) {
			r.args = append(r.args, pick(g, []string{"PERSIST", "foo", "nx\x00", "KEEPTTLL", "", "EX"}))
		}
	}
	return r
}

func makeGetex(g *generator) request {
	r := simple("GETEX", exact, true)(g)
	if !g.chance(4) {
		n := 1
		if g.chance(8) {
			n = 2
		}
		g.options(&r, n, "EX", "PX", "EXAT", "PXAT", "PERSIST")
		if g.chance(30) {
			r.args = append(r.args, pick(g, []string{"KEEPTTL", "NX", "foo"}))
		}
	}
	return r
}

func makeExpire(g *generator) request {
	name := pick(g, []string{"EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"})
	k := g.key()
	r := request{args: []string{name, k, g.ttl(name)}, keys: []string{k}, rule: exact, write: true}
	if g.chance(2) {
		n := 1
		if g.chance(4) {
			n = 2
		}
		g.options(&r, n, "NX", "XX", "GT", "LT")
		if g.chance(30) {
			r.args = append(r.args, pick(g, []string{"foo", "EX", ""}))
		}
	}
	return r
}

func makeCopy(g *generator) request {
	a, b := g.key(), pick(g, g.pool)
	r := request{args: []string{"COPY", a, b}, keys: []string{a, b}, rule: exact, write: true}
	if g.chance(2) {
		r.args = append(r.args, g.word("REPLACE"))
		r.label = append(r.label, "COPY REPLACE")
	}
	if g.chance(4) {
		r.args = append(r.args, g.word("DB"), pick(g, []string{"0", "1", "1", "1", "16", "-1", "x", "99999999999"}))
		r.label = append(r.label, "COPY DB")
	}
	return r
}

func makeRename(g *generator) request {
	name := pick(g, []string{"RENAME", "RENAMENX"})
	a, b := g.key(), pick(g, g.pool)
	return request{args: []string{name, a, b}, keys: []string{a, b}, rule: exact, write: true}
}

var patterns = []string{"*", "key:*", "key:?", "key:1?", "key:[0-5]", "key:[^0-5]", "*[0-9]", "a\\[b\\]\\*c\\?", "a[[]b]*",
	"", "nosuch*", "[", "[^", "key:[5-0]", "*\\", "**", "k*y*:*1*", "long*", "\x00*", "*\xff", "?????", "[a-"}

func makeKeys(g *generator) request {
	return request{args: []string{"KEYS", pick(g, patterns)}, rule: asSet}
}

func makeScan(g *generator) request {
	r := request{args: []string{"SCAN", "0"}, rule: asStep}
	if g.chance(3) {
		r.args[1] = pick(g, []string{"x", "-", " 1", "1x", "", "99999999999999999999999", "+"})
		if r.args[1] == "" { // it is 0
			r.rule = asStep
		}
	}
	if g.chance(2) {
		r.args = append(r.args, g.word("MATCH"), pick(g, patterns))
		r.label = append(r.label, "SCAN MATCH")
	}
	if g.chance(2) {
		r.args = append(r.args, g.word("TYPE"), pick(g, []string{"string", "STRING", "hash", "foo"}))
		r.label = append(r.label, "SCAN TYPE")
	}
	switch g.IntN(3) {
	case 0:
		r.args = append(r.args, g.word("COUNT"), "100000")
		r.label = append(r.label, "SCAN COUNT")
		r.rule = asScan
	case 1:
		r.args = append(r.args, g.word("COUNT"), g.integer())
		r.label = append(r.label, "SCAN COUNT")
	}
	if g.chance(20) {
		r.args = append(r.args, pick(g, []string{"foo", "COUNT", "MATCH"}))
	}
	return r
}

func keyless(u *rule, choices ...[]string) func(g *generator) request {
	return func(g *generator) request { return request{args: append([]string{}, pick(g, choices)...), rule: u} }
}

func (g *generator) float() string {
	switch g.IntN(6) {
	case 0:
		return pick(g, oddFloats)
	case 1:
		return g.integer()
	default:
		return pick(g, floats)
	}
}

func (g *generator) offset() string {
	switch g.IntN(10) {
	case 0:
		return pick(g, []string{"536870912", "9223372036854775807", "536870913", "-1"})
	case 1:
		return g.integer()
	default:
		return strconv.Itoa(g.IntN(30))
	}
}

// edge is one end of a range: mostly within the value, sometimes far outside.
func (g *generator) edge() string {
	if g.chance(4) {
		return pick(g, []string{"0", "-1", "65536", "-65537", "9223372036854775807", "-9223372036854775808"})
	}
	return g.integer()
}

var (
	val    = (*generator).value
	num    = (*generator).integer
	fl     = (*generator).float
	at     = (*generator).offset
	edge   = (*generator).edge
	exTime = func(g *generator) string { return g.ttl("EX") }
	pxTime = func(g *generator) string { return g.ttl("PX") }
)

var families = append(slices.Clone(bitFamilies), []family{
	{90, makeSet},
	{40, simple("GET", exact, false)},
	{12, simple("GETSET", exact, true, val)},
	{10, simple("GETDEL", exact, true)},
	{30, makeGetex},
	{16, simple("SETNX", exact, true, val)},
	{10, simple("SETEX", exact, true, exTime, val)},
	{10, simple("PSETEX", exact, true, pxTime, val)},
	{12, pairs("MSET")},
	{8, pairs("MSETNX")},
	{12, several("MGET", false)},
	{6, several("DEL", true)},
	{3, several("UNLINK", true)},
	{10, several("EXISTS", false)},
	{10, simple("TYPE", exact, false)},
	{12, simple("STRLEN", exact, false)},
	{14, simple("APPEND", exact, true, val)},
	{16, simple("GETRANGE", exact, false, edge, edge)},
	{4, simple("SUBSTR", exact, false, edge, edge)},
	{14, simple("SETRANGE", exact, true, at, val)},
	{12, simple("INCR", exact, true)},
	{8, simple("DECR", exact, true)},
	{14, simple("INCRBY", exact, true, num)},
	{12, simple("DECRBY", exact, true, num)},
	{20, simple("INCRBYFLOAT", exact, true, fl)},
	{50, makeExpire},
	{10, simple("TTL", seconds, false)},
	{10, simple("PTTL", millis, false)},
	{8, simple("EXPIRETIME", seconds, false)},
	{8, simple("PEXPIRETIME", millis, false)},
	{10, simple("PERSIST", exact, true)},
	{16, makeRename},
	{16, makeCopy},
	{4, makeKeys},
	{8, makeScan},
	{2, keyless(asNull, []string{"RANDOMKEY"})},
	{3, keyless(asCount, []string{"DBSIZE"})},
	{1, keyless(exact, []string{"SELECT", "x"}, []string{"SELECT", "16"}, []string{"SELECT", "-1"}, []string{"SELECT", "99999999999"})},
	{6, keyless(exact, []string{"PING"}, []string{"PING", "hello"}, []string{"ping", ""}, []string{"PING", "a", "b"},
		[]string{"ECHO", "x\r\ny"}, []string{"ECHO"}, []string{"echo", strings.Repeat("e", 20000)})},
	{2, keyless(exact, []string{"CLIENT", "SETNAME", "bob"}, []string{"CLIENT", "SETNAME", "a b"}, []string{"CLIENT", "SETNAME", ""},
		[]string{"CLIENT", "GETNAME"}, []string{"client", "getname", "x"}, []string{"CLIENT", "NOSUCH"}, []string{"CLIENT"},
		[]string{"CLIENT", "LIST", "TYPE", "foo"}, []string{"CLIENT", "LIST", "foo"}, []string{"CLIENT", "LIST", "ID", "x"},
		[]string{"CLIENT", "LIST", "TYPE", "pubsub"}, []string{"CLIENT", "LIST", "ID", "999999999"})},
	{1, keyless(asNumber, []string{"CLIENT", "ID"}, []string{"COMMAND", "COUNT"})},
	{1, keyless(asClient, []string{"CLIENT", "INFO"}, []string{"CLIENT", "LIST"}, []string{"client", "list", "type", "normal"})},
	{1, keyless(asTime, []string{"TIME"}, []string{"TIME", "x"})},
	{1, keyless(asText, []string{"INFO"}, []string{"INFO", "server"}, []string{"info", "clients", "keyspace"})},
	{1, keyless(asMap, []string{"CONFIG", "GET", "maxmemory"}, []string{"CONFIG", "GET", "*"}, []string{"CONFIG", "GET"})},
	{2, keyless(asHello, []string{"HELLO"}, []string{"HELLO", "2"}, []string{"HELLO", "3"}, []string{"HELLO", "4"},
		[]string{"HELLO", "x"},
		[]string{"HELLO", "3", "SETNAME", "eve"}, []string{"HELLO", "3", "SETNAME"}, []string{"HELLO", "2", "foo"},
		[]string{"hello", "3", "setname", "x y"}, []string{"HELLO", "2", "SETNAME", "eve", "AUTH", "default", ""})},
	{3, keyless(exact, []string{"nosuch"}, []string{"nosuch", "a", "b c", strings.Repeat("d", 200), "e"}, []string{"Nosuch\r\nx", "a\r\n"},
		[]string{strings.Repeat("x", 300)}, []string{"FLUSHDB", "x"}, []string{"FLUSHALL", "sync", "x"},
		[]string{"CONFIG", "nosuch"}, []string{"COMMAND", "nosuch", "x"}, []string{"COMMAND", "COUNT", "x"},
		[]string{"COMMAND", "GETKEYS", "MSET", "a", "b", "c", "d"}, []string{"COMMAND", "GETKEYS", "GET"},
		[]string{"COMMAND", "GETKEYS", "nosuch", "a"}, []string{"COMMAND", "GETKEYS", "PING", "x"}, []string{"COMMAND", "INFO", "nosuch"})},
}...)

var totalWeight = func() (n int) {
	for _, f := range families {
		n += f.weight
	}
	return n
}()

// next makes a request, now and then a damaged one.
func (g *generator) next() request {
	for {
		if r := g.any(); !unlike(g.release, r.args) {
			return r
		}
	}
}

func (g *generator) any() request {
	n := g.IntN(totalWeight)
	for _, f := range families {
		if n < f.weight {
			r := f.make(g)
			r.label = append([]string{strings.ToUpper(r.args[0])}, r.label...)
			g.damage(&r)
			g.guess(&r)
			return r
		}
		n -= f.weight
	}
	panic("weights")
}

// damage changes the number or the order of arguments, rarely.
func (g *generator) damage(r *request) {
	if len(r.keys) == 0 || !g.chance(60) {
		return
	}
	switch g.IntN(3) {
	case 0:
		r.args = r.args[:1+g.IntN(len(r.args)-1)]
	case 1:
		r.args = append(r.args, pick(g, []string{"x", "EX", "NX", "", "10"}))
	case 2:
		i := 1 + g.IntN(len(r.args)-1)
		r.args = append(r.args[:i], append([]string{r.args[i]}, r.args[i:]...)...)
	}
}

// guess keeps live and stale roughly true.
func (g *generator) guess(r *request) {
	if r.write {
		g.stale = slices.DeleteFunc(g.stale, func(k string) bool { return slices.Contains(r.keys, k) })
	}
	switch r.args[0] {
	case "SET", "SETNX", "SETEX", "PSETEX", "MSET", "GETSET", "APPEND", "INCR", "DECR":
		for _, k := range r.keys {
			g.live[k] = true
		}
	case "DEL", "UNLINK", "GETDEL":
		for _, k := range r.keys {
			delete(g.live, k)
		}
	case "RENAME":
		if len(r.keys) == 2 && g.live[r.keys[0]] {
			delete(g.live, r.keys[0])
			g.live[r.keys[1]] = true
		}
	}
}
