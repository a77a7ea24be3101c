package command

import (
	"sort"
	"strings"

	"kvstored/pkg/resp"
)

// What COMMAND says about the table, in the shapes of Redis 7.

var commandHelp = []string{
	"(no subcommand)",
	"    Return details about all commands.",
	"COUNT",
	"    Return the total number of commands in this server.",
	"LIST",
	"    Return a list of all commands in this server.",
	"INFO [<command-name> ...]",
	"    Return details about multiple commands.",
	"    If no command names are given, details for all commands are returned.",
	"DOCS [<command-name> ...]",
	"    Return documentation details about multiple commands.",
	"    If no command names are given, documentation details for all",
	"    commands are returned.",
	"GETKEYS <full-command>",
	"    Return the keys from a full command.",
	"GETKEYSANDFLAGS <full-command>",
	"    Return the keys and the access flags from a full command.",
}

func upper(s string) string { return strings.ToUpper(s) }

// named finds a command by "name" or "name|subcommand".
func named(name []byte) *Command {
	main, sub, found := strings.Cut(strings.ToLower(string(name)), "|")
	cmd := Lookup([]byte(main))
	if cmd == nil || !found {
		return cmd
	}
	return cmd.subcommand([]byte(sub))
}

// namedOrAll resolves the arguments from i on; without any it is all commands.
// Unknown names give nil.
func (c *Call) namedOrAll(i int) []*Command {
	if len(c.Args) == i {
		return Table()
	}
	var cmds []*Command
	for _, name := range c.Args[i:] {
		cmds = append(cmds, named(name))
	}
	return cmds
}

func planCommand(c *Call) {
	c.Answer(func(w *resp.Writer) { writeInfos(w, Table()) })
}

func planCommandInfo(c *Call) {
	c.Answer(func(w *resp.Writer) { writeInfos(w, c.namedOrAll(2)) })
}

func planCommandCount(c *Call) {
	c.Answer(func(w *resp.Writer) { w.Int(int64(len(Table()))) })
}

func planCommandDocs(c *Call) {
	c.Answer(func(w *resp.Writer) {
		var known []*Command
		for _, cmd := range c.namedOrAll(2) {
			if cmd != nil {
				known = append(known, cmd)
			}
		}
		writeDocs(w, known)
	})
}

func writeInfos(w *resp.Writer, cmds []*Command) {
	w.Array(len(cmds))
	for _, cmd := range cmds {
		if cmd == nil {
			w.Null()
			continue
		}
		writeInfo(w, cmd)
	}
}

// writeInfo writes the ten elements that COMMAND INFO has for a command.
func writeInfo(w *resp.Writer, cmd *Command) {
	w.Array(10)
	w.BulkString(cmd.full)
	w.Int(int64(cmd.Arity))
	writeStatuses(w, cmd.flagNames())
	w.Int(int64(cmd.FirstKey))
	w.Int(int64(cmd.LastKey))
	w.Int(int64(cmd.KeyStep))
	writeStatuses(w, cmd.categories())
	w.Set(len(cmd.Tips))
	for _, tip := range cmd.Tips {
		w.BulkString(tip)
	}
	writeKeySpecs(w, cmd)
	w.Array(len(cmd.Subcommands))
	for _, sub := range cmd.Subcommands {
		writeInfo(w, sub)
	}
}

func writeStatuses(w *resp.Writer, names []string) {
	w.Set(len(names))
	for _, name := range names {
		w.Status(name)
	}
}

var flagOrder = []struct {
	flag Flags
	name string
}{
	{Write, "write"}, {ReadOnly, "readonly"}, {DenyOOM, "denyoom"}, {Admin, "admin"}, {PubSub, "pubsub"}, {NoScript, "noscript"},
	{Blocking, "blocking"}, {Loading, "loading"}, {Stale, "stale"}, {Fast, "fast"}, {NoAuth, "no_auth"},
	{AllowBusy, "allow_busy"}, {SkipMonitor, "skip_monitor"}, {SkipSlowlog, "skip_slowlog"}, {NoAsyncLoading, "no_async_loading"}, {NoMulti, "no_multi"},
	{NoMandatoryKeys, "no_mandatory_keys"}, {MovableKeys, "movablekeys"},
}

func (cmd *Command) flagNames() []string {
	var names []string
	for _, f := range flagOrder {
		if cmd.Flags&f.flag != 0 {
			names = append(names, f.name)
		}
	}
	return names
}

// categories are the ACL categories, in Redis's order, that follow from flags
// and group.
func (cmd *Command) categories() []string {
	admin := cmd.Flags&(Admin|AdminCategory) != 0
	fast := cmd.Flags&Fast != 0
	in := []struct {
		is   bool
		name string
	}{
		{cmd.Group == "generic" && cmd.Plan != nil && !cmd.aboutConnection(), "@keyspace"},
		{cmd.Flags&ReadOnly != 0 && cmd.Group != "scripting", "@read"},
		{cmd.Flags&Write != 0, "@write"},
		{cmd.Group == "string", "@string"},
		{cmd.Group == "bitmap", "@bitmap"},
		{cmd.Group == "hyperloglog", "@hyperloglog"},
		{cmd.Flags&PubSub != 0, "@pubsub"},
		{admin, "@admin"},
		{fast, "@fast"},
		{!fast, "@slow"},
		{cmd.Flags&Blocking != 0, "@blocking"},
		{admin || cmd.Flags&Dangerous != 0, "@dangerous"},
		{cmd.aboutConnection(), "@connection"},
		{cmd.Group == "transactions", "@transaction"},
		{cmd.Group == "scripting" && cmd.full != "script", "@scripting"},
	}
	var names []string
	for _, c := range in {
		if c.is {
			names = append(names, c.name)
		}
	}
	return names
}

// aboutConnection tells whether Redis counts the command among @connection: of
// CLIENT only the subcommands, and COMMAND too.
func (cmd *Command) aboutConnection() bool {
	if cmd.Group == "connection" {
		return cmd.full != "client"
	}
	switch cmd.full {
	case "command", "wait", "waitaof", "readonly", "readwrite", "asking":
		return true
	}
	return cmd.parent != nil && cmd.parent.Name == "command"
}

// writeKeySpecs says where the keys are and what is done to them.
func writeKeySpecs(w *resp.Writer, cmd *Command) {
	if cmd.NumKeys != 0 {
		w.Set(1)
		w.Map(3)
		w.BulkString("flags")
		writeStatuses(w, strings.Fields(cmd.KeyUse))
		w.BulkString("begin_search")
		writeSpec(w, "index", "index", cmd.NumKeys)
		w.BulkString("find_keys")
		writeSpec(w, "keynum", "keynumidx", 0, "firstkey", 1, "keystep", 1)
		return
	}
	if cmd.FirstKey == 0 {
		w.Set(0)
		return
	}
	specs := cmd.keySpecs()
	w.Set(len(specs))
	for _, spec := range specs {
		w.Map(3)
		w.BulkString("flags")
		writeStatuses(w, strings.Fields(spec.use))
		w.BulkString("begin_search")
		writeSpec(w, "index", "index", spec.first)
		w.BulkString("find_keys")
		writeSpec(w, "range", "lastkey", spec.last, "keystep", cmd.KeyStep, "limit", 0)
	}
}

// writeSpec writes one half of a key specification: its type and its fields.
func writeSpec(w *resp.Writer, kind string, fields ...any) {
	w.Map(2)
	w.BulkString("type")
	w.BulkString(kind)
	w.BulkString("spec")
	w.Map(len(fields) / 2)
	for _, f := range fields {
		switch f := f.(type) {
		case string:
			w.BulkString(f)
		case int:
			w.Int(int64(f))
		}
	}
}

// planCommandList lists all names, or those that a filter leaves.
func planCommandList(c *Call) {
	keep := func(*Command) bool { return true }
	switch {
	case len(c.Args) == 2:
	case len(c.Args) == 5 && isWord(c.Args[2], "filterby") && isWord(c.Args[3], "pattern"):
		pattern := c.Args[4]
		keep = func(cmd *Command) bool { return Match(pattern, []byte(cmd.full), true) }
	case len(c.Args) == 5 && isWord(c.Args[2], "filterby") && isWord(c.Args[3], "aclcat"):
		category := "@" + strings.ToLower(string(c.Args[4]))
		keep = func(cmd *Command) bool {
			for _, name := range cmd.categories() {
				if name == category {
					return true
				}
			}
			return false
		}
	case len(c.Args) == 5 && isWord(c.Args[2], "filterby") && isWord(c.Args[3], "module"):
		keep = func(*Command) bool { return false }
	default:
		c.Fail(syntaxError)
		return
	}
	var names []string
	for _, cmd := range Table() {
		for _, one := range append([]*Command{cmd}, cmd.Subcommands...) {
			if keep(one) && (one.parent == nil || len(c.Args) > 2) {
				names = append(names, one.full)
			}
		}
	}
	sort.Strings(names)
	c.Answer(func(w *resp.Writer) {
		w.Array(len(names))
		for _, name := range names {
			w.BulkString(name)
		}
	})
}

// Parent is the command of a subcommand, else nil.
func (cmd *Command) Parent() *Command { return cmd.parent }
