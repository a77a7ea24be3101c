// Package script runs Lua scripts as Redis does: EVAL's half that is not
// storage. It knows no sockets, no engine and no command table; what a script
// asks of the server goes through [Host].
//
//	vm := script.New()
//	s, err := vm.Load(body)
//	vm.Run(script.Run{Script: s, Keys: keys, Args: args, Host: host, W: &w})
//
// A [VM] belongs to one goroutine. All scripts share its globals, which they
// can read and not change. Strings that a script makes are bounded, so is what
// it holds in all; how long it runs is for the host to say, see [Host].Poll.
package script

import (
	"container/list"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"runtime/metrics"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"

	"kvstored/pkg/resp"
)

// Host is what a script needs of the server. All of it is called from Run.
type Host interface {
	// Call carries out one command and returns its reply in RESP2 or 3, which
	// does not change any more and has at most MaxReply bytes. refusal is why
	// it was not even begun, or why there is no reply: it starts with a code.
	Call(args [][]byte, proto int, readOnly bool) (reply []byte, refusal string)
	// Known tells whether the command of a request exists.
	Known(args [][]byte) bool
	// Log writes a line to the log; level is 0 (debug) to 3 (warning).
	Log(level int, text string)
	// Poll is called now and then while a script runs; true ends it.
	Poll() (end bool)
}

// Limits of scripts.
const (
	maxText    = 1 << 20           // bytes of a script's text: its tree takes a hundred times as many
	maxString  = 512 << 20         // bytes of a string that a script makes
	MaxReply   = maxString + 1<<10 // bytes of a command's reply: one string, the longest
	maxGrowth  = 1 << 30           // bytes that the heap may grow while one runs
	pollEvery  = 1 << 10           // instructions
	weighEvery = 1 << 14
	weighMade  = 64 << 20 // bytes of strings
)

const chunkName = "user_script"

// Flags are the words after flags= in the first line of a script.
type Flags struct {
	Declared bool // the script has such a line
	NoWrites bool
}

// Script is a compiled script.
type Script struct {
	SHA   string
	Flags Flags
	fn    *lua.LFunction

	scopes scopes
	size   int           // see footprint
	kept   bool          // until SCRIPT FLUSH
	loose  *list.Element // of those that may go; nil: it is none of them, or has gone
}

// VM is the interpreter and the scripts that it knows.
type VM struct {
	state   *lua.LState
	globals *lua.LTable // what scripts see, behind
	env     *lua.LTable // which lets nobody write
	fixed   map[*lua.LTable]bool
	null    *lua.LUserData // cjson.null
	scripts cache
	ticks   ticker
	run     *Run
	random  uint64
	proto   int // of redis.setresp
	calls   int // nested protected calls and resumed threads
	below   int // functions that wait for threads that were resumed

	nextFunction lua.LValue
	args         [][]byte
}

// Run is one execution.
type Run struct {
	Script   *Script
	Keys     [][]byte
	Args     [][]byte
	ReadOnly bool
	Host     Host
	W        *resp.Writer // takes the reply
}

// New returns an interpreter without scripts.
func New() *VM {
	v := &VM{scripts: newCache(), fixed: map[*lua.LTable]bool{}, random: seedOfRandom}
	v.state = lua.NewState(lua.Options{SkipOpenLibs: true, CallStackSize: 8192, MinimizeStackMemory: true,
		RegistrySize: 4096, RegistryMaxSize: 1 << 20, RegistryGrowStep: 4096})
	v.ticks.vm, v.ticks.growth = v, maxGrowth
	v.ticks.sample[0].Name = "/memory/classes/heap/objects:bytes"
	v.state.SetContext(&v.ticks)
	v.furnish()
	return v
}

// SHA is the name of a script.
func SHA(body []byte) string {
	sum := sha1.Sum(body)
	return hex.EncodeToString(sum[:])
}

// compile makes a script of a text. The error is what Redis answers.
func (v *VM) compile(body []byte) (*Script, error) {
	text := string(body)
	flags, err := shebang(text)
	if err != nil {
		return nil, err
	}
	if flags.Declared { // its line stays, empty, for the numbers of lines
		_, rest, _ := strings.Cut(text, "\n")
		text = "\n" + rest
	}
	fn, scopes, err := v.function(text, chunkName)
	if err != nil {
		return nil, fmt.Errorf("ERR Error compiling script (new function): %w", err)
	}
	trim(fn.Proto)
	return &Script{SHA: SHA(body), Flags: flags, fn: fn, scopes: scopes}, nil
}

// function compiles a text. The rules of Lua 5.1 come first: the interpreter's
// parser takes more. What compilers do with text that nobody foresaw must not
// end the daemon.
func (v *VM) function(text, name string) (fn *lua.LFunction, s scopes, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = unforeseen(name, fmt.Errorf("%v", r))
		}
	}()
	if strings.HasPrefix(text, "\x1b") {
		return nil, nil, errors.New(name + ": precompiled scripts are not taken")
	}
	if len(text) > maxText {
		return nil, nil, fmt.Errorf("%s: chunk is too long: %d bytes, at most %d", name, len(text), maxText)
	}
	if message := mistake(name, text); message != "" {
		return nil, nil, errors.New(message)
	}
	chunk, err := parse.Parse(strings.NewReader(text), name)
	if err != nil {
		return nil, nil, unforeseen(name, err)
	}
	rewrite(chunk)
	proto, err := lua.Compile(chunk, name)
	if err != nil {
		return nil, nil, unforeseen(name, err)
	}
	fn = v.state.NewFunctionFromProto(proto)
	fn.Env = v.env
	return fn, newScopes(chunk, proto), nil
}

// shebang reads the first line when it starts with "#!".
func shebang(text string) (Flags, error) {
	if !strings.HasPrefix(text, "#!") {
		return Flags{}, nil
	}
	line, _, found := strings.Cut(text, "\n")
	words := strings.Fields(line[2:])
	switch {
	case !found || len(words) == 0:
		return Flags{}, errors.New("ERR Invalid script shebang")
	case words[0] != "lua":
		return Flags{}, fmt.Errorf("ERR Unexpected engine in script shebang: #!%s", words[0])
	}
	f := Flags{Declared: true}
	for _, word := range words[1:] {
		list, ok := strings.CutPrefix(word, "flags=")
		if !ok {
			return Flags{}, fmt.Errorf("ERR Unknown lua shebang option: %s", word)
		}
		for _, flag := range strings.Split(list, ",") {
			switch flag {
			case "":
			case "no-writes":
				f.NoWrites = true
			case "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys":
			default:
				return Flags{}, fmt.Errorf("ERR Unexpected flag in script shebang: %s", flag)
			}
		}
	}
	return f, nil
}

// Run runs a script and writes its reply.
func (v *VM) Run(r Run) {
	v.run, v.proto, v.calls, v.below = &r, 2, 0, 0
	v.ticks.start()
	v.globals.RawSetString("KEYS", v.list(r.Keys))
	v.globals.RawSetString("ARGV", v.list(r.Args))
	L := v.state
	top := L.GetTop()
	L.Push(r.Script.fn)
	e, failed := v.protect(L, 0, 1, v.onError)
	if failed {
		v.failure(r.W, e)
	} else {
		v.reply(r.W, L.Get(-1))
	}
	L.SetTop(top)
	v.ticks.end = nil
	v.run = nil
	for i := range v.args {
		v.args[i] = nil
	}
}

// failure writes the error that ended a script.
func (v *VM) failure(w *resp.Writer, e lua.LValue) {
	table, ok := e.(*lua.LTable)
	if !ok {
		w.Error("ERR " + shortened(e.String()))
		return
	}
	text, _ := errorText(table)
	text = shortened(text)
	if source, line := table.RawGetString("source"), table.RawGetString("line"); source != lua.LNil && line != lua.LNil {
		text += fmt.Sprintf(" script: %s, on %s:%s.", v.run.Script.SHA, source, line)
	}
	w.Error(text)
}

// maxError is how long an error is that ends a script.
const maxError = 1 << 20

func shortened(text string) string { return text[:min(len(text), maxError)] }

// list is a Lua table of strings.
func (v *VM) list(items [][]byte) *lua.LTable {
	t := v.state.CreateTable(len(items), 0)
	for _, item := range items {
		t.Append(lua.LString(item))
	}
	return t
}

// ticker is the context of the interpreter, which asks it before every
// instruction whether to go on: the one place where a loop can be ended.
type ticker struct {
	vm     *VM
	count  uint64
	next   uint64 // when to look
	made   int    // bytes of strings since the heap was weighed
	end    error  // why the script must end
	weight uint64 // of the heap at the beginning
	growth uint64 // bytes that it may grow
	heavy  bool   // it has grown so much that it is weighed at each look
	ahead  uint64 // bytes that a builtin is about to take
	sample [1]metrics.Sample
}

var ended = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// start readies the ticker for a run.
func (t *ticker) start() {
	t.count, t.next, t.made, t.end, t.weight, t.ahead, t.heavy = 0, pollEvery, 0, nil, 0, 0, false
}

// make counts bytes of a string that was made: a few instructions can make
// more than a thousand others.
func (t *ticker) make(n int) {
	if t.made += n; t.made > weighMade {
		t.next = 0
	}
}

// room ends a builtin that would make a string of n bytes or more in all when
// that is too large; it is asked before n bytes are made, since they may be many.
func (v *VM) room(L *lua.LState, n int) {
	if n > maxString {
		raise(L, "resulting string too large")
	}
}

// grown is room, and a step, in a loop over bytes that is at byte i.
func (v *VM) grown(L *lua.LState, i, n int) {
	if i&(pollEvery-1) == 0 {
		v.ticks.step(L)
		v.room(L, n)
	}
}

// spend counts n bytes that a builtin is about to take, and ends it when the
// script holds too much. Small ones are seen at the next instruction.
func (v *VM) spend(L *lua.LState, n int) {
	v.ticks.make(n)
	if v.ticks.next == 0 {
		v.ticks.ahead = uint64(n)
		v.ticks.step(L)
		v.ticks.ahead = 0
	}
}

// work counts bytes that a builtin goes through at once.
func (t *ticker) work(n int) { t.count += uint64(n) >> 6 }

// step counts a step of a builtin that takes long like an instruction.
func (t *ticker) step(L *lua.LState) {
	if t.Done() != nil {
		L.Error(lua.LString(t.end.Error()), 0)
	}
}

// heap is how many bytes there are on it.
func (t *ticker) heap() uint64 {
	metrics.Read(t.sample[:])
	return t.sample[0].Value.Uint64()
}

// Done is asked before every instruction. A script that catches the error
// meets it again at its next instruction.
func (t *ticker) Done() <-chan struct{} {
	if t.count++; t.count >= t.next {
		return t.look()
	}
	return nil
}

func (t *ticker) look() <-chan struct{} {
	if t.vm.run == nil {
		return nil
	}
	if t.end == nil {
		t.next = t.count + pollEvery
		if t.vm.run.Host.Poll() {
			t.end = errKilled
		}
		t.weigh()
	}
	if t.end == nil {
		return nil
	}
	t.next = 0
	return ended
}

// weigh ends a script for which the heap has grown too much.
func (t *ticker) weigh() {
	if t.weight != 0 && !t.heavy && t.made <= weighMade && t.count&(weighEvery-1) >= pollEvery {
		return
	}
	t.made = 0
	heap := t.heap()
	t.heavy = t.weight != 0 && heap > t.weight+t.growth/8
	if t.weight == 0 {
		t.weight = heap
	}
	if heap+t.ahead <= t.weight+t.growth {
		return
	}
	runtime.GC() // much of it may be gone
	if t.heap()+t.ahead > t.weight+t.growth {
		t.end = errMemory
	}
}

var (
	errKilled = errors.New("Script killed by user with SCRIPT KILL.")
	errMemory = errors.New("the script holds too much memory")
)

// Err is why the script must end.
func (t *ticker) Err() error { return t.end }

// Deadline and Value complete a context.
func (t *ticker) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value has none.
func (t *ticker) Value(any) any { return nil }

var _ context.Context = (*ticker)(nil)
