package differential

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// How a reply is compared, and why not byte for byte.
//
// Errors are always compared byte for byte, whatever the rule.
type rule struct {
	of   string // the commands
	name string
	why  string
	same func(redis, ours *Value) bool
	// unit is for times: how many milliseconds one is; same is not used then.
	unit int64
}

var (
	exact = &rule{name: "bytes", why: "", same: func(r, o *Value) bool { return r.Equal(o) }}

	asSet = &rule{of: "KEYS", name: "set", why: "the order of keys is each server's own", same: func(r, o *Value) bool {
		return r.Kind == o.Kind && slices.Equal(r.Sorted(), o.Sorted())
	}}

	asScan = &rule{of: "SCAN COUNT 100000", name: "cursor 0 and set", why: "as KEYS; one step that looks at everything", same: func(r, o *Value) bool {
		return len(r.Elems) == 2 && len(o.Elems) == 2 && r.Elems[0].Equal(&o.Elems[0]) &&
			asSet.same(&r.Elems[1], &o.Elems[1])
	}}

	asStep = &rule{of: "SCAN", name: "shape", why: "where a step ends is each server's own; whole walks are compared apart",
		same: func(r, o *Value) bool {
			return len(r.Elems) == 2 && len(o.Elems) == 2 && o.Elems[0].Kind == '$' && isNumber(o.Elems[0].Text) &&
				o.Elems[1].Kind == '*'
		}}

	seconds = &rule{of: "TTL EXPIRETIME", name: "about the same time (s)", unit: 1000,
		why: "each server reads its own clock: within 2 s and what the exchange took"}
	millis = &rule{of: "PTTL PEXPIRETIME", name: "about the same time (ms)", unit: 1, why: "as above"}

	asNull = &rule{of: "RANDOMKEY", name: "null or bulk", why: "which key comes is random", same: func(r, o *Value) bool {
		return r.Null() == o.Null() && (o.Null() || o.Kind == '$')
	}}

	asCount = &rule{of: "DBSIZE", name: "integer", why: "expired keys count until they are removed, in both; compared exactly when settled",
		same: func(r, o *Value) bool {
			n, ok := o.Int()
			return ok && n >= 0 && r.Kind == ':'
		}}

	asNumber = &rule{of: "CLIENT ID, COMMAND COUNT", name: "integer", why: "each server's own count or id", same: func(r, o *Value) bool {
		_, ok := o.Int()
		return ok && r.Kind == ':'
	}}

	asTime = &rule{of: "TIME", name: "two numbers", why: "the time", same: func(r, o *Value) bool {
		return o.Kind == r.Kind && len(o.Elems) == 2 && isNumber(o.Elems[0].Text) && isNumber(o.Elems[1].Text)
	}}

	asText = &rule{of: "INFO", name: "kind", why: "each server's own figures", same: func(r, o *Value) bool {
		return r.Kind == o.Kind && len(o.Text) > 0
	}}

	asMap = &rule{of: "CONFIG GET", name: "kind", why: "each server's own settings", same: func(r, o *Value) bool { return r.Kind == o.Kind }}

	asHello = &rule{of: "HELLO", name: "fields", why: "server, version and id are each server's own", same: sameHello}

	asClient = &rule{of: "CLIENT LIST, CLIENT INFO", name: "field names", why: "each server's own figures; lib-name and lib-ver came after Redis 7.0",
		same: func(r, o *Value) bool {
			return r.Kind == o.Kind && strings.HasPrefix(fieldNames(o.Text), fieldNames(r.Text))
		}}
)

// compare applies the rule. slack is how many milliseconds apart the clock
// readings of the two servers can be.
func (u *rule) compare(redis, ours *Value, slack int64) bool {
	if redis.Kind == '-' || ours.Kind == '-' {
		return redis.Equal(ours)
	}
	if u.unit != 0 {
		return near(redis, ours, (2000+slack)/u.unit)
	}
	return u.same(redis, ours)
}

// near compares two numbers; what is not positive has a meaning of its own.
func near(r, o *Value, tolerance int64) bool {
	a, ok1 := r.Int()
	b, ok2 := o.Int()
	if !ok1 || !ok2 {
		return false
	}
	if a <= 0 || b <= 0 {
		return a == b
	}
	return max(a, b)-min(a, b) <= tolerance
}

func isNumber(b []byte) bool {
	_, err := strconv.ParseUint(string(b), 10, 64)
	return err == nil
}

func sameHello(r, o *Value) bool {
	if r.Kind != o.Kind || len(r.Elems) != len(o.Elems) {
		return false
	}
	for i := 0; i+1 < len(r.Elems); i += 2 {
		if !r.Elems[i].Equal(&o.Elems[i]) {
			return false
		}
		switch string(r.Elems[i].Text) {
		case "server", "version", "id", "modules":
			if r.Elems[i+1].Kind != o.Elems[i+1].Kind {
				return false
			}
		default:
			if !r.Elems[i+1].Equal(&o.Elems[i+1]) {
				return false
			}
		}
	}
	return true
}

// fieldNames is the names of name=value fields of the first line.
func fieldNames(text []byte) string {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	var names []string
	for _, field := range strings.Fields(string(line)) {
		switch name, _, _ := strings.Cut(field, "="); name {
		case "watch", "io-thread", "tot-net-in", "tot-net-out", "tot-cmds": // since Redis 7.4 and 8.0
		default:
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

// flat writes a reply with the elements of arrays of simple strings, which
// are sets, in order.
func (v *Value) flat() string {
	var parts []string
	unordered := len(v.Elems) > 0
	for i := range v.Elems {
		parts = append(parts, v.Elems[i].flat())
		unordered = unordered && v.Elems[i].Kind == '+'
	}
	if unordered {
		slices.Sort(parts)
	}
	return fmt.Sprintf("%c%q%v", v.Kind, v.Text, parts)
}
