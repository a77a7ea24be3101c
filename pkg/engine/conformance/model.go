package conformance

import (
	"bytes"
	"regexp"
	"strconv"

	"kvstored/pkg/batch"
)

// entry is what the model holds for a key; its time may have passed.
type entry struct {
	value  []byte
	expiry int64
	tag    uint32
	// unsure: a report may have been of this one or of one that it replaced.
	unsure bool
}

// model is the store as kvstore.h describes it, written as plainly as can be.
type model struct {
	*trial
	spaces map[uint32]map[string]*entry
	// replaced are the entries written over or cleared in this batch after
	// their time had passed.
	replaced map[spaceKey]bool
	// steady are the entries that have been there since the walk began.
	steady map[spaceKey]bool
	plans  []plan
}

type spaceKey struct {
	space uint32
	key   string
}

// plan is one operation of the batch as the model must carry it out.
type plan struct {
	at    spaceKey
	index int
	apply func(m *model, p plan, op *batch.Op)
}

const (
	modelKeys   = 40
	modelSpaces = 3
	batchOps    = 16
)

// checkModel runs random batches and compares every answer with the model's.
func checkModel(t *trial) {
	m := &model{trial: t, spaces: map[uint32]map[string]*entry{}, steady: map[spaceKey]bool{}}
	for s := range uint32(modelSpaces) {
		m.spaces[s] = map[string]*entry{}
	}
	t.open()
	for range t.times(1500) {
		t.now += int64(t.rng.IntN(4))
		m.batch(1 + t.rng.IntN(batchOps))
		switch t.rng.IntN(12) {
		case 0:
			m.walkSpace(m.space())
		case 1:
			m.keepHouse()
		case 2:
			m.compareFigures()
		case 3:
			if t.has(capHandover) {
				t.handOver()
			}
		case 4:
			t.checkHeld("while others were written")
			t.releaseHeld()
		}
	}
	m.compareFigures()
}

func (m *model) space() uint32 {
	if !m.has(capSpaces) {
		return 0
	}
	return uint32(m.rng.IntN(modelSpaces))
}

// live is the entry of a key whose time has not passed, else nil.
func (m *model) live(at spaceKey) *entry {
	e := m.spaces[at.space][at.key]
	if e == nil || e.gone(m.now) {
		return nil
	}
	return e
}

func (e *entry) gone(now int64) bool { return e.expiry != 0 && e.expiry < now }

func (m *model) remove(at spaceKey) {
	delete(m.spaces[at.space], at.key)
	delete(m.steady, at)
}

// put sets an entry, maybe in place of one whose time has passed, which the
// engine may or may not have reported.
func (m *model) put(at spaceKey, e entry) {
	if old := m.spaces[at.space][at.key]; old != nil && old.gone(m.now) {
		m.replaced[at] = true
	}
	m.spaces[at.space][at.key] = &e
}

// batch runs n random operations and compares.
func (m *model) batch(n int) {
	m.replaced = map[spaceKey]bool{}
	m.plans = m.plans[:0]
	m.b.Reset()
	for range n {
		at := spaceKey{m.space(), m.key(m.rng.IntN(modelKeys))}
		m.plans = append(m.plans, m.draw(at))
	}
	m.run()
	for _, p := range m.plans {
		p.apply(m, p, m.b.Op(p.index))
	}
	m.believe(m.events())
}

// believe checks that the entries reported had expired.
func (m *model) believe(events []event) {
	for _, e := range events {
		at := spaceKey{e.space, e.key}
		if m.spaces[e.space] == nil || e.reason != batch.Expired {
			m.failf("an event has reason %d and space %d", e.reason, e.space)
		}
		switch held := m.spaces[at.space][at.key]; {
		case held != nil && held.gone(m.now) && m.replaced[at]:
			held.unsure = true
		case held != nil && held.gone(m.now):
			m.remove(at)
		case !m.replaced[at]:
			m.failf("%s is reported as expired, but its time has not passed", quote([]byte(e.key)))
		}
	}
}

// expiry is a random expiry time, sometimes one that has passed.
func (m *model) expiry(soonest int64) int64 {
	if !m.has(capExpiry) || m.rng.IntN(3) != 0 {
		return 0
	}
	if m.rng.IntN(4) == 0 {
		return m.now + int64(m.rng.IntN(5000))
	}
	return m.now + soonest + int64(m.rng.IntN(40))
}

func (m *model) tag() uint32 {
	if !m.has(capTags) || m.rng.IntN(2) == 0 {
		return 0
	}
	return m.rng.Uint32()
}

// length is mostly short, and sometimes around what is pinned.
func (m *model) length() int {
	switch m.rng.IntN(60) {
	case 0:
		return pinLength - 1 + m.rng.IntN(3)
	case 1:
		return m.rng.IntN(100_000)
	}
	return m.rng.IntN(100)
}

// content is a random value, at times a number.
func (m *model) content() []byte {
	if m.rng.IntN(3) == 0 {
		return []byte(strconv.Itoa(m.rng.IntN(1000) - 500))
	}
	return m.value(m.length())
}

// draw puts a random operation into the batch.
func (m *model) draw(at spaceKey) plan {
	key := m.in([]byte(at.key))
	switch n := m.rng.IntN(100); {
	case n < 25:
		return m.drawSet(at, key)
	case n < 45:
		return plan{at, m.b.Get(at.space, key), (*model).applyGet}
	case n < 52:
		i := m.b.GetRange(at.space, key, m.rng.Uint64N(120), m.rng.Uint64N(80))
		return plan{at, i, (*model).applyGet}
	case n < 62 && m.has(capDelete):
		return plan{at, m.b.Delete(at.space, key), (*model).applyDelete}
	case n < 63 && m.has(capDelete|capScan) && m.rng.IntN(3) == 0:
		return plan{at, m.b.Clear(at.space), (*model).applyClear}
	case n < 92:
		return m.drawUpdate(at, key)
	}
	return plan{at, m.b.Meta(at.space, key), (*model).applyMeta}
}

func (m *model) drawSet(at spaceKey, key []byte) plan {
	e := entry{value: m.content(), expiry: m.expiry(-5), tag: m.tag()}
	var flags uint16
	if m.rng.IntN(4) == 0 {
		flags = batch.KeepExpiry
	}
	i := m.b.Set(at.space, key, m.in(e.value), e.expiry, e.tag, flags)
	return plan{at, i, func(m *model, p plan, op *batch.Op) {
		m.expect("SET", op, batch.OK)
		if old := m.live(p.at); old != nil && flags != 0 {
			e.expiry = old.expiry
		}
		m.put(p.at, e)
	}}
}

func (m *model) applyGet(p plan, op *batch.Op) {
	e := m.live(p.at)
	if e == nil {
		m.expect("GET of an absent key", op, batch.NotFound)
		return
	}
	m.expect("GET", op, batch.OK)
	from := min(op.Offset, uint64(len(e.value)))
	want := e.value[from : from+min(op.Length, uint64(len(e.value))-from)]
	if !bytes.Equal(op.ValueBytes(), want) {
		m.failf("GET gives %s, want %s", brief(op.ValueBytes()), brief(want))
	}
	if op.Expiry != e.expiry || op.Tag != e.tag {
		m.failf("GET gives expiry %d and tag %d, want %d and %d", op.Expiry, op.Tag, e.expiry, e.tag)
	}
	m.hold(op)
}

func (m *model) applyMeta(p plan, op *batch.Op) {
	e := m.live(p.at)
	if e == nil {
		m.expect("META of an absent key", op, batch.NotFound)
		return
	}
	m.expect("META", op, batch.OK)
	if op.ValueLen != uint64(len(e.value)) || op.Expiry != e.expiry || op.Tag != e.tag {
		m.failf("META gives length %d, expiry %d and tag %d, want %d, %d and %d",
			op.ValueLen, op.Expiry, op.Tag, len(e.value), e.expiry, e.tag)
	}
}

func (m *model) applyDelete(p plan, op *batch.Op) {
	if m.live(p.at) == nil {
		m.expect("DELETE of an absent key", op, batch.NotFound)
		return
	}
	m.expect("DELETE", op, batch.OK)
	m.remove(p.at)
}

func (m *model) applyClear(p plan, op *batch.Op) {
	m.expect("CLEAR", op, batch.OK)
	for key, e := range m.spaces[p.at.space] {
		at := spaceKey{p.at.space, key}
		if e.gone(m.now) {
			m.replaced[at] = true
		}
		m.remove(at)
	}
}

var integer = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,17})$`)

// drawUpdate puts a random function of the host into the batch.
func (m *model) drawUpdate(at spaceKey, key []byte) plan {
	fns := []batch.Func{batch.FuncIncr, batch.FuncAppend, batch.FuncSetRange, batch.FuncSet}
	if m.has(capDelete) {
		fns = append(fns, batch.FuncGetDel)
	}
	if m.has(capExpiry) {
		fns = append(fns, batch.FuncExpire, batch.FuncPersist)
	}
	fn := fns[m.rng.IntN(len(fns))]
	i, a := m.b.Update(at.space, key, fn)
	a.Now, a.Limit = m.now, m.limit()
	value := m.value(1 + m.rng.IntN(30))
	a.SetValue(m.in(value))
	a.Number = int64(m.rng.IntN(100))
	if m.has(capBinary) { // a gap is filled with NUL
		a.Offset = m.rng.Uint64N(100)
	}
	if fn == batch.FuncExpire {
		a.Expiry = m.now + 1 + int64(m.rng.IntN(40))
	}
	if fn == batch.FuncSet {
		a.Expiry = m.expiry(1)
		a.Flags = []uint64{0, batch.IfAbsent, batch.IfPresent, batch.KeepTTL}[m.rng.IntN(4)]
	}
	return plan{at, i, func(m *model, p plan, op *batch.Op) {
		if m.endsAtOnce(p.at, fn, op.Args()) && !m.has(capDelete) {
			m.expect("UPDATE that removes its key", op, batch.Unsupported)
			return
		}
		m.expect("UPDATE", op, batch.OK)
		m.applyUpdate(p.at, fn, op.Args(), value)
	}}
}

// endsAtOnce tells whether a SET that keeps the time of its key comes at just that time.
func (m *model) endsAtOnce(at spaceKey, fn batch.Func, a *batch.Arg) bool {
	old := m.live(at)
	return fn == batch.FuncSet && a.Flags&batch.KeepTTL != 0 && old != nil && old.expiry != 0 && old.expiry <= a.Now
}

// applyUpdate does to the model what fn does to the store.
func (m *model) applyUpdate(at spaceKey, fn batch.Func, a *batch.Arg, value []byte) {
	old := m.live(at)
	e := entry{}
	if old != nil {
		e = *old
	}
	if (a.Existed == 1) != (old != nil) {
		m.failf("an update was shown an entry: %v, want %v", a.Existed == 1, old != nil)
	}
	switch fn {
	case batch.FuncIncr:
		n := int64(0)
		if old != nil {
			if !integer.Match(old.value) {
				return
			}
			n, _ = strconv.ParseInt(string(old.value), 10, 64)
		}
		e.value = strconv.AppendInt(nil, n+a.Number, 10)
	case batch.FuncAppend:
		if uint64(len(e.value)+len(value)) > m.limit() {
			return
		}
		e.value = append(bytes.Clone(e.value), value...)
	case batch.FuncSetRange:
		if a.Offset+uint64(len(value)) > m.limit() {
			return
		}
		e.value = overlay(e.value, int(a.Offset), value)
	case batch.FuncSet:
		if a.Flags&batch.IfAbsent != 0 && old != nil || a.Flags&batch.IfPresent != 0 && old == nil {
			return
		}
		e.value, e.tag = value, 0
		if a.Flags&batch.KeepTTL == 0 {
			e.expiry = a.Expiry
		} else if m.endsAtOnce(at, fn, a) {
			m.remove(at)
			return
		}
	case batch.FuncGetDel:
		if old != nil {
			m.checkSeen(a, old)
			m.remove(at)
		}
		return
	case batch.FuncExpire, batch.FuncPersist:
		if old == nil {
			return
		}
		e.expiry = a.Expiry
	}
	m.put(at, e)
}

// checkSeen compares what an update function saw with the model's entry.
func (m *model) checkSeen(a *batch.Arg, old *entry) {
	if !bytes.Equal(a.OldBytes(), old.value) {
		m.failf("an update was shown %s, want %s", brief(a.OldBytes()), brief(old.value))
	}
}

// overlay puts patch at an offset of v, with zero bytes in a gap.
func overlay(v []byte, offset int, patch []byte) []byte {
	out := make([]byte, max(len(v), offset+len(patch)))
	copy(out, v)
	copy(out[offset:], patch)
	return out
}

// walkSpace walks with batches between the steps and holds it to its promise.
func (m *model) walkSpace(space uint32) {
	if !m.has(capScan) {
		return
	}
	m.steady = map[spaceKey]bool{}
	for key := range m.spaces[space] {
		if at := (spaceKey{space, key}); m.live(at) != nil {
			m.steady[at] = true
		}
	}
	met := map[string]bool{}
	cursor := uint64(0)
	for range 1_000_000 {
		next, items := m.step(space, batch.ScanValues, cursor, 1+m.rng.Uint64N(9))
		for _, it := range items {
			e := m.live(spaceKey{space, it.key})
			if e == nil || !bytes.Equal(e.value, it.value) || e.expiry != it.expiry || e.tag != it.tag {
				m.failf("a walk gives another entry for %s than there is", quote([]byte(it.key)))
			}
			met[it.key] = true
		}
		if cursor = next; cursor == 0 {
			break
		}
		m.batch(3)
	}
	for at := range m.steady {
		if m.live(at) != nil && !met[at.key] {
			m.failf("a walk missed %s, which was there all the time", quote([]byte(at.key)))
		}
	}
	m.steady = map[spaceKey]bool{}
}

// keepHouse maintains. A second after its time every entry must be reported.
func (m *model) keepHouse() {
	if !m.Maintains {
		return
	}
	m.replaced = map[spaceKey]bool{}
	m.believe(m.maintainAll(1 + m.rng.Uint64N(20)))
	for s, space := range m.spaces {
		for key, e := range space {
			if e.gone(m.now-second) && !e.unsure {
				m.failf("%s expired over a second ago, but maintain has not reported it", quote([]byte(key)))
			}
			if e.gone(m.now - second) {
				m.remove(spaceKey{s, key})
			}
		}
	}
}

// compareFigures lets time pass, keeps house and compares what stat says.
func (m *model) compareFigures() {
	if !m.has(capScan) || m.has(capExpiry) && !m.Maintains {
		return
	}
	m.now += second
	m.keepHouse()
	for s, space := range m.spaces {
		if s > 0 && !m.has(capSpaces) {
			continue
		}
		var want batch.Stat
		for key, e := range space {
			want.Entries++
			want.Payload += uint64(len(key) + len(e.value))
			if e.expiry != 0 {
				want.Expiring++
			}
		}
		st := m.stat(s)
		if st.Entries != want.Entries || st.Payload != want.Payload || st.Expiring != want.Expiring {
			m.failf("stat counts %d entries, %d expiring, %d bytes; want %d, %d and %d",
				st.Entries, st.Expiring, st.Payload, want.Entries, want.Expiring, want.Payload)
		}
	}
}
