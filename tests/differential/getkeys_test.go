package differential

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"kvstored/pkg/command"
)

// shapes are arguments that matter to where the keys are.
var shapes = []string{
	"SET k v", "SET k v GET", "SET k v nx get ex 10", "SET k v EX GET", "SET k v EX 10", "SET k v GE", "SET k v FOO", "SET k",
	"BITFIELD k", "BITFIELD k GET u8 0", "BITFIELD k GET u8 0 GET u4 0", "BITFIELD k GET u8 0 SET u8 0 1", "BITFIELD k OVERFLOW SAT GET u8 0",
	"BITFIELD k INCRBY u8 0 1", "BITFIELD k GET", "BITFIELD k FOO", "BITFIELD k OVERFLOW", "BITFIELD k get u8 0 overflow",
	"BITFIELD_RO k GET u8 0", "BITOP AND d a b c", "BITOP AND d", "BITOP foo d a", "PFMERGE d", "PFMERGE d a b", "PFCOUNT a b c",
	"EVAL s 0", "EVAL s 1 a", "EVAL s 2 a", "EVAL s 2 a b c", "EVAL s -1", "EVAL s x", "EVAL s 1x a", "EVAL s +1 a", "EVAL s 01 a b", "EVAL s 99999999999999999999 a", "EVAL s", "EVAL s 0 a b",
	"EVALSHA s 2 a b", "EVAL_RO s 2 a b c", "EVALSHA_RO s 0", "MSET a", "MSET a 1 b", "MSET a 1 b 2", "MSETNX a 1 b 2 c", "COPY a b REPLACE",
	"RENAME a b", "RENAMENX a b c", "LCS a b LEN", "OBJECT ENCODING k", "OBJECT HELP", "OBJECT", "OBJECT nosuch k", "object freq k", "MEMORY USAGE k",
	"MEMORY", "MEMORY DOCTOR", "CLIENT LIST", "COMMAND", "COMMAND GETKEYS GET a", "CONFIG GET a", "PUBLISH a b", "SPUBLISH a b", "SSUBSCRIBE a b",
	"SUNSUBSCRIBE", "SUNSUBSCRIBE a", "SUBSCRIBE a", "WATCH a b c", "WATCH", "MULTI", "EXEC", "DEBUG OBJECT k", "SORT k", "nosuch", "nosuch a b",
	"RESTORE k 0 v REPLACE", "DUMP k", "MOVE k 1", "SWAPDB 0 1", "SCAN 0", "KEYS *", "RANDOMKEY", "TOUCH a b", "DEL a b c", "GETEX k EX 10",
	"CLUSTER", "SCRIPT", "SCRIPT LOAD s", "SCRIPT nosuch", "CLIENT|LIST", "OBJECT|ENCODING k", "PUBSUB", "PUBSUB CHANNELS a",
}

// vocabulary is what arguments at random are made of.
var vocabulary = []string{"a", "b", "c", "0", "1", "2", "3", "-1", "x", "", "GET", "get", "SET", "u8", "EX", "1", "2"}

// TestGetKeys compares COMMAND GETKEYS and GETKEYSANDFLAGS for every command
// of the table and its subcommands, errors included.
func TestGetKeys(t *testing.T) {
	redis, ours := dial(t, startRedis(t)), dial(t, startOurs(t, *library))
	release, compared := redis.release(t), 0
	compare := func(args ...string) {
		t.Helper()
		for _, sub := range []string{"GETKEYS", "GETKEYSANDFLAGS"} {
			full := append([]string{"COMMAND", sub}, args...)
			if unlike(release, full) {
				continue
			}
			compared++
			if a, b := redis.do(t, full...), ours.do(t, full...); a.flat() != b.flat() {
				t.Errorf("%q:\n  redis    %s\n  kvstored %s", full, a.flat(), b.flat())
			}
		}
	}
	for _, s := range shapes {
		if cmd := strings.ToLower(strings.Fields(s)[0]); cmd != "sort" {
			compare(strings.Fields(s)...)
		}
	}
	r := rand.New(rand.NewPCG(*seed, 3))
	random := func(name ...string) {
		if reply := redis.do(t, "COMMAND", "INFO", strings.Join(name, "|")); len(reply.Elems) != 1 || reply.Elems[0].Null() {
			return // later than this release
		}
		for n := range 60 {
			args := slices.Clone(name)
			for range n % 8 {
				args = append(args, vocabulary[r.IntN(len(vocabulary))])
			}
			compare(args...)
		}
	}
	for _, cmd := range command.Table() {
		if cmd.Flags&command.OnlyKvstored != 0 || cmd.Name == "cluster" { // its subcommands are not in our table
			continue
		}
		random(cmd.Name)
		for _, sub := range cmd.Subcommands {
			random(cmd.Name, sub.Name)
		}
	}
	if compared < 10_000 {
		t.Errorf("only %d requests were compared", compared)
	}
}
