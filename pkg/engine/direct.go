package engine

/*
#include "host.h"

// What kvh_exec and kvh_maintain take and give, for callers that pass one
// pointer.
struct direct_call {
	uintptr_t store;
	uintptr_t what;
	int32_t status;
};

static void direct_exec(void *p)
{
	struct direct_call *d = p;

	d->status = (int32_t)kvh_exec(d->store, d->what);
}

static void direct_maintain(void *p)
{
	struct direct_call *d = p;

	d->status = (int32_t)kvh_maintain(d->store, (struct kv_maintain *)d->what);
}

static uintptr_t direct_exec_address(void) { return (uintptr_t)direct_exec; }
static uintptr_t direct_maintain_address(void) { return (uintptr_t)direct_maintain; }
*/
import "C"

import (
	"runtime"
	"unsafe"

	"kvstored/pkg/batch"
)

// directOps is the most operations that are carried out by a direct call. Where
// Go has one processor only there are none: the monitor thread must stay awake
// to share it out.
const directOps = 128

var mayBeDirect = runtime.GOMAXPROCS(0) > 1

// asmcgocall runs fn(arg) on the thread's own stack without telling the
// scheduler: what a cgo call does between entersyscall and exitsyscall. While
// it runs the thread keeps its processor and a collection waits for it.
//
// Telling the scheduler is what hurts at low rates: after a rest it wakes the
// runtime's monitor thread, which costs as much as the request. Only engines
// that promise never to wait are called so (KV_CAP_PROMPT): in one that hangs
// here the runtime's timers may stand still, and a collection waits for ever.
//
//go:linkname asmcgocall runtime.asmcgocall
//go:noescape
func asmcgocall(fn, arg unsafe.Pointer) int32

// directCall mirrors struct direct_call.
type directCall struct {
	store  uintptr
	what   unsafe.Pointer // may be on the stack, which is moved only before the call
	status int32
}

var (
	directExec     = uintptr(C.direct_exec_address())
	directMaintain = uintptr(C.direct_maintain_address())
)

// direct calls fn for s without telling the scheduler.
func (s *store) direct(fn uintptr, what unsafe.Pointer) batch.Status {
	call := directCall{store: s.addr, what: what}
	asmcgocall(*(*unsafe.Pointer)(unsafe.Pointer(&fn)), unsafe.Pointer(&call))
	return batch.Status(call.status)
}
