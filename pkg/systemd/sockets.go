package systemd

import (
	"fmt"
	"sort"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// SocketName is the FileDescriptorName= of the daemon's own socket.
const SocketName = "kvstored"

// Descriptor is one file descriptor that systemd passed. FD is a plain number
// that no finalizer closes: it belongs to the caller. It is non-blocking and
// closed on exec.
type Descriptor struct {
	Name string
	FD   int
}

// Passed is all that systemd passed to this process.
type Passed struct {
	// Listeners are the listening stream sockets: those named SocketName
	// first, then the others, in the order of the units.
	Listeners []Descriptor
	// Others are whatever else came: memfds and connections from the store.
	Others []Descriptor
}

// FDs gives the numbers of the listeners.
func (p *Passed) FDs() []int {
	fds := make([]int, 0, len(p.Listeners))
	for _, l := range p.Listeners {
		fds = append(fds, l.FD)
	}
	return fds
}

// Close closes everything that was passed.
func (p *Passed) Close() {
	for _, list := range [][]Descriptor{p.Listeners, p.Others} {
		for _, d := range list {
			unix.Close(d.FD)
		}
	}
	p.Listeners, p.Others = nil, nil
}

// Sockets takes over what systemd passed in LISTEN_FDS, if it was meant for
// this process (LISTEN_PID). Call it once, early: it removes the variables.
func Sockets() (*Passed, error) {
	passed := &Passed{}
	for _, file := range activation.Files(true) {
		// A number of our own, because an os.File closes its number when it
		// is collected, and registers it with the runtime's poller.
		fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
		name := file.Name()
		file.Close()
		if err != nil {
			passed.Close()
			return nil, fmt.Errorf("taking over descriptor %s from systemd: %w", name, err)
		}
		passed.add(Descriptor{Name: plainName(name), FD: fd})
	}
	sort.SliceStable(passed.Listeners, func(i, j int) bool {
		return passed.Listeners[i].Name == SocketName && passed.Listeners[j].Name != SocketName
	})
	return passed, nil
}

// add sorts one descriptor into its list.
func (p *Passed) add(d Descriptor) {
	unix.SetNonblock(d.FD, true)
	if !isListener(d.FD) {
		p.Others = append(p.Others, d)
		return
	}
	p.Listeners = append(p.Listeners, d)
}

// plainName gives the name in LISTEN_FDNAMES, or "" when there was none: the
// library then makes one of the number.
func plainName(name string) string {
	if strings.HasPrefix(name, "LISTEN_FD_") {
		return ""
	}
	return name
}

// isListener says whether fd is a stream socket that listens; a connection
// from the store is a stream socket too, but does not listen.
func isListener(fd int) bool {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_STREAM {
		return false
	}
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return err == nil && listening == 1
}
