package command

import "slices"

// Flags of commands about the server; see [Flags].
const (
	// AnsweredLater marks what may be answered after its Step, which nothing
	// else of the connection is taken before.
	AnsweredLater Flags = 1 << 28
	// NoAsyncLoading is Redis's flag of that name.
	NoAsyncLoading Flags = 1 << 29
	// AdminOnly marks what only uid 0 and the daemon's own uid may do, though
	// it loads no code.
	AdminOnly Flags = 1 << 30
	// AdminCategory is the category @admin without the flag admin.
	AdminCategory Flags = 1 << 31
)

// Control is what commands about connections and the server need of it. Called
// from a Step, with the lane held; it must not block.
type Control interface {
	// Kill closes the connections that `which` chooses and returns how many;
	// self's own closes when its replies are out.
	Kill(self *Session, which func(*Session) bool) int
	// Pause holds requests back until then (milliseconds since 1970): all, or
	// those that write. A longer or stricter pause that is under way stays.
	Pause(until int64, all bool)
	// Unpause ends a pause.
	Unpause()

	// SetConfig changes settings, all of them or none; names are as in the
	// configuration. The error names the first that cannot be.
	SetConfig(names, values []string) error
	// RewriteConfig makes what SetConfig changed last beyond a restart.
	RewriteConfig() error
	// ResetStats sets the figures of INFO and the histograms to zero.
	ResetStats()

	// Slowlog is the slow commands, the latest first, at most n (-1: all).
	Slowlog(n int) []SlowEntry
	SlowlogLen() int
	SlowlogReset()
	// LatencyEvents is the events of the latency monitor that happened.
	LatencyEvents() []LatencyEvent
	// LatencyReset forgets the events of these names (none: all) and returns
	// how many there were.
	LatencyReset(names []string) int
	// LatencyThreshold is from how many milliseconds on events are noted; 0: never.
	LatencyThreshold() int64
	// Histograms are the latencies by command; of the names asked for, or all.
	Histograms(cmds []*Command) []Histogram

	// MemoryStats is the fields of MEMORY STATS; a value is an int64, a
	// float64 or []Pair.
	MemoryStats() []Pair
	// MemoryDoctor says what is noticeable about the memory.
	MemoryDoctor() string
	// MemoryPurge gives back to the system what is held needlessly.
	MemoryPurge()

	// Save has the engine write a snapshot, and calls done, unless it is nil, from
	// the server's goroutine when that is made or failed. The error: it was not begun.
	Save(done func(error)) error
	// LastSave is when the last one was made, in seconds since 1970.
	LastSave() int64
	// Shutdown ends the daemon; now: without waiting for clients to read.
	Shutdown(now bool) error
	// SetActiveExpire switches the removal of expired entries that nobody
	// asks for.
	SetActiveExpire(on bool)
}

// SlowEntry is one entry of the slow log.
type SlowEntry struct {
	ID     int64
	Time   int64 // seconds since 1970
	Micros int64
	Args   []string // shortened as Redis does
	Addr   string
	Name   string // of the client
}

// LatencyEvent is one kind of event with its samples, the oldest first.
type LatencyEvent struct {
	Name    string
	Samples []LatencySample
	Max     int64 // of all times, milliseconds
}

// LatencySample is the worst of one second.
type LatencySample struct {
	Time   int64 // seconds since 1970
	Millis int64
}

// Histogram is how long the calls of one command took.
type Histogram struct {
	Name  string
	Calls int64
	// Buckets are pairs: microseconds, and how many calls took at most that.
	Buckets [][2]int64
}

// MayWrite tells whether a request may change data, or reach others who would
// see that it did. args is not empty; what is no command may not.
func MayWrite(args [][]byte) bool {
	cmd := Lookup(args[0])
	if cmd == nil {
		return false
	}
	if cmd.Subcommands != nil && len(args) > 1 {
		if sub := cmd.subcommand(args[1]); sub != nil {
			cmd = sub
		}
	}
	return cmd.Flags&Write != 0 || slices.Contains(mayReplicate, cmd.Name)
}

// mayReplicate is what Redis, too, holds back with the writes.
var mayReplicate = []string{"publish", "spublish", "pfcount", "eval", "evalsha", "exec"}

// IsUnpause tells whether a request is CLIENT UNPAUSE.
func IsUnpause(args [][]byte) bool {
	return len(args) == 2 && isWord(args[0], "client") && isWord(args[1], "unpause")
}
