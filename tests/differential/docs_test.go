package differential

import (
	"fmt"
	"strings"
	"testing"

	"kvstored/pkg/command"
)

// docArgument is an argument of COMMAND DOCS without its name: those are each
// server's own where groups are meant.
func docArgument(v *Value) string {
	fields := map[string]*Value{}
	for i := 0; i+1 < len(v.Elems); i += 2 {
		fields[string(v.Elems[i].Text)] = &v.Elems[i+1]
	}
	text := func(name string) string {
		if f := fields[name]; f != nil {
			return string(f.Text)
		}
		return ""
	}
	kind := text("type")
	if kind == "pure-token" {
		kind = ""
	}
	s := text("token") + ":" + kind
	if f := fields["key_spec_index"]; f != nil {
		s += fmt.Sprintf("@%s", f.Text)
	}
	if f := fields["flags"]; f != nil {
		for i := range f.Elems {
			s += "," + string(f.Elems[i].Text)
		}
	}
	if f := fields["arguments"]; f != nil {
		s += docArguments(f)
	}
	return s
}

func docArguments(v *Value) string {
	var parts []string
	for i := range v.Elems {
		parts = append(parts, docArgument(&v.Elems[i]))
	}
	return "(" + strings.Join(parts, " ") + ")"
}

// otherArguments is the commands whose arguments differ from those of Redis
// 7.0, and why.
var otherArguments = map[string]string{
	"client|tracking": "Redis has a flag for a token that comes several times",
	"set":             "IFEQ and its like of later versions",
	"bitfield":        "Redis 7.0 writes it down wrongly; 7.2 as here",
	"bitfield_ro":     "the same",
	"client|kill":     "Redis writes another grouping",
	"client|list":     "Redis writes another grouping",
	"replicaof":       "only NO ONE is accepted",
	"slaveof":         "only NO ONE is accepted",
	"failover":        "only ABORT makes sense",
	"debug":           "Redis writes nothing down",
	"cluster":         "Redis writes its subcommands down",
	"lolwut":          "further arguments are accepted, as by Redis",
}

// argumentsOf72 is those that Redis 7.0 writes down in another way than 7.2.
var argumentsOf72 = map[string]string{
	"psubscribe":              "Redis makes a block of one argument",
	"config|get":              "Redis makes a block of one argument",
	"command|getkeys":         "Redis 7.0 writes nothing down",
	"command|getkeysandflags": "Redis 7.0 writes nothing down",
	"bitop":                   "Redis does not write down which operations there are",
	"pfmerge":                 "Redis 7.0 says that a source is needed; it is not",
}

// TestCommandDocs compares the trees of arguments.
func TestCommandDocs(t *testing.T) {
	redis, ours := dial(t, startRedis(t)), dial(t, startOurs(t, *library))
	args := func(c *conn, name string) (string, bool) {
		reply := c.do(t, "COMMAND", "DOCS", name)
		if len(reply.Elems) != 2 {
			return "", false
		}
		doc := &reply.Elems[1]
		for i := 0; i+1 < len(doc.Elems); i += 2 {
			if string(doc.Elems[i].Text) == "arguments" {
				return docArguments(&doc.Elems[i+1]), true
			}
		}
		return "()", true
	}
	same, release := 0, redis.release(t)
	check := func(name string) {
		want, known := args(redis, name)
		got, ok := args(ours, name)
		switch {
		case !ok:
			t.Errorf("COMMAND DOCS %s: nothing", name)
		case !known:
		case release < 702 && argumentsOf72[name] != "":
		case otherArguments[name] != "":
			if got == want {
				t.Errorf("COMMAND DOCS %s is the same: it need not be excepted", name)
			}
		case got != want:
			t.Errorf("COMMAND DOCS %s\n  redis    %s\n  kvstored %s", name, want, got)
		default:
			same++
		}
	}
	for _, cmd := range command.Table() {
		if cmd.Flags&(command.OnlyKvstored|command.MovableKeys) == 0 && cmd.Group != "scripting" {
			check(cmd.Name)
			for _, sub := range cmd.Subcommands {
				check(sub.FullName())
			}
		}
	}
	if same < 80 {
		t.Errorf("only %d commands were compared", same)
	}
}
