package torture

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"kvstored/pkg/command"
	"kvstored/pkg/resp"
)

// before is carried out ahead of every call: the data that the calls use.
const before = "SELECT 10\r\nFLUSHDB\r\nSELECT 9\r\nFLUSHDB\r\nMSET n 41 text \"hello world\" other hallo\r\nPFADD hll a b c\r\n"

// after ends what a call may have begun, so that the last answer can be seen.
const after = "DISCARD\r\nCLIENT UNPAUSE\r\nCLIENT REPLY ON\r\n"

// calls has a valid call of each command, as a line.
const calls = `
GET text
SET text new EX 1000 GET
MGET text n none
MSET a 1 b 2
MSETNX a 1 b 2
GETSET text new
GETDEL text
GETEX text EX 1000
SETNX a 1
SETEX a 1000 1
PSETEX a 1000000 1
STRLEN text
APPEND text more
GETRANGE text 1 -2
SUBSTR text 1 3
SETRANGE text 6 there
INCR n
DECR n
INCRBY n -5
DECRBY n 5
INCRBYFLOAT n 0.5
LCS text other IDX MINMATCHLEN 1 WITHMATCHLEN
DELIFEQ text "hello world"
DELEX text IFEQ "hello world"
DELEX text IFDNE 0123456789abcdef
DIGEST text
SET text new IFDEQ d447b1ea40e6988b
SETBIT text 7 1
GETBIT text 7
BITCOUNT text 0 -1 BYTE
BITPOS text 1 0 -1 BIT
BITOP XOR dest text other
BITFIELD text GET u8 0 SET i5 100 -3 OVERFLOW SAT INCRBY u4 #2 30
BITFIELD_RO text GET u8 0 GET i64 0
PFADD hll d e
PFCOUNT hll
PFMERGE dest hll
DEL text n
UNLINK text n
EXISTS text none n
TYPE text
EXPIRE text 1000 NX
PEXPIRE text 1000000
EXPIREAT text 4000000000
PEXPIREAT text 4000000000000 NX
TTL text
PTTL text
EXPIRETIME text
PEXPIRETIME text
PERSIST text
KEYS tex?
SCAN 0 MATCH tex* COUNT 100 TYPE string
RANDOMKEY
RENAME text new
RENAMENX text new
COPY text new REPLACE
DBSIZE
FLUSHDB ASYNC
FLUSHALL SYNC
TOUCH text n
MOVE text 10
SWAPDB 11 12
DUMP text
RESTORE copy 0 "\x00\x05hello\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00" REPLACE
WAIT 0 0
WAITAOF 0 0 0
OBJECT ENCODING text
OBJECT FREQ text
OBJECT IDLETIME text
OBJECT REFCOUNT text
OBJECT HELP
PING there
ECHO "some words"
QUIT
SELECT 3
AUTH default any
HELLO 3 SETNAME me
CLIENT GETNAME
CLIENT ID
CLIENT INFO
CLIENT LIST TYPE normal
CLIENT SETINFO LIB-NAME mine
CLIENT SETNAME me
CLIENT HELP
CLIENT KILL ID 999999999
CLIENT NO-EVICT ON
CLIENT NO-TOUCH ON
CLIENT PAUSE 1 WRITE
CLIENT REPLY SKIP
CLIENT UNBLOCK 999999999
CLIENT UNPAUSE
CLIENT CACHING YES
CLIENT GETREDIR
CLIENT TRACKING ON BCAST PREFIX te
CLIENT TRACKINGINFO
RESET
MULTI
EXEC
DISCARD
WATCH text n
UNWATCH
EVAL "return redis.call('GET', KEYS[1]) .. ARGV[1]" 1 text more
EVAL_RO "return {KEYS[1], 2}" 1 text
EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0
EVALSHA_RO e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0
SCRIPT LOAD "return 1"
SCRIPT EXISTS e0e1f9fabfc9d4800c877a703b823ac0578ff8db
SCRIPT FLUSH SYNC
SCRIPT KILL
SCRIPT DEBUG NO
SCRIPT HELP
PUBLISH news text
SUBSCRIBE one two
PSUBSCRIBE on* tw*
UNSUBSCRIBE one
PUNSUBSCRIBE on*
PUBSUB CHANNELS o*
PUBSUB NUMPAT
PUBSUB NUMSUB one
PUBSUB SHARDCHANNELS o*
PUBSUB SHARDNUMSUB one
PUBSUB HELP
SPUBLISH news text
SSUBSCRIBE one
SUNSUBSCRIBE one
TIME
INFO server clients
COMMAND
COMMAND COUNT
COMMAND DOCS get set
COMMAND GETKEYS MSET a 1 b 2
COMMAND INFO get set
COMMAND LIST FILTERBY PATTERN get*
COMMAND HELP
COMMAND GETKEYSANDFLAGS MSET a 1 b 2
CONFIG GET maxmemory*
CONFIG SET slowlog-log-slower-than 10000
CONFIG RESETSTAT
CONFIG REWRITE
CONFIG HELP
SLOWLOG GET 3
SLOWLOG LEN
SLOWLOG RESET
SLOWLOG HELP
LATENCY DOCTOR
LATENCY HISTOGRAM get
LATENCY HISTORY command
LATENCY LATEST
LATENCY RESET command
LATENCY HELP
MEMORY DOCTOR
MEMORY MALLOC-STATS
MEMORY PURGE
MEMORY STATS
MEMORY USAGE text SAMPLES 5
MEMORY HELP
SHUTDOWN ABORT
DEBUG SLEEP 0
DEBUG DIGEST
DEBUG DIGEST-VALUE text none n
DEBUG ERROR "ERR an error of any kind"
DEBUG OBJECT text
DEBUG PROTOCOL map
DEBUG SET-ACTIVE-EXPIRE 1
DEBUG HELP
ROLE
LOLWUT VERSION 5
REPLICAOF NO ONE
SLAVEOF NO ONE
FAILOVER ABORT
MONITOR
CLUSTER INFO
READONLY
READWRITE
ASKING
ENGINE STATUS
ENGINE HOTKEYS 5
ENGINE LOAD /nonexistent/engine.so
ENGINE CHECK /nonexistent/engine.so
ENGINE HELP
SAVE
BGSAVE
LASTSAVE
`

// varying is the calls whose answers differ from one time to the next: what
// is compared is which kind of answer it is.
var varying = []string{"client|id", "client|info", "client|list", "debug|object", "time", "info", "latency|histogram",
	"latency|history", "latency|latest", "memory|stats", "memory|usage", "lolwut", "monitor", "randomkey", "slowlog|get", "slowlog|len",
	"engine|status", "engine|hotkeys", "engine|load", "memory|doctor", "hello", "lastsave", "bgsave", "save", "config|rewrite"}

// shared is the commands that change the daemon for everybody, or that may do
// so when an argument of theirs is damaged: they are not mutated.
var shared = []string{"flushdb", "flushall", "swapdb", "shutdown", "debug", "client|kill", "client|pause",
	"config|set", "config|rewrite", "engine|load", "engine|check", "save", "bgsave"}

// call is a valid request.
type call struct {
	name  string // of the command, as in the table: "client|list"
	args  []string
	cmd   *command.Command
	loose bool // the answer varies
}

// commands is the command table, flat: by name, with subcommands.
func commands() map[string]*command.Command {
	all := map[string]*command.Command{}
	for _, cmd := range command.Table() {
		if cmd.Plan != nil {
			all[cmd.Name] = cmd
		}
		for _, sub := range cmd.Subcommands {
			all[cmd.Name+"|"+sub.Name] = sub
		}
	}
	return all
}

// allCalls is the calls above, of which every command in the table has one.
func allCalls(t *testing.T) []call {
	t.Helper()
	all := commands()
	left := maps.Clone(all)
	var list []call
	for line := range strings.Lines(calls) {
		words, ok := resp.Split(nil, []byte(strings.TrimSpace(line)))
		if !ok {
			t.Fatalf("not a line: %s", line)
		}
		if len(words) == 0 {
			continue
		}
		var args []string
		for _, w := range words {
			args = append(args, string(w))
		}
		name := strings.ToLower(args[0])
		full := name
		if len(args) > 1 {
			full += "|" + strings.ToLower(args[1])
		}
		if all[full] != nil {
			name = full
		}
		if all[name] == nil {
			t.Fatalf("a line for a command that does not exist: %s", line)
		}
		list = append(list, call{name, args, all[name], slices.Contains(varying, name) || slices.Contains(varying, full)})
		delete(left, name)
	}
	for name := range left {
		t.Fatalf("no line for %s: write one", name)
	}
	return list
}

// array is the request as an array of strings.
func (c call) array() []byte {
	b := fmt.Appendf(nil, "*%d\r\n", len(c.args))
	for _, a := range c.args {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b
}

// line is the request in a line, every byte that needs it quoted.
func (c call) line() []byte {
	var b []byte
	for i, a := range c.args {
		if i > 0 {
			b = append(b, ' ')
		}
		plain := a != ""
		for _, x := range []byte(a) {
			plain = plain && x > ' ' && x < 0x7f && x != '"' && x != '\'' && x != '\\'
		}
		if plain {
			b = append(b, a...)
			continue
		}
		b = append(b, '"')
		for _, x := range []byte(a) {
			b = fmt.Appendf(b, "\\x%02x", x)
		}
		b = append(b, '"')
	}
	return append(b, '\r', '\n')
}
