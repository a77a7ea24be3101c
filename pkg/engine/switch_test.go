package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kvstored/pkg/engine/enginetest"
)

// keptUpTo waits for the bell until the mark is settled one way or the other.
func keptUpTo(t *testing.T, h *Host, mark uint64) (done, lost uint64) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		fds := []unix.PollFd{{Fd: int32(h.SyncBell()), Events: unix.POLLIN}}
		unix.Poll(fds, 50)
		h.Lock()
		h.EndSync()
		h.BeginSync()
		done, lost = h.Synced()
		h.Unlock()
		if max(done, lost) >= mark {
			return done, lost
		}
	}
	t.Fatalf("mark %d: nobody is ever told, done is %d, lost %d", mark, done, lost)
	return 0, 0
}

// The switch waits for no disk. So who waits for a write to be on disk when the
// engine is exchanged is told when the new store has it there.
func TestMarksPassTheSwitch(t *testing.T) {
	for _, to := range []string{"lmdb", "debug"} { // on disk, and in memory
		t.Run(to, func(t *testing.T) {
			dir := t.TempDir()
			h := keeps(t, dir, enginetest.Build(t, "hash"))
			t.Cleanup(h.Close)
			put(t, h, "a", "1")
			h.Lock()
			mark, err := h.Commit(true)
			done, _ := h.Synced()
			h.Unlock()
			if err != nil || done >= mark {
				t.Fatalf("mark %d is done at %d before any sync, %v", mark, done, err)
			}
			mustSwap(t, h, enginetest.Build(t, to))
			if _, err := os.Stat(filepath.Join(dir, "owner.new")); err == nil {
				t.Error("the owner file of before is still there")
			}
			h.Lock()
			if h.syncs.held || h.syncs.owner == nil && h.syncs.running == 0 {
				t.Error("nobody has the writes of before synced")
			}
			h.Unlock()
			if done, lost := keptUpTo(t, h, mark); done < mark {
				t.Errorf("mark %d: done %d, lost %d", mark, done, lost)
			}
		})
	}
}

// While the owner of the data changes no sync begins: nobody is told that
// something is on disk which the next owner may not have there.
func TestSyncsAreHeld(t *testing.T) {
	h := keeps(t, t.TempDir(), enginetest.Build(t, "hash"))
	t.Cleanup(h.Close)
	h.Lock()
	h.holdSyncs()
	h.Unlock()
	put(t, h, "a", "1")
	h.Lock()
	mark, _ := h.Commit(true)
	h.BeginSync()
	begun := h.Syncing()
	h.Unlock()
	if begun {
		t.Error("a sync began all the same")
	}
	h.freeSyncs(0)
	if done, _ := keptUpTo(t, h, mark); done < mark {
		t.Errorf("mark %d is not done, only %d", mark, done)
	}
	h.Lock()
	h.holdSyncs()
	h.Unlock()
	put(t, h, "b", "1")
	h.Lock()
	mark, _ = h.Commit(true)
	h.Unlock()
	h.freeSyncs(unix.EIO) // the owner file did not reach the disk
	if _, lost := keptUpTo(t, h, mark); lost < mark {
		t.Errorf("mark %d is not lost, only %d", mark, lost)
	}
}

// A log that is no longer needed is closed by the commit that says that it is on
// disk. A sync that begins after that does not ask for it any more.
func TestClosedFilesAreNotSynced(t *testing.T) {
	h := keeps(t, t.TempDir(), enginetest.Build(t, "hash"))
	t.Cleanup(h.Close)
	locked := func(do func()) {
		h.Lock()
		defer h.Unlock()
		do()
	}
	for i := range 20 { // each with a snapshot, for which a new log begins
		put(t, h, "a", fmt.Sprint(i))
		var mark uint64
		locked(func() {
			h.Save()
			h.Maintain(time.Now().UnixMilli(), 1)
			h.Commit(true)
			h.BeginSync()
		})
		put(t, h, "b", fmt.Sprint(i)) // while it runs
		locked(func() { mark, _ = h.Commit(true) })
		if done, lost := keptUpTo(t, h, mark); lost != 0 || done < mark {
			t.Fatalf("round %d: mark %d: done %d, lost %d", i, mark, done, lost)
		}
		for saving := true; saving; {
			locked(func() {
				h.Maintain(time.Now().UnixMilli(), 1000)
				mark, _ = h.Commit(true)
				h.BeginSync()
				saving, _ = h.Saving()
			})
			keptUpTo(t, h, mark)
		}
	}
}

// Who waits for a sync himself leaves the bell ringing for those who wait for it.
func TestBellRingsThoughTheEndIsTaken(t *testing.T) {
	h := keeps(t, t.TempDir(), enginetest.Build(t, "hash"))
	t.Cleanup(h.Close)
	rings := func() bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(h.SyncBell()), Events: unix.POLLIN}}, 0)
		return err == nil && n == 1
	}
	put(t, h, "a", "1")
	h.Lock()
	defer h.Unlock()
	mark, err := h.Commit(true)
	if err != nil {
		t.Fatal(err)
	}
	h.BeginSync()
	h.awaitSync()
	if done, _ := h.Synced(); done < mark || !rings() {
		t.Errorf("mark %d is done at %d, the bell rings: %v", mark, done, rings())
	}
	if h.EndSync(); rings() {
		t.Error("the bell rings on")
	}
}
