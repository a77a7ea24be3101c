package command

import (
	"bytes"
	"strconv"

	"kvstored/pkg/batch"
	"kvstored/pkg/resp"
)

const (
	scanSlice    = 4096     // entries looked at by one step of a whole walk
	scanBytes    = 16 << 20 // of values, in one step of it
	defaultCount = 10       // SCAN without COUNT
	randomTries  = 16
)

// walk calls fn with every entry of a database until it returns false. When
// the engine fails the error is the reply and walk returns false.
func (x *Exec) walk(space uint32, fn func(it *batch.Item) bool) bool {
	return x.walkOn(space, 0, fn)
}

// walkValues is walk with the values.
func (x *Exec) walkValues(space uint32, fn func(it *batch.Item) bool) bool {
	return x.walkOn(space, batch.ScanValues, fn)
}

func (x *Exec) walkOn(space, flags uint32, fn func(it *batch.Item) bool) bool {
	x.begin(space, scanSlice, 0)
	x.Scan.Flags, x.Scan.BudgetBytes = flags, scanBytes
	for going := true; going; {
		if !x.scan() {
			return false
		}
		x.Scan.Items(func(it *batch.Item) bool {
			going = fn(it)
			return going
		})
		going = going && x.Scan.Cursor != 0
	}
	return true
}

// begin sets the scan up for a walk's first step.
func (x *Exec) begin(space uint32, budget, cursor uint64) {
	s := x.Scan
	s.Flags, s.Space, s.Now, s.Seed = 0, space, x.Now, 0
	s.Budget, s.BudgetBytes, s.Cursor = budget, 0, cursor
}

// scan makes one step; an error is the reply.
func (x *Exec) scan() bool {
	if err := x.Store.Scan(x.Scan); err != nil {
		x.W.Error("ERR " + err.Error())
		return false
	}
	return true
}

// scanning is a SCAN's arguments, and how far it has come.
type scanning struct {
	db         uint32
	cursor     uint64
	count      uint64 // of keys to be looked at
	pattern    []byte // nil: all
	other      bool   // TYPE names a kind that does not exist here
	generation uint64 // of the store that is walked
	found      resp.Writer
	n          int // of what is in it
}

func planScan(c *Call) {
	s := &scanning{count: defaultCount}
	var ok bool
	if s.cursor, ok = parseCursor(c.Args[1]); !ok {
		c.Fail("ERR invalid cursor")
		return
	}
	for i := 2; i < len(c.Args); i += 2 {
		if i+1 == len(c.Args) || !c.scanOption(s, i) {
			if c.Reply.Fixed == nil {
				c.Fail(syntaxError)
			}
			return
		}
	}
	s.db = c.Session.DB
	if s.count > scanSlice {
		s.pattern = bytes.Clone(s.pattern)
		c.Reply.Sliced = true
	}
	c.Reply.Step = s.step
}

// scanOption reads the option at argument i and its value; false when it is
// none, with or without an error as the reply.
func (c *Call) scanOption(s *scanning, i int) bool {
	switch opt, value := c.Args[i], c.Args[i+1]; {
	case isWord(opt, "count"):
		n, ok := c.integer(i + 1)
		if !ok || n < 1 {
			return false
		}
		s.count = uint64(n)
	case isWord(opt, "match"):
		s.pattern = value
		if len(value) == 1 && value[0] == '*' {
			s.pattern = nil
		}
	case isWord(opt, "type"):
		s.other = !isWord(value, "string")
	default:
		return false
	}
	return true
}

// step looks at as many keys as the client said; at very many in slices.
func (s *scanning) step(x *Exec, r *Reply) {
	s.generation = x.Store.Generation()
	for !s.slice(x) {
		if x.Continue != nil && r.Sliced {
			x.Continue(r, s.slice)
			return
		}
	}
}

// slice looks at some of them; true: the reply is written. When the store was
// exchanged between two slices the client goes on in the new one, as it would
// between two SCANs.
func (s *scanning) slice(x *Exec) bool {
	if x.Store.Generation() == s.generation {
		x.begin(s.db, min(s.count, scanSlice), s.cursor)
		if !x.scan() {
			return true
		}
		x.Scan.Items(func(it *batch.Item) bool {
			if key := it.KeyBytes(); !s.other && (s.pattern == nil || Match(s.pattern, key, false)) {
				s.found.Bulk(key)
				s.n++
			}
			return true
		})
		s.count -= min(s.count, scanSlice)
		if s.cursor = x.Scan.Cursor; s.cursor != 0 && s.count != 0 {
			return false
		}
	}
	x.W.Array(2)
	x.W.BulkString(strconv.FormatUint(s.cursor, 10))
	x.W.Array(s.n)
	x.W.Whole(s.found.Buf)
	return true
}

func planRandomkey(c *Call) { c.Reply.Step = stepRandomkey }

// stepRandomkey asks for a random entry; where there are hardly any besides
// those that are gone it takes the first one it finds.
func stepRandomkey(x *Exec, r *Reply) {
	write := func(it *batch.Item) bool {
		x.W.Bulk(it.KeyBytes())
		return false
	}
	for range randomTries {
		x.begin(r.DB, 1, 0)
		x.Scan.Flags = batch.ScanRandom
		x.Scan.Seed = x.Random()
		if !x.scan() {
			return
		}
		if x.Scan.Count > 0 {
			x.Scan.Items(write)
			return
		}
		if stat, err := x.Store.Stat(r.DB); err == nil && stat.Entries == 0 {
			break
		}
	}
	found := false
	ok := x.walk(r.DB, func(it *batch.Item) bool {
		found = true
		return write(it)
	})
	if ok && !found {
		x.W.Null()
	}
}
