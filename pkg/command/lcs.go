package command

import (
	"unsafe"

	"kvstored/pkg/batch"
	"kvstored/pkg/resp"
)

// lcs is LCS's options.
type lcs struct {
	length, index, withLen bool
	least                  int64 // shortest match to be shown
}

func planLcs(c *Call) {
	var l lcs
	for i := 3; i < len(c.Args); i++ {
		switch opt := c.Args[i]; {
		case isWord(opt, "idx"):
			l.index = true
		case isWord(opt, "len"):
			l.length = true
		case isWord(opt, "withmatchlen"):
			l.withLen = true
		case isWord(opt, "minmatchlen") && i+1 < len(c.Args):
			i++
			n, ok := c.integer(i)
			if !ok {
				return
			}
			l.least = max(n, 0)
		default:
			c.Fail(syntaxError)
			return
		}
	}
	if l.length && l.index {
		c.Fail("ERR If you want both the length and indexes, please just use IDX.")
		return
	}
	c.Reply.Op = c.Batch.Get(c.Session.DB, c.Args[1])
	c.Batch.Get(c.Session.DB, c.Args[2])
	c.Reply.Render = l.render
}

// render compares outside the lane: others are not held up.
func (l lcs) render(w *resp.Writer, b *batch.Batch, r *Reply) {
	first, second := b.Op(r.Op), b.Op(r.Op+1)
	var values [2][]byte
	for i, o := range []*batch.Op{first, second} {
		if o.Status == batch.OK {
			values[i] = o.ValueBytes()
		}
	}
	if !failed(w, first, r) && !failed(w, second, r) {
		l.answer(w, values[0], values[1])
	}
	for _, o := range []*batch.Op{first, second} {
		if o.Status == batch.OK {
			w.Drop(o.Pin)
		}
	}
}

// lcsTable is the length of the longest common subsequence of every pair of
// beginnings of two values, row by row.
type lcsTable struct {
	cells []uint32
	width uint64
	mem   []byte
}

// at is the length for the first i bytes of one and j of the other.
func (t *lcsTable) at(i, j int) uint32 { return t.cells[uint64(i)*t.width+uint64(j)] }

// newLcsTable fills the table, outside the Go heap; a text says why it cannot.
func newLcsTable(a, b []byte) (*lcsTable, string) {
	t := &lcsTable{width: uint64(len(b)) + 1}
	size := 4 * t.width * (uint64(len(a)) + 1)
	if size > MaxString {
		return nil, "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
	}
	mem, err := batch.Map(int(size))
	if err != nil {
		return nil, "ERR Insufficient memory, failed allocating transient memory for LCS"
	}
	t.mem = mem
	t.cells = unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(mem))), size/4)
	for i := range a {
		above, row := t.cells[uint64(i)*t.width:][:t.width], t.cells[uint64(i+1)*t.width:][:t.width]
		for j, c := range b {
			if a[i] == c {
				row[j+1] = above[j] + 1
			} else {
				row[j+1] = max(above[j+1], row[j])
			}
		}
	}
	return t, ""
}

// lcsMatch is a run of equal bytes, both ends inclusive.
type lcsMatch struct{ a, aEnd, b, bEnd int }

func (l lcs) answer(w *resp.Writer, a, b []byte) {
	t, problem := newLcsTable(a, b)
	if problem != "" {
		w.Error(problem)
		return
	}
	defer batch.Unmap(t.mem)
	n := t.at(len(a), len(b))
	if l.length {
		w.Int(int64(n))
		return
	}
	common, matches := t.walk(a, b)
	if !l.index {
		w.Bulk(common)
		return
	}
	l.writeMatches(w, matches, n)
}

// walk goes back through the table for the subsequence itself and its matches,
// last one first. Of several longest ones it takes the one that Redis takes.
func (t *lcsTable) walk(a, b []byte) (common []byte, matches []lcsMatch) {
	n := t.at(len(a), len(b))
	common = make([]byte, n)
	open := false
	var m lcsMatch
	for i, j := len(a), len(b); i > 0 && j > 0; {
		if a[i-1] != b[j-1] {
			if t.at(i-1, j) > t.at(i, j-1) {
				i--
			} else {
				j--
			}
			if open {
				matches, open = append(matches, m), false
			}
			continue
		}
		n--
		common[n] = a[i-1]
		i, j = i-1, j-1
		if open {
			m.a, m.b = i, j
		} else {
			m, open = lcsMatch{i, i, j, j}, true
		}
		if i == 0 || j == 0 {
			matches, open = append(matches, m), false
		}
	}
	return common, matches
}

func (l lcs) writeMatches(w *resp.Writer, matches []lcsMatch, n uint32) {
	shown := 0
	for _, m := range matches {
		if int64(m.aEnd-m.a)+1 >= l.least {
			shown++
		}
	}
	w.Map(2)
	w.BulkString("matches")
	w.Array(shown)
	for _, m := range matches {
		length := int64(m.aEnd-m.a) + 1
		if length < l.least {
			continue
		}
		if l.withLen {
			w.Array(3)
		} else {
			w.Array(2)
		}
		for _, end := range [][2]int{{m.a, m.aEnd}, {m.b, m.bEnd}} {
			w.Array(2)
			w.Int(int64(end[0]))
			w.Int(int64(end[1]))
		}
		if l.withLen {
			w.Int(length)
		}
	}
	w.BulkString("len")
	w.Int(int64(n))
}
