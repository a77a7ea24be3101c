package migrate

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"kvstored/tests/trace"
)

// A disk is told by all calls on a directory what it was given, and makes of
// that what it could hold if its power was cut at any moment: of what no sync covers any part
// may be missing, in sectors of 512 bytes and in any order, names too.
type disk struct {
	root string

	lock   sync.Mutex // guards all below
	events []event
	ids    map[string]int // files and directories that have a name now
	size   []int64        // by id
	isDir  []bool
	begun  map[*trace.Call]event // calls that are being made
}

type kind int

const (
	writing kind = iota
	cutting
	syncing
	naming   // a file or directory is made
	renaming // within its directory
	removing
)

type event struct {
	kind
	id, dir int // dir: whose name this is
	at      int64
	bytes   []byte
	covers  int    // syncing: events before it began
	name    string // afterwards; before, when it is removed
}

const sector = 512

func newDisk(root string) *disk {
	return &disk{root: root, ids: map[string]int{root: 0}, size: []int64{0}, isDir: []bool{true}, begun: map[*trace.Call]event{}}
}

// count is how many events there were.
func (d *disk) count() int {
	d.lock.Lock()
	defer d.lock.Unlock()
	return len(d.events)
}

// observe records what is done, when it was done.
func (d *disk) observe(c *trace.Call) trace.Action {
	if !strings.HasPrefix(c.Path, d.root) || strings.HasPrefix(c.Name, "open") && !c.Creates || c.Name == "mmap" || c.Name == "fallocate" {
		return trace.Go
	}
	d.lock.Lock()
	defer d.lock.Unlock()
	if !c.Done {
		if e, ok := d.begin(c); ok {
			d.begun[c] = e
			return trace.After
		}
		return trace.Go
	}
	e := d.begun[c]
	delete(d.begun, c)
	if c.Result >= 0 {
		d.done(c, e)
	}
	return trace.Go
}

// begin is what a call is about.
func (d *disk) begin(c *trace.Call) (e event, ok bool) {
	e.id, ok = d.ids[c.Path]
	e.dir = d.ids[filepath.Dir(c.Path)]
	e.name = filepath.Base(c.Path)
	switch {
	case strings.Contains(c.Name, "write"):
		e.kind, e.at, e.bytes = writing, c.At(), c.Bytes()
	case strings.Contains(c.Name, "truncate"):
		e.kind, e.at = cutting, int64(c.Args[1])
	case strings.Contains(c.Name, "sync"):
		e.kind, e.covers = syncing, len(d.events)
	case strings.HasPrefix(c.Name, "rename"):
		e.kind, e.name = renaming, filepath.Base(c.To)
	case strings.HasPrefix(c.Name, "unlink"), c.Name == "rmdir":
		e.kind = removing
	case ok: // opened, and emptied
		e.kind = cutting
		return e, c.Args[2]&unix.O_TRUNC != 0
	default:
		e.kind, e.id, ok = naming, -1, true
	}
	return e, ok
}

// done notes what a call did.
func (d *disk) done(c *trace.Call, e event) {
	switch e.kind {
	case writing:
		if e.at < 0 {
			e.at = d.size[e.id]
		}
		e.bytes = e.bytes[:c.Result]
		d.size[e.id] = max(d.size[e.id], e.at+c.Result)
	case cutting:
		d.size[e.id] = e.at
	case naming:
		e.id = len(d.size)
		d.size, d.isDir = append(d.size, 0), append(d.isDir, strings.HasPrefix(c.Name, "mkdir"))
		d.ids[c.Path] = e.id
	case renaming:
		delete(d.ids, c.Path)
		d.ids[c.To] = e.id
	case removing:
		delete(d.ids, c.Path)
	}
	d.events = append(d.events, e)
}

// cut makes in the directory `to` what the disk may hold after so many events.
func (d *disk) cut(events int, rnd *rand.Rand, to string) error {
	d.lock.Lock()
	defer d.lock.Unlock()
	synced := make([]int, len(d.size))
	for _, e := range d.events[:events] {
		if e.kind == syncing {
			synced[e.id] = max(synced[e.id], e.covers)
		}
	}
	paths := d.names(events, synced, rnd, to)
	for id, path := range paths {
		if path == "" || id == 0 {
			continue
		}
		err := error(nil)
		if d.isDir[id] {
			err = os.Mkdir(path, 0o700)
		} else {
			err = os.WriteFile(path, d.content(id, events, synced[id], rnd), 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// names are the paths that files have then, "" for none.
func (d *disk) names(events int, synced []int, rnd *rand.Rand, to string) []string {
	kept, parent := make([]string, len(d.size)), make([]int, len(d.size))
	ordered, until := rnd.IntN(2) == 0, map[int]int{}
	for i, e := range d.events[:events] {
		if e.kind < naming {
			continue
		}
		if i >= synced[e.dir] { // it may be missing
			if _, ok := until[e.dir]; !ok {
				until[e.dir] = synced[e.dir] + rnd.IntN(events-synced[e.dir]+1)
			}
			if ordered && i >= until[e.dir] || !ordered && rnd.IntN(2) == 0 {
				continue
			}
		}
		if e.kind == renaming && kept[e.id] == "" {
			continue // its making is missing
		}
		for id := range kept {
			if kept[id] == e.name && parent[id] == e.dir && (e.kind != removing || id == e.id) {
				kept[id] = ""
			}
		}
		if e.kind != removing {
			kept[e.id], parent[e.id] = e.name, e.dir
		}
	}
	paths := make([]string, len(d.size))
	paths[0] = to
	for id := 1; id < len(kept); id++ { // a directory is made before what is in it
		if kept[id] != "" && paths[parent[id]] != "" {
			paths[id] = filepath.Join(paths[parent[id]], kept[id])
		}
	}
	return paths
}

// content is what a file has then.
func (d *disk) content(id, events, synced int, rnd *rand.Rand) []byte {
	var text []byte
	reach := func(n int64) {
		if n > int64(len(text)) {
			text = append(text, make([]byte, n-int64(len(text)))...)
		}
	}
	for i, e := range d.events[:events] {
		sure := i < synced
		switch {
		case e.id != id:
		case e.kind == cutting && (sure || rnd.IntN(2) == 0):
			reach(e.at)
			text = text[:e.at:e.at]
		case e.kind == writing && sure:
			reach(e.at + int64(len(e.bytes)))
			copy(text[e.at:], e.bytes)
		case e.kind == writing:
			luck := rnd.IntN(4) // 0: none of it, 3: all
			if luck == 0 && rnd.IntN(2) == 0 {
				continue // not even its length
			}
			reach(e.at + int64(len(e.bytes)))
			for at := e.at; at < e.at+int64(len(e.bytes)); {
				next := min((at/sector+1)*sector, e.at+int64(len(e.bytes)))
				if luck == 3 || luck != 0 && rnd.IntN(2) == 0 {
					copy(text[at:next], e.bytes[at-e.at:next-e.at])
				}
				at = next
			}
		}
	}
	return text
}
