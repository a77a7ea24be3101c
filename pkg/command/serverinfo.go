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
		w.Status("    Print this help.")
	})
}
