package access

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPeerOfOwnConnection(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	peer, err := Of(fds[0])
	if err != nil {
		t.Fatal(err)
	}
	want := Peer{UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), PID: int32(os.Getpid())}
	if peer != want {
		t.Errorf("got %+v, want %+v", peer, want)
	}
	if !MayLoadCode(peer) {
		t.Error("the daemon's own user is refused")
	}
}

func TestPeerOfNoSocket(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Of(int(f.Fd())); err == nil {
		t.Error("no error for a file")
	}
}

func TestMayLoadCode(t *testing.T) {
	const own = 990
	for _, c := range []struct {
		peer Peer
		want bool
	}{
		{Peer{UID: 0}, true},
		{Peer{UID: own, GID: 1000}, true},
		{Peer{UID: 1000, GID: own}, false},
		{Peer{UID: 1000, GID: 0}, false},
		{Peer{UID: 65534, GID: 65534}, false}, // as the kernel shows one it cannot map
	} {
		if got := mayLoadCode(c.peer, own); got != c.want {
			t.Errorf("%+v: %v, want %v", c.peer, got, c.want)
		}
	}
}
