package differential

import (
	"fmt"
	"strings"
	"testing"
)

// serverCommands are requests about the server, whose answers are texts that
// clients take apart: one a line.
const serverCommands = `
	FAILOVER; FAILOVER ABORT; FAILOVER FOO; FAILOVER TIMEOUT x; FAILOVER TIMEOUT 0; FAILOVER TO a b; FAILOVER TO a 1 FORCE; FAILOVER TO a
	FAILOVER FORCE FORCE; FAILOVER TIMEOUT 1 TIMEOUT 1
	CLUSTER; CLUSTER NOSUCH; CLUSTER INFO; CLUSTER SLOTS; CLUSTER KEYSLOT a; CLUSTER HELP; READONLY; READWRITE; ASKING
	MEMORY MALLOC-STATS x; MEMORY USAGE nosuch; MEMORY USAGE a SAMPLES; MEMORY USAGE a SAMPLES -1; MEMORY PURGE; MEMORY NOSUCH
	LATENCY LATEST; LATENCY HISTORY nosuch; LATENCY RESET; LATENCY RESET a b; LATENCY NOSUCH; LATENCY HISTOGRAM nosuch
	SLOWLOG GET -2; SLOWLOG GET x; SLOWLOG GET 1 2; SLOWLOG RESET; SLOWLOG LEN; SLOWLOG NOSUCH
	OBJECT FREQ nosuch; OBJECT IDLETIME nosuch; OBJECT NOSUCH x; OBJECT ENCODING a b; OBJECT
	DEBUG SLEEP 0; DEBUG NOSUCH; DEBUG OBJECT nosuch; DEBUG SET-ACTIVE-EXPIRE 1; DEBUG ERROR "MYERR x"; DEBUG DIGEST-VALUE; DEBUG
	SET a 1; OBJECT FREQ a; DEBUG DIGEST-VALUE a nosuch; WAIT 0 0; WAIT x 0; WAIT 0 x; WAIT 0 -1; ROLE x; TIME x; DBSIZE x; LASTSAVE x
	SHUTDOWN FOO; SHUTDOWN SAVE NOSAVE; SHUTDOWN ABORT; SHUTDOWN ABORT NOW; BGSAVE FOO; SAVE x; REPLICAOF NO ONE; REPLICAOF a b c
	CLIENT KILL; CLIENT KILL ID 0; CLIENT KILL TYPE foo; CLIENT KILL FOO bar; CLIENT KILL SKIPME foo; CLIENT KILL ID 9 TYPE; CLIENT KILL a:1
	CLIENT NO-EVICT maybe; CLIENT PAUSE x; CLIENT PAUSE -1; CLIENT PAUSE 0 foo; CLIENT UNBLOCK x; CLIENT UNBLOCK 1 foo; CLIENT UNBLOCK 1 ERROR
	CLIENT TRACKING maybe; CLIENT TRACKING on PREFIX a; CLIENT TRACKING on OPTIN OPTOUT; CLIENT TRACKING on OPTIN BCAST; CLIENT CACHING yes
	CLIENT TRACKING on REDIRECT x; CLIENT TRACKING on BCAST PREFIX a PREFIX ab; CLIENT TRACKINGINFO; CLIENT GETREDIR; CLIENT REPLY foo
	CLIENT TRACKING on; CLIENT CACHING yes; CLIENT CACHING no; CLIENT CACHING maybe; CLIENT TRACKING off; CLIENT CACHING maybe
	CLIENT TRACKING on BCAST; CLIENT CACHING yes; CLIENT TRACKING off; CONFIG SET maxmemory 0 slowlog-max-len
	CONFIG SET nosuch 1; CONFIG SET maxmemory; CONFIG GET nosuch; CONFIG RESETSTAT x; CONFIG NOSUCH; CONFIG GET; COMMAND LIST FILTERBY FOO x
	COMMAND LIST FILTERBY; COMMAND COUNT x; COMMAND INFO nosuch; COMMAND DOCS nosuch; COMMAND NOSUCH; PUBSUB NUMPAT x; PUBSUB NOSUCH
	SCRIPT EXISTS; SCRIPT FLUSH foo; SCRIPT KILL; SCRIPT NOSUCH; AUTH a b c; AUTH default x; AUTH nosuch x; HELLO x; HELLO 3 AUTH default
`

// TestServerCommands compares errors and short answers of what random requests
// do not ask for.
func TestServerCommands(t *testing.T) {
	redis, ours := dial(t, startRedis(t)), dial(t, startOurs(t, *library))
	release := redis.release(t)
	for line := range strings.Lines(serverCommands) {
		for text := range strings.SplitSeq(strings.TrimSpace(line), "; ") {
			args := strings.Fields(strings.ReplaceAll(text, `"`, ""))
			if len(args) == 0 || unlike(release, args) {
				continue
			}
			a, b := redis.do(t, args...), ours.do(t, args...)
			if a.as72(release); a.flat() != b.flat() {
				t.Errorf("%s\n  redis    %s\n  kvstored %s", text, a.flat(), b.flat())
			}
		}
	}
}

// TestDebugDigest: equal data has equal digests, in both servers.
func TestDebugDigest(t *testing.T) {
	redis, ours := dial(t, startRedis(t)), dial(t, startOurs(t, *library))
	g := newGenerator(*seed)
	both := func(args ...string) (a Value) {
		t.Helper()
		a, b := redis.do(t, args...), ours.do(t, args...)
		if a.flat() != b.flat() {
			t.Errorf("%.200q\n  redis    %s\n  kvstored %s", args, a.flat(), b.flat())
		}
		return a
	}
	both("DEBUG", "DIGEST")
	seen := map[string]bool{}
	for i := range 400 {
		if i%50 == 0 {
			both("SELECT", fmt.Sprint(i/50*2%16))
		}
		both("SET", fmt.Sprint("key:", i%97), g.value())
		if i%3 == 0 {
			both("EXPIRE", fmt.Sprint("key:", i%31), "10000")
		}
		if i%20 == 0 {
			digest := both("DEBUG", "DIGEST")
			if seen[string(digest.Text)] {
				t.Errorf("%s for different data", digest.Text)
			}
			seen[string(digest.Text)] = true
			both("DEBUG", "DIGEST-VALUE", "key:1", "nosuch", "key:3")
		}
	}
}
