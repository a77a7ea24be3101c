package reactor

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestNoDescriptorLeftDoesNotSpin: when none is left for another connection,
// the listener is not asked again and again, and is asked when there may be.
func TestNoDescriptorLeftDoesNotSpin(t *testing.T) {
	h := &lines{}
	path := start(t, h, Limits{})
	client, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(client)
	free := useAllDescriptors(t)
	defer free()
	if err := unix.Connect(client, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if why := <-h.refused; why != NoDescriptor {
		t.Fatalf("refused for %v", why)
	}
	free()
	unix.Write(client, []byte("hello\n"))
	var answer [16]byte
	if n, err := unix.Read(client, answer[:]); err != nil || string(answer[:n]) != "hello\n" {
		t.Errorf("got %q, %v", answer[:max(n, 0)], err)
	}
}

// TestPlaceOfOneThatLeavesIsFree: a client that leaves and comes back at once
// is not refused because of itself.
func TestPlaceOfOneThatLeavesIsFree(t *testing.T) {
	h := &lines{}
	path := start(t, h, Limits{Clients: 1, Input: 1 << 20, Output: 1 << 20, Pause: 1 << 20})
	for range 200 {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "hello\n")
		expect(t, bufio.NewReader(c), "hello")
		c.Close()
	}
}

// useAllDescriptors leaves none to this process until the function that it
// returns is called.
func useAllDescriptors(t *testing.T) (free func()) {
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	top, err := unix.Dup(2)
	if err != nil {
		t.Fatal(err)
	}
	low := was
	low.Cur = uint64(top) + 32
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	taken := []int{top}
	for {
		fd, err := unix.Dup(2)
		if err != nil {
			break
		}
		taken = append(taken, fd)
	}
	return func() {
		for _, fd := range taken {
			unix.Close(fd)
		}
		taken = nil
		unix.Setrlimit(unix.RLIMIT_NOFILE, &was)
	}
}

// TestNoMemoryForARequestClosesTheConnection: alone in its tick it was never
// closed, and its bytes were reported ready without end.
func TestNoMemoryForARequestClosesTheConnection(t *testing.T) {
	for _, before := range []string{"", "a\nb\n"} {
		h := &lines{}
		path := start(t, h, Limits{Clients: 10, Input: 1 << 60, Output: 1 << 20, Pause: 1 << 20})
		c := dial(t, path)
		io.WriteString(c, before+"need 1000000000000000 ")
		if why := <-h.refused; why != NoMemory {
			t.Fatalf("refused for %v", why)
		}
		if got, _ := io.ReadAll(c); string(got) != before+"refused\n" {
			t.Errorf("got %q", got)
		}
	}
}

// TestRefusalFollowsEarlierAnswers: the error for a request that is too large
// is not taken for the answer to one before it.
func TestRefusalFollowsEarlierAnswers(t *testing.T) {
	h := &lines{}
	path := start(t, h, Limits{Clients: 10, Input: 1000, Output: 1 << 20, Pause: 1 << 20})
	c := dial(t, path)
	io.WriteString(c, "a\nb\nneed 2000 ")
	if got, _ := io.ReadAll(c); string(got) != "a\nb\nrefused\n" {
		t.Errorf("got %q", got)
	}
}

// TestDeepPipelineIsNoLargeRequest: requests that wait for the next tick are
// not one request.
func TestDeepPipelineIsNoLargeRequest(t *testing.T) {
	h := &lines{limit: 3}
	path := start(t, h, Limits{Clients: 10, Input: 100, Output: 1 << 20, Pause: 1 << 20})
	c := dial(t, path)
	text := strings.Repeat("a line\n", 1000)
	io.WriteString(c, text+"bye\n")
	if got, _ := io.ReadAll(c); string(got) != text {
		t.Errorf("%d bytes of %d came", len(got), len(text))
	}
}

// TestBlockedIsAnsweredWhenStopping: what was received is answered, whoever
// has to give the answer.
func TestBlockedIsAnsweredWhenStopping(t *testing.T) {
	h := &lines{}
	path := start(t, h, Limits{})
	c, idle := dial(t, path), dial(t, path)
	io.WriteString(c, "wait\n")
	waiting := <-h.waiting
	_ = h.r.Stop(time.Minute)
	io.ReadAll(idle) // that one need not wait
	_ = h.r.Post(func() {
		h.r.Send(waiting, []byte("answer\n"), nil)
		h.r.Resume(waiting)
	})
	expect(t, bufio.NewReader(c), "answer")
}

// TestSendTakesNoMoreThanAShare: the kernel goes on for as long as the peer
// reads as fast, and nobody else is served meanwhile.
func TestSendTakesNoMoreThanAShare(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	go func() {
		defer unix.Close(fds[1])
		for buf := make([]byte, 1<<20); ; {
			if n, err := unix.Read(fds[1], buf); n <= 0 && err != unix.EINTR {
				return
			}
		}
	}()
	out := []chunk{{data: make([]byte, 1000)}, {data: make([]byte, 64<<20)}}
	for range 100 {
		n, errno := sendChunks(fds[0], out, sendMost)
		if n > sendMost || errno != 0 && errno != unix.EAGAIN {
			t.Fatalf("%d bytes at once, %v", n, errno)
		}
	}
}
