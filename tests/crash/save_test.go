package crash

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestKilledWhileItSaves: snapshots that are asked for one after another, killed
// in the middle of one or not, lose nothing; the next one is made.
func TestKilledWhileItSaves(t *testing.T) {
	for _, engine := range []string{"hash", "lmdb"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, engine, "Sync=interval")
			h.start()
			h.answers()
			ls := newLedgers(h.path("s"), 4, 3000)
			saved, asked := 0, 0
			for range *kills / 5 {
				ls.begin()
				var told atomic.Bool
				done := make(chan bool)
				go func() {
					defer close(done)
					for ; !told.Load(); asked++ {
						if ask(h.path("s"), []string{"SAVE", "BGSAVE"}[asked%2]) == nil {
							saved++
						}
					}
				}()
				time.Sleep(time.Duration(20+rand.IntN(150)) * time.Millisecond)
				told.Store(true)
				h.end(unix.SIGKILL)
				h.start()
				h.answers()
				<-done
				if err := ls.end(); err != nil {
					t.Fatalf("%v\n%s", err, h.log)
				}
				if err := ls.settle(); err != nil {
					t.Fatalf("after a kill: %v\n%s", err, h.log)
				}
			}
			if err := ask(h.path("s"), "SAVE"); err != nil {
				t.Errorf("%v\n%s", err, h.log)
			}
			t.Logf("killed %d times while snapshots were written, %d of %d were acknowledged; %s", *kills/5, saved, asked, ls)
			if saved == 0 {
				t.Error("no snapshot was written")
			}
		})
	}
}
