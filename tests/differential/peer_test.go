package differential

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// What decides is Redis 7.2. Debian 12 has 7.0 and Debian 13 has 8.0, so that
// either is compared with here, and what each does in another way than 7.2 is
// listed below: nothing else is excused.

// release is the version of the server that ours is compared with: 7.2 is 702.
// A Valkey says which Redis it stands for.
func (c *conn) release(t *testing.T) int {
	t.Helper()
	info := c.do(t, "INFO", "server")
	for line := range strings.Lines(string(info.Text)) {
		var major, minor int
		if n, _ := fmt.Sscanf(line, "redis_version:%d.%d", &major, &minor); n == 2 {
			return major*100 + minor
		}
	}
	t.Fatalf("INFO server names no redis_version: %.200q", info.Text)
	return 0
}

// oddity is what releases from first to last answer in another way than 7.2.
type oddity struct {
	first, last int
	why         string
	of          func(args []string, redis, ours *Value) bool
}

var oddities = []oddity{
	{700, 700, "the last line of HELP is another", func(args []string, redis, ours *Value) bool {
		if n := len(redis.Elems); n > 0 && string(redis.Elems[n-1].Text) == "    Prints this help." {
			redis.Elems[n-1].Text = []byte("    Print this help.")
		}
		return redis.Equal(ours)
	}},
}

// odd tells whether what differs is known of that release.
func odd(release int, args []string, redis, ours *Value) bool {
	return slices.ContainsFunc(oddities, func(o oddity) bool {
		return release >= o.first && release <= o.last && o.of(args, redis, ours)
	})
}

// unlike are requests that releases up to 7.0 refuse or accept in another way,
// so that all that follows in a transaction would differ: they are not sent.
func unlike(release int, args []string) bool {
	return release < 702 && len(args) == 3 && args[0] == "COMMAND" && args[1] == "GETKEYS"
}

// oddInfo tells whether an element of COMMAND INFO is known to differ.
func oddInfo(release int, name string, element int) bool {
	const arity, flags, tips = 1, 2, 7
	if release >= 702 {
		return false
	}
	switch name {
	case "msetnx", "scan", "randomkey", "client|setname", "config|resetstat", "config|rewrite", "latency|reset":
		return element == tips
	case "wait":
		return element == flags
	case "command|getkeys", "command|getkeysandflags":
		return element == arity
	}
	return false
}
