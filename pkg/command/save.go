package command

import "kvstored/pkg/resp"

// SAVE, BGSAVE and LASTSAVE: the engine writes its snapshot beside what it
// serves, so SAVE, too, keeps nobody waiting but its own client.

func planSave(c *Call) {
	c.Reply.Step = func(x *Exec, r *Reply) {
		answer := x.Later(r)
		err := x.Host.Save(func(err error) {
			answer(func(w *resp.Writer) {
				if err != nil {
					w.Error("ERR " + oneLine(err.Error()))
					return
				}
				w.Status("OK")
			})
		})
		if err != nil {
			x.W.Error("ERR " + oneLine(err.Error()))
			return
		}
		r.Pending = true
	}
}

func planBgsave(c *Call) {
	if len(c.Args) > 2 || len(c.Args) == 2 && !isWord(c.Args[1], "schedule") {
		c.Fail(syntaxError)
		return
	}
	c.Reply.Step = func(x *Exec, _ *Reply) {
		if err := x.Host.Save(nil); err != nil {
			x.W.Error("ERR " + oneLine(err.Error()))
			return
		}
		x.W.Status("Background saving started")
	}
}

func planLastsave(c *Call) {
	c.Reply.Step = func(x *Exec, _ *Reply) { x.W.Int(x.Host.LastSave()) }
}
