package trace

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// shimName is what this program is called when it is to become the traced one:
// the arguments are the descriptor on which it is told to go on, the program's path, and
// its own arguments.
const shimName = "kvstored-trace-shim"

// The main goroutine runs init on the first thread, the one that is traced.
func init() {
	if len(os.Args) < 4 || os.Args[0] != shimName {
		return
	}
	runtime.LockOSThread()
	err := become(os.Args[1], os.Args[2], os.Args[3:])
	fmt.Fprintf(os.Stderr, "cannot trace %s: %v\n", os.Args[2], err)
	os.Exit(127)
}

// become waits until this process is traced, sets the filter and executes.
func become(ready, path string, args []string) error {
	fd, err := strconv.Atoi(ready)
	if err != nil {
		return err
	}
	if n, err := unix.Read(fd, make([]byte, 1)); n != 1 {
		return fmt.Errorf("nobody traces: %v", err)
	}
	unix.Close(fd)
	if err := setFilter(); err != nil {
		return err
	}
	return unix.Exec(path, args, os.Environ())
}

// setFilter has the kernel stop the tracer's threads at the calls of the table.
func setFilter() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	program := filter()
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog))); errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return nil
}

// Where struct seccomp_data has the number of the call and the lower half of mmap's descriptor.
const (
	offsetNumber = 0
	offsetMapFD  = 16 + 4*8
)

// filter is a program for the kernel: trace what the table has, and of mmap what
// is of a file; let everything else pass.
func filter() []unix.SockFilter {
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	equal := func(k uint32, yes, no int) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jt: uint8(yes), Jf: uint8(no)}
	}
	back := func(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
	program := []unix.SockFilter{load(offsetNumber)}
	left := len(calls) - 1
	for number := range calls {
		if number != unix.SYS_MMAP {
			left--
			program = append(program, equal(uint32(number), left+5, 0))
		}
	}
	return append(program,
		equal(unix.SYS_MMAP, 1, 0),
		back(unix.SECCOMP_RET_ALLOW),
		load(offsetMapFD),
		equal(0xffffffff, 0, 1),
		back(unix.SECCOMP_RET_ALLOW),
		back(unix.SECCOMP_RET_TRACE))
}
