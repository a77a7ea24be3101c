package systemd

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// Notifier tells systemd what the service is doing. All methods may be called
// from any goroutine, never wait for systemd longer than a datagram takes,
// and do nothing when the service manager did not ask (no NOTIFY_SOCKET).
type Notifier struct {
	path string // "": nobody asked
	fd   int    // an unconnected datagram socket

	mu     sync.Mutex
	phase  string // guarded by mu: the last of READY, RELOADING, STOPPING
	status string // guarded by mu: the last STATUS
}

// The phases of a service, as systemd names them.
const (
	phaseReady     = "READY=1"
	phaseReloading = "RELOADING=1"
	phaseStopping  = "STOPPING=1"
)

// NewNotifier takes NOTIFY_SOCKET from the environment and removes it.
func NewNotifier() *Notifier {
	path := os.Getenv("NOTIFY_SOCKET")
	os.Unsetenv("NOTIFY_SOCKET")
	n := &Notifier{fd: -1}
	// A leading @ stands for the abstract namespace; other families (vsock,
	// for virtual machines) are not for a service in this machine.
	if !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "@") {
		return n
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return n
	}
	n.fd, n.path = fd, path
	return n
}

// Enabled says whether anybody listens.
func (n *Notifier) Enabled() bool { return n.path != "" }

// Ready says that the service serves: after the start and after a reload.
// Nothing is sent when systemd knows that already.
func (n *Notifier) Ready() error { return n.enter(phaseReady, "") }

// Reloading says that a reload begins. Ready must follow on every path, or
// systemctl waits for ever.
func (n *Notifier) Reloading() error {
	return n.enter(phaseReloading, "\n"+strings.TrimSpace(daemon.SdNotifyMonotonicUsec()))
}

// Stopping says that the service is on its way out.
func (n *Notifier) Stopping() error { return n.enter(phaseStopping, "") }

// enter tells a change of phase, once. Nothing follows after stopping.
func (n *Notifier) enter(phase, more string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.phase == phase || n.phase == phaseStopping {
		return nil
	}
	if err := n.send(phase+more, nil); err != nil {
		return err
	}
	n.phase = phase
	return nil
}

// Status sets the line that systemctl status shows. It is sent only when it
// differs from the last one.
func (n *Notifier) Status(text string) error {
	text = strings.ReplaceAll(text, "\n", " ")
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.status == text {
		return nil
	}
	if err := n.send("STATUS="+text, nil); err != nil {
		return err
	}
	n.status = text
	return nil
}

// Watchdog tells that the service lives.
func (n *Notifier) Watchdog() error { return n.send("WATCHDOG=1", nil) }

// ExtendTimeout asks for d more, counted from now, for the start, the reload
// or the stop that is under way.
func (n *Notifier) ExtendTimeout(d time.Duration) error {
	return n.send(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", d.Microseconds()), nil)
}

// send writes one message, with descriptors beside it (the descriptor store
// wants them). The socket is not connected, because systemd may replace its
// own between two messages and Sendmsg cannot pass an address otherwise.
func (n *Notifier) send(state string, fds []int) error {
	if n.path == "" {
		return nil
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	// An address of its own for each call: the call writes into it.
	address := &unix.SockaddrUnix{Name: n.path}
	for {
		err := unix.Sendmsg(n.fd, []byte(state), rights, address, unix.MSG_NOSIGNAL)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("telling systemd %s: %w", firstLine(state), err)
		}
		return nil
	}
}

// firstLine is text up to its first line break.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// WatchdogInterval is how often Watchdog must be called at least, or 0 when
// systemd does not watch this process. It removes the variables.
func WatchdogInterval() time.Duration {
	interval, err := daemon.SdWatchdogEnabled(true)
	if err != nil {
		return 0
	}
	return interval
}
