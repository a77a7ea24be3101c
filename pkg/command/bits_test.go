package command_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"math/rand/v2"
	"strings"
	"testing"

	"kvstored/pkg/batch"
)

// engines are one of each kind: all in the engine, all in memory of its own,
// and one for which the host gets and sets.
var engines = []string{"hash", "debug", "simple"}

// TestBitsOnEveryEngine: what the host makes of an engine without updates.
func TestBitsOnEveryEngine(t *testing.T) {
	for _, name := range engines {
		b := newBench(t, name)
		b.want(":0\r\n", "SETBIT", "k", "7", "1")
		b.want(":1\r\n", "SETBIT", "k", "7", "0")
		b.want(":0\r\n", "SETBIT", "k", "100", "1")
		b.want(":13\r\n", "STRLEN", "k")
		b.want(":1\r\n", "BITCOUNT", "k")
		b.want(":100\r\n", "BITPOS", "k", "1")
		b.want("*3\r\n:0\r\n:255\r\n$-1\r\n", "BITFIELD", "k", "SET", "u8", "0", "255", "GET", "u8", "0",
			"OVERFLOW", "FAIL", "INCRBY", "u8", "#0", "1")
		b.want("*1\r\n$-1\r\n", "BITFIELD", "new", "OVERFLOW", "FAIL", "INCRBY", "u8", "792", "256")
		b.want("*2\r\n:0\r\n:-256\r\n", "BITFIELD", "low", "OVERFLOW", "SAT", "SET", "i9", "3", "-9223372036854775808", "GET", "i9", "3")
		b.want(":100\r\n", "STRLEN", "new") // it was made room for, as in Redis
		b.want(":1\r\n", "PFADD", "h", "a", "b", "c")
		b.want(":0\r\n", "PFADD", "h", "a")
		b.want(":3\r\n", "PFCOUNT", "h")
		b.want(":3\r\n", "PFCOUNT", "h")
		b.want("+OK\r\n", "PFMERGE", "all", "h", "nosuch")
		b.want(":3\r\n", "PFCOUNT", "all")
		b.want("-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n", "PFADD", "k", "a")
		b.want(":13\r\n", "BITOP", "OR", "both", "k", "nosuch")
	}
}

func TestWaitaof(t *testing.T) {
	b := newBench(t, "debug")
	b.want("*2\r\n:0\r\n:0\r\n", "WAITAOF", "0", "0", "10")
	b.want("-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.\r\n", "WAITAOF", "1", "0", "10")
	b.want("-ERR value is out of range, value must between 0 and 1\r\n", "WAITAOF", "2", "0", "10")
	b.want("-ERR value is out of range, must be positive\r\n", "WAITAOF", "0", "-1", "10")
	b.want("-ERR timeout is negative\r\n", "WAITAOF", "0", "0", "-1")
}

func TestObject(t *testing.T) {
	b := newBench(t, "hash")
	for value, want := range map[string][2]string{
		"0": {"int", "2147483647"}, "9999": {"int", "2147483647"}, "10000": {"int", "1"}, "-1": {"int", "1"},
		"9223372036854775807": {"int", "1"}, "9223372036854775808": {"embstr", "1"}, "01": {"embstr", "1"}, "": {"embstr", "1"},
		strings.Repeat("x", 44): {"embstr", "1"}, strings.Repeat("x", 45): {"raw", "1"}, strings.Repeat("1", 100_000): {"raw", "1"},
	} {
		b.want("+OK\r\n", "SET", "k", value)
		b.want(fmt.Sprintf("$%d\r\n%s\r\n", len(want[0]), want[0]), "OBJECT", "ENCODING", "k")
		b.want(":"+want[1]+"\r\n", "OBJECT", "REFCOUNT", "k")
	}
	b.want("$-1\r\n", "OBJECT", "IDLETIME", "nosuch")
	if got := b.do("OBJECT", "IDLETIME", "k"); !strings.HasPrefix(got, "-ERR idle time is not tracked") {
		t.Error(got)
	}
}

func TestMemoryUsage(t *testing.T) {
	b := newBench(t, "hash")
	b.want("$-1\r\n", "MEMORY", "USAGE", "k")
	for i := range 1000 {
		b.do("SET", fmt.Sprint("key", i), "v")
	}
	b.want("+OK\r\n", "SET", "k", strings.Repeat("v", 5000))
	var n int
	if got := b.do("memory", "usage", "k", "samples", "0"); !scanInt(got, &n) || n < 5001 || n > 5300 {
		t.Errorf("%q", got)
	}
	b.want("-ERR syntax error\r\n", "MEMORY", "USAGE", "k", "SAMPLES")
	b.want("-ERR syntax error\r\n", "MEMORY", "USAGE", "k", "SAMPLES", "-1")
	b.want("-ERR value is not an integer or out of range\r\n", "MEMORY", "USAGE", "k", "SAMPLES", "x")
}

func scanInt(reply string, n *int) bool {
	_, err := fmt.Sscanf(reply, ":%d\r\n", n)
	return err == nil
}

// sealDump adds version and checksum.
func sealDump(body string) string { return sealDumpOf(11, body) }

func sealDumpOf(version uint16, body string) string {
	b := binary.LittleEndian.AppendUint16([]byte(body), version)
	sum := ^crc64.Update(^uint64(0), crc64.MakeTable(0x95ac9329ac4bc9b5), b)
	return string(binary.LittleEndian.AppendUint64(b, sum))
}

// TestRestoreOfDamage: nothing that claims to be a payload does harm, and what
// unpacks to more than it may is refused before memory is taken.
func TestRestoreOfDamage(t *testing.T) {
	b := newBench(t, "debug")
	const bad = "-ERR Bad data format\r\n"
	for _, body := range []string{
		"\x00\xc3\x02\x81\x00\x00\x00\x00\x20\x00\x00\x01\x00a", // 512 MiB and one byte
		"\x00\xc3\x02\x81\xff\xff\xff\xff\xff\xff\xff\xff\x00a",
		"\x00\xc3\x02\x05\x00a",                  // shorter than it says
		"\x00\xc3\x02\x01\x20\x00",               // before the beginning
		"\x00\xc3\x01\x01\xe0",                   // cut off
		"\x00\xc3\x04\x01\x00a\xe0\xff",          // cut off later
		"\x00\xc3\x00\x00", "\x00\xc3\xc3\x01aa", // no length
		"\x00\x81\xff\xff\xff\xff\xff\xff\xff\xff", "\x00\x82", "\x00\xc4", "\x00\x05abcd", "\x00", "",
	} {
		b.want(bad, "RESTORE", "k", "0", sealDump(body))
	}
	b.want("+OK\r\n", "RESTORE", "k", "0", sealDump("\x00\xc3\x06\x0b\x01ab\xe0\x00\x01"))
	b.want("$11\r\nabababababa\r\n", "GET", "k")
	// What Redis 8.0.2 dumps of "inf", and the same with a version nobody has.
	b.want("+OK\r\n", "RESTORE", "new", "0", "\x00\x03inf\x0c\x00 1\x02\xe7\xb6\x1a\xaa\xde")
	b.want("$3\r\ninf\r\n", "GET", "new")
	b.want("-ERR DUMP payload version or checksum are wrong\r\n", "RESTORE", "far", "0", sealDumpOf(256, "\x00\x03inf"))
	b.want("-ERR DUMP payload version or checksum are wrong\r\n", "RESTORE", "far", "0", "\x00\x03inf\x0c\x00 1\x02\xe7\xb6\x1a\xaa\xdf")
	b.want("+OK\r\n", "RESTORE", "past", "1", sealDump("\x00\x03inf"), "ABSTTL")
	b.want(":0\r\n", "EXISTS", "past")
	b.want("-BUSYKEY Target key name already exists.\r\n", "RESTORE", "new", "1", sealDump("\x00\x03inf"), "ABSTTL")
	b.want("+OK\r\n", "RESTORE", "new", "1", sealDump("\x00\x03inf"), "ABSTTL", "REPLACE")
	b.want(":0\r\n", "EXISTS", "new")
	b.want("-BUSYKEY Target key name already exists.\r\n", "RESTORE", "k", "0", sealDump("\x00\xc3\x02\x05\x00a"))
	b.want("-ERR Bad data format: there are no sorted sets here, only strings\r\n", "RESTORE", "l", "0", sealDump("\x05\x00"))
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		body := []byte{0, 0xc3, byte(rnd.IntN(64)), byte(rnd.IntN(64))}
		for range rnd.IntN(60) {
			body = append(body, byte(rnd.Uint32()>>rnd.IntN(24)))
		}
		if got := b.do("RESTORE", "k", "0", sealDump(string(body)), "REPLACE"); got != bad && got != "+OK\r\n" {
			t.Fatalf("%q: %q", body, got)
		}
	}
}

// TestSwapdb: a thousand keys in one database, some of them in the other, with
// long values and expiry times.
func TestSwapdb(t *testing.T) {
	for _, name := range []string{"hash", "debug"} {
		b := newBench(t, name)
		long := strings.Repeat("v", 70_000)
		for i := range 1000 {
			b.want("+OK\r\n", "SET", fmt.Sprintf("a%d", i), fmt.Sprint(i))
		}
		b.want("+OK\r\n", "SET", "both", long, "PX", "60000")
		b.want("+OK\r\n", "SELECT", "5")
		b.want("+OK\r\n", "SET", "both", "short")
		b.want("+OK\r\n", "SET", "only", long)
		b.want("+OK\r\n", "SWAPDB", "0", "5")
		b.want(":1001\r\n", "DBSIZE")
		b.want("$3\r\n999\r\n", "GET", "a999")
		b.want(fmt.Sprintf("$%d\r\n%s\r\n", len(long), long), "GET", "both")
		b.want(":60000\r\n", "PTTL", "both")
		b.want("+OK\r\n", "SELECT", "0")
		b.want(":2\r\n", "DBSIZE")
		b.want(":-1\r\n", "PTTL", "both")
		b.want(fmt.Sprintf("$%d\r\n%s\r\n", len(long), long), "GET", "only")
		b.noPins()
	}
	b := newBench(t, "simple")
	b.want("-ERR the engine 'simple' cannot keep databases apart; only database 0 can be used\r\n", "MOVE", "k", "1")
	b.want("+OK\r\n", "SWAPDB", "0", "0")
}

// noPins wants every pinned value to have come back.
func (b *bench) noPins() {
	b.t.Helper()
	b.host.Lock()
	defer b.host.Unlock()
	b.host.Maintain(now, 1)
	if st, err := b.host.Stat(batch.SpaceAll); err != nil || st.Pins != 0 {
		b.t.Errorf("%d values stay pinned (%v)", st.Pins, err)
	}
}

// TestPinsOfWhatIsOnlyLookedAt: commands that read a long value and answer
// something else give it back.
func TestPinsOfWhatIsOnlyLookedAt(t *testing.T) {
	for _, name := range []string{"hash", "debug"} {
		b := newBench(t, name)
		b.want("+OK\r\n", "SET", "k", strings.Repeat("\x01", 100_000))
		b.want("+OK\r\n", "SET", "s", "\x01\x01")
		b.want(":100000\r\n", "BITCOUNT", "k")
		b.want(":7\r\n", "BITPOS", "k", "1")
		b.want(":799992\r\n", "BITPOS", "k", "0", "-1")
		b.want(":1\r\n", "GETBIT", "k", "799999")
		b.want(":2\r\n", "LCS", "k", "s", "LEN")
		b.want("$2\r\n\x01\x01\r\n", "LCS", "s", "k")
		b.want("-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len\r\n", "LCS", "k", "k")
		b.want(":100000\r\n", "BITOP", "NOT", "n", "k")
		b.want(":700000\r\n", "BITCOUNT", "n")
		b.want("-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n", "PFCOUNT", "k", "n")
		b.want("*1\r\n:1\r\n", "BITFIELD", "k", "GET", "u8", "#99999")
		dump := b.do("DUMP", "k")
		dump = strings.TrimSuffix(dump[strings.Index(dump, "\n")+1:], "\r\n")
		b.want("+OK\r\n", "RESTORE", "r", "0", dump)
		b.want(":0\r\n", "SETBIT", "r", "0", "1")
		b.want(":100001\r\n", "BITCOUNT", "r")
		b.want(":1\r\n", "MOVE", "r", "3")
		b.want(":0\r\n", "MOVE", "r", "3")
		b.noPins()
	}
}
