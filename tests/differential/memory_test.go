package differential

import (
	"testing"

	"kvstored/pkg/engine"
)

// Above the limit, with nothing to be removed, both refuse and allow the same
// commands with the same words; below it again all goes on.
func TestNoEviction(t *testing.T) {
	if *socket != "" {
		t.Skip("the limit is set in this process: not with -socket")
	}
	theirs := startRedis(t)
	redis, admin := dial(t, theirs), dial(t, theirs)
	release := redis.release(t)
	path, host := startHost(t, *library)
	ours := dial(t, path)
	both := func(args ...string) {
		t.Helper()
		r, o := redis.do(t, args...), ours.do(t, args...)
		if r.flat() != o.flat() {
			t.Errorf("%q: Redis answers %s, we %s", args, r.flat(), o.flat())
		}
	}
	both("MSET", "a", "1", "b", "two", "c", "3")
	redis.do(t, "CONFIG", "SET", "maxmemory", "1")
	if err := host.SetLimit(engine.Limit{MaxMemory: 1}); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"SET", "a", "2"}, {"GET", "a"}, {"MSET", "x", "1"}, {"MSETNX", "x", "1"}, {"SETNX", "x", "1"}, {"SETEX", "x", "9", "1"},
		{"PSETEX", "x", "9", "1"}, {"GETSET", "a", "1"}, {"APPEND", "b", "x"}, {"SETRANGE", "b", "0", "T"}, {"INCR", "a"},
		{"DECR", "a"}, {"INCRBY", "a", "2"}, {"DECRBY", "a", "2"}, {"INCRBYFLOAT", "a", "2"}, {"COPY", "a", "z"},
		{"RENAME", "a", "d"}, {"RENAMENX", "d", "a"}, {"EXPIRE", "a", "100"}, {"PERSIST", "a"}, {"GETEX", "a", "EX", "9"},
		{"GETDEL", "c"}, {"STRLEN", "b"}, {"MGET", "a", "b", "c"}, {"DEL", "a"}, {"SET", "a"}, {"DBSIZE"},
		{"MULTI"}, {"GET", "b"}, {"EXEC"}, {"MULTI"}, {"SET", "b", "1"}, {"DISCARD"}, {"MULTI"}, {"EXEC"}, {"MULTI"},
		{"WATCH", "b"}, {"EXEC"}, {"CONFIG", "GET", "maxmemory"}, {"CONFIG", "GET", "maxmemory-policy"},
	} {
		if args[0] == "MULTI" && release > 702 {
			break // later releases refuse inside only what needs memory
		}
		both(args...)
	}
	lift := func(bytes string, l engine.Limit) {
		admin.do(t, "CONFIG", "SET", "maxmemory", bytes)
		if err := host.SetLimit(l); err != nil {
			t.Fatal(err)
		}
	}
	lift("0", engine.Limit{})
	both("MULTI")
	both("SET", "b", "1")
	both("GET", "b")
	lift("1", engine.Limit{MaxMemory: 1})
	both("EXEC")
	both("GET", "b")
	lift("0", engine.Limit{})
	both("SET", "b", "2")
	both("INCR", "b")
}
