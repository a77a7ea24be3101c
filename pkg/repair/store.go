package repair

import (
	"cmp"
	"errors"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"

	"github.com/zeebo/xxh3"
)

// store is a directory with files of the engine.
type store struct {
	dir    string
	base   *file   // nil: there is none
	logs   []*file // in order
	report *Report
	must   uint64 // the log must reach this frame
	proven uint64 // up to this frame the log was on disk
	gaps   []gap
	seq    uint64 // of the last frame read
	begun  bool   // seq is known
	lossy  bool   // something was lost so far
	sure   map[uint64]bool
	clear  map[uint32]bool
	doubt  map[uint64]doubt
	// only tells that all that was lost was lost in the base.
	only bool
}

// gap is where frames of the log are missing or damaged.
type gap struct {
	log int // index
	at  int64
	seq uint64 // the first that is missing
}

// doubt is a key of which a part was changed after something was lost.
type doubt struct {
	key  Key
	only bool // what was lost before was lost in the base only
}

var fileName = regexp.MustCompile(`^(log|base)-([1-9][0-9]{0,18})$`)

// errNoStore is a directory without any file of the engine.
var errNoStore = errors.New("it holds no files of the engine hash")

// openStore lists and opens the files that make up the store in dir.
func openStore(dir string, report *Report) (*store, error) {
	s := &store{dir: dir, report: report, sure: map[uint64]bool{}, clear: map[uint32]bool{}, doubt: map[uint64]doubt{}}
	numbers, err := listFiles(dir)
	if err != nil {
		return nil, err
	}
	if len(numbers["log"])+len(numbers["base"]) == 0 {
		return nil, errNoStore
	}
	if err = s.openAll(numbers); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// listFiles gives the numbers of logs and bases, ascending.
func listFiles(dir string) (map[string][]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	numbers := map[string][]uint64{}
	for _, e := range entries {
		if m := fileName.FindStringSubmatch(e.Name()); m != nil {
			n, _ := strconv.ParseUint(m[2], 10, 64)
			numbers[m[1]] = append(numbers[m[1]], n)
		}
	}
	slices.Sort(numbers["log"])
	slices.Sort(numbers["base"])
	return numbers, nil
}

// openAll opens the newest base that can be read, its log and all later ones.
func (s *store) openAll(numbers map[string][]uint64) error {
	var heads []fileHead
	first := uint64(1)
	if bases := numbers["base"]; len(bases) > 0 {
		first = bases[len(bases)-1]
		base, err := openFile(s.dir, "base-"+strconv.FormatUint(first, 10), kindBase, first)
		if err != nil {
			return err
		}
		s.base = base
	}
	for _, n := range numbers["log"] {
		if n < first { // a base stands for it
			continue
		}
		log, err := openFile(s.dir, "log-"+strconv.FormatUint(n, 10), kindLog, n)
		if err != nil {
			return err
		}
		s.logs = append(s.logs, log)
		if log.known {
			heads = append(heads, log.head)
		}
	}
	s.missing(first)
	for _, fl := range s.all() {
		if !fl.known && fl.headBad != "" {
			fl.guess(heads)
		}
	}
	return nil
}

// missing notes a first log that is not there.
func (s *store) missing(first uint64) {
	name := "log-" + strconv.FormatUint(first, 10)
	if len(s.logs) == 0 || s.logs[0].name != name {
		s.report.Missing = append(s.report.Missing, name)
		s.lossy = true
		if s.base == nil {
			s.report.Missing = append(s.report.Missing, "a base")
		}
	}
}

// all is every file, the base first.
func (s *store) all() []*file {
	if s.base == nil {
		return s.logs
	}
	return append([]*file{s.base}, s.logs...)
}

func (s *store) close() {
	for _, fl := range s.all() {
		fl.close()
	}
}

// -------------------------------------------------------------------- looking

// look reads everything and fills in the report.
func (s *store) look() {
	if s.base != nil {
		s.lookAtBase()
	}
	s.only = s.lossy && len(s.report.Missing) == 0
	for i, log := range s.logs {
		s.lookAtLog(i, log)
	}
	s.findTorn()
	s.findShort()
	s.sum()
}

// begin starts the report of a file; false: none of it can be read.
func (s *store) begin(fl *file) (*File, bool) {
	s.report.Files = append(s.report.Files, File{Name: fl.name, Bytes: fl.size})
	f := &s.report.Files[len(s.report.Files)-1]
	if fl.headBad == "" {
		return f, true
	}
	if !fl.known {
		s.lose(f, Damage{End: fl.size, Why: fl.headBad}, 0, &span{})
		return f, false
	}
	f.Damage = append(f.Damage, Damage{End: min(fileHeadSize, fl.size), Why: fl.headBad})
	return f, true
}

func (s *store) lookAtBase() {
	f, readable := s.begin(s.base)
	if !readable {
		return
	}
	if s.base.headBad == "" {
		s.seq, s.begun = s.base.head.firstSeq-1, true
	}
	frames, ended := uint64(0), false
	s.base.walk(func(fr frame) bool {
		if fr.seq > frames+1 && !f.damagedUntil(fr.at) {
			s.lose(f, Damage{Offset: fr.at, End: fr.at, Why: "a frame is missing before it"}, fr.seq-frames-1, nil)
		}
		if fr.seq > frames+1 {
			f.lostFrames(fr.seq - frames - 1)
		}
		frames = fr.seq
		if fr.kind == frameEnd {
			ended, s.must, s.proven = true, fr.synced, fr.synced
			return true
		}
		s.count(f, fr)
		return true
	}, func(d span) bool {
		s.lose(f, Damage{Offset: d.at, End: d.end, Why: d.why}, uint64(len(d.frames)), &d)
		for _, h := range d.frames {
			ended = ended || h.kind == frameEnd
		}
		return true
	})
	if !ended && !f.damagedUntil(s.base.size) {
		s.lose(f, Damage{Offset: s.base.size, End: s.base.size, Why: "its end is missing"}, 0, &span{})
	}
}

// damagedUntil tells whether the last damage ends there.
func (f *File) damagedUntil(at int64) bool {
	return len(f.Damage) > 0 && f.Damage[len(f.Damage)-1].End == at
}

// lostFrames says how many frames the last damage took, at least.
func (f *File) lostFrames(n uint64) {
	d := &f.Damage[len(f.Damage)-1]
	if n > d.Frames {
		d.unknown += n - d.Frames
		d.Frames = n
	}
}

// count notes a whole frame of records.
func (s *store) count(f *File, fr frame) {
	f.Frames++
	f.Records += fr.count
}

// lose notes damage; d is what is known of the part, if anything.
func (s *store) lose(f *File, damage Damage, frames uint64, d *span) {
	s.lossy = true
	damage.Frames = frames
	if d != nil {
		damage.keys = d.keys
		for _, h := range d.frames {
			damage.Records += h.count
		}
		if len(d.frames) == 0 {
			damage.unknown = 1
		}
	} else {
		damage.unknown = frames
	}
	f.Damage = append(f.Damage, damage)
}

// lookAtLog reads a log behind those before it.
func (s *store) lookAtLog(i int, log *file) {
	f, readable := s.begin(log)
	if log.headBad != "" {
		s.gap(i, 0)
	}
	if !readable {
		return
	}
	if log.headBad == "" && log.head.store != s.storeID() {
		s.lose(f, Damage{End: log.size, Why: "it belongs to another store"}, 0, &span{})
		log.known = false
		return
	}
	if !s.begun && log.headBad == "" {
		s.seq, s.begun = log.head.firstSeq-1, true
	}
	log.walk(func(fr frame) bool {
		s.follow(i, f, fr)
		return true
	}, func(d span) bool {
		s.gap(i, d.at)
		s.lose(f, Damage{Offset: d.at, End: d.end, Why: d.why}, uint64(len(d.frames)), &d)
		return true
	})
}

// storeID is the number of the store, 0 where no head tells.
func (s *store) storeID() uint64 {
	for _, fl := range s.all() {
		if fl.headBad == "" {
			return fl.head.store
		}
	}
	return 0
}

// gap notes that the frame after the last one is not there.
func (s *store) gap(log int, at int64) {
	if n := len(s.gaps); n > 0 && s.gaps[n-1].seq == s.seq+1 {
		return
	}
	s.gaps = append(s.gaps, gap{log, at, s.seq + 1})
}

// follow takes the next whole frame of the log.
func (s *store) follow(i int, f *File, fr frame) {
	if fr.kind != frameRecords || s.begun && fr.seq <= s.seq {
		s.gap(i, fr.at)
		s.lose(f, Damage{Offset: fr.at, End: fr.next, Why: "a frame that does not belong there"}, 0, &span{})
		return
	}
	s.proven = max(s.proven, fr.synced)
	if missing := fr.seq - s.seq - 1; s.begun && missing > 0 {
		s.gap(i, fr.at)
		if !f.damagedUntil(fr.at) {
			s.lose(f, Damage{Offset: fr.at, End: fr.at, Why: "a frame is missing before it"}, missing, nil)
		}
		f.lostFrames(missing)
	}
	s.seq, s.begun = fr.seq, true
	s.count(f, fr)
	if s.lossy {
		s.weigh(fr)
	}
}

// weigh notes what the records of a frame mean for the doubt about keys.
func (s *store) weigh(fr frame) {
	only := s.only && len(s.gaps) == 0
	eachRecord(fr.body, func(r record) {
		at := placeOf(r.space, r.key)
		switch r.kind {
		case recordClear:
			s.clear[r.space] = true
		case recordSet, recordTake, recordDelete:
			s.sure[at] = true
			delete(s.doubt, at)
		case recordPatch:
			if d, had := s.doubt[at]; !s.sure[at] && !s.clear[r.space] {
				s.doubt[at] = doubt{newKey(r.space, r.key), only && (!had || d.only)}
			}
		}
	})
}

// placeOf stands for a key of a space.
func placeOf(space uint32, key []byte) uint64 { return xxh3.HashSeed(key, uint64(space)+1) }

// findTorn tells damage from an end that a crash tore: from the first gap on
// that nothing proves to have been on disk, all is cut, as a start does it.
func (s *store) findTorn() {
	cut := slices.IndexFunc(s.gaps, func(g gap) bool {
		return g.seq > s.proven && (g.log > 0 || g.at > 0) // the first log was on disk before it served
	})
	if cut < 0 {
		return
	}
	g := s.gaps[cut]
	torn := &Torn{File: s.logs[g.log].name, Offset: g.at}
	for i, log := range s.logs[g.log:] {
		from := int64(0)
		if i == 0 {
			from = g.at
		}
		torn.Bytes += log.size - from
		f := s.fileReport(log.name)
		f.Damage = slices.DeleteFunc(f.Damage, func(d Damage) bool { return d.Offset >= from })
	}
	s.report.Torn = torn
	s.seq = g.seq - 1
}

// findShort tells whether the log ends before what the base goes with.
func (s *store) findShort() {
	if !s.begun || s.seq >= s.must || len(s.logs) == 0 {
		return
	}
	last := s.logs[len(s.logs)-1]
	if f := s.fileReport(last.name); !f.damagedUntil(last.size) {
		s.lose(f, Damage{Offset: last.size, End: last.size, Why: "it ends before what " + s.base.name + " goes with"}, s.must-s.seq, nil)
	}
}

func (s *store) fileReport(name string) *File {
	i := slices.IndexFunc(s.report.Files, func(f File) bool { return f.Name == name })
	return &s.report.Files[i]
}

// sum fills in what is made of the rest.
func (s *store) sum() {
	r := s.report
	r.Damaged = len(r.Missing) > 0
	lost := &Lost{}
	for _, f := range r.Files {
		r.Damaged = r.Damaged || len(f.Damage) > 0
		for _, d := range f.Damage {
			lost.Bytes += d.End - d.Offset
			lost.Frames += d.Frames
			lost.Records += d.Records
			lost.Unknown += d.unknown
			room := min(keysMost-len(lost.Keys), len(d.keys))
			lost.Keys = append(lost.Keys, d.keys[:room]...)
			lost.KeysLeftOut += len(d.keys) - room
		}
		r.Kept.Frames += f.Frames
		r.Kept.Records += f.Records
	}
	if r.Damaged {
		r.Lost = lost
	}
}

// listDoubts writes the keys that remain in doubt into the report.
func (s *store) listDoubts() {
	l := s.report.Lost
	for _, d := range s.doubt {
		l.Doubtful = append(l.Doubtful, d.key)
	}
	slices.SortFunc(l.Doubtful, func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Space, b.Space), cmp.Compare(a.Key, b.Key))
	})
	if n := len(l.Doubtful); n > keysMost {
		l.Doubtful, l.DoubtfulLeftOut = l.Doubtful[:keysMost], n-keysMost
	}
}

// ------------------------------------------------------------------- keeping

// each calls keep for all frames of records that are to be kept, in order.
func (s *store) each(keep func(frame) error) error {
	if err := s.eachOfBase(keep); err != nil {
		return err
	}
	seq, torn := uint64(0), s.report.Torn
	for _, log := range s.logs {
		end := log.size
		if torn != nil && torn.File == log.name {
			end = torn.Offset
		}
		var failed error
		var m missed
		if log.known {
			log.walk(func(fr frame) bool {
				if fr.at >= end {
					return false
				}
				if fr.kind == frameRecords && fr.seq > seq {
					seq, failed = fr.seq, keep(m.before(fr))
				}
				return failed == nil
			}, m.passOver)
		}
		if failed != nil || end < log.size {
			return failed
		}
	}
	return nil
}

// eachOfBase does it for the base. A key that is whole there, and of which
// only a part was changed later, in a log without damage, is whole.
func (s *store) eachOfBase(keep func(frame) error) (failed error) {
	if s.base == nil || !s.base.known {
		return nil
	}
	var m missed
	s.base.walk(func(fr frame) bool {
		if fr.kind == frameRecords {
			eachRecord(fr.body, func(r record) {
				if at := placeOf(r.space, r.key); s.doubt[at].only {
					delete(s.doubt, at)
				}
			})
			failed = keep(m.before(fr))
		}
		return failed == nil
	}, m.passOver)
	return failed
}

// missed is what of a file was passed over since its last frame that is kept.
type missed struct{ seq, bytes uint64 }

// passOver goes on behind damage.
func (m *missed) passOver(d span) bool {
	m.bytes += uint64(d.end - d.at)
	return true
}

// before notes in a frame what is missing before it.
func (m *missed) before(fr frame) frame {
	fr.lost = m.bytes
	if m.seq == 0 || fr.seq != m.seq+1 && m.bytes == 0 {
		fr.lost = math.MaxUint64
	}
	*m = missed{seq: fr.seq}
	return fr
}
