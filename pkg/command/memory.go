package command

import (
	"math"
	"strconv"
	"strings"
)

// redisUnits are the units of Redis's sizes: k is a thousand, kb is 1024.
var redisUnits = []struct {
	name  string
	bytes uint64
}{
	{"kb", 1 << 10}, {"mb", 1 << 20}, {"gb", 1 << 30}, {"k", 1e3}, {"m", 1e6}, {"g", 1e9}, {"b", 1},
}

// fromRedisBytes turns a size with a unit as Redis writes it into plain bytes;
// what is none stays as it is.
func fromRedisBytes(text string) string {
	if strings.HasSuffix(text, "K") || strings.HasSuffix(text, "M") || strings.HasSuffix(text, "G") {
		return text // ours: powers of 1024
	}
	for _, u := range redisUnits {
		number, ok := strings.CutSuffix(strings.ToLower(text), u.name)
		if !ok {
			continue
		}
		if n, err := strconv.ParseUint(number, 10, 63); err == nil && n <= math.MaxInt64/u.bytes {
			return strconv.FormatUint(n*u.bytes, 10)
		}
		return text
	}
	return text
}

// outOfMemory is what Redis says to a command that would take memory beyond
// the limit.
const outOfMemory = "OOM command not allowed when used memory > 'maxmemory'."

// needsMemory tells whether the command is refused while the data is above its
// limit: what may take memory, in a transaction all that is to be carried out
// later, and a transaction that holds such.
func (c *Call) needsMemory() bool {
	if c.Cmd.Flags&DenyOOM != 0 {
		return true
	}
	q := c.Session.Multi
	if q == nil {
		return false
	}
	switch c.Cmd.full {
	case "exec":
		return q.grows && !q.failed
	case "discard", "quit", "reset":
		return false
	}
	return true
}

// refuseFull answers a command that needs memory.
func (c *Call) refuseFull() {
	if c.Cmd.full == "exec" {
		c.abortExec("EXECABORT Transaction discarded because of: " + outOfMemory)
		return
	}
	c.Fail(outOfMemory)
}
