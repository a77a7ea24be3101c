package command

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

//go:generate go test . -run TestManualIsUpToDate -update

// groups are the sections of the manual.
var groups = []struct{ name, title, text string }{
	{"string", "Strings", "Values are bytes, up to 512 MiB."},
	{"bitmap", "Bits", "Bits of a value are counted from the highest of its first byte; what a value lacks at its end is zero."},
	{"hyperloglog", "HyperLogLogs", "They are strings, in the format of Redis: GET and SET carry them from one server to another."},
	{"generic", "Keys", ""},
	{"connection", "Connections", "Who may do what is decided by the peer's user and group, never by a password; " +
		"AUTH and HELLO AUTH accept the user `default` with any password, as a Redis without passwords does."},
	{"transactions", "Transactions", "What follows MULTI is kept and carried out by EXEC as one: nobody sees its middle, and " +
		"what outlives a crash is all of it or nothing, but where the engine is asked in several steps (EVAL, RENAME, COPY, SWAPDB " +
		"and their like in the transaction): then each part between them. A request that fails leaves the others as they are, as in Redis. WATCH " +
		"sees every change by anybody, expiry, eviction and flushes, and outlives an exchange of the engine."},
	{"scripting", "Scripts", "Lua 5.1, with the libraries of Lua that are safe and `redis`, `cjson`, `cmsgpack`, " +
		"`struct` and `bit`. A script's commands are carried out with nothing of anybody else's in between; what outlives a crash is each " +
		"of them, not all. A script that runs longer than `BusyAfter=` can be ended with SCRIPT KILL as long as it has written " +
		"nothing; everybody else is answered BUSY until then. The order in which `pairs` and `next` go through the keys of a table " +
		"that are not 1 to n is that in which they came, not that of Redis's hash; so are objects of `cjson` and maps of `cmsgpack` " +
		"ordered. What is under 1 to n comes first and in its order, however it was put there. `#` of a table with holes may be another of its ends. `__len` counts for tables, too, and a computed -0 is 0. A script's text has at most 1 MiB; " +
		"chains of more than 1000 operators, calls or `elseif` are too many syntax levels, and some 20,000 constants in one " +
		"function too many. Numbers that are not whole " +
		"are written with the fewest digits; in about one of a thousand Redis has more, or an exponent. What a script holds may grow to " +
		"1 GiB, and so may its reply; a command's reply to it has at most 512 MiB; an error that ends it is cut at 1 MiB. Scripts that came with EVAL are kept " +
		"for EVALSHA while they are among the 500 that were used last and take no more than 64 MiB together; those of SCRIPT LOAD stay until SCRIPT FLUSH."},
	{"pubsub", "Publish and subscribe", "Nothing is kept: a message goes to those who listen now. A connection that speaks " +
		"RESP2 can do little else while it is subscribed; in RESP3 messages are pushes among the replies, and those that a " +
		"request sends to its own connection come after its reply, as in Redis 7.2. Who reads its messages too slowly is closed " +
		"at `MaxSubscriberOutput=`."},
	{"server", "Server", ""},
	{"cluster", "Cluster", "These answer as a Redis that is no cluster."},
	{"engine", "Engine", "These are kvstored's own. What loads code is for root and the daemon's own user."},
}

// Manual is docs/commands.md: every command of the table, then what Redis has
// and kvstored does not.
func Manual() string {
	var b strings.Builder
	b.WriteString(manualHead)
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s\n\n", g.title)
		if g.text != "" {
			b.WriteString(g.text + "\n\n")
		}
		b.WriteString("| command | what it does | as in |\n|---|---|---|\n")
		for _, cmd := range table {
			if cmd.Group != g.name {
				continue
			}
			if cmd.Plan != nil {
				cmd.row(&b)
			}
			for _, sub := range cmd.Subcommands {
				sub.row(&b)
			}
		}
	}
	b.WriteString(manualMiddle)
	for _, reason := range sortedReasons() {
		names := strings.Fields(absentNames[reason])
		slices.Sort(names)
		fmt.Fprintf(&b, "- %s: %s\n", reason, upper(strings.Join(names, ", ")))
	}
	return b.String()
}

func (cmd *Command) row(b *strings.Builder) {
	from := "Redis " + cmd.Since
	if cmd.Flags&OnlyKvstored != 0 {
		from = "kvstored " + cmd.Since
	}
	fmt.Fprintf(b, "| `%s` | %s | %s |\n", strings.ReplaceAll(cmd.Usage(), "|", "\\|"),
		strings.ReplaceAll(cmd.Summary, "|", "\\|"), from)
}

func sortedReasons() []string {
	var reasons []string
	for reason := range absentNames {
		reasons = append(reasons, reason)
	}
	sort.Strings(reasons)
	return reasons
}

const manualHead = `# Commands

<!-- made from the command table: go generate ./pkg/command -->

kvstored speaks RESP2, RESP3 (after ` + "`HELLO 3`" + `) and plain lines (` + "`SET name Rojalin`" + `).
Replies and error texts are those of Redis 7; ` + "`tests/differential`" + ` compares them with redis-server, byte for byte.
Names and options may be written in any case. There are 16 databases, numbered from 0.

An engine that cannot do what a command needs (` + "`kvctl engine status`" + ` shows its capabilities) answers with an
error that names the engine and what it lacks.
`

const manualMiddle = `
## Where kvstored differs

- HELLO says ` + "`server kvstored`" + ` and kvstored's version; the fields are those of Redis
- CLIENT SETINFO, and lib-name and lib-ver in CLIENT LIST, are those of Redis 7.2
- TIME has milliseconds; the microseconds end in 000
- SET with EXAT or PXAT in the past deletes the key at once, and DBSIZE does not count it
- WAIT and WAITAOF answer at once: there are no replicas to wait for
- SAVE keeps nobody waiting but its client; BGSAVE inside a transaction starts at its end and says so as outside; LASTSAVE and rdb_* of
  INFO tell of what these commands asked for, not of the snapshots that the engine writes of its own accord
- SWAPDB sends no keyspace notifications, but invalidations for keys that are tracked.
- SWAPDB exchanges key by key: one step for all clients, in time that grows with the keys of both databases; a crash in
  the middle leaves part of them exchanged
- OBJECT ENCODING and REFCOUNT go by the value: a short text that APPEND, SETRANGE, SETBIT or INCRBYFLOAT made says
  embstr or int where Redis says raw or embstr
- OBJECT IDLETIME is refused: reading a key writes nothing. OBJECT FREQ answers with every policy that goes by use, whatever
  its name, from a sample of one operation in a millisecond, on the scale of Redis; a key not seen in it has 0. CLIENT NO-TOUCH
  leaves uses out of that sample; what the engine itself notes of a use to choose what goes it does not change
- DUMP does not compress; its payloads have the version of Redis 7.0 (10), which all later ones read. RESTORE reads
  strings of later versions too (Redis 8, Valkey 9), compressed or not; IDLETIME and FREQ are
  checked and not kept
- BITFIELD SET with OVERFLOW SAT makes a number near -2^63 the lowest one that fits; in Redis it overflows and becomes
  the highest
- PFADD leaves a damaged HyperLogLog as it is when it answers INVALIDOBJ
- CONFIG GET and SET know kvstored's settings by their own names and, where Redis has the same, by its names;
  parameters of what does not exist here have the one value that is true. CONFIG SET, RESETSTAT and REWRITE are for
  root and the daemon's own user
- what a call took (INFO commandstats and latencystats, SLOWLOG, LATENCY HISTOGRAM) is its part of the tick that
  executed it: the time in the engine, divided by the operations of the tick; commands that run one by one (RENAME,
  EXEC, …) are measured one by one; of KEYS and SCAN that make way for others the sum of their slices counts
- HELP, MEMORY DOCTOR, LATENCY DOCTOR, LOLWUT, and why CONFIG SET refuses a value (after ` + "`" + `CONFIG SET failed (possibly related
  to argument …) - ` + "`" + `) have words of their own; there is no LATENCY GRAPH and no SCRIPT DEBUG; DEBUG has what tests of clients use
- CLIENT PAUSE does not hold back CLIENT UNPAUSE of root and the daemon's own user
- DEBUG OBJECT has no address and no clock to tell: both are 0
- FLUSHDB and FLUSHALL take the same short time with SYNC and ASYNC
- a request has at most 1,048,576 arguments, a line at most 64 KiB
- errors of the storage engine start with OOM, MISCONF, READONLY or ERR and name the engine

## What Redis has and kvstored does not

These answer ` + "`ERR unknown command`" + ` with the reason:

`
