package command

import (
	"strconv"

	"kvstored/pkg/resp"
)

// planTime answers with the tick's time. Redis, too, takes one time for all
// of what it does in a turn of its loop.
func planTime(c *Call) {
	c.Answer(func(w *resp.Writer) {
		w.Array(2)
		w.BulkString(strconv.FormatInt(c.Now/1000, 10))
		w.BulkString(strconv.FormatInt(c.Now%1000*1000, 10))
	})
}

func planInfo(c *Call) {
	var sections []string
	for _, a := range c.Args[1:] {
		sections = append(sections, string(a))
	}
	c.Reply.Step = func(x *Exec, _ *Reply) { x.W.Verbatim(x.Host.Info(sections)) }
}

var configHelp = []string{
	"GET <pattern>",
	"    Return parameters matching the glob-like <pattern> and their values.",
}

func planConfigGet(c *Call) {
	var patterns []string
	for _, a := range c.Args[2:] {
		patterns = append(patterns, string(a))
	}
	c.Reply.Step = func(x *Exec, _ *Reply) {
		fields := append(x.Host.Config(patterns), redisConfig(patterns)...)
		x.W.Map(len(fields) / 2)
		for _, f := range fields {
			x.W.BulkString(f)
		}
	}
}

// redisSettings are the settings of Redis that programs ask for, with what is
// true here: redis-benchmark and several client libraries want an answer.
var redisSettings = [][2]string{
	{"appendonly", "no"},
	{"client-query-buffer-limit", "1073741824"},
	{"databases", "16"},
	{"maxmemory", "0"},
	{"maxmemory-policy", "noeviction"},
	{"notify-keyspace-events", ""},
	{"port", "0"},
	{"proto-max-bulk-len", "536870912"},
	{"requirepass", ""},
	{"save", ""},
	{"timeout", "0"},
}

// redisConfig is those whose names match, as name, value, name, value.
func redisConfig(patterns []string) []string {
	var found []string
	for _, s := range redisSettings {
		for _, p := range patterns {
			if Match([]byte(p), []byte(s[0]), true) {
				found = append(found, s[0], s[1])
				break
			}
		}
	}
	return found
}

// planConfigChange answers for the settings' other subcommands.
func planConfigChange(c *Call) {
	c.Fail("ERR settings are not changed over the socket; why: they are the administrator's; " +
		"fix: edit /etc/kvstored/kvstored.conf, then sudo systemctl reload kvstored")
}

// planHelp answers HELP of the command that c.Cmd is a subcommand of, in
// Redis's form.
func planHelp(c *Call) {
	parent := c.Cmd.parent
	c.Answer(func(w *resp.Writer) {
		w.Array(len(parent.Help) + 3)
		w.Status(upper(parent.Name) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
		for _, line := range parent.Help {
			w.Status(line)
		}
		w.Status("HELP")
		w.Status("    Prints this help.")
	})
}
