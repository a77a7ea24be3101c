package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// maxImage bounds what is read as a library.
const maxImage = 256 << 20

// Image is a private, sealed copy of a library file. The file it came from
// may be overwritten, truncated or removed without harm.
type Image struct {
	Path   string // as asked for
	SHA256 string // hex
	Size   int64
	// seen is what the file looked like when it was read.
	seen unix.Stat_t
	// file is the memfd. Its descriptor stays open as long as the library is
	// loaded: the dynamic linker knows libraries by that name.
	file   *os.File
	inode  uint64
	loaded bool // the dynamic linker was given its name
}

// Trust says which library files may be loaded.
type Trust struct {
	// Engine is the configured path, EngineDir the directory below which any
	// library may be loaded. Both empty: any place.
	Engine    string
	EngineDir string
	// AllowOwnUID: files and directories may also belong to this process's
	// own user (a user's own instance), not only to root.
	AllowOwnUID bool
	// Anybody: owners and modes do not matter, for a look at a library that no
	// daemon is to load.
	Anybody bool
}

// ReadImage examines the library at path and reads it once. The error is a
// *Refusal.
func ReadImage(path string, trust Trust) (*Image, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, refuse(err.Error(), "name it with its full path", "cannot read %s", path)
	}
	if err := trust.place(path); err != nil {
		return nil, err
	}
	if err := trust.parents(path); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, refuseOpen(path, err)
	}
	defer file.Close()
	return trust.read(path, file)
}

// read copies the open file, which must stay the same meanwhile.
func (t Trust) read(path string, file *os.File) (*Image, error) {
	before, err := t.file(path, file)
	if err != nil {
		return nil, err
	}
	data, free, err := readOnce(file, before.Size)
	if err != nil {
		return nil, refuse(err.Error(), "look at the file system", "cannot read %s", path)
	}
	defer free()
	after, err := t.file(path, file)
	if err != nil {
		return nil, err
	}
	if int64(len(data)) != before.Size || *before != withoutAtime(after, before) {
		return nil, refuse("somebody wrote to it", "replace libraries with install(1) or mv, then reload again",
			"%s changed while it was read", path)
	}
	if err := checkELF(path, data); err != nil {
		return nil, err
	}
	im := &Image{Path: path, Size: before.Size, seen: *after}
	sum := sha256.Sum256(data)
	im.SHA256 = hex.EncodeToString(sum[:])
	if err := im.seal(data); err != nil {
		return nil, refuse(err.Error(), "look at the limits of kvstored.service", "cannot keep a copy of %s", path)
	}
	return im, nil
}

// readOnce reads a file of that size, and one byte more if there is one. What it
// returns lies outside the heap, which would keep room for it long after;
// free gives it back.
func readOnce(file *os.File, size int64) (data []byte, free func(), err error) {
	room, err := unix.Mmap(-1, 0, int(size)+1, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, nil, err
	}
	free = func() { _ = unix.Munmap(room) } // it is a mapping of ours
	n, err := io.ReadFull(file, room)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		free()
		return nil, nil, err
	}
	return room[:n], free, nil
}

// withoutAtime is st with the access time of other: reading may change it.
func withoutAtime(st, other *unix.Stat_t) unix.Stat_t {
	same := *st
	same.Atim = other.Atim
	return same
}

// seal puts data into a memfd that can no longer change.
func (im *Image) seal(data []byte) error {
	name := fmt.Sprintf("kvstored-%s-%s", filepath.Base(im.Path), im.SHA256[:8])
	if len(name) > 200 {
		name = name[:200]
	}
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL { // before Linux 6.3
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return fmt.Errorf("make a memfd: %w", err)
	}
	im.file = os.NewFile(uintptr(fd), name)
	if _, err := im.file.Write(data); err != nil {
		im.Close()
		return fmt.Errorf("fill a memfd: %w", err)
	}
	seals := unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		im.Close()
		return fmt.Errorf("seal a memfd: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		im.Close()
		return fmt.Errorf("examine a memfd: %w", err)
	}
	im.inode = st.Ino
	return nil
}

// adoptImage makes an Image of a sealed memfd that another process made.
func adoptImage(fd int, path string) (*Image, error) {
	file := os.NewFile(uintptr(fd), "image")
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("examine descriptor %d: %w", fd, err)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(file, 0, st.Size)); err != nil {
		return nil, fmt.Errorf("read descriptor %d: %w", fd, err)
	}
	return &Image{Path: path, SHA256: hex.EncodeToString(sum.Sum(nil)), Size: st.Size, file: file, inode: st.Ino}, nil
}

// loadPath is the name to load it by: one that debuggers can resolve too.
func (im *Image) loadPath() string {
	im.loaded = true
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), im.file.Fd())
}

// stuck keeps the images whose code could not be unmapped: the linker still
// knows them by their descriptors, whose numbers must therefore not come again.
var stuck struct {
	sync.Mutex
	images []*Image // guarded by the mutex
}

// Close gives the copy up. It tells whether it is gone: if it was loaded and
// its code is still mapped, its descriptor stays open for good.
func (im *Image) Close() (gone bool) {
	if im.file == nil {
		return true
	}
	if im.loaded && mapped(im) {
		stuck.Lock()
		defer stuck.Unlock()
		stuck.images = append(stuck.images, im)
		return false
	}
	im.file.Close()
	im.file = nil
	return true
}

// look is what a file was like when it was read to compare it.
type look struct {
	image *Image
	seen  unix.Stat_t
	found string
}

// disk compares the file now behind the image's path with the image: "same",
// "changed", "missing", or "unreadable". last is kept by the caller.
func (im *Image) disk(last *look) string {
	var st unix.Stat_t
	if err := unix.Stat(im.Path, &st); err == unix.ENOENT || err == unix.ENOTDIR {
		return "missing"
	} else if err != nil {
		return "unreadable"
	}
	if unmodified(&st, &im.seen) {
		return "same"
	}
	if st.Size != im.Size || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return "changed"
	}
	if last.image != im || !unmodified(&st, &last.seen) {
		*last = look{im, st, im.compare()}
	}
	return last.found
}

// unmodified tells whether two looks saw the same file unchanged.
func unmodified(a, b *unix.Stat_t) bool {
	return a.Dev == b.Dev && a.Ino == b.Ino && a.Size == b.Size && a.Mtim == b.Mtim && a.Ctim == b.Ctim
}

// compare reads the file at the image's path.
func (im *Image) compare() string {
	sum, err := hashFile(im.Path)
	switch {
	case err != nil:
		return "unreadable"
	case sum != im.SHA256:
		return "changed"
	}
	return "same"
}

func hashFile(path string) (string, error) {
	// What was a file a moment ago may be a pipe now, or have no end.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, io.LimitReader(file, maxImage+1)); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
