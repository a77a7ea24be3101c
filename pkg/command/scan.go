package command

import (
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

// scanning is a SCAN's arguments.
type scanning struct {
	cursor  uint64
	count   uint64
	pattern []byte // nil: all
	other   bool   // TYPE names a kind that does not exist here
}

func planScan(c *Call) {
	s := scanning{count: defaultCount}
	var ok bool
	if s.cursor, ok = parseCursor(c.Args[1]); !ok {
		c.Fail("ERR invalid cursor")
		return
	}
	for i := 2; i < len(c.Args); i += 2 {
		if i+1 == len(c.Args) || !c.scanOption(&s, i) {
			if c.Reply.Fixed == nil {
				c.Fail(syntaxError)
			}
			return
		}
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

func (s scanning) step(x *Exec, r *Reply) {
	x.begin(r.DB, s.count, s.cursor)
	if !x.scan() {
		return
	}
	var found resp.Writer
	n := 0
	x.Scan.Items(func(it *batch.Item) bool {
		if key := it.KeyBytes(); !s.other && (s.pattern == nil || Match(s.pattern, key, false)) {
			found.Bulk(key)
			n++
		}
		return true
	})
	x.W.Array(2)
	x.W.BulkString(strconv.FormatUint(x.Scan.Cursor, 10))
	x.W.Array(n)
	x.W.Raw(found.Buf)
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
