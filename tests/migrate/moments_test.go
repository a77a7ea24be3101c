package migrate

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"
)

var (
	rounds = flag.Int("rounds", 5, "how often the daemon is killed at a random moment")
	seed   = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the moments")
)

func other(engine string) string { return map[string]string{"hash": "lmdb", "lmdb": "hash"}[engine] }

func TestKilledWhileDataMoves(t *testing.T) {
	w := newWorld(t, 6000, "hash", "lmdb")
	t.Logf("seed %d", *seed)
	rnd := rand.New(rand.NewPCG(*seed, 0))
	w.start("hash", nil)
	w.fill()
	took := w.load("lmdb") // how long it takes: the moments lie within
	if took == 0 {
		t.Fatalf("the exchange failed:\n%s", w.log())
	}
	owners := map[string]int{}
	for range *rounds {
		before, _ := w.owner()
		loaded := make(chan time.Duration, 1)
		stop := w.count()
		go func() { loaded <- w.load(other(before)) }()
		time.Sleep(time.Duration(rnd.Int64N(int64(2 * took))))
		w.kill()
		stop()
		<-loaded
		after, directory := w.owner()
		owners[before+" to "+after]++
		w.start(after, nil)
		w.check()
		w.alone(directory)
	}
	t.Logf("killed %d times within %v: %v", *rounds, took, owners)
}
