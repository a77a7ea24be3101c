package command

import (
	"bytes"

	"kvstored/pkg/batch"
	"kvstored/pkg/resp"
)

func planKeys(c *Call) {
	k := &listing{pattern: bytes.Clone(c.Args[1]), db: c.Session.DB}
	if k.all = len(k.pattern) == 1 && k.pattern[0] == '*'; k.all {
		k.pattern = nil
	}
	c.Reply.Step, c.Reply.Sliced = k.step, true
}

// listing is a KEYS under way. Between its slices others change the keys: each
// that is there from the first slice to the last is found, and named once.
type listing struct {
	pattern    []byte
	all        bool
	db         uint32
	cursor     uint64
	generation uint64   // of the store that is walked
	moves      uint64   // of the store, at the last slice
	moved      bool     // something has changed since the first
	found      [][]byte // bulk strings, many in each piece
	n          int      // of them

	twice [][]byte            // what was found, some keys twice, while it is sifted
	seen  map[string]struct{} // of it; nil before
}

// How much of what was found lies together: little at first, and at most.
const (
	firstPiece = 1 << 10
	foundPiece = 256 << 10
)

// step makes the first slice, and all of them where nothing may come between.
func (k *listing) step(x *Exec, r *Reply) {
	k.generation, k.moves = x.Store.Generation(), x.Store.Moves()
	for !k.slice(x) {
		if x.Continue != nil {
			x.Continue(r, k.slice)
			return
		}
	}
}

// slice looks at some of the keys; true: the reply is written.
func (k *listing) slice(x *Exec) bool {
	if k.seen != nil {
		return k.sift(x)
	}
	if x.Store.Generation() != k.generation { // the cursor means nothing any more
		k.generation, k.cursor, k.found, k.n, k.moved = x.Store.Generation(), 0, nil, 0, false
	} else if x.Store.Moves() != k.moves {
		k.moved = true
	}
	x.begin(k.db, scanSlice, k.cursor)
	if !x.scan() {
		return true
	}
	x.Scan.Items(func(it *batch.Item) bool {
		if key := it.KeyBytes(); k.all || Match(k.pattern, key, false) {
			k.add(key)
		}
		return true
	})
	if k.cursor = x.Scan.Cursor; k.cursor != 0 {
		k.moves = x.Store.Moves()
		return false
	}
	if k.moved {
		k.twice, k.found, k.n = k.found, nil, 0
		k.seen = map[string]struct{}{}
		return false
	}
	k.write(x)
	return true
}

// sift takes some of what was found, and of what is there twice only the first.
func (k *listing) sift(x *Exec) bool {
	for range scanSlice {
		if len(k.twice) == 0 {
			k.write(x)
			return true
		}
		var key []byte
		if key, k.twice[0] = cutBulk(k.twice[0]); len(k.twice[0]) == 0 {
			k.twice = k.twice[1:]
		}
		if _, there := k.seen[string(key)]; !there {
			k.seen[string(key)] = struct{}{}
			k.add(key)
		}
	}
	return false
}

func (k *listing) write(x *Exec) {
	x.W.Array(k.n)
	for _, piece := range k.found {
		x.W.Whole(piece)
	}
}

// add notes a key.
func (k *listing) add(key []byte) {
	last := len(k.found) - 1
	if last < 0 || cap(k.found[last])-len(k.found[last]) < len(key)+bulkMost {
		k.found = append(k.found, make([]byte, 0, max(min(foundPiece, firstPiece<<(2*min(len(k.found), 4))), len(key)+bulkMost)))
		last++
	}
	w := resp.Writer{Buf: k.found[last]}
	w.Bulk(key)
	k.found[last] = w.Buf
	k.n++
}

// bulkMost is how much longer than what is in it a bulk string is at most.
const bulkMost = 32

// cutBulk takes the first of the bulk strings in b, which are whole.
func cutBulk(b []byte) (first, rest []byte) {
	n, i := 0, 1
	for ; b[i] != '\r'; i++ {
		n = n*10 + int(b[i]-'0')
	}
	i += len("\r\n")
	return b[i : i+n], b[i+n+len("\r\n"):]
}
