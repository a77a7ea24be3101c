package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// maxSocketPath is the longest path that the kernel takes for a socket.
const maxSocketPath = 107

// Reason says why a connection could not be made.
type Reason int

// The reasons, as found by looking at the path.
const (
	Other     Reason = iota // what the system says stands in Err
	Missing                 // there is no such file
	NotSocket               // there is a file of another kind
	Denied                  // this user may not open it, or may not reach it
	Refused                 // nobody listens
	Busy                    // the queue of waiting connections is full
	Foreign                 // whoever listens speaks another language
)

// ConnectError says that the daemon could not be reached.
type ConnectError struct {
	Path   string
	From   Source // what named Path
	Reason Reason
	Err    error
}

// dialSocket connects; while the queue of connections is full it waits a little.
func dialSocket(ctx context.Context, path string) (net.Conn, error) {
	if len(path) > maxSocketPath {
		return nil, syscall.ENAMETOOLONG
	}
	var d net.Dialer
	for wait := 5 * time.Millisecond; ; wait *= 2 {
		nc, err := d.DialContext(ctx, "unix", path)
		if err == nil || !errors.Is(err, syscall.EAGAIN) || wait > 2*time.Second {
			return nc, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(wait):
		}
	}
}

// newConnectError sorts the failure to reach path.
func newConnectError(path string, from Source, err error) *ConnectError {
	e := &ConnectError{Path: path, From: from, Err: err}
	var protocol *ProtocolError
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		e.Reason = Missing
	case errors.Is(err, fs.ErrPermission):
		e.Reason = Denied
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Reason = Refused
	case errors.Is(err, syscall.EAGAIN):
		e.Reason = Busy
	case errors.Is(err, syscall.EPROTOTYPE) || errors.As(err, &protocol):
		e.Reason = Foreign
	}
	info, statErr := os.Stat(path)
	if statErr == nil && info.Mode().Type() != fs.ModeSocket {
		e.Reason = NotSocket
	}
	return e
}

// Unwrap is the error of the system.
func (e *ConnectError) Unwrap() error { return e.Err }

// Error says what happened in one line; Explain has the rest.
func (e *ConnectError) Error() string {
	switch e.Reason {
	case Missing:
		return "cannot connect to " + e.Path + ": no such file"
	case NotSocket:
		return "cannot use " + e.Path + ": " + fileKind(e.Path) + ", not a socket"
	case Denied:
		return "cannot connect to " + e.Path + ": permission denied"
	case Refused:
		return "cannot connect to " + e.Path + ": connection refused"
	case Busy:
		return "cannot connect to " + e.Path + ": too many connections are waiting"
	case Foreign:
		return "cannot use " + e.Path + ": not the socket of a key-value server"
	}
	return "cannot connect to " + e.Path + ": " + plainError(e.Err)
}

// plainError is the innermost text of a system error, without Go's call chain.
func plainError(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}

// fileKind names what stands at path.
func fileKind(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "not there"
	}
	switch info.Mode().Type() {
	case 0:
		return "a regular file"
	case fs.ModeDir:
		return "a directory"
	case fs.ModeNamedPipe:
		return "a named pipe"
	}
	return "a device"
}

// ownership describes owner, group and mode of a file as "root:kvstore (0660)".
func ownership(path string) (text string, st *syscall.Stat_t, ok bool) {
	info, err := os.Stat(path)
	if err != nil {
		return "", nil, false
	}
	st, ok = info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", nil, false
	}
	text = fmt.Sprintf("%s:%s (%04o)", userName(int(st.Uid)), groupName(int(st.Gid)), info.Mode().Perm())
	return text, st, true
}

// closedDirectory is the first directory on the way to path that this process
// may not pass, or "".
func closedDirectory(path string) string {
	dir := filepath.Dir(path)
	if !filepath.IsAbs(dir) {
		return ""
	}
	parts := strings.Split(strings.Trim(dir, "/"), "/")
	for i := range parts {
		here := "/" + strings.Join(parts[:i+1], "/")
		if _, err := os.Stat(here + "/."); errors.Is(err, fs.ErrPermission) {
			return here
		}
	}
	return ""
}

// userName is the name of a user, or its number.
func userName(uid int) string {
	if name, ok := lookup("/etc/passwd", uid); ok {
		return name
	}
	return strconv.Itoa(uid)
}

// groupName is the name of a group, or its number.
func groupName(gid int) string {
	if name, ok := lookup("/etc/group", gid); ok {
		return name
	}
	return strconv.Itoa(gid)
}
