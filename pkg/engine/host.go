package engine

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"kvstored/pkg/batch"
)

// Options is what a Host needs to know.
type Options struct {
	Trust
	// Log takes what the host and the engines report; nil drops it.
	Log *zap.Logger
	// OnFatal is told, once, that the serving store is unusable. The process
	// should end so that its manager starts it anew. Called with the lane held.
	OnFatal func(error)
}

// Host serves one store through the engine that is loaded now.
type Host struct {
	opts Options

	lane sync.Mutex
	cur  *generation // guarded by lane

	serial atomic.Uint64
}

// generation is one load of an engine library and the store it serves.
type generation struct {
	number uint64
	image  *Image
	lib    *library
	store  *store
	loaded time.Time
}

// Open loads the library at path and opens an empty store in it.
func Open(path string, opts Options) (*Host, error) {
	if opts.Log == nil {
		opts.Log = zap.NewNop()
	}
	h := &Host{opts: opts}
	image, err := ReadImage(path, opts.Trust)
	if err != nil {
		return nil, err
	}
	gen, err := h.load(image)
	if err != nil {
		image.Close()
		return nil, err
	}
	h.cur = gen
	return h, nil
}

func (h *Host) load(image *Image) (*generation, error) {
	lib, err := loadLibrary(image.loadPath())
	if err != nil {
		return nil, refuse(err.Error(), "kvctl engine check "+image.Path, "cannot load %s", image.Path)
	}
	if err := lib.info.check(); err != nil {
		lib.unload()
		return nil, err
	}
	st, err := lib.open(settings{now: time.Now().UnixMilli(), seed: uint64(time.Now().UnixNano()), logFD: -1})
	if err != nil {
		lib.unload()
		return nil, refuse(err.Error(), "kvctl engine check "+image.Path, "%s cannot open a store", image.Path)
	}
	return &generation{number: h.serial.Add(1), image: image, lib: lib, store: st, loaded: time.Now()}, nil
}

// Lock takes the lane. Exec, Scan, Stat, Maintain, Has and EngineName need it.
func (h *Host) Lock() { h.lane.Lock() }

// Unlock gives the lane back.
func (h *Host) Unlock() { h.lane.Unlock() }

// Exec carries out operations [from, to) of b at now, milliseconds since
// 1970. An error means the store is unusable; every operation then has the
// status Unknown. The lane is held.
func (h *Host) Exec(b *batch.Batch, from, to int, now int64) error {
	if from == to {
		return nil
	}
	if st := h.cur.store.exec(b.Seal(from, to, now)); st != batch.OK {
		return fmt.Errorf("engine %s: %s", h.cur.lib.info.Name, st)
	}
	return nil
}

// Scan runs one step of a walk. The lane is held.
func (h *Host) Scan(s *batch.Scan) error {
	if st := h.cur.store.scan(s.Prepare()); st != batch.OK {
		return fmt.Errorf("engine %s: %s", h.cur.lib.info.Name, st)
	}
	return nil
}

// Stat gives figures of one space, or of all with batch.SpaceAll. The lane is
// held.
func (h *Host) Stat(space uint32) (batch.Stat, error) {
	st := batch.Stat{Size: statSize, Space: space}
	if status := h.cur.store.stat(&st); status != batch.OK {
		return st, fmt.Errorf("engine %s: %s", h.cur.lib.info.Name, status)
	}
	return st, nil
}

// Has tells whether the serving engine has all of the capabilities. The lane
// is held.
func (h *Host) Has(caps uint64) bool { return h.cur.lib.info.Has(caps) }

// EngineName is the serving engine's name, for messages. The lane is held.
func (h *Host) EngineName() string { return h.cur.lib.info.Name }

// Close ends the store and unloads the engine. Nothing may use the host then.
func (h *Host) Close() {
	h.lane.Lock()
	defer h.lane.Unlock()
	h.cur.store.close(false)
	h.cur.lib.unload()
	h.cur.image.Close()
	h.cur = nil
}
