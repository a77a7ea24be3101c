package engine

import (
	"sync"
	"time"
)

// State is where a swap stands.
type State string

// The states of a swap, in order. A swap that hands over skips Copying.
const (
	Idle     State = "idle"     // no swap runs
	Checking State = "checking" // the file is examined and tried in a child process
	Loading  State = "loading"  // the library is loaded
	Opening  State = "opening"  // its store is opened
	Copying  State = "copying"  // entries are copied and compared, writes go to both
	Draining State = "draining" // the lane is taken for the switch
	Serving  State = "serving"  // the new engine serves
)

// Retiring is a generation that was replaced and is not gone yet.
type Retiring struct {
	Generation uint64
	Engine     string // name and version
	Since      time.Time
}

// Status is what the host says of itself at one moment. Figures of the store
// come from Stat.
type Status struct {
	State      State
	Info       Info
	Path       string
	SHA256     string
	Rule       string // which rule of the configuration chose the path
	Generation uint64
	LoadedAt   time.Time

	Swaps    uint64 // that changed the engine
	Refused  uint64
	LastSwap string // what the last one came to, in a line
	// LastError is why the last swap was refused; nil when it was not.
	LastError *Refusal

	// How long a swap held the lane at a time: the longest, and the longest of
	// the last swap that took it.
	LaneHeldMax  time.Duration
	LaneHeldLast time.Duration
	CopiedKeys   uint64 // of the swap that copies now, or of the last that did

	Retiring    []Retiring
	StillMapped int // replaced generations whose code could not be unmapped
}

// statusBoard is the host's status, readable without the lane.
type statusBoard struct {
	mu     sync.Mutex
	s      Status // guarded by mu
	image  *Image // guarded by mu; the serving one
	looked look   // guarded by mu; the last time that the file was read
}

// Status is the host's status now. It never waits for the lane.
func (h *Host) Status() Status {
	b := &h.status
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.s
	s.Retiring = append([]Retiring(nil), s.Retiring...)
	return s
}

// Disk compares the serving library with the file that is now at its path:
// "same", "changed", "missing" or "unreadable". It reads the file when its
// times do not tell, once for each change of them.
func (h *Host) Disk() string {
	b := &h.status
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.image.disk(&b.looked)
}

func (b *statusBoard) change(fn func(s *Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fn(&b.s)
}

// serve notes which generation serves.
func (b *statusBoard) serve(g *generation, rule string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.image = g.image
	s := &b.s
	if s.State == "" {
		s.State = Idle
	}
	s.Info, s.Path, s.SHA256 = g.lib.info, g.image.Path, g.image.SHA256
	s.Generation, s.LoadedAt, s.Rule = g.number, g.loaded, rule
}

// sameFrom notes that the serving library was found again, at image's path.
func (b *statusBoard) sameFrom(image *Image, rule string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.image, b.s.Path, b.s.Rule = image, image.Path, rule
}

// held notes that a swap held the lane for so long; first: it is the first
// time in this swap.
func (b *statusBoard) held(d time.Duration, first bool) {
	b.change(func(s *Status) {
		if first {
			s.LaneHeldLast = 0
		}
		s.LaneHeldLast = max(s.LaneHeldLast, d)
		s.LaneHeldMax = max(s.LaneHeldMax, d)
	})
}

// retiring notes that g was replaced.
func (b *statusBoard) retiring(g *generation) {
	b.change(func(s *Status) {
		s.Retiring = append(s.Retiring, Retiring{g.number, g.title(), time.Now()})
	})
}

// retired notes that g is gone, or that its code stays mapped.
func (b *statusBoard) retired(g *generation, gone bool) {
	b.change(func(s *Status) {
		for i, r := range s.Retiring {
			if r.Generation == g.number {
				s.Retiring = append(s.Retiring[:i:i], s.Retiring[i+1:]...)
				break
			}
		}
		if !gone {
			s.StillMapped++
		}
	})
}
