package main

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kvstored/pkg/config"
	"kvstored/pkg/engine"
	"kvstored/pkg/server"
)

func TestCgroupMemory(t *testing.T) {
	mount := t.TempDir()
	for name, text := range map[string]string{
		"memory.max":                         "max\n",
		"system.slice/memory.max":            "1000000\n",
		"system.slice/a.service/memory.max":  "max\n",
		"system.slice/a.service/memory.high": "900000\n",
		"system.slice/b.service/memory.max":  "2000000\n",
		"c.slice/memory.max":                 "max\n",

		"memory/memory.limit_in_bytes":             "9223372036854771712\n",
		"memory/old.slice/memory.limit_in_bytes":   "3000000\n",
		"memory/old.slice/a/memory.limit_in_bytes": "9223372036854771712\n",
		"memory/free.slice/memory.limit_in_bytes":  "9223372036854771712\n",
	} {
		path := filepath.Join(mount, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	self := filepath.Join(mount, "self")
	for group, want := range map[string]int64{
		"0::/system.slice/a.service\n": 900000,
		"0::/system.slice/b.service\n": 1000000,
		"0::/c.slice\n":                0,
		"0::/../..\n":                  0,
		"4:cpu,memory:/old.slice/a\n0::/system.slice/a.service\n": 3000000, // the old hierarchy
		"0::/system.slice/a.service\n4:memory:/free.slice\n":      0,
		"": 0,
	} {
		if err := os.WriteFile(self, []byte(group), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := cgroupMemory(mount, self); got != want {
			t.Errorf("%q: %d, want %d", group, got, want)
		}
	}
}

func TestClientLimit(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if got := clientLimit(1); got != 1 {
		t.Errorf("1 client: %d", got)
	}
	if wanted := int(min(limit.Cur, math.MaxInt32)); clientLimit(wanted) != wanted-spareDescriptors {
		t.Errorf("%d clients: %d", wanted, clientLimit(wanted))
	}
}

func TestBytesText(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0B", 999: "999B", 1000: "1.0K", 1 << 20: "1.0M", 20628: "20K", 5 << 30: "5.0G", math.MaxUint64: "16E",
	} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestRate(t *testing.T) {
	last, now := server.Figures{Commands: 100}, server.Figures{Commands: 600}
	if got := rate(last, now, 5*time.Second); got != 100 {
		t.Errorf("got %v", got)
	}
	if rate(now, last, time.Second) != 0 || rate(last, now, 0) != 0 {
		t.Error("a rate out of nothing")
	}
}

func TestOneLine(t *testing.T) {
	what, why, fix := explain(&engine.Refusal{What: "a", Why: "b\n  c", Fix: "d"})
	if got := oneLine(what, why, fix).Error(); got != "reload refused: a; why: b c; fix: d" {
		t.Errorf("got %q", got)
	}
	if got := oneLine("a", "", "").Error(); got != "reload refused: a" {
		t.Errorf("got %q", got)
	}
}

// TestSlowReaderIsPausedBeforeItIsClosed: with MaxOutput= at 32M or less both
// happened at once, and a client that read slowly lost its replies.
func TestSlowReaderIsPausedBeforeItIsClosed(t *testing.T) {
	for _, most := range []int64{1 << 20, 8 << 20, 32 << 20, 1 << 30} {
		l := limitsOf(&config.Config{MaxOutput: most}, 10)
		if l.Pause > l.Output/2 || l.Pause > pauseOutput || l.Pause == 0 {
			t.Errorf("MaxOutput=%d: paused at %d, closed at %d", most, l.Pause, l.Output)
		}
	}
}

// TestGarbageOfALargeReplyIsGivenBack: 300 MB of it stayed with an idle daemon.
func TestGarbageOfALargeReplyIsGivenBack(t *testing.T) {
	large := make([]byte, 300<<20)
	for i := 0; i < len(large); i += 4096 {
		large[i] = 1
	}
	runtime.KeepAlive(large)
	giveBack()
	if held := heapHeld(); held > heapKept {
		t.Errorf("%d bytes are still held", held)
	}
}
