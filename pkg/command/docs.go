package command

import (
	"strings"

	"kvstored/pkg/resp"
)

// COMMAND DOCS: what the table, and the two lists here, say of a command.

// deprecated is the commands that Redis advises against: since when, and what
// to use instead.
var deprecated = map[string][2]string{
	"getset":  {"6.2.0", "`SET` with the `!GET` argument"},
	"psetex":  {"2.6.12", "`SET` with the `PX` argument"},
	"quit":    {"7.2.0", "just closing the connection"},
	"setex":   {"2.6.12", "`SET` with the `EX` argument"},
	"setnx":   {"2.6.12", "`SET` with the `NX` argument"},
	"substr":  {"2.0.0", "`GETRANGE`"},
	"slaveof": {"5.0.0", "`REPLICAOF`"},
}

// costs is what commands cost where it is not the same for all arguments; the
// others cost O(1). N is what the text says.
var costs = map[string]string{
	"O(N), N being the number of keys":                                                             "mget mset msetnx del unlink exists touch watch",
	"O(N), N being the length of the value":                                                        "getrange substr bitcount bitpos dump restore lcs",
	"O(N), N being the length of the longest value":                                                "bitop",
	"O(N), N being the number of operations":                                                       "bitfield bitfield_ro",
	"O(1), and O(N) for a value of N bytes that must grow":                                         "append setrange setbit",
	"O(N), N being the number of elements":                                                         "pfadd",
	"O(N), N being the number of keys, with a large factor":                                        "pfcount pfmerge",
	"O(N), N being the number of keys in the database":                                             "keys",
	"O(1) for each call; O(N) for all calls of a walk, N being the number of keys in the database": "scan",
	"O(1): all of a database goes at once":                                                         "flushdb flushall",
	"O(1), and O(N) for a value of N bytes":                                                        "copy rename renamenx",
	"O(N), N being the number of keys in both databases":                                           "swapdb",
	"O(N), N being the number of requests, besides what they cost":                                 "exec",
	"O(N), N being the number of watched keys":                                                     "unwatch",
	"O(N), N being the number of requests that waited":                                             "discard",
	"O(N+M), N being the subscribers of the channel and M the patterns of all":                     "publish",
	"O(N), N being the number of channels":                                                         "subscribe unsubscribe ssubscribe sunsubscribe",
	"O(N), N being the number of patterns":                                                         "psubscribe punsubscribe",
	"O(N), N being the number of clients":                                                          "client|list client|kill client|unpause",
	"O(N), N being the number of commands":                                                         "command command|list command|info command|docs latency|histogram",
	"O(N), N being the number of arguments":                                                        "command|getkeys command|getkeysandflags",
	"O(N), N being the number of settings":                                                         "config|get config|set config|rewrite",
	"O(N), N being the number of entries":                                                          "slowlog|get slowlog|reset",
	"O(N), N being the size of the data, while clients are served":                                 "engine|load",
	"it depends on the subcommand":                                                                 "debug",
}

// cost is what a command costs; "" for one that only has subcommands.
func (cmd *Command) cost() string {
	if cmd.Plan == nil {
		return ""
	}
	for text, names := range costs {
		for name := range strings.FieldsSeq(names) {
			if name == cmd.full {
				return text
			}
		}
	}
	return "O(1)"
}

func writeDocs(w *resp.Writer, cmds []*Command) {
	w.Map(len(cmds))
	for _, cmd := range cmds {
		w.BulkString(cmd.full)
		writeDoc(w, cmd)
	}
}

// writeDoc writes what is known of one command, in the order of Redis.
func writeDoc(w *resp.Writer, cmd *Command) {
	cost, args, old := cmd.cost(), cmd.Arguments(), deprecated[cmd.full]
	n := 3
	for _, there := range []bool{cost != "", old[0] != "", old[0] != "", old[0] != "", len(args) > 0, cmd.Subcommands != nil} {
		n += btoi(there)
	}
	w.Map(n)
	texts(w, "summary", cmd.Summary, "since", cmd.Since, "group", cmd.Group)
	if cost != "" {
		texts(w, "complexity", cost)
	}
	if old[0] != "" {
		w.BulkString("doc_flags")
		writeStatuses(w, []string{"deprecated"})
		texts(w, "deprecated_since", old[0], "replaced_by", old[1])
	}
	if len(args) > 0 {
		w.BulkString("arguments")
		specs := -1
		writeArguments(w, cmd, args, &specs)
	}
	if cmd.Subcommands != nil {
		w.BulkString("subcommands")
		writeDocs(w, cmd.Subcommands)
	}
}

func texts(w *resp.Writer, all ...string) {
	for _, s := range all {
		w.BulkString(s)
	}
}

// writeArguments writes a list of arguments; spec counts the keys so far.
func writeArguments(w *resp.Writer, cmd *Command, args []Argument, spec *int) {
	w.Array(len(args))
	for i := range args {
		writeArgument(w, cmd, &args[i], spec)
	}
}

func writeArgument(w *resp.Writer, cmd *Command, a *Argument, spec *int) {
	var flags []string
	if a.Optional {
		flags = append(flags, "optional")
	}
	if a.Multiple {
		flags = append(flags, "multiple")
	}
	isKey := a.Kind == "key" && cmd.FirstKey != 0
	n := 2
	for _, there := range []bool{isKey, a.Token != "", flags != nil, a.Parts != nil} {
		n += btoi(there)
	}
	w.Map(n)
	texts(w, "name", a.Name, "type", a.Kind)
	if isKey {
		*spec = min(*spec+1, strings.Count(cmd.KeyUse, "; "))
		w.BulkString("key_spec_index")
		w.Int(int64(*spec))
	}
	if a.Token != "" {
		texts(w, "token", a.Token)
	}
	if flags != nil {
		w.BulkString("flags")
		writeStatuses(w, flags)
	}
	if a.Parts != nil {
		w.BulkString("arguments")
		writeArguments(w, cmd, a.Parts, spec)
	}
}
