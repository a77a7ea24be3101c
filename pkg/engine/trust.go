package engine

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"kvstored/pkg/install"
)

// place refuses a path outside the places that may hold engines.
func (t Trust) place(path string) error {
	if t.Engine == "" && t.EngineDir == "" {
		return nil
	}
	if t.Engine != "" && path == filepath.Clean(t.Engine) {
		return nil
	}
	dir := filepath.Clean(t.EngineDir)
	if t.EngineDir != "" && strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/") {
		return nil
	}
	return refuse(fmt.Sprintf("it is neither below EngineDir=%s nor the configured Engine=%s", t.EngineDir, t.Engine),
		"put it below "+t.EngineDir+", or configure it", "%s is not a place for engines", path)
}

// maxLinks bounds the symbolic links on the way to a library.
const maxLinks = 40

// parents refuses a path on which somebody untrusted could put another file:
// every directory and link from the root on is looked at, links followed.
func (t Trust) parents(path string) error {
	rest := strings.Split(strings.Trim(filepath.Clean(path), "/"), "/")
	at := "/"
	for links := 0; ; {
		if err := t.directory(at); err != nil || len(rest) == 0 {
			return err
		}
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		var st unix.Stat_t
		if err := unix.Lstat(next, &st); err != nil {
			return refuseOpen(path, &fs.PathError{Op: "open", Path: path, Err: err})
		}
		if err := t.owner(next, &st); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFLNK {
			if len(rest) == 0 {
				return nil // the file itself: see file
			}
			at = next
			continue
		}
		if links++; links > maxLinks {
			return refuseOpen(path, &fs.PathError{Op: "open", Path: path, Err: unix.ELOOP})
		}
		to, err := os.Readlink(next)
		if err != nil {
			return refuseOpen(path, err)
		}
		if filepath.IsAbs(to) {
			at = "/"
		}
		rest = append(strings.Split(strings.Trim(filepath.Clean(to), "/"), "/"), rest...)
	}
}

// directory refuses a directory that others may change.
func (t Trust) directory(dir string) error {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return refuseOpen(dir, &fs.PathError{Op: "open", Path: dir, Err: err})
	}
	if err := t.owner(dir, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return refuseOpen(dir, &fs.PathError{Op: "open", Path: dir, Err: unix.ENOTDIR})
	}
	// In a sticky directory nobody replaces what belongs to somebody else.
	if !t.Anybody && loose(&st) && st.Mode&unix.S_ISVTX == 0 {
		return refuse(fmt.Sprintf("its mode is %04o: others could put another library there", st.Mode&0o7777),
			"sudo chmod go-w "+dir, "the directory %s is writable by others", dir)
	}
	return nil
}

// file refuses an open file that is no library or that others may change.
func (t Trust) file(path string, file *os.File) (*unix.Stat_t, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		return nil, refuseOpen(path, &fs.PathError{Op: "examine", Path: path, Err: err})
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, refuse("it is "+kindOf(&st), "name the library itself", "%s is not a library", path)
	}
	if err := t.owner(path, &st); err != nil {
		return nil, err
	}
	if !t.Anybody && loose(&st) {
		return nil, refuse(fmt.Sprintf("its mode is %04o: others could put their code into the daemon", st.Mode&0o7777),
			"sudo chmod go-w "+path, "%s is writable by others", path)
	}
	if st.Size > maxImage {
		return nil, refuse(fmt.Sprintf("it is %d MiB long; at most %d are read", st.Size>>20, maxImage>>20),
			"name the library itself", "%s is not a library", path)
	}
	return &st, nil
}

// examine refuses the file at path as it is now, without reading it.
func (t Trust) examine(path string) error {
	if err := t.parents(path); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return refuseOpen(path, err)
	}
	defer file.Close()
	_, err = t.file(path, file)
	return err
}

// loose tells whether users other than the owner and root may write.
func loose(st *unix.Stat_t) bool {
	return st.Mode&unix.S_IWOTH != 0 || st.Mode&unix.S_IWGRP != 0 && st.Gid != 0
}

// owner refuses what does not belong to root (or, if allowed, to us).
func (t Trust) owner(path string, st *unix.Stat_t) error {
	if t.Anybody || st.Uid == 0 || t.AllowOwnUID && int(st.Uid) == os.Geteuid() {
		return nil
	}
	fix := "sudo chown root:root " + path
	return refuse(fmt.Sprintf("its owner is uid %d, who could change the daemon's code", st.Uid), fix,
		"%s does not belong to root", path)
}

// kindOf names what is not a regular file.
func kindOf(st *unix.Stat_t) string {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFSOCK:
		return "a socket"
	case unix.S_IFIFO:
		return "a pipe"
	}
	return "a device"
}

// refuseOpen is the refusal of a file that cannot be opened.
func refuseOpen(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		fix := "install it, or name another one"
		if pkg := install.Of(path); pkg != "" {
			fix = install.Missing(pkg) + "    # or name another one"
		}
		return refuse("no such file", fix, "cannot read %s", path)
	}
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	fix := "namei -l " + path + "    # shows who may read it"
	return refuse(err.Error(), fix, "cannot read %s", path)
}

// machines are the ELF machines of the architectures that Go and C share.
var machines = map[string]elf.Machine{
	"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "riscv64": elf.EM_RISCV, "386": elf.EM_386,
	"arm": elf.EM_ARM, "ppc64le": elf.EM_PPC64, "s390x": elf.EM_S390, "loong64": elf.EM_LOONGARCH,
}

// checkELF refuses what is not a whole shared object for this machine.
func checkELF(path string, data []byte) error {
	const fix = "build it with gcc -shared -fPIC on this kind of machine, or install it again"
	if len(data) < 4 || string(data[:4]) != elf.ELFMAG {
		return refuse(notELF(data), fix, "%s is not a shared library", path)
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return refuse("it is damaged or cut short: "+err.Error(), fix, "%s is not a whole shared library", path)
	}
	if f.Machine != machines[runtime.GOARCH] {
		return refuse(fmt.Sprintf("it is for %s; this is %s", machineName(f.Machine), machineName(machines[runtime.GOARCH])), fix,
			"%s is for another machine", path)
	}
	if f.Type != elf.ET_DYN {
		return refuse(fmt.Sprintf("its type is %s", f.Type), fix, "%s is not a shared library", path)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && (p.Off+p.Filesz < p.Off || p.Off+p.Filesz > uint64(len(data))) {
			return refuse(fmt.Sprintf("it is cut short: %d bytes of at least %d", len(data), p.Off+p.Filesz), fix,
				"%s is not a whole shared library", path)
		}
	}
	return nil
}

// notELF says what a file that is no ELF file is.
func notELF(data []byte) string {
	if len(data) == 0 {
		return "it is empty"
	}
	head := data[:min(len(data), 512)]
	for _, c := range head {
		if c == 0 || c >= 0x7f || c < ' ' && c != '\n' && c != '\t' && c != '\r' {
			return "it is data of another kind"
		}
	}
	if bytes.HasPrefix(head, []byte("#!")) {
		return "it is a script"
	}
	if bytes.HasPrefix(head, []byte("INPUT(")) || bytes.Contains(head, []byte("GROUP")) {
		return "it is a linker script"
	}
	return "it is text"
}

// machineName is an ELF machine as people write it.
func machineName(m elf.Machine) string {
	return strings.ToLower(strings.TrimPrefix(m.String(), "EM_"))
}
