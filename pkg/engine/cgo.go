package engine

/*
#cgo CFLAGS: -std=c17 -O2 -g -Wall -Wextra -Wno-unused-parameter -I${SRCDIR}/../../libkvstore
#cgo LDFLAGS: -ldl -lpthread
#cgo noescape kvh_exec
#cgo nocallback kvh_exec
#cgo noescape kvh_scan
#cgo nocallback kvh_scan
#cgo noescape kvh_maintain
#cgo nocallback kvh_maintain
#cgo noescape kvh_stat
#cgo nocallback kvh_stat
#cgo noescape kvh_release
#cgo nocallback kvh_release
#cgo noescape kvh_commit
#cgo nocallback kvh_commit
#cgo noescape kvh_syncer_begin
#cgo nocallback kvh_syncer_begin
#cgo noescape kvh_syncer_end
#cgo nocallback kvh_syncer_end
#include "host.h"
#include "update.h"
#include <stdlib.h>
*/
import "C"

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	_ "kvstored/libkvstore" // the headers that the C here includes
	"kvstored/pkg/batch"
)

func init() {
	batch.SetMore(uintptr(C.kvh_more))
	batch.SetNoted(uintptr(C.kvh_noted_address()))
	for fn := batch.Func(0); fn < batch.FuncCount; fn++ {
		batch.SetFunc(fn, uintptr(C.kvh_update_address(C.uint(fn))))
	}
}

// library is a loaded engine library. Its calls may come from any goroutine,
// one at a time.
type library struct {
	c    *C.struct_kvh_library
	info Info
}

// loadFailure is why a library was not loaded: a kvh_load_status and text.
type loadFailure struct {
	status int
	text   string
}

func (f *loadFailure) Error() string { return f.text }

// loadLibrary loads what is behind path and copies its descriptor, unchecked.
// The error is a *loadFailure.
func loadLibrary(path string) (*library, error) {
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	text := (*C.char)(C.calloc(1, textSize))
	defer C.free(unsafe.Pointer(text))
	var c *C.struct_kvh_library
	if status := C.kvh_load(cpath, &c, text, textSize); status != C.KVH_LOADED {
		return nil, &loadFailure{int(status), C.GoString(text)}
	}
	return &library{c: c, info: describe(c)}, nil
}

const textSize = 1024

// describe turns the host's copy of the descriptor into Go.
func describe(c *C.struct_kvh_library) Info {
	e := &c.engine
	return Info{
		Name:         optional(e.name),
		Version:      optional(e.version),
		Format:       optional(e.format),
		ABI:          uint32(e.abi),
		Size:         uint32(c.given_size),
		Capabilities: uint64(e.capabilities),
		ThreadModel:  uint32(e.thread_model),
		MaxKey:       uint64(e.max_key),
		MaxValue:     uint64(e.max_value),
		Legacy:       c.plain_set != nil,
		missing: missing{
			name: e.name == nil, version: e.version == nil, format: e.format == nil,
			open: e.open == nil, close: e.close == nil, exec: e.exec == nil,
			commit: e.commit == nil, release: e.release == nil, scan: e.scan == nil,
			stat: e.stat == nil, maintain: e.maintain == nil,
			offer: e.offer == nil, accept: e.accept == nil, resume: e.resume == nil,
			limit: e.limit == nil,
		},
	}
}

// longestText is more than any text of a descriptor may have.
const longestText = 100

// optional is a C text, cut to longestText, "" for a null pointer.
func optional(s *C.char) string {
	if s == nil {
		return ""
	}
	return C.GoStringN(s, C.int(C.kvh_text_length(s, longestText)))
}

// unload takes the library out. All its stores must be closed.
func (l *library) unload() error {
	text := (*C.char)(C.calloc(1, textSize))
	defer C.free(unsafe.Pointer(text))
	c := l.c
	l.c = nil
	if C.kvh_unload(c, text, textSize) != 0 {
		return fmt.Errorf("unload %s: %s", l.info.Name, C.GoString(text))
	}
	return nil
}

// becomeTrial readies this process for a library that may crash.
func becomeTrial() { C.kvh_become_trial() }

// settings is what open and accept are told.
type settings struct {
	maxMemory uint64 // 0: none
	now       int64
	seed      uint64
	logFD     int    // -1: what the engine logs is dropped
	stateDir  string // "": nothing is kept on disk
	fresh     bool   // stateDir is empty: a new store is made there
}

func freeSettings(c *C.struct_kvh_settings) {
	C.free(unsafe.Pointer(c.state_dir))
	C.free(unsafe.Pointer(c))
}

func (s settings) c() *C.struct_kvh_settings {
	c := (*C.struct_kvh_settings)(C.calloc(1, C.sizeof_struct_kvh_settings))
	c.max_memory = C.uint64_t(s.maxMemory)
	c.now = C.int64_t(s.now)
	c.seed = C.uint64_t(s.seed)
	c.log_fd = C.int(s.logFD)
	if s.stateDir != "" {
		c.state_dir = C.CString(s.stateDir)
		if s.fresh {
			c.flags |= C.KV_OPEN_NEW
		}
	}
	return c
}

// store is an open store of a library. One call at a time.
type store struct {
	lib  *library
	addr uintptr // *struct kvh_store
}

// storeFailure is a status of open, accept or exec with the engine's sentence.
type storeFailure struct {
	status batch.Status
	text   string
}

func (f *storeFailure) Error() string {
	if f.text == "" {
		return f.status.String()
	}
	return f.text
}

// open opens an empty store. The error is a *storeFailure.
func (l *library) open(s settings) (*store, error) {
	set := s.c()
	defer freeSettings(set)
	var c *C.struct_kvh_store
	if status := C.kvh_open(l.c, set, &c); status != C.KV_OK {
		return nil, &storeFailure{batch.Status(status), C.GoString(&set.error[0])}
	}
	return &store{l, uintptr(unsafe.Pointer(c))}, nil
}

// handOver has l take over what s holds. On success s must be closed as given;
// on failure s goes on, unless broken. The error is a *storeFailure.
func (s *store) handOver(l *library, with settings) (next *store, broken bool, err error) {
	set := with.c()
	defer freeSettings(set)
	var c *C.struct_kvh_store
	var b C.int
	if status := C.kvh_hand_over(s.c(), l.c, set, &c, &b); status != C.KV_OK {
		return nil, b != 0, &storeFailure{batch.Status(status), C.GoString(&set.error[0])}
	}
	return &store{l, uintptr(unsafe.Pointer(c))}, false, nil
}

// takeBack offers s and resumes it. A failure means that s is unusable, unless
// it could not be offered at all.
func (s *store) takeBack() batch.Status { return batch.Status(C.kvh_take_back(s.c())) }

func (s *store) c() *C.struct_kvh_store {
	return *(**C.struct_kvh_store)(unsafe.Pointer(&s.addr))
}

// close ends the store; given: another one took over what it held.
func (s *store) close(given bool) {
	var g C.int
	if given {
		g = 1
	}
	C.kvh_close(s.c(), g)
	s.addr = 0
}

// exec carries out the sealed batch. A failure means the store is unusable.
func (s *store) exec(sealed uintptr) batch.Status {
	return batch.Status(C.kvh_exec(C.uintptr_t(s.addr), C.uintptr_t(sealed)))
}

// execWide is exec with operations further apart, as later hosts may have them.
func (s *store) execWide(sealed uintptr) batch.Status {
	return batch.Status(C.kvh_exec_wide(C.uintptr_t(s.addr), C.uintptr_t(sealed)))
}

// scan runs one step of a walk.
func (s *store) scan(prepared uintptr) batch.Status {
	return batch.Status(C.kvh_scan(C.uintptr_t(s.addr), C.uintptr_t(prepared)))
}

// maintain runs one slice of housekeeping.
func (s *store) maintain(m *batch.MaintainHeader) batch.Status {
	return batch.Status(C.kvh_maintain(C.uintptr_t(s.addr), (*C.struct_kv_maintain)(unsafe.Pointer(m))))
}

// stat fills in st.
func (s *store) stat(st *batch.Stat) batch.Status {
	return batch.Status(C.kvh_stat(C.uintptr_t(s.addr), (*C.struct_kv_stat)(unsafe.Pointer(st))))
}

// limit sets the limit of memory.
func (s *store) limit(l Limit) batch.Status {
	policy, flags := l.Policy.forEngine()
	c := C.struct_kv_limit{size: C.sizeof_struct_kv_limit, policy: C.uint32_t(policy), flags: C.uint32_t(flags),
		max_memory: C.uint64_t(l.MaxMemory)}
	return batch.Status(C.kvh_limit(s.c(), &c))
}

// release gives pins back.
func (s *store) release(pins []uint64) {
	if len(pins) > 0 {
		C.kvh_release(C.uintptr_t(s.addr), (*C.uint64_t)(unsafe.SliceData(pins)), C.uint64_t(len(pins)))
	}
}

// commitment is what a commit asked to be synced.
type commitment struct{ c C.struct_kv_commit }

// mark is the engine's own number of what a sync covers.
func (c *commitment) mark() uint64 { return uint64(c.c.mark) }

// pending tells whether there is anything to sync.
func (c *commitment) pending() bool { return c.c.fd_count > 0 }

// again tells whether the engine waits for the outcome.
func (c *commitment) again() bool { return c.c.flags&C.KV_COMMIT_AGAIN != 0 }

// saving tells whether a snapshot that was asked for is under way, and whether
// the last one could not be written.
func (c *commitment) saving() (now, failed bool) {
	return c.c.flags&C.KV_COMMIT_SAVING != 0, c.c.flags&C.KV_COMMIT_NOT_SAVED != 0
}

// What a commit asks for; see kvstore.h.
const (
	commitOnly     = 0
	commitSync     = uint32(C.KV_COMMIT_SYNC)
	commitSnapshot = uint32(C.KV_COMMIT_SNAPSHOT)
)

// commit has the store write what happened. synced is the engine's mark that
// is on disk, errno that of a sync that failed.
func (s *store) commit(flags uint32, synced uint64, errno int) (commitment, batch.Status) {
	var c commitment
	c.c.flags = C.uint32_t(flags)
	c.c.synced, c.c.sync_error = C.uint64_t(synced), C.int32_t(errno)
	st := batch.Status(C.kvh_commit(C.uintptr_t(s.addr), &c.c))
	return c, st
}

// syncer is the thread that waits for disks. One call at a time.
type syncer struct{ c *C.struct_kvh_syncer }

func newSyncer() (syncer, error) {
	c, err := C.kvh_syncer_new()
	if c == nil {
		return syncer{}, fmt.Errorf("make the thread that syncs: %w", err)
	}
	return syncer{c}, nil
}

func (s syncer) close()    { C.kvh_syncer_free(s.c) }
func (s syncer) bell() int { return int(C.kvh_syncer_bell(s.c)) }

// begin starts to sync what c asks for.
func (s syncer) begin(c *commitment) {
	C.kvh_syncer_begin(s.c, &c.c)
}

// end tells whether the sync is done and how it went.
func (s syncer) end(wait bool) (done bool, errno unix.Errno) {
	var e, w C.int
	if wait {
		w = 1
	}
	done = C.kvh_syncer_end(s.c, w, &e) != 0
	return done, unix.Errno(e)
}

// fail has the next sync fail, for tests.
func (s syncer) fail(errno unix.Errno) { C.kvh_syncer_fail(s.c, C.int(errno)) }

const (
	statSize     = uint32(C.sizeof_struct_kv_stat)
	maintainSize = uint32(C.sizeof_struct_kv_maintain)

	noSymbol     = int(C.KVH_NO_SYMBOL)
	noDescriptor = int(C.KVH_NO_DESCRIPTOR)
)
