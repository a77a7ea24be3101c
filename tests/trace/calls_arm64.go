package trace

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// ownCalls are those that only this kind of machine has.
var ownCalls = map[uint64]shape{
	unix.SYS_RENAMEAT: onTwo("renameat", 0, 1, 2, 3),
}

// ntSystemCall is the register set that is the number of the call (NT_ARM_SYSTEM_CALL).
const ntSystemCall = 0x404

// failCall has the call at whose beginning the thread is stopped not be made.
func failCall(tid int, errno unix.Errno) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &regs); err != nil {
		return err
	}
	regs.Regs[0] = -uint64(errno)
	if err := unix.PtraceSetRegs(tid, &regs); err != nil {
		return err
	}
	number := int32(-1)
	vec := unix.Iovec{Base: (*byte)(unsafe.Pointer(&number)), Len: 4}
	_, _, failed := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SETREGSET, uintptr(tid), ntSystemCall,
		uintptr(unsafe.Pointer(&vec)), 0, 0)
	if failed != 0 {
		return failed
	}
	return nil
}
