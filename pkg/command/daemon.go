package command

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"kvstored/pkg/batch"
	"kvstored/pkg/resp"
)

// MEMORY without USAGE, SHUTDOWN, DEBUG, ROLE, and what a standalone Redis
// answers about replication and cluster.

var memoryHelp = []string{
	"DOCTOR",
	"    Return memory problems reports.",
	"MALLOC-STATS",
	"    Return internal statistics report from the memory allocator.",
	"PURGE",
	"    Give memory that is held needlessly back to the system.",
	"STATS",
	"    Return information about the memory usage of the server.",
	"USAGE <key> [SAMPLES <count>]",
	"    Return memory in bytes used by <key> and its value. Nested values are",
	"    sampled up to <count> times (default: 5, 0 means sample all).",
}

func planMemoryDoctor(c *Call) {
	c.Reply.Step = func(x *Exec, _ *Reply) { x.W.Verbatim(x.Host.MemoryDoctor()) }
}

// planMemoryMallocStats answers as Redis without jemalloc does.
func planMemoryMallocStats(c *Call) {
	c.Answer(func(w *resp.Writer) { w.BulkString("Stats not supported for the current allocator") })
}

func planMemoryPurge(c *Call) {
	c.Reply.Step = func(x *Exec, _ *Reply) {
		x.Host.MemoryPurge()
		x.W.Status("OK")
	}
}

func planMemoryStats(c *Call) {
	c.Reply.Step = func(x *Exec, _ *Reply) {
		writeFields(x.W, x.Host.MemoryStats())
	}
}

// planShutdown ends the daemon. There is no answer: the connection closes.
func planShutdown(c *Call) {
	var save, nosave, now, abort bool
	for _, a := range c.Args[1:] {
		switch {
		case isWord(a, "save"):
			save = true
		case isWord(a, "nosave"):
			nosave = true
		case isWord(a, "now"):
			now = true
		case isWord(a, "force"):
		case isWord(a, "abort"):
			abort = true
		default:
			c.Fail(syntaxError)
			return
		}
	}
	switch {
	case save && nosave || abort && len(c.Args) > 2:
		c.Fail(syntaxError)
		return
	case abort:
		c.Fail("ERR No shutdown in progress.")
		return
	}
	c.Reply.Step = func(x *Exec, _ *Reply) {
		dir := x.Host.Config([]string{"StateDir"})
		if save && (!x.Store.Has(capDurable) || len(dir) != 2 || dir[1] == "") {
			x.W.Error("ERR the engine '" + x.Store.EngineName() + "' keeps its data in memory only; why: it has no files " +
				"to save to; fix: SHUTDOWN NOSAVE, and the data is gone")
			return
		}
		if err := x.Host.Shutdown(now); err != nil {
			x.W.Error("ERR " + oneLine(err.Error()))
		}
	}
}

// capDurable is KV_CAP_DURABLE: data outlives the process.
const capDurable = 1 << 8

func planRole(c *Call) {
	c.Answer(func(w *resp.Writer) {
		w.Array(3)
		w.BulkString("master")
		w.Int(0)
		w.Array(0)
	})
}

// planReplicaof accepts what is true already.
func planReplicaof(c *Call) {
	if isWord(c.Args[1], "no") && isWord(c.Args[2], "one") {
		c.Reply.Fixed = replyOK
		return
	}
	c.Fail("ERR there is no replication here, only REPLICAOF NO ONE")
}

func planNoCluster(c *Call) { c.Fail("ERR This instance has cluster support disabled") }

func planFailover(c *Call) {
	if len(c.Args) == 2 && isWord(c.Args[1], "abort") {
		c.Fail("ERR No failover in progress.")
		return
	}
	if c.failoverOptions() {
		c.Fail("ERR FAILOVER requires connected replicas.")
	}
}

// failoverOptions reads the options of FAILOVER; false: an error is the reply.
func (c *Call) failoverOptions() bool {
	var timeout, host, force bool
	for i := 1; i < len(c.Args); i++ {
		left := len(c.Args) - i - 1
		switch {
		case isWord(c.Args[i], "timeout") && left >= 1 && !timeout:
			i++
			ms, ok := c.integer(i)
			if !ok {
				return false
			}
			if ms <= 0 {
				c.Fail("ERR FAILOVER timeout must be greater than 0")
				return false
			}
			timeout = true
		case isWord(c.Args[i], "to") && left >= 2 && !host:
			i += 2
			if _, host = c.integer(i); !host {
				return false
			}
		case isWord(c.Args[i], "force") && !force:
			force = true
		default:
			c.Fail(syntaxError)
			return false
		}
	}
	return true
}

// clusterSubcommands are those of Redis, which it refuses outside a cluster.
const clusterSubcommands = " addslots addslotsrange bumpepoch count-failure-reports countkeysinslot delslots delslotsrange failover " +
	"flushslots forget getkeysinslot help info keyslot links meet myid myshardid nodes replicas replicate reset saveconfig " +
	"set-config-epoch setslot shards slaves slots "

func planCluster(c *Call) {
	if sub := strings.ToLower(string(c.Args[1])); !strings.Contains(clusterSubcommands, " "+sub+" ") {
		c.Fail(fmt.Sprintf("ERR unknown subcommand '%s'. Try CLUSTER HELP.", clip(c.Args[1], 128)))
		return
	}
	planNoCluster(c)
}

// planLolwut draws one small picture; the arguments are accepted as Redis has
// them.
func planLolwut(c *Call) {
	if len(c.Args) >= 3 && isWord(c.Args[1], "version") {
		if _, ok := parseInt(c.Args[2]); !ok {
			c.Fail("ERR value is not an integer or out of range")
			return
		}
	}
	var b strings.Builder
	for row := range 8 {
		for col := range 32 {
			wave := math.Sin(float64(col)/5+float64(c.Now%6283)/1000) * 3.5
			b.WriteByte(" ~"[btoi(math.Abs(wave-float64(row)+3.5) < 0.6)])
		}
		b.WriteByte('\n')
	}
	text := fmt.Sprintf("%sa key, a value, a wave. kvstored ver. %s\n", b.String(), c.Session.Version)
	c.Answer(func(w *resp.Writer) { w.Verbatim(text) })
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

var debugHelp = []string{
	"DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
	"DIGEST",
	"    Output a hex signature representing the current DB content.",
	"DIGEST-VALUE <key> [<key> ...]",
	"    Output a hex signature of the values of all the specified keys.",
	"ERROR <string>",
	"    Return a Redis protocol error with <string> as message.",
	"OBJECT <key>",
	"    Show low level info about `key` and associated value.",
	"PROTOCOL <type>",
	"    Reply with a test value of the specified type. <type> can be: string,",
	"    integer, double, bignum, null, array, set, map, attrib, push, verbatim,",
	"    true, false.",
	"SET-ACTIVE-EXPIRE <0|1>",
	"    Setting it to 0 disables expiring keys in background when they are not",
	"    accessed (otherwise the Redis behavior). Setting it to 1 reenables back the",
	"    default.",
	"SLEEP <seconds>",
	"    Stop the server for <seconds>. Decimals allowed.",
	"HELP",
	"    Print this help.",
}

// planDebug serves what tests of clients use.
func planDebug(c *Call) {
	sub, n := c.Args[1], len(c.Args)
	switch {
	case isWord(sub, "help") && n == 2:
		c.Answer(func(w *resp.Writer) {
			w.Array(len(debugHelp))
			for _, line := range debugHelp {
				w.Status(line)
			}
		})
	case isWord(sub, "sleep") && n == 3:
		c.debugSleep()
	case isWord(sub, "error") && n == 3:
		c.Fail(strings.TrimPrefix(string(c.Args[2]), "-"))
	case isWord(sub, "set-active-expire") && n == 3:
		on, _ := parseInt(c.Args[2]) // as Redis: what is no number is 0
		c.Reply.Step = func(x *Exec, _ *Reply) {
			x.Host.SetActiveExpire(on != 0)
			x.W.Status("OK")
		}
	case isWord(sub, "object") && (n == 3 || n == 4):
		c.Keep()
		c.Reply.Step = stepDebugObject
	case isWord(sub, "digest") && n == 2:
		c.Reply.Step = stepDebugDigest
	case isWord(sub, "digest-value"):
		c.Keep()
		c.Reply.Step = stepDebugDigestValue
	case isWord(sub, "protocol") && n == 3:
		c.debugProtocol(strings.ToLower(string(cString(c.Args[2]))))
	default:
		c.Fail(fmt.Sprintf("ERR unknown subcommand or wrong number of arguments for '%s'. Try DEBUG HELP.", clip(sub, 128)))
	}
}

// debugSleep stops everything, which is its purpose.
func (c *Call) debugSleep() {
	seconds, err := strconv.ParseFloat(string(c.Args[2]), 64)
	if err != nil || !(seconds > 0) {
		seconds = 0 // as Redis: what is no number is 0
	}
	c.Reply.Step = func(x *Exec, _ *Reply) {
		time.Sleep(time.Duration(min(seconds, 1e9) * float64(time.Second)))
		x.W.Status("OK")
	}
}

// stepDebugObject describes a value in the form that clients take apart. There
// is no address and no clock of use behind it: they are 0.
func stepDebugObject(x *Exec, r *Reply) {
	i := x.Batch.Get(r.DB, r.Args[2])
	if err := x.Run(); err != nil {
		x.W.Error("ERR " + err.Error())
		return
	}
	o := x.Batch.Op(i)
	if o.Pin != 0 {
		defer x.Release(o.Pin)
	}
	if o.Status == batch.NotFound {
		x.W.Error("ERR no such key")
		return
	}
	if failed(x.W, o, r) {
		return
	}
	encoding, size := serialized(o.ValueBytes())
	x.W.Status(fmt.Sprintf("Value at:0x0 refcount:1 encoding:%s serializedlength:%d lru:0 lru_seconds_idle:0", encoding, size))
}

// serialized is how Redis would keep a value, and how long it is in its dump
// without compression.
func serialized(v []byte) (encoding string, size int) {
	n, err := strconv.ParseInt(string(v[:min(len(v), 21)]), 10, 64)
	isInt := err == nil && len(v) <= 20 && strconv.FormatInt(n, 10) == string(v)
	head := 1
	switch {
	case len(v) >= 1<<14:
		head = 5
	case len(v) >= 1<<6:
		head = 2
	}
	switch {
	case isInt && n >= math.MinInt8 && n <= math.MaxInt8:
		return "int", 2
	case isInt && n >= math.MinInt16 && n <= math.MaxInt16:
		return "int", 3
	case isInt && n >= math.MinInt32 && n <= math.MaxInt32:
		return "int", 5
	case isInt:
		return "int", head + len(v)
	case len(v) <= 44:
		return "embstr", head + len(v)
	}
	return "raw", head + len(v)
}

// debugProtocol answers with a value of a type, the same that Redis sends.
func (c *Call) debugProtocol(kind string) {
	three := func(w *resp.Writer) {
		for i := range 3 {
			w.Int(int64(i))
		}
	}
	kinds := map[string]func(w *resp.Writer){
		"string":  func(w *resp.Writer) { w.BulkString("Hello World") },
		"integer": func(w *resp.Writer) { w.Int(12345) },
		"double":  func(w *resp.Writer) { w.Double(3.141) },
		"null":    func(w *resp.Writer) { w.Null() },
		"array":   func(w *resp.Writer) { w.Array(3); three(w) },
		"set":     func(w *resp.Writer) { w.Set(3); three(w) },
		"map": func(w *resp.Writer) {
			w.Map(3)
			for i := range 3 {
				w.Int(int64(i))
				w.Bool(i == 1)
			}
		},
		"attrib": func(w *resp.Writer) {
			if w.Proto == 3 {
				w.Raw([]byte("|1\r\n"))
				w.BulkString("key-popularity")
				w.Array(2)
				w.BulkString("key:123")
				w.Int(90)
			}
			w.BulkString("Some real reply following the attribute")
		},
		"push": func(w *resp.Writer) {
			w.Push(2)
			w.BulkString("server-cpu-usage")
			w.Int(42)
			w.BulkString("Some real reply following the push reply")
		},
		"verbatim": func(w *resp.Writer) { w.Verbatim("This is a verbatim\nstring") },
		"true":     func(w *resp.Writer) { w.Bool(true) },
		"false":    func(w *resp.Writer) { w.Bool(false) },
		"bignum": func(w *resp.Writer) {
			const big = "1234567999999999999999999999999999999"
			if w.Proto == 3 {
				w.Raw([]byte("(" + big + "\r\n"))
				return
			}
			w.BulkString(big)
		},
	}
	answer, known := kinds[kind]
	switch {
	case !known:
		c.Fail("ERR Wrong protocol type name. Please use one of the following: " +
			"string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false")
	case kind == "push" && c.Reply.Proto != 3:
		c.Fail("ERR RESP2 is not supported by this command")
	default:
		c.Answer(answer)
	}
}
