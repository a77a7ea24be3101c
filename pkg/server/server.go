// Package server joins the rooms: connections from the reactor, requests from
// the protocol, operations from the command table, the engine behind its lane.
// It reads no flags and no environment and never ends the process.
//
//	srv, err := server.New(server.Options{Engine: host, …})
//	go srv.Run()
//	…
//	srv.Stop(5 * time.Second)
package server

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"kvstored/pkg/batch"
	"kvstored/pkg/command"
	"kvstored/pkg/engine"
	"kvstored/pkg/reactor"
)

// Engine is what the server needs of the engine host. Lock takes the lane;
// the methods from Exec to Release are called while it is held.
type Engine interface {
	Lock()
	Unlock()
	// Exec carries out operations [from, to) of b. now is in milliseconds.
	Exec(b *batch.Batch, from, to int, now int64) error
	// Tie has all that Exec carries out until Tie(was) be all or nothing for
	// what survives a crash.
	Tie(on bool) (was bool)
	Scan(s *batch.Scan) error
	Stat(space uint32) (batch.Stat, error)
	Has(capability uint64) bool
	EngineName() string
	// Generation is the number of the generation that serves; Moves one that
	// stays while no entry comes, changes or goes. The lane is held.
	Generation() uint64
	Moves() uint64
	// Maintain does a slice of housekeeping; next is when there may be more
	// (milliseconds since 1970), 0: when something is written.
	Maintain(now int64, budget uint64) (more bool, next int64)
	// Removed is the first of the entries that the last Maintain removed.
	Removed() *batch.Event
	// Stage lends memory of the store for a long value; what went to make room
	// is in Removed, too.
	Stage(s *engine.Staged, total, filled, want int, now int64) bool
	// Full tells whether the data is above a limit under which nothing goes by
	// itself; Limit is the one in force. Neither needs the lane.
	Full() bool
	Limit() engine.Limit
	// Release gives back a pin that Exec returned.
	Release(pin uint64)

	// Commit has the engine write down what was carried out; it is on disk when
	// Synced has reached mark. Unsynced tells whether a commit waits for
	// BeginSync, and whether the engine waits for that; Syncing whether a sync
	// runs; EndSync takes its outcome after SyncBell, a descriptor, rang. The
	// lane is held, but for SyncBell.
	Commit(sync bool) (mark uint64, err error)
	// Save is Commit, and has everything written as a snapshot; Saving tells
	// whether that is under way, and whether the last one failed. Durable tells
	// whether there is anything on disk at all. The lane is held.
	Save() (mark uint64, err error)
	Saving() (now, failed bool)
	Durable() bool
	Synced() (done, lost uint64)
	Unsynced() (waits, urgent bool)
	Syncing() bool
	BeginSync()
	EndSync()
	SyncBell() int

	// Status is ENGINE STATUS. The lane is held.
	Status() []command.Pair
}

// Options is what a server is made of.
type Options struct {
	Engine  Engine
	Log     *zap.Logger
	Version string
	Limits  reactor.Limits
	// Socket is the path of the first listener, for CLIENT LIST and INFO.
	Socket string
	// Settings is the configuration as name, value pairs in table order.
	Settings   func() []command.Pair
	Thresholds Thresholds
	// Set changes settings by name, all or none, and returns what follows;
	// Rewrite makes that last; Shutdown ends the program. The lane is held.
	Set      func(names, values []string) (reactor.Limits, Thresholds, error)
	Rewrite  func() error
	Shutdown func(now bool)
	// Reload re-reads the configuration and swaps to path ("": what the
	// configuration says); Check tries a library. Both call done from any
	// goroutine.
	Reload func(path string, done func(answer string, err error))
	Check  func(path string, done func(report string, err error))
	// OnRefusing is called when the disk begins to have writes refused, and
	// when they are taken again. It must not wait.
	OnRefusing func()
}

// Server serves connections. Its fields are set by New and not changed.
type Server struct {
	o       Options
	work    *worker
	started time.Time
	runID   string // random, of this run
	startup uint64 // bytes of the heap when it was made
	lastID  atomic.Uint64
	figures figures
	// busyAfter is nanoseconds: how long a script may run before the others
	// are answered.
	busyAfter atomic.Int64

	keeperMu sync.Mutex
	keeper   *time.Timer // guarded by keeperMu
	keeperAt time.Time   // guarded by keeperMu: when it runs; zero: not at all
	ended    bool        // guarded by keeperMu
}

// figures are counted by the reactor's goroutine and read by any.
type figures struct {
	clients   atomic.Int64
	accepted  atomic.Uint64
	rejected  atomic.Uint64
	commands  atomic.Uint64
	expired   atomic.Uint64
	evicted   atomic.Uint64
	ticks     atomic.Uint64
	maintains atomic.Uint64
}

// DefaultLimits are the limits where the configuration says nothing.
var DefaultLimits = reactor.Limits{
	Clients: 10000,
	Input:   1 << 30,
	Output:  1 << 30,
	Pause:   32 << 20,
	Push:    32 << 20,
}

// New returns a server that listens nowhere yet.
func New(o Options) (*Server, error) {
	if o.Engine == nil {
		return nil, errors.New("make a server: no engine")
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Limits == (reactor.Limits{}) {
		o.Limits = DefaultLimits
	}
	s := &Server{o: o, started: time.Now(), runID: fmt.Sprintf("%016x%016x%08x", rand.Uint64(), rand.Uint64(), rand.Uint32())}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.startup = m.HeapAlloc
	w, err := newWorker(s)
	if err != nil {
		return nil, fmt.Errorf("make a server: %w", err)
	}
	s.work = w
	return s, nil
}

// Listen serves fd, a listening stream socket that stays the caller's. Before
// Run only.
func (s *Server) Listen(fd int) error { return s.work.r.Listen(fd) }

// Run serves until Stop. It holds its thread.
func (s *Server) Run() {
	s.KeepHouse() // a start may find more than its limit takes, or what expired meanwhile
	s.work.r.Run()
	s.keeperMu.Lock()
	s.ended = true
	if s.keeper != nil {
		s.keeper.Stop()
	}
	s.keeperMu.Unlock()
	s.work.close()
}

// Stop ends Run: nothing new is accepted, what was received is answered, for
// at most grace.
func (s *Server) Stop(grace time.Duration) error {
	if err := s.work.r.Post(s.work.endPause); err != nil {
		return err
	}
	return s.work.r.Stop(grace)
}

// Figures is what a server has to say of itself.
type Figures struct {
	Clients  int64
	Commands uint64
	Keys     uint64
	Memory   uint64 // bytes in use by the engine
	Refusing string // why the disk has writes refused, "": they are taken
}

// Ping goes the way of a request - through the reactor and the lane to the
// engine - and returns figures found there. It is what the watchdog asks.
func (s *Server) Ping(ctx context.Context) (Figures, error) {
	answer := make(chan Figures, 1)
	failed := make(chan error, 1)
	err := s.work.r.Ask(func() {
		f, err := s.ask()
		if err != nil {
			failed <- err
			return
		}
		answer <- f
	})
	if err != nil {
		return Figures{}, err
	}
	select {
	case f := <-answer:
		return f, nil
	case err := <-failed:
		return Figures{}, err
	case <-ctx.Done():
		return Figures{}, fmt.Errorf("no answer from the serving path: %w", ctx.Err())
	}
}

func (s *Server) ask() (Figures, error) {
	e := s.o.Engine
	var st batch.Stat
	var err error
	if s.work.scripts.running { // it holds the lane, and it goes on: this is its question
		return Figures{Clients: s.figures.clients.Load(), Commands: s.figures.commands.Load()}, nil
	}
	e.Lock()
	if e.Has(engine.CapScan) { // without it an engine has no figures
		st, err = e.Stat(batch.SpaceAll)
	}
	e.Unlock()
	if err != nil {
		return Figures{}, fmt.Errorf("ask the engine for its figures: %w", err)
	}
	return Figures{
		Clients:  s.figures.clients.Load(),
		Commands: s.figures.commands.Load(),
		Keys:     st.Entries,
		Memory:   st.Memory,
		Refusing: s.work.stats.refusing.why,
	}, nil
}
