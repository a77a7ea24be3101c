package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"kvstored/pkg/access"
)

// backlog is how many connections may wait to be accepted; the kernel lowers
// it to net.core.somaxconn.
const backlog = 4096

// ownSocket is a socket made for --listen.
type ownSocket struct {
	fd   int
	path string
	dev  uint64 // with ino: what was made, so that nothing else is removed
	ino  uint64
}

// listenAt makes a listening socket at path, for its owner alone (0600), or
// for a group too (0660). A socket file that nobody listens on is replaced;
// anything else at path is left as it is and refused.
func listenAt(path, group string) (*ownSocket, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	var address unix.RawSockaddrUnix
	if longest := len(address.Path) - 1; len(path) > longest {
		return nil, &failure{exitUsage, "cannot listen on " + path + ": the path is too long",
			fmt.Sprintf("a socket's path has at most %d bytes, this one has %d", longest, len(path)),
			"give --listen a shorter path"}
	}
	gid, err := groupID(group)
	if err != nil {
		return nil, err
	}
	unlock, err := lockDirectory(path)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := clearStale(path); err != nil {
		return nil, err
	}
	return bind(path, gid)
}

// groupID finds a group by name or number; -1 stands for no group.
func groupID(name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	if gid, err := strconv.Atoi(name); err == nil && gid >= 0 {
		return gid, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, &failure{exitUsage, "cannot give the socket to group " + name + ": no such group", "",
			"give --listen-group one of: getent group"}
	}
	return strconv.Atoi(g.Gid)
}

// lockDirectory keeps two daemons from clearing and binding one path at the
// same time. The lock is on the directory itself and leaves nothing behind.
func lockDirectory(path string) (unlock func(), err error) {
	dir := filepath.Dir(path)
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, cannotListen(path, fmt.Errorf("directory %s: %w", dir, err),
			"sudo install -d -o "+currentUser()+" "+dir)
	}
	for {
		err = unix.Flock(fd, unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		unix.Close(fd)
		return nil, cannotListen(path, fmt.Errorf("locking %s: %w", dir, err), "")
	}
	return func() { unix.Close(fd) }, nil
}

// cannotListen is the failure of a system call.
func cannotListen(path string, err error, fix string) *failure {
	code := exitFailure
	if errors.Is(err, fs.ErrPermission) {
		code = exitNotPermitted
	}
	return &failure{code: code, what: "cannot listen on " + path + ": " + err.Error(), fix: fix}
}

// currentUser is the name of who runs the daemon.
func currentUser() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return strconv.Itoa(os.Geteuid())
}

// clearStale removes a socket file that nobody listens on any more.
func clearStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return cannotListen(path, err, "")
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return &failure{exitFailure, "cannot listen on " + path + ": something else is there",
			"it is " + kindOf(info.Mode()) + ", and only a socket that nobody listens on is replaced",
			"move it away, or give --listen another path"}
	}
	holder, live, err := probe(path)
	if err != nil {
		return cannotListen(path, err, "make the socket accessible to "+currentUser()+", or give --listen another path")
	}
	if live {
		return &failure{exitFailure, "cannot listen on " + path + ": another process listens there",
			holder, "stop that one first, or give --listen another path"}
	}
	return os.Remove(path)
}

// kindOf names a kind of file.
func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return "a regular file"
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	default:
		return "a special file"
	}
}

// probe connects to a socket file: is anybody there, and who?
func probe(path string) (holder string, live bool, err error) {
	// Non-blocking, because a live daemon's queue may be full.
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return "", false, err
	}
	defer unix.Close(fd)
	switch err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); {
	case errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.ENOENT):
		return "", false, nil
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EPROTOTYPE):
		return "it answers as a live socket", true, nil
	case err != nil:
		return "", false, fmt.Errorf("finding out whether it is in use: %w", err)
	}
	peer, err := access.Of(fd)
	if err != nil || peer.PID == 0 {
		return "it accepts connections", true, nil
	}
	return "process " + strconv.Itoa(int(peer.PID)) + processName(peer.PID) + " holds it", true, nil
}

// processName is " (name)" of a process, or nothing.
func processName(pid int32) string {
	name, err := os.ReadFile("/proc/" + strconv.Itoa(int(pid)) + "/comm")
	if err != nil {
		return ""
	}
	return " (" + strings.TrimSpace(string(name)) + ")"
}

// bind makes the socket. The mask is the whole process's; nothing else of it
// runs yet that makes files.
func bind(path string, gid int) (*ownSocket, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, cannotListen(path, err, "")
	}
	mask := unix.Umask(0o177)
	err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
	unix.Umask(mask)
	if err != nil {
		unix.Close(fd)
		return nil, cannotListen(path, err, "let "+currentUser()+" write to "+filepath.Dir(path)+", or give --listen another path")
	}
	s := &ownSocket{fd: fd, path: path}
	if err := s.finish(gid); err != nil {
		s.remove()
		unix.Close(fd)
		return nil, cannotListen(path, err, "")
	}
	return s, nil
}

// finish notes what was made, gives it to the group and opens it to clients.
func (s *ownSocket) finish(gid int) error {
	var stat unix.Stat_t
	if err := unix.Lstat(s.path, &stat); err != nil {
		return err
	}
	s.dev, s.ino = uint64(stat.Dev), stat.Ino
	if gid >= 0 {
		if err := os.Chown(s.path, -1, gid); err != nil {
			return fmt.Errorf("giving it to group %d: %w", gid, err)
		}
		if err := os.Chmod(s.path, 0o660); err != nil {
			return err
		}
	}
	return unix.Listen(s.fd, backlog)
}

// remove takes the socket file away, if it is still the one that was made.
func (s *ownSocket) remove() {
	var stat unix.Stat_t
	if unix.Lstat(s.path, &stat) == nil && uint64(stat.Dev) == s.dev && stat.Ino == s.ino {
		os.Remove(s.path)
	}
}
