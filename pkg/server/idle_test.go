package server

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kvstored/pkg/reactor"
)

// TestIdleConnectionMemory: what the daemon allocates for a connection that
// sends nothing. All of it counts, garbage, too: until the next collection the
// heap is larger by that. A KiB of all user memory is what one may take.
func TestIdleConnectionMemory(t *testing.T) {
	const clients, most = 4096, 800
	srv, path := start(t, "hash", reactor.Limits{Clients: clients + 1})
	at := &unix.SockaddrUnix{Name: path}
	fds := make([]int, 0, clients+1)
	t.Cleanup(func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	})
	dial := func() {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
		if err := unix.Connect(fd, at); err != nil {
			t.Fatal(err)
		}
	}
	accepted := func(n int64) {
		for srv.figures.clients.Load() < n {
			time.Sleep(time.Millisecond)
		}
	}
	dial()
	accepted(1)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range clients {
		dial()
	}
	accepted(clients + 1)
	runtime.ReadMemStats(&after)
	per := (after.TotalAlloc - before.TotalAlloc) / clients
	t.Logf("%d bytes were allocated for each idle connection", per)
	if per > most {
		t.Errorf("want at most %d", most)
	}
}
