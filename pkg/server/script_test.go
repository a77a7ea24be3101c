package server

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/reactor"
)

// evalLine is EVAL of a script without keys.
func evalLine(text string) string {
	return fmt.Sprintf("*3\r\n$4\r\nEVAL\r\n$%d\r\n%s\r\n$1\r\n0\r\n", len(text), text)
}

const busyReply = "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n"

// untilBusy waits until a script takes long enough that another client hears
// of it.
func untilBusy(c *caller) {
	c.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		io.WriteString(c, "GET k\r\n")
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatal(err)
		}
		if line == busyReply {
			return
		}
	}
	c.t.Fatal("nobody is told that a script runs")
}

// ended tells how a script ended that was killed.
func (c *caller) ended() {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "-ERR Script killed by user with SCRIPT KILL. script: ") {
		c.t.Fatalf("%q, %v", line, err)
	}
}

// TestEndlessScriptsAreKilled: loops of every kind, and those that catch errors.
func TestEndlessScriptsAreKilled(t *testing.T) {
	srv, path := start(t, "hash", reactor.Limits{})
	srv.SetBusyAfter(20 * time.Millisecond)
	for _, text := range []string{
		"while true do end", "while true do pcall(function() while true do end end) end", "while true do redis.call('ping') end",
		"while true do redis.pcall('get','k') end", "local function f() return f() end return f()",
		"coroutine.wrap(function() while true do end end)()", "while true do coroutine.wrap(function() error('x') end) end",
		"local co = coroutine.create(function() while true do coroutine.yield() end end) while true do coroutine.resume(co) end",
		"repeat local ok = xpcall(function() while true do end end, function() while true do end end) until false",
		"for i = 1, 1e18 do end", "table.sort({3,2,1,5,4}, function() while true do end end)", "string.gsub('x', 'x', function() while true do end end)",
		"local t = setmetatable({}, {__index = function(t, k) while true do end end}) return t.x", "return load(function() while true do end end)",
		"return loadstring('while true do end')()",
	} {
		run, other := call(t, path), call(t, path)
		io.WriteString(run, evalLine(text)+"PING\r\n")
		untilBusy(other)
		other.say("SCRIPT KILL\r\n", "+OK\r\n")
		run.ended()
		run.hear("+PONG\r\n")
		other.say("SET k v\r\nGET k\r\nDEL k\r\nSCRIPT KILL\r\n", "+OK\r\n$1\r\nv\r\n:1\r\n-NOTBUSY No scripts in execution right now.\r\n")
		run.Close()
		other.Close()
	}
}

// TestOthersWhileAScriptRuns: connections come and go, what concerns only
// them is answered, requests in pieces and those of the same tick are whole.
func TestOthersWhileAScriptRuns(t *testing.T) {
	srv, path := start(t, "hash", reactor.Limits{})
	srv.SetBusyAfter(20 * time.Millisecond)
	run, other, piece := call(t, path), call(t, path), call(t, path)
	io.WriteString(piece, "*3\r\n$3\r\nSET\r\n$1\r\n")
	other.say("MULTI\r\nSET k in\r\n", "+OK\r\n+QUEUED\r\n")
	go io.WriteString(run, evalLine("while true do end")+strings.Repeat("INCR n\r\n", 50_000))
	untilBusy(call(t, path))
	other.say("SET k x\r\nEXEC\r\nMULTI\r\nDISCARD\r\n", busyReply+"-EXECABORT Transaction discarded because of: "+
		strings.TrimPrefix(busyReply, "-")+"+OK\r\n+OK\r\n")
	other.say("MULTI\r\nPING\r\n", "+OK\r\n"+busyReply)
	other.say("PING\r\nping\r\nnosuch\r\nWATCH a\r\nEVAL 'return 1' 0\r\n\r\nSUBSCRIBE x\r\n", strings.Repeat(busyReply, 6))
	io.WriteString(piece, "k\r\n$300000\r\n"+strings.Repeat("v", 299_999))
	for range 5 {
		call(t, path).say("MULTI\r\nQUIT\r\n", "+OK\r\n+OK\r\n")
		call(t, path).say("*1\r\n!", "-ERR Protocol error: expected '$', got '!'\r\n")
		c := call(t, path)
		io.WriteString(c, "GET k\r\nGET")
		c.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := srv.Ping(ctx); err != nil { // what the watchdog asks
		t.Fatal(err)
	}
	other.say("SCRIPT KILL\r\n", "-"+strings.TrimPrefix(busyReply, "-")) // in MULTI nothing but what ends it
	other.say("DISCARD\r\nSCRIPT KILL\r\n", "+OK\r\n+OK\r\n")
	run.ended()
	var want strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&want, ":%d\r\n", i+1)
	}
	run.hear(want.String())
	io.WriteString(piece, "v\r\nSTRLEN k\r\n")
	piece.hear("+OK\r\n:300000\r\n")
}

// TestAScriptThatWroteStays until it ends by itself.
func TestAScriptThatWroteStays(t *testing.T) {
	srv, path := start(t, "hash", reactor.Limits{})
	srv.SetBusyAfter(10 * time.Millisecond)
	run, other := call(t, path), call(t, path)
	io.WriteString(run, evalLine("redis.call('set','n',1) local t = os.clock() while os.clock() < t + 0.5 do redis.call('incr','n') end return 'done'"))
	untilBusy(other)
	other.say("SCRIPT KILL\r\n", "-UNKILLABLE Sorry the script already executed write commands against the dataset. "+
		"You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.\r\n")
	run.hear("$4\r\ndone\r\n")
	other.say("GET n\r\n", "$")
}

// TestStopEndsAScript: the daemon ends though a script would not.
func TestStopEndsAScript(t *testing.T) {
	srv, path := start(t, "hash", reactor.Limits{})
	srv.SetBusyAfter(10 * time.Millisecond)
	run := call(t, path)
	io.WriteString(run, evalLine("redis.call('set','n',1) while true do end"))
	untilBusy(call(t, path))
	if err := srv.Stop(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	run.ended()
}

// TestShutdownEndsAScript: what BUSY names as the other way out is one.
func TestShutdownEndsAScript(t *testing.T) {
	srv, path := start(t, "hash", reactor.Limits{})
	set := make(chan struct{})
	if err := srv.work.r.Post(func() {
		srv.o.Shutdown = func(bool) { _ = srv.Stop(10 * time.Second) }
		srv.SetBusyAfter(10 * time.Millisecond)
		close(set)
	}); err != nil {
		t.Fatal(err)
	}
	<-set
	run, other := call(t, path), call(t, path)
	io.WriteString(run, evalLine("redis.call('set','n',1) while true do end"))
	untilBusy(call(t, path))
	other.say("SHUTDOWN SAVE\r\n", busyReply)
	io.WriteString(other, "SHUTDOWN NOSAVE\r\n")
	run.ended()
}

// TestTheOneWhoRunsAScriptLeaves: it goes on to its end.
func TestTheOneWhoRunsAScriptLeaves(t *testing.T) {
	srv, path := start(t, "hash", reactor.Limits{})
	srv.SetBusyAfter(10 * time.Millisecond)
	run, other := call(t, path), call(t, path)
	io.WriteString(run, evalLine("local t = os.clock() while os.clock() < t + 0.3 do end redis.call('set','n','there')"))
	untilBusy(other)
	run.Close()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		io.WriteString(other, "STRLEN n\r\n")
		line, err := other.r.ReadString('\n')
		if err != nil || time.Now().After(deadline) {
			t.Fatal(line, err)
		}
		if line == ":5\r\n" {
			return
		}
	}
}

// TestScriptsStayWithinBounds: strings, tables, calls and replies that grow
// without end are refused, and the daemon goes on.
func TestScriptsStayWithinBounds(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	c := call(t, path)
	for text, want := range map[string]string{
		"local s = 'x' while true do s = s .. s end":                                 "string length overflow",
		"return string.rep('x', 1e9)":                                                "string too large",
		"local t = {} for i = 1, 40 do t[i] = string.rep('x', 1e8) end":              "too much memory",
		"local function f() return f() + 1 end return f()":                           "stack overflow",
		"local t = {} for i = 1, 40 do t[i] = t end t[1] = t return cjson.encode(t)": "excessive nesting",
	} {
		io.WriteString(c, evalLine(text))
		line, err := c.r.ReadString('\n')
		if err != nil || !strings.Contains(line, want) {
			t.Errorf("%s: %.200q, %v", text, line, err)
		}
	}
	c.say(evalLine("local t = {} t[1] = t return t")+"PING\r\n", strings.Repeat("*1\r\n", 1001)+"-ERR reached lua stack limit\r\n+PONG\r\n")
}

// TestAPatternIsEnded: one that tries its ways for years hears SCRIPT KILL.
func TestAPatternIsEnded(t *testing.T) {
	srv, path := start(t, "hash", reactor.Limits{})
	srv.SetBusyAfter(10 * time.Millisecond)
	run, other := call(t, path), call(t, path)
	io.WriteString(run, evalLine("return string.find(string.rep('a', 60), string.rep('a-', 60) .. 'b')"))
	untilBusy(other)
	other.say("SCRIPT KILL\r\n", "+OK\r\n")
	if line, err := run.r.ReadString('\n'); err != nil || !strings.Contains(line, "Script killed by user") {
		t.Errorf("%q, %v", line, err)
	}
}

// TestManyScripts: of those that come with EVAL only the last ones are kept.
func TestManyScripts(t *testing.T) {
	srv, path := start(t, "hash", reactor.Limits{})
	c := call(t, path)
	c.say("SCRIPT LOAD 'return 0'\r\n", "$40\r\nab0bcc3e20df8ea95b3d2e4dbd0f9d52a2e84b7d\r\n"[:5])
	c.r.ReadString('\n')
	for i := 1; i < 2000; i++ {
		c.say(evalLine(fmt.Sprintf("return %d", i)), fmt.Sprintf(":%d\r\n", i))
	}
	n := make(chan int, 1)
	if err := srv.work.r.Post(func() { n <- srv.work.scripts.vm.Count() }); err != nil {
		t.Fatal(err)
	}
	if got := <-n; got != 501 {
		t.Errorf("%d scripts are kept", got)
	}
}

// TestAReplyToAScriptIsBounded: a value named many times is more than a
// script may hold.
func TestAReplyToAScriptIsBounded(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	c := call(t, path)
	c.say(evalLine("redis.call('SET', 'k', string.rep('x', 1e7)) local keys = {} for i = 1, 1000 do keys[i] = 'k' end "+
		"return {redis.pcall('MGET', unpack(keys)).err, #redis.call('MGET', 'k', 'k')[2], #redis.call('GET', 'k')}"),
		"*3\r\n$89\r\nERR the reply of mget has 10000013007 bytes, and a script takes at most 536871936 at once\r\n:10000000\r\n:10000000\r\n")
}
