package trace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// none is an argument that a call does not have.
const none = -1

// shape says which arguments of a call are what.
type shape struct {
	name           string
	fd             int // a descriptor of the file
	dir, path      int // the file's name, below the directory of a descriptor
	toDir, toPath  int // the second one, of a rename or link
	flags          int // of an open
	alwaysCreating bool
}

func onFD(name string, fd int) shape {
	return shape{name: name, fd: fd, dir: none, path: none, toDir: none, toPath: none, flags: none}
}

func onPath(name string, dir, path int) shape {
	return shape{name: name, fd: none, dir: dir, path: path, toDir: none, toPath: none, flags: none}
}

func onTwo(name string, dir, path, toDir, toPath int) shape {
	return shape{name: name, fd: none, dir: dir, path: path, toDir: toDir, toPath: toPath, flags: none}
}

func opening(name string, dir, path, flags int) shape {
	s := onPath(name, dir, path)
	s.flags, s.alwaysCreating = flags, flags == none
	return s
}

// calls are the calls in view: common ones here, a machine's own in calls_GOARCH.go.
var calls = merge(ownCalls, map[uint64]shape{
	unix.SYS_WRITE:           onFD("write", 0),
	unix.SYS_PWRITE64:        onFD("pwrite", 0),
	unix.SYS_WRITEV:          onFD("writev", 0),
	unix.SYS_PWRITEV:         onFD("pwritev", 0),
	unix.SYS_PWRITEV2:        onFD("pwritev2", 0),
	unix.SYS_FSYNC:           onFD("fsync", 0),
	unix.SYS_FDATASYNC:       onFD("fdatasync", 0),
	unix.SYS_SYNC_FILE_RANGE: onFD("sync_file_range", 0),
	unix.SYS_SYNCFS:          onFD("syncfs", 0),
	unix.SYS_MSYNC:           shape{"msync", none, none, none, none, none, none, false},
	unix.SYS_FTRUNCATE:       onFD("ftruncate", 0),
	unix.SYS_FALLOCATE:       onFD("fallocate", 0),
	unix.SYS_MMAP:            onFD("mmap", 4),
	unix.SYS_COPY_FILE_RANGE: onFD("copy_file_range", 2),
	unix.SYS_SENDFILE:        onFD("sendfile", 0),
	unix.SYS_OPENAT:          opening("openat", 0, 1, 2),
	unix.SYS_TRUNCATE:        onPath("truncate", none, 0),
	unix.SYS_UNLINKAT:        onPath("unlinkat", 0, 1),
	unix.SYS_MKDIRAT:         onPath("mkdirat", 0, 1),
	unix.SYS_RENAMEAT2:       onTwo("renameat2", 0, 1, 2, 3),
	unix.SYS_LINKAT:          onTwo("linkat", 0, 1, 2, 3),
})

func merge(a, b map[uint64]shape) map[uint64]shape {
	for number, s := range a {
		b[number] = s
	}
	return b
}

// syscallInfo is struct ptrace_syscall_info.
type syscallInfo struct {
	op   uint8
	_    [3]uint8
	arch uint32
	_    [2]uint64
	nr   uint64 // or the result
	args [6]uint64
	_    uint64
}

func info(tid int) (syscallInfo, error) {
	var i syscallInfo
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(tid),
		unsafe.Sizeof(i), uintptr(unsafe.Pointer(&i)), 0, 0)
	if errno != 0 {
		return i, errno
	}
	return i, nil
}

// result is what the call returned at whose end the thread is stopped.
func result(tid int) (int64, error) {
	i, err := info(tid)
	return int64(i.nr), err
}

// readCall reads the call at whose beginning the thread is stopped.
func readCall(tid int) (*Call, error) {
	i, err := info(tid)
	if err != nil {
		return nil, err
	}
	s, ok := calls[i.nr]
	if !ok || i.op != unix.PTRACE_SYSCALL_INFO_SECCOMP {
		return nil, fmt.Errorf("system call %d is not in view", i.nr)
	}
	call := &Call{Name: s.name, Creates: s.alwaysCreating, Args: i.args, tid: tid}
	if s.flags != none {
		call.Creates = i.args[s.flags]&(unix.O_CREAT|unix.O_TRUNC) != 0
	}
	switch {
	case s.fd != none:
		call.Path = pathOf(tid, int32(i.args[s.fd]))
	case s.path != none:
		call.Path = nameOf(tid, i.args, s.dir, s.path)
	}
	if s.toPath != none {
		call.To = nameOf(tid, i.args, s.toDir, s.toPath)
	}
	return call, nil
}

// pathOf is the file of a descriptor; of one that has lost its name without what
// the kernel says of that.
func pathOf(tid int, fd int32) string {
	path, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tid, fd))
	return strings.TrimSuffix(path, " (deleted)")
}

// nameOf is the path that the arguments name.
func nameOf(tid int, args [6]uint64, dir, path int) string {
	name := readString(tid, args[path])
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	at := ""
	if dir == none || int32(args[dir]) == unix.AT_FDCWD {
		at, _ = os.Readlink(fmt.Sprintf("/proc/%d/cwd", tid))
	} else {
		at = pathOf(tid, int32(args[dir]))
	}
	return filepath.Join(at, name)
}

// Bytes are what a write writes, and At is where: -1 for the end of the file. Both
// before it is made, while the thread is stopped.
func (c *Call) Bytes() []byte {
	if !strings.HasSuffix(c.Name, "v") && !strings.HasSuffix(c.Name, "v2") {
		return readMemory(c.tid, c.Args[1], c.Args[2])
	}
	var all []byte
	vectors := readMemory(c.tid, c.Args[1], c.Args[2]*16)
	for ; len(vectors) >= 16; vectors = vectors[16:] {
		all = append(all, readMemory(c.tid, binary.NativeEndian.Uint64(vectors), binary.NativeEndian.Uint64(vectors[8:]))...)
	}
	return all
}

// At is where a write writes.
func (c *Call) At() int64 {
	if strings.HasPrefix(c.Name, "p") {
		return int64(c.Args[3])
	}
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", c.tid, int32(c.Args[0])))
	var at, flags int64
	fmt.Sscanf(string(text), "pos:\t%d\nflags:\t%o", &at, &flags)
	if flags&unix.O_APPEND != 0 {
		return -1
	}
	return at
}

func readMemory(tid int, at, n uint64) []byte {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", tid))
	if err != nil {
		return nil
	}
	defer f.Close()
	bytes := make([]byte, n)
	got, _ := f.ReadAt(bytes, int64(at))
	return bytes[:got]
}

// readString reads a path in the thread's memory.
func readString(tid int, at uint64) string {
	text := readMemory(tid, at, unix.PathMax) // it may end within a page that is the last one
	name, _, _ := bytes.Cut(text, []byte{0})
	return string(name)
}
