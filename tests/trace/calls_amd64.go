package trace

import "golang.org/x/sys/unix"

// ownCalls are those that only this kind of machine has.
var ownCalls = map[uint64]shape{
	unix.SYS_OPEN:     opening("open", none, 0, 1),
	unix.SYS_CREAT:    opening("creat", none, 0, none),
	unix.SYS_UNLINK:   onPath("unlink", none, 0),
	unix.SYS_RMDIR:    onPath("rmdir", none, 0),
	unix.SYS_MKDIR:    onPath("mkdir", none, 0),
	unix.SYS_RENAME:   onTwo("rename", none, 0, none, 1),
	unix.SYS_RENAMEAT: onTwo("renameat", 0, 1, 2, 3),
	unix.SYS_LINK:     onTwo("link", none, 0, none, 1),
}

// failCall has the call at whose beginning the thread is stopped not be made.
func failCall(tid int, errno unix.Errno) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &regs); err != nil {
		return err
	}
	regs.Orig_rax, regs.Rax = ^uint64(0), -uint64(errno)
	return unix.PtraceSetRegs(tid, &regs)
}
