package engine

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"go.uber.org/zap"

	"kvstored/pkg/batch"
)

// generation is one load of an engine library and the store it serves. Its
// store is used with the lane held, until it retires.
type generation struct {
	number uint64
	image  *Image
	lib    *library
	store  *store // nil until opened
	loaded time.Time
	logs   *logPipe
	// dir is where the store keeps its data, "" when it is in memory only; name
	// is the directory's in the state directory. Set before the store serves.
	dir, name string
	committed uint64 // guarded by lane; the engine's mark of its last commit
	synced    uint64 // guarded by lane; up to which it is on disk
	syncErrno int    // guarded by lane; of a sync that failed, until the engine knows
	// heir took over the store by hand-over, with its pins. Guarded by lane.
	heir *generation
	// stageless: the engine has no KV_STAGE. Guarded by lane.
	stageless bool
	// released counts deliveries of pins, to wake those who wait for the last.
	released atomic.Uint64
}

// title names an engine: "hash 0.1.0".
func (g *generation) title() string { return g.lib.info.Name + " " + g.lib.info.Version }

// exec carries out a sealed batch of n operations.
func (g *generation) exec(sealed uintptr, n int) batch.Status {
	if n <= directOps && g.quick() {
		return g.store.direct(directExec, *(*unsafe.Pointer)(unsafe.Pointer(&sealed)))
	}
	return g.store.exec(sealed)
}

// maintain runs one slice of housekeeping, which is short.
func (g *generation) maintain(m *batch.MaintainHeader) batch.Status {
	if g.quick() {
		return g.store.direct(directMaintain, unsafe.Pointer(m))
	}
	return g.store.maintain(m)
}

// quick tells whether short calls end at once, as the engine says.
func (g *generation) quick() bool { return mayBeDirect && g.lib.info.Has(CapPrompt) }

// failure is what a status other than OK means; doing completes "cannot …".
func (g *generation) failure(st batch.Status, doing string) error {
	if st == batch.OK {
		return nil
	}
	return fmt.Errorf("engine %s cannot %s: %s", g.lib.info.Name, doing, st)
}

// load loads a library into this process and checks its descriptor.
func (h *Host) load(image *Image) (*generation, error) {
	lib, err := loadImage(image)
	if err != nil {
		return nil, err
	}
	return &generation{
		number: h.numbers.Add(1), image: image, lib: lib, loaded: time.Now(),
		logs: newLogPipe(h.opts.Log, lib.info.Name, h.opts.OnOpening),
	}, nil
}

// loadImage loads and checks; the error is a *Refusal.
func loadImage(image *Image) (*library, error) {
	lib, err := loadLibrary(image.loadPath())
	if err != nil {
		return nil, refuseLoad(image, err.(*loadFailure))
	}
	if err := lib.info.check(image.Path); err != nil {
		lib.unload()
		return nil, err
	}
	return lib, nil
}

// settings is what a store of this generation is opened with. The limit of
// memory comes after: what was on disk may be above it.
func (h *Host) settings(g *generation) settings {
	return settings{now: time.Now().UnixMilli(), seed: randomSeed(), logFD: g.logs.fd()}
}

func randomSeed() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.NativeEndian.Uint64(b[:])
}

// open opens a store in a loaded generation: one that keeps its data in that
// directory of the state directory, where it is made if it is fresh; an empty
// one in memory for "".
func (h *Host) open(g *generation, name string, fresh bool) error {
	with := h.settings(g)
	with.stateDir, with.fresh = h.dirOf(name), fresh
	st, err := g.lib.open(with)
	if err != nil && name != "" && !fresh {
		return refuseStore(g, with.stateDir, err)
	}
	if err != nil {
		return refuse(err.Error(), "kvctl engine check "+g.image.Path, "%s: %s cannot open a store", g.image.Path, g.lib.info.Name)
	}
	g.store, g.dir, g.name = st, with.stateDir, name
	return nil
}

// refuseStore is the refusal of data that an engine does not open. Its own
// sentence may name the way out after "; fix: ".
func refuseStore(g *generation, dir string, err error) error {
	why, fix, ok := strings.Cut(err.Error(), "; fix: ")
	if !ok {
		fix = "restore " + dir + " from a backup, or move it away to begin empty"
	}
	return refuse(why, fix, "%s cannot open its data in %s", g.title(), dir)
}

// inherit takes over where old kept its data. The lane is held.
func (g *generation) inherit(old *generation) {
	g.dir, g.name = old.dir, old.name
	g.committed, g.synced, g.syncErrno = old.committed, old.synced, old.syncErrno
}

// drop unloads a generation whose store is closed or never was open. It
// tells whether the code is really gone.
func (g *generation) drop() (gone bool) {
	err := g.lib.unload()
	g.logs.close()
	return g.image.Close() && err == nil
}

// mapped tells whether any part of the image is still mapped in this process.
func mapped(image *Image) bool {
	file, err := os.Open("/proc/self/maps")
	if err != nil {
		return true // cannot tell: count it
	}
	defer file.Close()
	inode := strconv.FormatUint(image.inode, 10)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 6 && fields[4] == inode && strings.HasPrefix(fields[5], "/memfd:kvstored-") {
			return true
		}
	}
	return false
}

// retireWait is how often a retiring generation is asked for its pins when
// nobody gives any back.
const retireWait = 50 * time.Millisecond

// retire ends a generation that was replaced by a copy: it waits until every
// pinned value was written to its client, however long that takes, then
// closes the store, drops what it kept on disk and unloads the code. Runs on
// its own goroutine.
//
// What an engine writes at its end would be for nothing, so the directory goes
// first, but not that of one that has its files for itself alone (LMDB).
func (h *Host) retire(g *generation, drop func()) {
	for seen := uint64(0); h.pinsOf(g) > 0; {
		for range 20 {
			time.Sleep(retireWait)
			if now := g.released.Load(); now != seen {
				seen = now
				break
			}
		}
	}
	h.lane.Lock()
	h.pins.forget(g, h.cur)
	h.lane.Unlock()
	if g.lib.info.Has(CapExclusive) {
		g.store.close(false)
		drop()
	} else {
		drop()
		g.store.close(false)
	}
	h.bury(g)
}

// bury unloads a generation whose store is closed and reports how it went.
func (h *Host) bury(g *generation) {
	gone := g.drop()
	h.status.retired(g, gone)
	if gone {
		h.opts.Log.Debug("engine gone", zap.String("engine", g.title()), zap.Uint64("generation", g.number))
		return
	}
	fields := []zap.Field{zap.String("engine", g.title()), zap.Uint64("generation", g.number),
		zap.String("fix", "its memory comes back at the next restart")}
	if g.lib.info.Has(CapNoUnload) {
		h.opts.Log.Info("the code of an engine stays mapped, as the engine said", fields...)
		return
	}
	h.opts.Log.Warn("the code of an engine stays mapped after it was unloaded", fields...)
}

// pinsOf is how many values of g are still being written to clients. What is
// queued for it is delivered first.
func (h *Host) pinsOf(g *generation) uint64 {
	h.Lock()
	defer h.Unlock()
	return g.pinCount()
}

// pinCount asks the engine. One that does not say may have any number: its
// store must stay, since clients may be reading from it. The lane is held.
func (g *generation) pinCount() uint64 {
	if g.lib.info.missing.release {
		return 0
	}
	st := batch.Stat{Size: statSize, Space: batch.SpaceAll}
	if g.store.stat(&st) != batch.OK {
		return math.MaxUint64
	}
	return st.Pins
}
