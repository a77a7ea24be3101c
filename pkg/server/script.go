package server

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"kvstored/pkg/batch"
	"kvstored/pkg/command"
	"kvstored/pkg/reactor"
	"kvstored/pkg/resp"
	"kvstored/pkg/script"
)

// EVAL. A script runs in its Step, on the reactor's goroutine, with the lane
// held from its first command to its last: nobody else's request comes between.
// What it calls goes through the command table like any request.
//
// A script that takes longer than BusyAfter lets the other connections have a
// turn (see busy.go), so that they hear BUSY and one of them can say SCRIPT
// KILL, and so that the watchdog's question is answered: the interpreter asks
// before every thousandth instruction whether it may go on.

// DefaultBusyAfter is Redis's busy-reply-threshold.
const DefaultBusyAfter = 5 * time.Second

// scripting is the interpreter and the script that runs. Reactor's goroutine
// only.
type scripting struct {
	w        *worker
	vm       *script.VM      // nil before the first script
	batch    *batch.Batch    // of the commands that scripts call
	session  command.Session // of the script that runs
	reply    command.Reply
	exec     *command.Exec // the Step's
	running  bool
	wrote    bool
	killed   bool
	planned  bool // this tick has a script: nobody else comes after it
	answered bool // what was carried out before the script was committed
	caching  bool // of EVAL: CLIENT CACHING came before
	at       int  // the reply of EVAL, or of EXEC, in the tick
	busy     bool // it takes long: the others have their turns
	since    time.Time
	turn     time.Time // of the others, the last one
	aside    bystander
}

func (s *scripting) close() {
	if s.batch != nil {
		s.batch.Close()
		s.aside.batch.Close()
	}
}

// machine is the interpreter, made at the first script.
func (s *scripting) machine() *script.VM {
	if s.vm == nil {
		s.vm, s.batch = script.New(), batch.New()
		s.aside = bystander{w: s.w, batch: batch.New()}
	}
	return s.vm
}

// LoadScript is SCRIPT LOAD.
func (h host) LoadScript(body []byte) (sha string, err error) {
	one, err := h.w.scripts.machine().Load(body)
	if err != nil {
		return "", err
	}
	return one.SHA, nil
}

// HasScript is SCRIPT EXISTS of one name.
func (h host) HasScript(sha string) bool {
	return h.w.scripts.vm != nil && h.w.scripts.vm.Find(sha) != nil
}

// FlushScripts is SCRIPT FLUSH. A new interpreter gives back what the old ones
// scripts have left in it.
func (h host) FlushScripts() {
	if h.w.scripts.vm != nil {
		h.w.scripts.vm = script.New()
	}
}

// find is the script of an evaluation; an error is the reply.
func (s *scripting) find(e command.Evaluation) (*script.Script, error) {
	one := s.machine().Use(e.SHA)
	if e.Body != nil {
		var err error
		if one, err = s.vm.Eval(e.Body); err != nil {
			return nil, err
		}
	}
	if one == nil {
		return nil, errors.New("NOSCRIPT No matching script. Please use EVAL.")
	}
	if e.ReadOnly && one.Flags.Declared && !one.Flags.NoWrites {
		return nil, errors.New("ERR Can not execute a script with write flag using *_ro command.")
	}
	return one, nil
}

// Eval runs a script; r is the reply of EVAL.
func (h host) Eval(x *command.Exec, r *command.Reply, e command.Evaluation) {
	s := &h.w.scripts
	out := x.W
	h.w.monitors.script(clientOf(r.Session), r)
	one, err := s.find(e)
	if err != nil {
		out.Error(err.Error())
		return
	}
	s.session = *r.Session
	s.session.DB, s.session.Proto, s.session.Multi = r.DB, 2, nil
	s.exec, s.running, s.wrote, s.killed, s.busy, s.answered, s.since = x, true, false, false, false, false, time.Now()
	s.caching, s.at = r.Caching, h.w.at
	later := x.Later
	was := h.w.s.o.Engine.Tie(true)
	s.vm.Run(script.Run{Script: one, Keys: e.Keys, Args: e.Args, ReadOnly: e.ReadOnly || one.Flags.NoWrites, Host: s, W: out})
	h.w.s.o.Engine.Tie(was)
	s.running = false
	x.W, x.Later = out, later
	if s.busy {
		s.busy = false
		h.w.s.o.Log.Info("the script has ended", zap.String("script", one.SHA), zap.Duration("took", time.Since(s.since)),
			zap.Bool("killed", s.killed))
	}
	h.w.countEvents(s.batch.Events())
	s.batch.Reset()
}

// Call carries out one command of the script.
func (s *scripting) Call(args [][]byte, proto int, readOnly bool) (reply []byte, refusal string) {
	cmd := command.Find(args)
	if refusal = cmd.Refusal(len(args), readOnly); refusal != "" {
		return nil, refusal
	}
	w, b := s.w, s.batch
	w.countEvents(b.Events())
	b.Reset()
	for i, a := range args {
		args[i] = b.Scratch.Copy(a)
	}
	s.session.Proto = proto
	c := &w.call
	c.Cmd, c.Args, c.Session, c.Batch, c.Now, c.Reply = nil, args, &s.session, b, w.now, &s.reply
	w.setNoting(b)
	command.Dispatch(c)
	r := &s.reply
	s.wrote = s.wrote || cmd.Flags&command.Write != 0
	if b.Len() > 0 {
		_ = w.carryOut(b, 0, b.Len()) // each operation says how it went
		if b.Writes() > 0 {
			w.changed(b.Writes())
			w.keepUp(b.Writes())
		}
	}
	if w.observed != 0 {
		s.tell(r, args)
	}
	out := &resp.Writer{Proto: r.Proto}
	switch {
	case r.Fixed != nil: // what is long lies where the next command's arguments will
		return bytes.Clone(r.Fixed), ""
	case r.Render != nil:
		r.Render(out, b, r)
	case r.Step != nil:
		s.step(r, out)
	}
	if n := out.Len(); n > script.MaxReply {
		w.mute(out, 0, 0)
		refusal = fmt.Sprintf("ERR the reply of %s has %d bytes, and a script takes at most %d at once", cmd.FullName(), n, script.MaxReply)
	} else {
		reply = w.flatten(out)
	}
	if r.Step != nil {
		w.inner.Reset() // it was told of
	}
	return reply, refusal
}

// Known tells whether the command of a request exists.
func (s *scripting) Known(args [][]byte) bool { return command.Find(args) != nil }

// tell tells those who watch of a command of the script.
func (s *scripting) tell(r *command.Reply, args [][]byte) {
	w, cl := s.w, clientOf(&s.session)
	n := note{reply: w.at, cl: cl, cmd: r.Cmd, to: s.batch.Len()}
	if w.observed&byTracking != 0 {
		n.keys = w.tracker.read(cl, r, args, s.caching)
	}
	if w.observed&byMonitor != 0 {
		n.line = w.monitors.line(cl, r, args, true)
	}
	w.tellGone(s.batch, nil)
	w.tellOne(&n, s.batch)
}

// step carries out a command that is a Step itself.
func (s *scripting) step(r *command.Reply, out *resp.Writer) {
	x := s.exec
	x.Start(s.w.now, out)
	x.Later = func(*command.Reply) func(func(*resp.Writer)) { return func(func(*resp.Writer)) {} }
	r.Step(x, r)
	if r.Pending { // such commands are not for scripts; whatever it is goes on by itself
		out.Error("ERR the answer of this command cannot be awaited in a script")
	}
	w := s.w
	w.changed(w.inner.Writes())
	w.countEvents(w.inner.Events())
	if w.observed != 0 {
		w.tellGone(w.inner, nil)
		w.touched(clientOf(&s.session), r.Cmd, w.inner, 0, w.inner.Len())
	}
}

// Log is redis.log.
func (s *scripting) Log(level int, text string) {
	log := s.w.s.o.Log
	field := zap.Uint64("client", s.session.ID)
	switch level {
	case 0, 1:
		log.Debug("script: "+text, field)
	case 2:
		log.Info("script: "+text, field)
	default:
		log.Warn("script: "+text, field)
	}
}

// turnEvery is how often the others have a turn while a script takes long.
const turnEvery = 2 * time.Millisecond

// Poll gives the others a turn when the script takes long, and tells whether
// it must end.
func (s *scripting) Poll() (end bool) {
	if s.killed {
		return true
	}
	now := time.Now()
	if now.Sub(s.since) < time.Duration(s.w.s.busyAfter.Load()) || now.Sub(s.turn) < turnEvery {
		return false
	}
	if !s.busy {
		s.busy = true
		s.w.s.o.Log.Warn("a script takes long: the other clients are answered BUSY",
			zap.Uint64("client", s.session.ID), zap.String("fix", "kvctl SCRIPT KILL"))
	}
	s.letGo()
	s.turn = time.Now()
	if s.w.r.Stopping() {
		s.killed = true
	}
	return s.killed
}

// letGo gives the others their turn. Those whose requests of this tick were
// carried out before the script are answered first; the tick holds nobody who
// came after it, see [worker.Parse].
func (s *scripting) letGo() {
	w := s.w
	if !s.answered {
		s.answered = true
		if w.batch.Writes() > 0 || w.wrote {
			w.wrote = true
			w.commit()
		}
	}
	w.r.Meanwhile(&s.aside, func(c *reactor.Conn) bool { return c.Data.(*client).to <= s.at })
}

// kill is SCRIPT KILL while a script runs.
func (s *scripting) kill() []byte {
	var w resp.Writer
	if s.wrote {
		w.Error("UNKILLABLE Sorry the script already executed write commands against the dataset. " +
			"You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.")
		return w.Buf
	}
	s.killed = true
	w.Status("OK")
	return w.Buf
}

// SetBusyAfter changes how long a script may run before the others are
// answered; 0: the default.
func (s *Server) SetBusyAfter(d time.Duration) {
	if d == 0 {
		d = DefaultBusyAfter
	}
	s.busyAfter.Store(int64(d))
}
