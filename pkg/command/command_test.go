package command_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"kvstored/pkg/batch"
	"kvstored/pkg/command"
	"kvstored/pkg/engine"
	"kvstored/pkg/engine/enginetest"
	"kvstored/pkg/resp"
)

const now = 1_800_000_000_000

// bench is commands on an engine, without a server between.
type bench struct {
	command.Control      // nil: as Transactions
	command.Transactions // nil: they need a server
	command.Scripts
	t       testing.TB
	host    *engine.Host
	session command.Session
	batch   *batch.Batch
	reply   command.Reply
	call    command.Call
	exec    command.Exec
	w       resp.Writer
	texts   *batch.Sink
	late    string // what was answered later
}

func newBench(t testing.TB, name string) *bench {
	t.Helper()
	host, err := engine.Open(enginetest.Build(t, name), engine.Options{Trust: engine.Trust{AllowOwnUID: true}})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, host: host, batch: batch.New(), texts: batch.NewSink()}
	b.session = command.Session{ID: 7, Proto: 2, UID: 1000, Addr: "/s:0", EngineName: host.EngineName}
	b.exec = command.Exec{Store: host, Host: b, Batch: batch.New(), Scan: batch.NewScan(),
		Random: func() uint64 { return 42 }, Release: host.Release}
	b.exec.Later = func(*command.Reply) func(func(*resp.Writer)) {
		return func(fn func(*resp.Writer)) {
			var w resp.Writer
			fn(&w)
			b.late = string(w.Buf)
		}
	}
	t.Cleanup(func() {
		b.batch.Close()
		b.exec.Batch.Close()
		b.exec.Scan.Close()
		host.Close()
	})
	return b
}

func (b *bench) Info(sections []string) string          { return "# " + strings.Join(sections, ",") }
func (b *bench) Config(patterns []string) []string      { return []string{"maxclients", "10"} }
func (b *bench) MemoryLimit() (uint64, string)          { return 0, "noeviction" }
func (b *bench) Frequency(uint32, []byte) (int64, bool) { return 0, false }
func (b *bench) Clients() []*command.Session            { return []*command.Session{&b.session} }
func (b *bench) EngineStatus() []command.Pair {
	return []command.Pair{{Name: "engine", Value: "hash"}, {Name: "keys", Value: int64(3)}}
}

func (b *bench) HotKeys() []command.HotKey {
	return []command.HotKey{{Key: []byte("a"), PerSecond: 2.5, Share: 0.5}, {DB: 3, Key: []byte("b"), PerSecond: 1, Share: 0.25}}
}

func (b *bench) LoadEngine(path string, done func(string, error)) {
	if path == "bad" {
		done("", errors.New("reload refused: bad: no symbol kvstore_engine\n  why: not a kvstored engine\n  fix: kvctl engine check bad"))
		return
	}
	done("serving hash 0.1.1 (generation 2)", nil)
}

func (b *bench) CheckEngine(path string, done func(string, error)) { done("ok "+path, nil) }

// run plans, executes and renders one request; its arguments are off-heap.
func (b *bench) run(args [][]byte) {
	b.batch.Reset()
	b.w.Reset()
	b.call = command.Call{Args: args, Session: &b.session, Batch: b.batch, Now: now, Reply: &b.reply}
	command.Dispatch(&b.call)
	b.host.Lock()
	defer b.host.Unlock()
	if err := b.host.Exec(b.batch, 0, b.batch.Len(), now); err != nil {
		b.t.Fatal(err)
	}
	b.w.Proto = b.reply.Proto
	switch {
	case b.reply.Fixed != nil:
		b.w.Raw(b.reply.Fixed)
	case b.reply.Render != nil:
		b.reply.Render(&b.w, b.batch, &b.reply)
	case b.reply.Step != nil:
		b.exec.Start(now, &b.w)
		b.reply.Step(&b.exec, &b.reply)
	}
}

// do runs one request and returns the reply with its values in place.
func (b *bench) do(args ...string) string {
	var off [][]byte
	for _, a := range args {
		off = append(off, b.texts.Copy([]byte(a)))
	}
	b.run(off)
	var out strings.Builder
	at := 0
	for _, ref := range b.w.Refs {
		out.Write(b.w.Buf[at:ref.At])
		out.Write(ref.Data)
		at = ref.At
		if ref.Pin != 0 {
			b.host.Release(ref.Pin)
		}
	}
	out.Write(b.w.Buf[at:])
	return out.String()
}

func (b *bench) want(reply string, args ...string) {
	b.t.Helper()
	if got := b.do(args...); got != reply {
		b.t.Errorf("%q\n got %.300q\nwant %.300q", args, got, reply)
	}
}

// TestHotCommandsAllocateNothing: plan and render of what servers mostly get.
func TestHotCommandsAllocateNothing(t *testing.T) {
	b := newBench(t, "debug")
	b.do("SET", "n", "1")
	for _, args := range [][]string{
		{"GET", "n"}, {"SET", "k", "v"}, {"SET", "k", "v", "EX", "100"}, {"MGET", "k", "n", "x"}, {"INCR", "n"},
		{"DEL", "x", "y"}, {"EXISTS", "k", "n"}, {"PING"}, {"TTL", "k"}, {"EXPIRE", "k", "100"}, {"SELECT", "0"}, {"SETNX", "k", "v"},
		{"STRLEN", "k"}, {"GETRANGE", "k", "0", "-1"}, {"APPEND", "a", ""}, {"ECHO", "x"}, {"MSET", "k", "v", "l", "w"},
	} {
		var off [][]byte
		for _, a := range args {
			off = append(off, b.texts.Copy([]byte(a)))
		}
		b.run(off)
		if n := testing.AllocsPerRun(50, func() { b.run(off) }); n != 0 {
			t.Errorf("%q: %v allocations", args, n)
		}
	}
}

func TestAnEngineWithFewCapabilitiesSaysWhatItCannotDo(t *testing.T) {
	b := newBench(t, "simple")
	b.want("+OK\r\n", "SET", "k", "v")
	b.want("$1\r\nv\r\n", "GET", "k")
	b.want("-ERR the engine 'simple' cannot keep expiry times\r\n", "SET", "k", "v", "EX", "100")
	b.want("-ERR the engine 'simple' cannot keep expiry times\r\n", "EXPIRE", "k", "100")
	b.want("+OK\r\n", "SELECT", "1")
	b.want("-ERR the engine 'simple' cannot keep databases apart; only database 0 can be used\r\n", "GET", "k")
	b.want("-ERR the engine 'simple' cannot keep databases apart; only database 0 can be used\r\n", "INCR", "k")
	b.want("+OK\r\n", "SELECT", "0")
	b.want(":2\r\n", "APPEND", "k", "w")
	b.want(":1\r\n", "INCR", "n")
}

func TestUnknownCommands(t *testing.T) {
	b := newBench(t, "debug")
	b.want("-ERR unknown command 'foo', with args beginning with: 'bar' \r\n", "foo", "bar")
	b.want("-ERR unknown command 'HSET': there are no hashes here, only strings\r\n", "HSET", "h", "f", "v")
	b.want("-ERR unknown subcommand 'foo'. Try CLIENT HELP.\r\n", "CLIENT", "foo")
	b.want("-ERR wrong number of arguments for 'client|id' command\r\n", "CLIENT", "ID", "x")
	b.want("-ERR wrong number of arguments for 'get' command\r\n", "GET")
}

func TestEngineHotkeys(t *testing.T) {
	b := newBench(t, "debug")
	b.want("*1\r\n*8\r\n$3\r\nkey\r\n$1\r\na\r\n$2\r\ndb\r\n:0\r\n$10\r\nper_second\r\n$3\r\n2.5\r\n$5\r\nshare\r\n$3\r\n0.5\r\n",
		"ENGINE", "HOTKEYS", "1")
	if got := b.do("ENGINE", "HOTKEYS"); !strings.HasPrefix(got, "*2\r\n") {
		t.Errorf("without a count: %q", got)
	}
	b.want("-ERR value is out of range, must be positive\r\n", "ENGINE", "HOTKEYS", "0")
	b.want("-ERR wrong number of arguments for 'engine|hotkeys' command\r\n", "ENGINE", "HOTKEYS", "1", "2")
}

func TestWhoMayLoadCode(t *testing.T) {
	b := newBench(t, "debug")
	refused := "-NOPERM ENGINE LOAD is for root and the daemon's own user; why: it loads code into the daemon, " +
		"and you are uid 1000; fix: sudo kvctl ENGINE LOAD\r\n"
	b.want(refused, "ENGINE", "LOAD")
	b.want(refused, "engine", "load", "/tmp/x.so")
	if got := b.do("ENGINE", "CHECK", "x"); !strings.HasPrefix(got, "-NOPERM ENGINE CHECK") {
		t.Errorf("%q", got)
	}
	b.session.MayLoad = true
	for _, c := range []struct{ arg, want string }{
		{"good", "+serving hash 0.1.1 (generation 2)\r\n"},
		{"bad", "-ERR reload refused: bad: no symbol kvstore_engine; why: not a kvstored engine; fix: kvctl engine check bad\r\n"},
	} {
		b.do("ENGINE", "LOAD", c.arg)
		if !b.reply.Pending || b.late != c.want {
			t.Errorf("ENGINE LOAD %s: pending %v, %q", c.arg, b.reply.Pending, b.late)
		}
	}
	b.do("ENGINE", "CHECK", "x.so")
	if b.late != "$7\r\nok x.so\r\n" {
		t.Errorf("ENGINE CHECK: %q", b.late)
	}
	b.want("-ERR wrong number of arguments for 'engine|load' command\r\n", "ENGINE", "LOAD", "a", "b")
}

func TestEngineStatus(t *testing.T) {
	b := newBench(t, "debug")
	b.want("*4\r\n$6\r\nengine\r\n$4\r\nhash\r\n$4\r\nkeys\r\n:3\r\n", "ENGINE", "STATUS")
	b.session.Proto = 3
	b.want("%2\r\n$6\r\nengine\r\n$4\r\nhash\r\n$4\r\nkeys\r\n:3\r\n", "ENGINE", "STATUS")
}

// TestExpiryTimesToTheMillisecond: an entry is gone when now is after its
// time, and setting a time that has come deletes.
func TestExpiryTimesToTheMillisecond(t *testing.T) {
	b := newBench(t, "debug")
	at := func(ms int64) string { return fmt.Sprint(now + ms) }
	b.want("+OK\r\n", "SET", "k", "v", "PXAT", at(0))
	b.want("$1\r\nv\r\n", "GET", "k")
	b.want(":0\r\n", "PTTL", "k")
	b.want("+OK\r\n", "SET", "k", "v", "PXAT", at(-1))
	b.want("$-1\r\n", "GET", "k")
	b.want("+OK\r\n", "SET", "k", "v", "PX", "1499")
	b.want(":1\r\n", "TTL", "k")
	b.want(":1\r\n", "PEXPIRE", "k", "1500", "GT")
	b.want(":2\r\n", "TTL", "k")
	b.want(":1800000002\r\n", "EXPIRETIME", "k")
	b.want(":1\r\n", "PEXPIREAT", "k", at(0))
	b.want(":-2\r\n", "TTL", "k")
	b.want("$-1\r\n", "SET", "k", "v", "PXAT", at(-1), "GET")
	b.want(":0\r\n", "EXISTS", "k")
}

// TestFloats: the forms that INCRBYFLOAT makes.
func TestFloats(t *testing.T) {
	b := newBench(t, "debug")
	for _, c := range []struct{ from, by, want string }{
		{"10.50", "0.1", "10.6"}, {"5.0e3", "2.0e2", "5200"}, {"0", "-0", "0"}, {"-0.0", "0", "0"}, {"3", "1e-17", "3.00000000000000001"},
		{"1e18", "0.5", "1000000000000000000.5"}, {"0.1", "0.2", "0.3"}, {"0x10", "1", "17"}, {"-1", "1.0", "0"},
	} {
		b.do("SET", "f", c.from)
		b.want(fmt.Sprintf("$%d\r\n%s\r\n", len(c.want), c.want), "INCRBYFLOAT", "f", c.by)
		b.want(fmt.Sprintf("$%d\r\n%s\r\n", len(c.want), c.want), "GET", "f")
	}
	b.do("SET", "f", "1e4932")
	b.want("-ERR increment would produce NaN or Infinity\r\n", "INCRBYFLOAT", "f", "1e4932")
	b.want("-ERR value is not a valid float\r\n", "INCRBYFLOAT", "f", strings.Repeat("1", 6000))
}

// TestTheLongestString: APPEND and SETRANGE stop at 512 MiB.
func TestTheLongestString(t *testing.T) {
	b := newBench(t, "debug")
	limit := "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"
	b.want(limit, "SETRANGE", "k", fmt.Sprint(512<<20), "x")
	b.want(":0\r\n", "SETRANGE", "k", fmt.Sprint(512<<20), "")
	b.want(":0\r\n", "EXISTS", "k")
	b.want(fmt.Sprintf(":%d\r\n", 512<<20), "SETRANGE", "k", fmt.Sprint(512<<20-1), "x")
	b.want(limit, "APPEND", "k", "x")
	b.want(fmt.Sprintf(":%d\r\n", 512<<20), "APPEND", "k", "")
	b.want("$2\r\n\x00x\r\n", "GETRANGE", "k", "-2", "-1")
	b.want(":1\r\n", "DEL", "k")
}

// TestPinsComeBack: a Step gives back what it pinned.
func TestPinsComeBack(t *testing.T) {
	b := newBench(t, "debug")
	long := strings.Repeat("v", 200_000)
	b.want("+OK\r\n", "SET", "a", long)
	b.want("+OK\r\n", "RENAME", "a", "b")
	b.want(":1\r\n", "COPY", "b", "c")
	b.want(":0\r\n", "COPY", "b", "c")
	b.want(":0\r\n", "RENAMENX", "b", "c")
	b.want("+OK\r\n", "RENAME", "b", "b")
	b.want(fmt.Sprintf("$%d\r\n%s\r\n", len(long), long), "GET", "c")
	b.host.Lock()
	defer b.host.Unlock()
	b.host.Maintain(now, 1)
	if st, err := b.host.Stat(batch.SpaceAll); err != nil || st.Pins != 0 {
		t.Errorf("%d values stay pinned (%v)", st.Pins, err)
	}
}

// TestRowsAreWhole: what the table promises of every command is there.
func TestRowsAreWhole(t *testing.T) {
	for _, cmd := range command.Table() {
		for _, c := range append([]*command.Command{cmd}, cmd.Subcommands...) {
			switch {
			case c.Plan == nil && c.Subcommands == nil:
				t.Errorf("%s has no plan", c.FullName())
			case c.Arity == 0 || c.Summary == "" || c.Since == "" || c.Group == "":
				t.Errorf("%s lacks arity, summary, since or group", c.FullName())
			case strings.HasSuffix(c.Summary, "."):
				t.Errorf("%s: a full stop in the summary", c.FullName())
			case (c.FirstKey != 0 || c.NumKeys != 0) != (c.KeyUse != ""):
				t.Errorf("%s: keys without a use, or the other way", c.FullName())
			case c.FirstKey != 0 && c.Flags&(command.Write|command.ReadOnly|command.PubSub) == 0 && c.Name != "watch":
				t.Errorf("%s has keys and neither reads nor writes", c.FullName())
			}
		}
		if cmd.Subcommands != nil && !slices.ContainsFunc(cmd.Subcommands, func(s *command.Command) bool { return s.Name == "help" }) {
			t.Errorf("%s has no HELP", cmd.Name)
		}
	}
}

func TestClients(t *testing.T) {
	b := newBench(t, "debug")
	b.want("+OK\r\n", "CLIENT", "SETNAME", "bob")
	b.want("$3\r\nbob\r\n", "CLIENT", "GETNAME")
	b.want("+OK\r\n", "CLIENT", "SETINFO", "lib-name", "py(x)")
	b.want("-ERR lib-ver cannot contain spaces, newlines or special characters.\r\n", "CLIENT", "SETINFO", "lib-ver", "a b")
	b.want("-ERR Unrecognized option 'foo'\r\n", "CLIENT", "SETINFO", "foo", "x")
	b.want(":7\r\n", "CLIENT", "ID")
	for _, line := range []string{b.do("CLIENT", "LIST"), b.do("CLIENT", "INFO"), b.do("CLIENT", "LIST", "ID", "7")} {
		if !strings.Contains(line, "id=7 addr=/s:0 laddr=/s:0 fd=0 name=bob ") || !strings.Contains(line, " lib-name=py(x) lib-ver=\n") {
			t.Errorf("%q", line)
		}
	}
	b.want("$0\r\n\r\n", "CLIENT", "LIST", "ID", "8")
}

func TestQuitClosesAfterTheReply(t *testing.T) {
	b := newBench(t, "debug")
	if b.want("+OK\r\n", "QUIT"); !b.session.Closing {
		t.Error("the session goes on")
	}
}
