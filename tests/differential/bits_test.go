package differential

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// Bits, HyperLogLogs, LCS, DUMP and RESTORE, OBJECT, and what else concerns
// keys: how the requests are made and where replies may differ.

var (
	asEncoding = &rule{of: "OBJECT ENCODING", name: "encoding", why: "ours goes by the value, not by the command that made it",
		same: func(r, o *Value) bool {
			a, b := string(r.Text), string(o.Text)
			return r.Equal(o) || a == "raw" && b == "embstr" || (a == "raw" || a == "embstr") && b == "int"
		}}

	asShared = &rule{of: "OBJECT REFCOUNT", name: "number", why: "as above", same: func(r, o *Value) bool {
		if string(r.Text) == "2" { // set in the same transaction, whose arguments Redis still holds
			r.Text = []byte("1")
		}
		return r.Equal(o) || r.Kind == ':' && string(r.Text) == "1" && string(o.Text) == "2147483647"
	}}

	asDump = &rule{of: "DUMP", name: "bytes before version and checksum, or shorter", why: "ours has the version of Redis 7.0, which later ones read, and does not compress",
		same: func(r, o *Value) bool {
			if r.Null() || o.Null() {
				return r.Equal(o)
			}
			a, b := r.Text[:max(0, len(r.Text)-10)], o.Text[:max(0, len(o.Text)-10)]
			return bytes.Equal(a, b) || len(a) > 2 && a[1] == 0xc3 && len(b) > len(a)
		}}
)

// hllKeys are never set anew, so that they grow until they are dense.
var hllKeys = []string{"hll:0", "hll:1", "hll:2", "hll:3", "hll:4", "hll:5"}

// hllKey is mostly one of those, sometimes another key.
func (g *generator) hllKey() string {
	switch {
	case len(g.stale) > 0 && g.chance(6):
		return pick(g, g.stale)
	case g.chance(6):
		return g.key()
	}
	return pick(g, hllKeys)
}

// hllKeysOf makes a command of a name and one to four HyperLogLogs.
func hllKeysOf(name string, write bool) func(g *generator) request {
	return func(g *generator) request {
		r := request{args: []string{name}, rule: exact, write: write}
		for range 1 + g.IntN(4) {
			k := g.hllKey()
			if len(r.keys) > 0 && g.chance(2) {
				k = pick(g, hllKeys)
			}
			r.keys = append(r.keys, k)
		}
		r.args = append(r.args, r.keys...)
		return r
	}
}

func makePfadd(g *generator) request {
	k := g.hllKey()
	r := request{args: []string{"PFADD", k}, keys: []string{k}, rule: exact, write: true}
	n := g.IntN(4)
	if g.chance(20) {
		n = 100
	}
	most := pick(g, []int{50, 1000, 1000000})
	for range n {
		r.args = append(r.args, fmt.Sprintf("element:%d", g.IntN(most)))
	}
	if g.chance(5) {
		r.args = append(r.args, g.value())
	}
	return r
}

// damagedHLLs look like HyperLogLogs and are none.
var damagedHLLs = []string{"HYLL", "HYLL\x02" + zeros(11), "HYLL\x00" + zeros(11), "HYLL\x01" + zeros(11),
	"HYLL\x01" + zeros(10) + "\x80", "HYLL\x01" + zeros(10) + "\x80\x7f\xff\x7f\xff", "HYLL\x01" + zeros(10) + "\x80\x00\x84"}

func zeros(n int) string { return strings.Repeat("\x00", n) }

// bitOffset is mostly within a few bytes, sometimes far out, sometimes wrong.
func (g *generator) bitOffset() string {
	switch g.IntN(12) {
	case 0:
		return pick(g, []string{"4294967296", "-1", "18446744073709551615", "9223372036854775807", "#1", "", "x"})
	case 1:
		return strconv.Itoa(g.IntN(200_000))
	case 2:
		return g.integer()
	}
	return strconv.Itoa(g.IntN(300))
}

func (g *generator) bit() string {
	if g.chance(12) {
		return pick(g, []string{"2", "-1", "x", "", "01"})
	}
	return strconv.Itoa(g.IntN(2))
}

// ranged adds a range, sometimes with BIT or BYTE, to a command that takes one.
func (g *generator) ranged(r *request) {
	if g.chance(4) {
		return
	}
	r.args = append(r.args, g.edge())
	if g.chance(8) && r.args[0] == "BITPOS" {
		return
	}
	r.args = append(r.args, g.edge())
	if g.chance(2) {
		unit := pick(g, []string{"BIT", "BIT", "BIT", "BYTE", "BYTE", "foo"})
		r.args = append(r.args, g.word(unit))
		if unit != "foo" {
			r.label = append(r.label, r.args[0]+" "+unit)
		}
	}
}

func makeBitcount(g *generator) request {
	r := simple("BITCOUNT", exact, false)(g)
	g.ranged(&r)
	return r
}

func makeBitpos(g *generator) request {
	r := simple("BITPOS", exact, false, (*generator).bit)(g)
	g.ranged(&r)
	return r
}

func makeBitop(g *generator) request {
	op := pick(g, []string{"AND", "OR", "XOR", "NOT"})
	r := request{args: []string{"BITOP", g.word(op)}, label: []string{"BITOP " + op}, rule: exact, write: true}
	n := 2 + g.IntN(4)
	if op == "NOT" && !g.chance(10) {
		n = 2
	}
	for range n {
		r.keys = append(r.keys, g.key())
	}
	r.args = append(r.args, r.keys...)
	if g.chance(40) {
		r.args[1] = pick(g, []string{"nand", "", "an"})
	}
	return r
}

// fieldType is the type of a bit field.
func (g *generator) fieldType() string {
	if g.chance(25) {
		return pick(g, []string{"u64", "i65", "u0", "i0", "x8", "i", "", "u-1", "i08"})
	}
	width := pick(g, []int{1, 2, 3, 5, 7, 8, 9, 16, 31, 32, 33, 63, 64, 1 + g.IntN(63)})
	if width == 64 || g.chance(2) {
		return fmt.Sprintf("i%d", width)
	}
	return fmt.Sprintf("u%d", width)
}

func makeBitfield(g *generator) request {
	name := pick(g, []string{"BITFIELD", "BITFIELD", "BITFIELD", "BITFIELD_RO"})
	r := simple(name, exact, name == "BITFIELD")(g)
	for range g.IntN(4) + g.IntN(2) {
		op := pick(g, []string{"GET", "SET", "INCRBY", "OVERFLOW"})
		if name == "BITFIELD_RO" && !g.chance(8) {
			op = "GET"
		}
		if name == "BITFIELD" {
			r.label = append(r.label, name+" "+op)
		}
		r.args = append(r.args, g.word(op))
		if op == "OVERFLOW" {
			how := pick(g, []string{"WRAP", "SAT", "FAIL", "FAIL"})
			if g.chance(30) {
				how = "foo"
			}
			r.args = append(r.args, g.word(how))
			continue
		}
		offset := g.bitOffset()
		if g.chance(3) {
			offset = "#" + strconv.Itoa(g.IntN(20))
		}
		r.args = append(r.args, g.fieldType(), offset)
		if op != "GET" {
			n := g.integer()
			if strings.HasPrefix(n, "-92233720368547758") { // Redis saturates it to the wrong end
				n = "-4611686018427387904"
			}
			r.args = append(r.args, n)
		}
	}
	return r
}

func makeLcs(g *generator) request {
	a, b := g.key(), g.key()
	r := request{args: []string{"LCS", a, b}, keys: []string{a, b}, rule: exact}
	for range g.IntN(4) {
		opt := pick(g, []string{"LEN", "IDX", "IDX", "MINMATCHLEN", "WITHMATCHLEN", "WITHMATCHLEN"})
		r.label = append(r.label, "LCS "+opt)
		r.args = append(r.args, g.word(opt))
		if opt == "MINMATCHLEN" {
			r.args = append(r.args, pick(g, []string{"0", "1", "2", "4", "-3", "x"}))
		}
	}
	return r
}

// dumpOf is what DUMP makes of a value, written here once more.
func dumpOf(value string, version uint16) string {
	b := []byte{0}
	switch n := len(value); {
	case n < 64:
		b = append(b, byte(n))
	case n < 1<<14:
		b = append(b, 0x40|byte(n>>8), byte(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, 0x80), uint32(n))
	}
	return sealed(append(b, value...), version)
}

// sealed adds version and checksum.
func sealed(b []byte, version uint16) string {
	b = binary.LittleEndian.AppendUint16(b, version)
	sum := ^crc64.Update(^uint64(0), crc64.MakeTable(0x95ac9329ac4bc9b5), b)
	return string(binary.LittleEndian.AppendUint64(b, sum))
}

// payload is what DUMP may have made of a value; one in six is refused: cut off,
// too new, damaged, of no known form, empty.
func (g *generator) payload() string {
	good := dumpOf(g.value(), pick(g, []uint16{1, 9, 10}))
	if !g.chance(6) {
		return good
	}
	switch g.IntN(6) {
	case 0:
		return good[:g.IntN(len(good))]
	case 1:
		return dumpOf("v", 4711)
	case 2:
		return good[:len(good)-1] + "x"
	case 3:
		return sealed([]byte{0, 0xc4}, 10)
	case 4:
		return sealed([]byte{200, 1, 'x'}, 10)
	}
	return sealed(nil, 10)
}

func makeRestore(g *generator) request {
	k := g.key()
	ttl := pick(g, []string{"0", "0", "5000000", "-1", "x", "9223372036854775000"})
	r := request{args: []string{"RESTORE", k, ttl, g.payload()}, keys: []string{k}, rule: exact, write: true}
	for range g.IntN(4) {
		opt := pick(g, []string{"REPLACE", "REPLACE", "ABSTTL", "IDLETIME", "FREQ"})
		r.label = append(r.label, "RESTORE "+opt)
		r.args = append(r.args, g.word(opt))
		if opt == "IDLETIME" || opt == "FREQ" {
			r.args = append(r.args, pick(g, []string{"0", "7", "255", "256", "-1", "x"}))
		}
		if opt == "ABSTTL" && r.args[2] == "5000000" && g.chance(2) {
			r.args[2] = strconv.FormatInt((g.now+5000)*1000, 10)
		}
	}
	return r
}

func makeMove(g *generator) request {
	return simple("MOVE", exact, true, func(g *generator) string {
		return pick(g, []string{"0", "1", "1", "1", "2", "16", "-1", "x", "99999999999"})
	})(g)
}

// object makes OBJECT with a subcommand.
func object(sub string, u *rule) func(g *generator) request {
	return func(g *generator) request {
		k := g.key()
		return request{args: []string{"OBJECT", sub, k}, keys: []string{k}, label: []string{"OBJECT " + sub}, rule: u}
	}
}

// setsDamaged puts what looks like a HyperLogLog where PFADD may find it.
func setsDamaged(g *generator) request {
	return simple("SET", exact, true, func(g *generator) string { return pick(g, damagedHLLs) })(g)
}

var bitFamilies = []family{
	{24, simple("SETBIT", exact, true, (*generator).bitOffset, (*generator).bit)},
	{14, simple("GETBIT", exact, false, (*generator).bitOffset)},
	{18, makeBitcount},
	{18, makeBitpos},
	{14, makeBitop},
	{36, makeBitfield},
	{20, makePfadd},
	{3, setsDamaged},
	{8, hllKeysOf("PFCOUNT", false)},
	{6, hllKeysOf("PFMERGE", true)},
	{5, func(g *generator) request {
		k := pick(g, hllKeys)
		return request{args: []string{"GET", k}, keys: []string{k}, rule: exact}
	}},
	{1, func(g *generator) request {
		k := pick(g, hllKeys)
		return request{args: []string{"DEL", k}, keys: []string{k}, rule: exact, write: true}
	}},
	{8, makeLcs},
	{6, several("TOUCH", false)},
	{8, makeMove},
	{8, simple("DUMP", asDump, false)},
	{16, makeRestore},
	{6, object("ENCODING", asEncoding)},
	{4, object("REFCOUNT", asShared)},
	{4, object("FREQ", exact)},
	{2, keyless(exact, []string{"WAIT", "0", "100"}, []string{"WAIT", "-1", "0"}, []string{"WAIT", "x", "1"}, []string{"WAIT", "0", "-1"},
		[]string{"WAIT", "0", "x"}, []string{"WAIT", "0"}, []string{"OBJECT", "HELP"},
		[]string{"OBJECT"}, []string{"OBJECT", "nosuch", "x"}, []string{"OBJECT", "ENCODING"}, []string{"SWAPDB", "0", "16"},
		[]string{"SWAPDB", "x", "0"}, []string{"SWAPDB", "0", "x"}, []string{"SWAPDB", "0"}, []string{"SWAPDB", "-1", "0"},
		[]string{"SWAPDB", "1", "1"}, []string{"SWAPDB", "0", "1"}, []string{"SWAPDB", "1", "0"})},
}

// TestDumpsTravel restores what each server dumps in the other one: values of
// every length class, numbers, and texts that redis-server compresses.
func TestDumpsTravel(t *testing.T) {
	redis, ours := dial(t, startRedis(t)), dial(t, startOurs(t, *library))
	rnd := rand.New(rand.NewPCG(*seed, 7))
	values := []string{"", "0", "-128", "127", "128", "-32769", "32768", "2147483647", "-2147483648", "2147483648", "01",
		strings.Repeat("a", 20), strings.Repeat("a", 21), strings.Repeat("a", 300_000), strings.Repeat("ab\x00", 5000)}
	for _, n := range []int{1, 12, 63, 64, 100, 1000, 16383, 16384, 70_000, 300_000} {
		random, words := make([]byte, n), ""
		for i := range random {
			random[i] = byte(rnd.Uint32())
		}
		for len(words) < n {
			words += fmt.Sprintf("word%d ", rnd.IntN(50))
		}
		values = append(values, string(random), words)
	}
	packed := 0
	for _, v := range values {
		for _, way := range [][2]*conn{{redis, ours}, {ours, redis}} {
			way[0].do(t, "SET", "k", v)
			dump := way[0].do(t, "DUMP", "k")
			if dump.Text[1] == 0xc3 {
				packed++
			}
			if got := way[1].do(t, "RESTORE", "k", "0", string(dump.Text), "REPLACE"); string(got.Text) != "OK" {
				t.Errorf("RESTORE of %.40q (%d bytes): %s", v, len(v), got.String())
			}
			if got := way[1].do(t, "GET", "k"); string(got.Text) != v {
				t.Errorf("%.40q (%d bytes) came out as %.40q (%d)", v, len(v), got.Text, len(got.Text))
			}
		}
	}
	t.Logf("%d values there and back, %d of them packed", len(values), packed)
	if packed < 5 {
		t.Error("hardly any was packed")
	}
}

// TestHyperLogLogs fills HyperLogLogs with ever more elements, from the first
// one until they are dense and the estimate is of 100,000, and compares the
// replies and every byte on the way; then unions and merges of them.
func TestHyperLogLogs(t *testing.T) {
	redis, ours := dial(t, startRedis(t)), dial(t, startOurs(t, *library))
	rnd := rand.New(rand.NewPCG(*seed, 8))
	same := func(args ...string) {
		t.Helper()
		a, b := redis.do(t, args...), ours.do(t, args...)
		if !a.Equal(&b) {
			t.Fatalf("%.100q:\n  redis    %.300s\n  kvstored %.300s", args, a.String(), b.String())
		}
	}
	for key, most := range map[string]int{"few": 40, "sparse": 1200, "both": 6000, "dense": 100_000} {
		for n := 0; n < most; {
			add := []string{"PFADD", key}
			for range 1 + rnd.IntN(max(1, n/8)) {
				add = append(add, strings.Repeat("x", rnd.IntN(20))+strconv.Itoa(rnd.IntN(1<<40)))
				n++
			}
			same(add...)
			same("GET", key)
			if rnd.IntN(3) == 0 {
				same("PFCOUNT", key)
				same("GET", key)
			}
		}
	}
	same("PFCOUNT", "few", "sparse")
	same("PFCOUNT", "few", "nosuch", "dense", "both")
	for _, merge := range [][]string{{"m1", "few", "sparse"}, {"few", "sparse"}, {"m2", "few", "dense"}, {"sparse", "dense"},
		{"m3"}, {"m3", "m3", "few"}, {"dense", "few"}, {"both", "nosuch"}} {
		same(append([]string{"PFMERGE"}, merge...)...)
		same("GET", merge[0])
		same("PFCOUNT", merge[0])
		same("GET", merge[0])
	}
}
