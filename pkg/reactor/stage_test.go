package reactor

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"kvstored/pkg/batch"
)

// lending is a handler's memory for long requests; it has only so much of each,
// and each is to be asked for once more before it is used.
type lending struct {
	t    *testing.T
	most int

	mu    sync.Mutex
	fills []int
	lent  int
	asked bool
}

func (l *lending) stage(s *Stage, total, filled, want int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if want > l.most || filled > want || want > total || filled < s.told {
		if want <= l.most {
			l.t.Errorf("%d bytes are there, %d are to be, of %d", filled, want, total)
		}
		return false
	}
	if s.Pin == 0 {
		mem, err := batch.Map((total + 4095) &^ 4095)
		if err != nil {
			l.t.Error(err)
			return false
		}
		l.t.Cleanup(func() { batch.Unmap(mem) })
		s.Data, s.Pin = mem[:total], 1
		l.lent++
	}
	l.fills = append(l.fills, filled)
	s.Fit = min(total, want+1000)
	s.More = filled > 2<<20 && !l.asked
	l.asked = s.More
	return true
}

// TestLentMemory: a long request is received into the handler's memory piece by
// piece, whatever comes behind it, and it is given back.
func TestLentMemory(t *testing.T) {
	l := &lending{t: t, most: 1 << 30}
	h := &lines{lender: l.stage}
	c := dial(t, start(t, h, Limits{}))
	long := "need 3000000 " + strings.Repeat("y", 3_000_000-14)
	var behind strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&behind, "line %d\n", i)
	}
	go io.WriteString(c, "first\n"+long+"\n"+long+"\n"+behind.String())
	r := bufio.NewReaderSize(c, 1<<16)
	expect(t, r, "first")
	expect(t, r, long)
	expect(t, r, long)
	for i := range 2000 {
		expect(t, r, fmt.Sprintf("line %d", i))
	}
	wait(t, func() bool { return h.unpins.Load() == 2 })
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lent != 2 || len(l.fills) < 8 || l.fills[0] != 0 {
		t.Errorf("lent %d times; filled when asked: %v", l.lent, l.fills)
	}
}

// TestLentMemoryRunsOut: where there is no more of it the request goes on in a mapping.
func TestLentMemoryRunsOut(t *testing.T) {
	for _, most := range []int{1 << 10, 1<<20 + 1, 2 << 20} {
		l := &lending{t: t, most: most}
		h := &lines{lender: l.stage}
		c := dial(t, start(t, h, Limits{}))
		long := "need 5000000 " + strings.Repeat("z", 5_000_000-14)
		go io.WriteString(c, long+"\nlast\n")
		r := bufio.NewReaderSize(c, 1<<16)
		expect(t, r, long)
		expect(t, r, "last")
		if given := int(h.unpins.Load()); given != l.lent {
			t.Errorf("of at most %d bytes: lent %d times, given back %d times", most, l.lent, given)
		}
	}
}

// TestLentMemoryIsGivenBack: when the client goes away, and when it is asked for.
func TestLentMemoryIsGivenBack(t *testing.T) {
	l := &lending{t: t, most: 1 << 30}
	h := &lines{lender: l.stage}
	path := start(t, h, Limits{})
	long := "need 3000000 " + strings.Repeat("y", 3_000_000-14)
	c, other := dial(t, path), dial(t, path)
	for _, half := range []io.Writer{c, other} {
		io.WriteString(half, long[:1_500_000])
	}
	wait(t, func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.lent == 2 && len(l.fills) > 3 })
	other.Close()
	wait(t, func() bool { return h.unpins.Load() == 1 })
	if err := h.r.Post(h.r.Unstage); err != nil { // the handler still knows of it: it stays
		t.Fatal(err)
	}
	wait(t, func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.fills[len(l.fills)-1] >= 1_500_000 })
	if n := h.unpins.Load(); n != 1 {
		t.Errorf("given back %d times", n)
	}
	l.mu.Lock()
	l.most = 0
	l.mu.Unlock()
	if err := h.r.Post(h.r.Unstage); err != nil {
		t.Fatal(err)
	}
	wait(t, func() bool { return h.unpins.Load() == 2 })
	go io.WriteString(c, long[1_500_000:]+"\n")
	expect(t, bufio.NewReaderSize(c, 1<<16), long)
}

// TestLentMemoryOfTheClosed: a connection that is closed while memory is made ready for it, since
// it does not take what it is told of that, leaves nothing behind.
func TestLentMemoryOfTheClosed(t *testing.T) {
	long := "need 3000000 " + strings.Repeat("y", 3_000_000-14) + "\n"
	for at := 1; at <= 4; at++ {
		l, asked := &lending{t: t, most: 1 << 30}, 0
		h := &lines{}
		h.lender = func(s *Stage, total, filled, want int) bool {
			if asked++; asked == at {
				h.r.Conns(h.r.Kill)
			}
			return l.stage(s, total, filled, want)
		}
		path := start(t, h, Limits{})
		c := dial(t, path)
		go io.WriteString(c, long)
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("closed when asked %d times: an answer", at)
		}
		wait(t, func() bool { return h.unpins.Load() == 1 })
		again := dial(t, path)
		go io.WriteString(again, long)
		expect(t, bufio.NewReaderSize(again, 1<<16), long[:len(long)-1])
	}
}

func wait(t *testing.T, fn func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !fn(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
	}
}
