package systemd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// roleVariable makes the test binary, run again, play the activated process.
const roleVariable = "SYSTEMD_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) == "activated" {
		os.Exit(reportPassed())
	}
	os.Exit(m.Run())
}

// seen is what the activated process found.
type seen struct {
	Listeners, Others []string
	NonBlocking       bool
	Environment       []string
	Answered          bool
}

// reportPassed prints what Sockets found, as JSON.
func reportPassed() int {
	// systemd sets LISTEN_PID after the fork; a test cannot know it before.
	if os.Getenv("LISTEN_PID") == "self" {
		os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	}
	passed, err := Sockets()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	report := seen{NonBlocking: true}
	for _, l := range passed.Listeners {
		flags, _ := unix.FcntlInt(uintptr(l.FD), unix.F_GETFL, 0)
		report.NonBlocking = report.NonBlocking && flags&unix.O_NONBLOCK != 0
		report.Listeners = append(report.Listeners, l.Name)
	}
	for _, o := range passed.Others {
		report.Others = append(report.Others, o.Name)
	}
	for _, entry := range os.Environ() {
		if strings.HasPrefix(entry, "LISTEN_") {
			report.Environment = append(report.Environment, entry)
		}
	}
	if len(passed.Listeners) > 0 {
		_, _, err := unix.Accept(passed.Listeners[0].FD)
		report.Answered = errors.Is(err, unix.EAGAIN) // nobody waits, and it does listen
	}
	json.NewEncoder(os.Stdout).Encode(report)
	return 0
}

// activate runs the test binary again with files as descriptors 3 and up.
func activate(t *testing.T, pid, names string, files ...*os.File) seen {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=activated", "LISTEN_PID="+pid,
		"LISTEN_FDS="+strconv.Itoa(len(files)), "LISTEN_FDNAMES="+names)
	cmd.ExtraFiles = files
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var report seen
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	return report
}

// listener gives the file of a listening socket in a directory of the test.
func listener(t *testing.T, name string) *os.File {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), name)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return fileOf(t, l)
}

func fileOf(t *testing.T, c interface{ File() (*os.File, error) }) *os.File {
	t.Helper()
	f, err := c.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// pair gives both ends of a connection, as stored connections are.
func pair(t *testing.T) (*os.File, *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	a, b := os.NewFile(uintptr(fds[0]), "a"), os.NewFile(uintptr(fds[1]), "b")
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func memfd(t *testing.T) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("arena", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "arena")
	t.Cleanup(func() { f.Close() })
	return f
}

func TestSocketsGoByName(t *testing.T) {
	connection, _ := pair(t)
	got := activate(t, "self", "extra:kvstored:m1:c1",
		listener(t, "extra"), listener(t, "own"), memfd(t), connection)
	want := seen{
		Listeners: []string{"kvstored", "extra"}, Others: []string{"m1", "c1"},
		NonBlocking: true, Answered: true,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSocketsWithoutNames(t *testing.T) {
	got := activate(t, "self", "", listener(t, "own"))
	if len(got.Listeners) != 1 || got.Listeners[0] != "" {
		t.Errorf("listeners %q, want one without a name", got.Listeners)
	}
}

func TestDatagramSocketIsNoListener(t *testing.T) {
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "d")})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := activate(t, "self", "kvstored", fileOf(t, c))
	if len(got.Listeners) != 0 || len(got.Others) != 1 {
		t.Errorf("got %+v, want it among the others", got)
	}
}

func TestSocketsForAnotherProcess(t *testing.T) {
	got := activate(t, "1", "kvstored", listener(t, "own"))
	if len(got.Listeners) != 0 || len(got.Environment) != 0 {
		t.Errorf("got %+v, want nothing", got)
	}
}

// notifySocket is what systemd would listen on.
func notifySocket(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return c
}

// messages reads what was sent so far.
func messages(t *testing.T, c *net.UnixConn) []string {
	t.Helper()
	var got []string
	buffer := make([]byte, 4096)
	for {
		// Datagrams of a Unix socket are there as soon as they were sent.
		c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		n, err := c.Read(buffer)
		if err != nil {
			return got
		}
		got = append(got, string(buffer[:n]))
	}
}

func TestNotifier(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "notify"), "@kvstored-test-" + strconv.Itoa(os.Getpid())} {
		c := notifySocket(t, path)
		n := NewNotifier()
		if os.Getenv("NOTIFY_SOCKET") != "" {
			t.Error("NOTIFY_SOCKET is still set")
		}
		n.Status("loading")
		n.Ready()
		n.Ready()
		n.Status("0 clients")
		n.Status("0 clients")
		n.Reloading()
		n.ExtendTimeout(15 * time.Second)
		n.Ready()
		n.Watchdog()
		n.Status("two\nlines")
		n.Stopping()
		n.Ready()

		got := messages(t, c)
		for i, message := range got {
			if before, usec, ok := strings.Cut(message, "\nMONOTONIC_USEC="); ok {
				if _, err := strconv.ParseUint(usec, 10, 64); err != nil {
					t.Errorf("bad time in %q", message)
				}
				got[i] = before + " with time"
			}
		}
		want := []string{
			"STATUS=loading", "READY=1", "STATUS=0 clients", "RELOADING=1 with time",
			"EXTEND_TIMEOUT_USEC=15000000", "READY=1", "WATCHDOG=1", "STATUS=two lines", "STOPPING=1",
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %q\nwant %q", path, got, want)
		}
	}
}

func TestNotifierWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	n := NewNotifier()
	if err := errors.Join(n.Ready(), n.Status("x"), n.Watchdog(), n.Stopping()); err != nil || n.Enabled() {
		t.Errorf("enabled %v, error %v", n.Enabled(), err)
	}
}

func TestNotifierNamesWhatFailed(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	err := NewNotifier().Reloading()
	if !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "telling systemd RELOADING=1") {
		t.Errorf("got %v", err)
	}
}

func TestNotifierPassesDescriptors(t *testing.T) {
	c := notifySocket(t, filepath.Join(t.TempDir(), "notify"))
	m := memfd(t)
	if err := NewNotifier().send("FDSTORE=1\nFDNAME=m1", []int{int(m.Fd())}); err != nil {
		t.Fatal(err)
	}
	text, oob := make([]byte, 100), make([]byte, 100)
	n, oobn, _, _, err := c.ReadMsgUnix(text, oob)
	if err != nil {
		t.Fatal(err)
	}
	control, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(control) != 1 {
		t.Fatalf("control messages %v, %v", control, err)
	}
	fds, err := unix.ParseUnixRights(&control[0])
	if err != nil || len(fds) != 1 || string(text[:n]) != "FDSTORE=1\nFDNAME=m1" {
		t.Errorf("descriptors %v, %v, text %q", fds, err, text[:n])
	}
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// TestSendingAtOnce is for the race detector: an address that two calls share
// was written by both.
func TestSendingAtOnce(t *testing.T) {
	c := notifySocket(t, filepath.Join(t.TempDir(), "notify"))
	n := NewNotifier()
	j, err := NewJournal(c.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	go io.Copy(io.Discard, c)
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			for i := range 20 {
				n.Watchdog()
				n.Status(strconv.Itoa(i))
				j.Send([]Field{{"MESSAGE", "x"}})
			}
		})
	}
	senders.Wait()
}

func TestWatchdogInterval(t *testing.T) {
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"", "", 0},
		{"30000000", "", 30 * time.Second},
		{"30000000", strconv.Itoa(os.Getpid()), 30 * time.Second},
		{"30000000", "1", 0},
		{"soon", "", 0},
	} {
		t.Setenv("WATCHDOG_USEC", c.usec)
		t.Setenv("WATCHDOG_PID", c.pid)
		if got := WatchdogInterval(); got != c.want {
			t.Errorf("WATCHDOG_USEC=%q WATCHDOG_PID=%q: %v, want %v", c.usec, c.pid, got, c.want)
		}
		if os.Getenv("WATCHDOG_USEC") != "" {
			t.Error("WATCHDOG_USEC is still set")
		}
	}
}
