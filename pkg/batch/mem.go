package batch

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pointer turns an off-heap address into a pointer. Addresses are kept as
// uintptr so that the collector neither scans nor checks them.
func pointer(addr uintptr) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&addr))
}

// Bytes is a view of n bytes of off-heap memory; nil when addr is 0.
func Bytes(addr uintptr, n uint64) []byte {
	if addr == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(pointer(addr)), n)
}

// Addr is the address of the first byte of b, which must be off-heap or
// outlive every use of the address; 0 for a nil slice.
func Addr(b []byte) uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(b)))
}

// Map returns n bytes of fresh zeroed off-heap memory that costs nothing
// until it is touched. The caller gives it back with [Unmap].
func Map(n int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes of memory: %w", n, err)
	}
	return b, nil
}

// Unmap gives memory of [Map] back; b must be exactly what Map returned.
func Unmap(b []byte) {
	if err := unix.Munmap(b); err != nil {
		panic(fmt.Sprintf("unmap %d bytes: %v", len(b), err))
	}
}

func mustMap(n int) []byte {
	b, err := Map(n)
	if err != nil {
		panic(err.Error())
	}
	return b
}

// rawMap and rawUnmap work on addresses: pieces of a sink are made in Go and
// in C alike and are not known to unix.Mmap's table.
func rawMap(n uint64) uintptr {
	addr, _, errno := unix.RawSyscall6(unix.SYS_MMAP, 0, uintptr(n), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE, ^uintptr(0), 0)
	if errno != 0 {
		return 0
	}
	return addr
}

func rawUnmap(addr uintptr, n uint64) {
	_, _, errno := unix.RawSyscall(unix.SYS_MUNMAP, addr, uintptr(n), 0)
	if errno != 0 {
		panic(fmt.Sprintf("unmap %d bytes: %v", n, errno))
	}
}

// giveBack returns the memory of all operations past the kept ones.
func (b *Batch) giveBack() {
	from := 4096 + keptOps*int(unsafe.Sizeof(Op{}))
	to := 4096 + b.n*int(unsafe.Sizeof(Op{}))
	if err := unix.Madvise(b.mem[from&^4095:(to+4095)&^4095], unix.MADV_DONTNEED); err != nil {
		panic(fmt.Sprintf("give %d bytes back: %v", to-from, err))
	}
}
