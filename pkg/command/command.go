// Package command is the table of commands: name, arity, flags and how each
// becomes operations of a batch and its results become a reply. It never
// touches storage, sockets or the clock.
//
// A command is planned when it is parsed, in the reactor's thread and outside
// the lane: its Plan checks the arguments and adds operations to the tick's
// batch. After the batch was executed its Render turns the results into the
// reply. A command whose second step needs the result of its first has a Step
// instead: the server cuts the batch there and runs the Step while it holds
// the lane.
package command

import (
	"kvstored/pkg/batch"
	"kvstored/pkg/resp"
)

// Flags of a command, as COMMAND INFO names them.
type Flags uint32

// The flags.
const (
	Write Flags = 1 << iota
	ReadOnly
	Fast
	Admin
	DenyOOM
	NoAuth
	Loading
	Stale
	NoScript
	Blocking
	MovableKeys
	// LoadsCode marks what only uid 0 and the daemon's own uid may do.
	LoadsCode
	// OnlyKvstored marks commands that Redis does not have.
	OnlyKvstored
	// AllowBusy marks what is answered while a script runs.
	AllowBusy
	// NoMulti marks what is refused inside a transaction.
	NoMulti
	// SkipSlowlog, SkipMonitor and NoMandatoryKeys are flags of Redis's.
	SkipSlowlog
	SkipMonitor
	NoMandatoryKeys
	// Dangerous is the category @dangerous without the flag admin.
	Dangerous
	// PubSub marks publish and subscribe.
	PubSub
	// Barrier marks what changes how later requests of the connection are
	// planned, at the time its Step runs: they are planned after that.
	Barrier
	// InSubscribe marks what a RESP2 connection may send while subscribed.
	InSubscribe
)

// Command is one row of the table, or one of its subcommands.
type Command struct {
	Name  string // lower case
	Arity int    // as Redis counts: the name included; negative: at least
	Flags Flags
	// FirstKey, LastKey, KeyStep say which arguments are keys (0: none).
	FirstKey, LastKey, KeyStep int
	// KeyUse is the flags of the key specification as COMMAND INFO names
	// them; of two specifications, divided by "; ", the first is for one key.
	KeyUse string
	// Use is KeyUse where that has variable_flags: it follows from the arguments.
	Use func(args [][]byte) string
	// NumKeys is the argument that says how many keys follow it (0: none), in
	// the place of FirstKey, LastKey and KeyStep.
	NumKeys int
	// Tips are the command tips of COMMAND INFO.
	Tips []string

	Group   string // string, generic, connection, server, engine
	Since   string // Redis version whose behaviour it has; kvstored's for its own
	Summary string // one sentence, no full stop
	Syntax  string // arguments as in the manual: "key value [NX | XX] [GET]"

	Subcommands []*Command
	// Help is the lines of the HELP subcommand, without the first and last.
	Help []string

	Index  int      // its own number, for figures; set when the table is made
	Looks  bool     // it reads keys: hits and misses are counted; set like Index
	parent *Command // of a subcommand; set when the table is made
	full   string   // "client|list"

	// Plan checks the arguments and plans the work; see [Call].
	Plan func(c *Call)
	// Again plans one more request after one with as many arguments that had
	// one operation and needs nothing in its Reply but that and Render; false,
	// with nothing planned, when it must be planned by itself. Nil: always.
	Again func(c *Call) bool
}

// Session is what a connection carries from one command to the next. It
// belongs to the connection's reactor.
type Session struct {
	ID       uint64
	DB       uint32
	Proto    int // 2 or 3
	Name     string
	LibName  string
	LibVer   string
	UID      uint32
	GID      uint32
	PID      int32
	MayLoad  bool  // uid 0 or the daemon's own
	Created  int64 // milliseconds since 1970
	LastSeen int64
	LastCmd  *Command
	Commands uint64
	Addr     string // "unix socket path:0", as Redis prints it
	FD       int
	Version  string // the daemon's, for HELLO
	Closing  bool   // QUIT: close when the replies are out
	// Subs counts what the connection is subscribed to.
	Subs [SubKinds]int
	// Tracking is set by CLIENT TRACKING; nil: off.
	Tracking *Tracking
	// Monitor is set by MONITOR.
	Monitor bool
	// Confined is set while not every command is taken: see [Session.Confine].
	Confined bool
	// Owner is the server's own.
	Owner any
	// Multi is the requests since MULTI; nil outside a transaction.
	Multi *Queue
	// Running is those that EXEC is carrying out; set by the server.
	Running *Queue
	// Dirty is set while a watched key has changed; by the server.
	Dirty bool
	// Watching is set when a WATCH was planned: there may be watched keys.
	Watching bool
	Quiet    Quiet // which replies are not wanted
	NoEvict  bool
	NoTouch  bool
	// InBuf and OutBuf are the bytes of unparsed input and unwritten output;
	// set by Host.Clients.
	InBuf, OutBuf int
	// EngineName names the engine that serves, for messages; may be nil.
	// Called when replies are made, outside the lane.
	EngineName func() string
}

// Call is one request being planned. It is reused: nothing may keep it. The
// caller sets Args, Session, Batch, Now and Reply, makes sure that the batch has
// Room for one operation per argument (and [MinRoom]), and calls [Dispatch].
type Call struct {
	Cmd     *Command
	Args    [][]byte // off-heap; Args[0] is the name as the client wrote it
	Session *Session
	Batch   *batch.Batch
	Now     int64 // milliseconds since 1970
	Reply   *Reply
	// Full: the data is above its limit, and what needs memory is refused.
	Full bool
}

// Reply says how the answer to one request is made. Exactly one of Fixed,
// Render and Step is set when planning ends.
type Reply struct {
	// Fixed is a complete reply, but for Refs.
	Fixed []byte
	// Refs are what a Step's reply refers to between bytes of Fixed. Set by the server.
	Refs []resp.Ref
	// Render makes the reply from the results.
	Render func(w *resp.Writer, b *batch.Batch, r *Reply)
	// Step runs while the lane is held, with all earlier operations done.
	Step func(x *Exec, r *Reply)
	// Op and N are the operations planned: the first one's index, and how many.
	Op, N int
	// Run is how many more requests the reply stands for, each like the first:
	// the operation after Op is the next one's. Set by the server.
	Run int
	// Num, Offset and Data are the command's own; Data is off-heap like Args.
	Num, Offset int64
	Data        []byte
	// Args are the arguments, for a Step; set with [Call.Keep].
	Args [][]byte
	// Proto and DB are the session's when the command was planned.
	Proto   int
	DB      uint32
	Session *Session
	// Cmd is for statistics and errors.
	Cmd *Command
	// Caching is set by the server in the reply of EXEC: CLIENT CACHING came
	// before it.
	Caching bool
	// Cut is set where the Step changes the session: nothing more of the
	// connection may be planned before it was carried out.
	Cut bool
	// Sliced is set where the Step may go on after the tick, see [Exec.Continue]:
	// as with the flag AnsweredLater.
	Sliced bool
	// Rejected is set where the request was refused before it was planned.
	Rejected bool
	// Queued is set where it waits for EXEC.
	Queued bool
	// Muted is set by the server where the client does not want the reply.
	Muted bool
	// Pushes is set where the reply is messages, which are sent whatever CLIENT
	// REPLY says.
	Pushes bool
	// Raw is the request as it came, off-heap; nil for a line. Set by the
	// server, like Took.
	Raw []byte
	// Took is how long the Step took, in nanoseconds.
	Took int64
	// Pending is set by a Step that will be answered later (ENGINE LOAD): the
	// connection is not read until then.
	Pending bool
}

// Store is what a Step may ask of the engine that serves. The lane is held.
type Store interface {
	// Exec carries out operations [from, to) of the batch: a Step often sets
	// what it got just before, and the value lies in the same batch.
	Exec(b *batch.Batch, from, to int, now int64) error
	// Scan runs one step of a walk; s keeps cursor and items.
	Scan(s *batch.Scan) error
	// Stat gives figures of one space, or of all with batch.SpaceAll.
	Stat(space uint32) (batch.Stat, error)
	// Has tells whether the engine has all of the KV_CAP_ flags.
	Has(capability uint64) bool
	// EngineName is for messages.
	EngineName() string
	// Generation is a number that stays while cursors of walks are good, Moves one
	// that stays while no entry comes, changes, goes or has another place.
	Generation() uint64
	Moves() uint64
}

// Host is what commands need of the server around them: figures, settings,
// clients, the swap. Called from a Step, with the lane held, unless said
// otherwise; it must not block.
type Host interface {
	Transactions
	Scripts
	Control
	// Info writes the sections asked for, in Redis's format; none: the default ones.
	Info(sections []string) string
	// Config is the settings whose names match any of the glob patterns, as
	// name, value, name, value … in table order.
	Config(patterns []string) []string
	// MemoryLimit is the limit of the data in bytes, 0 for none, and what goes
	// when it is reached, by the names of CONFIG GET.
	MemoryLimit() (bytes uint64, policy string)
	// Frequency is how often a key was used of late, as Redis counts it with an LFU
	// policy; not tracked while the policy does not go by that.
	Frequency(space uint32, key []byte) (n int64, tracked bool)
	// Clients is every open connection in the order of their ids.
	Clients() []*Session
	// EngineStatus is ENGINE STATUS: name, value (string or int64) pairs.
	EngineStatus() []Pair
	// HotKeys is the keys that are asked for most, the hottest first.
	HotKeys() []HotKey
	// LoadEngine starts the swap to path ("": what the configuration says) and
	// calls done, from any goroutine, with what came of it.
	LoadEngine(path string, done func(answer string, err error))
	// CheckEngine tries path in a child process, then calls done.
	CheckEngine(path string, done func(report string, err error))
}

// Pair is one field of a status. Value is a string or an int64.
type Pair struct {
	Name  string
	Value any
}

// Exec is what a Step works with, while the lane is held.
type Exec struct {
	Store Store
	Host  Host
	Hub   Hub
	Now   int64
	// W takes the reply.
	W *resp.Writer
	// Batch is empty, for the step's own operations; see [Exec.Run]. The
	// server resets it after the Step, when the reply has left or was copied.
	Batch *batch.Batch
	Scan  *batch.Scan
	// Release gives one pin back to the engine. A Step releases the pins of
	// values that it does not put into the reply.
	Release func(pin uint64)

	// Continue has slice called between the requests of others until it returns
	// true, each time with an Exec whose batch is empty; what it wrote then is the
	// reply of r, and the connection is not read before. nil: nothing may come
	// between, as in a transaction or a script. For replies that are Sliced.
	Continue func(r *Reply, slice func(x *Exec) bool)

	ran int // operations of Batch that were carried out
	// Later returns the function that answers a request after its Step has
	// returned with Pending set. It may be called from any goroutine, once.
	Later func(r *Reply) func(reply func(w *resp.Writer))
	// Random returns random bits (RANDOMKEY).
	Random func() uint64
}

// Keep keeps the arguments for the Step; without it they are gone by then.
func (c *Call) Keep() {
	c.Reply.Args = append(make([][]byte, 0, len(c.Args)), c.Args...)
}

// Fail makes an error the whole reply; text starts with its code.
// In a transaction it makes EXEC fail, too.
func (c *Call) Fail(text string) {
	if q := c.Session.Multi; q != nil {
		q.refused()
	}
	var w resp.Writer
	w.Error(text)
	c.Reply.Fixed = w.Buf
}

// Answer makes what fn writes, in the session's protocol, the whole reply.
func (c *Call) Answer(fn func(w *resp.Writer)) {
	w := resp.Writer{Proto: c.Reply.Proto}
	fn(&w)
	c.Reply.Fixed = w.Buf
}

// Waits tells whether nothing of the connection is taken before the Step was
// carried out, which may answer later.
func (r *Reply) Waits() bool {
	return r.Sliced || r.Cmd != nil && r.Cmd.Flags&(LoadsCode|AnsweredLater) != 0
}

// Run carries out the operations added to x.Batch since the last Run.
func (x *Exec) Run() error {
	from := x.ran
	x.ran = x.Batch.Len()
	return x.Store.Exec(x.Batch, from, x.ran, x.Now)
}

// Start makes x ready for the next Step: the batch is empty again.
func (x *Exec) Start(now int64, w *resp.Writer) {
	x.Batch.Reset()
	x.Now, x.W, x.ran, x.Continue = now, w, 0, nil
}
