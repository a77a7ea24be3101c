package differential

import (
	"fmt"
	"strconv"
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

// oddity is what releases from first to last answer in another way than 7.2;
// mend makes of it what 7.2 answers, in any value of a reply: those of a
// transaction hold others.
type oddity struct {
	first, last int
	why         string
	mend        func(v *Value)
}

var oddities = []oddity{
	{700, 700, "the last line of HELP is another", func(v *Value) {
		if v.Kind == '+' && string(v.Text) == "    Prints this help." {
			v.Text = []byte("    Print this help.")
		}
	}},
}

// as72 makes of what a release answers what 7.2 would.
func (v *Value) as72(release int) {
	for _, o := range oddities {
		if release >= o.first && release <= o.last {
			o.mend(v)
		}
	}
	for i := range v.Elems {
		v.Elems[i].as72(release)
	}
}

// unlike are requests that a release refuses or accepts in another way than
// 7.2, so that all that follows in a transaction would differ: they are not sent.
func unlike(release int, args []string) bool {
	switch name := strings.ToUpper(args[0]); {
	case release < 702:
		return name == "COMMAND" && len(args) == 3 && strings.HasPrefix(strings.ToUpper(args[1]), "GETKEYS")
	case release > 702:
		switch name {
		case "BITCOUNT", "BITPOS":
			return !goodRange(name, args)
		case "RESTORE": // a time to live beyond 64 bits is kept, not over
			return len(args) > 2 && len(args[2]) > 18
		case "SCAN": // blanks before a cursor, and when a bad one is complained of
			return len(args) > 1 && !canonical(args[1])
		}
	}
	return false
}

// canonical tells whether text is a number as a program writes it.
func canonical(text string) bool {
	n, err := strconv.ParseInt(text, 10, 64)
	return err == nil && strconv.FormatInt(n, 10) == text
}

// goodRange tells whether nothing is wrong with the arguments of BITCOUNT or
// BITPOS: later releases look at them before they look for the key.
func goodRange(name string, args []string) bool {
	rest := args[min(2, len(args)):]
	if len(rest) > 0 && name == "BITPOS" {
		if rest[0] != "0" && rest[0] != "1" {
			return false
		}
		rest = rest[1:]
	}
	if len(rest) == 3 {
		if unit := strings.ToUpper(rest[2]); unit != "BYTE" && unit != "BIT" {
			return false
		}
		rest = rest[:2]
	} else if name == "BITCOUNT" && len(rest) == 1 || len(rest) > 3 {
		return false
	}
	for _, text := range rest {
		if !canonical(text) {
			return false
		}
	}
	return true
}

// oddInfo tells whether an element of COMMAND INFO is known to differ.
func oddInfo(release int, name string, element int) bool {
	const arity, flags, categories, tips = 1, 2, 6, 7
	switch {
	case release == 702:
		return false
	case release > 702:
		return name == "wait" && (element == flags || element == categories)
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
