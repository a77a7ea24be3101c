package command

import (
	"strings"

	"kvstored/pkg/resp"
)

var engineHelp = []string{
	"STATUS",
	"    Return which engine serves, since when, and what came of the last swap.",
	"HOTKEYS [<count>]",
	"    Return the keys that are asked for most, with operations a second and their",
	"    share of all; a sample is always taken.",
	"LOAD [<path>]",
	"    Exchange the engine for the configured library, or for the one at <path>.",
	"CHECK <path>",
	"    Try a library in a child process and report on it.",
}

func planEngineStatus(c *Call) { c.Reply.Step = stepEngineStatus }

func stepEngineStatus(x *Exec, _ *Reply) {
	writeFields(x.W, x.Host.EngineStatus())
}

// writeFields writes a map; what is neither a number nor text is null.
func writeFields(w *resp.Writer, fields []Pair) {
	w.Map(len(fields))
	for _, f := range fields {
		w.BulkString(f.Name)
		switch v := f.Value.(type) {
		case int64:
			w.Int(v)
		case float64:
			w.Double(v)
		case string:
			w.BulkString(v)
		default:
			w.Null()
		}
	}
}

func planEngineLoad(c *Call) {
	path := ""
	switch len(c.Args) {
	case 2:
	case 3:
		path = string(c.Args[2])
	default:
		c.wrongArity()
		return
	}
	c.Reply.Step = func(x *Exec, r *Reply) {
		r.Pending = true
		answer := x.Later(r)
		x.Host.LoadEngine(path, func(text string, err error) {
			answer(func(w *resp.Writer) {
				if err != nil {
					w.Error("ERR " + oneLine(err.Error()))
					return
				}
				w.Status(oneLine(text))
			})
		})
	}
}

func planEngineCheck(c *Call) {
	path := string(c.Args[2])
	c.Reply.Step = func(x *Exec, r *Reply) {
		r.Pending = true
		answer := x.Later(r)
		x.Host.CheckEngine(path, func(report string, err error) {
			answer(func(w *resp.Writer) {
				if err != nil {
					w.Error("ERR " + oneLine(err.Error()))
					return
				}
				w.Verbatim(report)
			})
		})
	}
}

// oneLine joins the lines of a message: "\n  why: x" becomes "; why: x".
func oneLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, "; ")
}
