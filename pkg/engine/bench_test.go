package engine

import (
	"encoding/binary"
	"os"
	"strconv"
	"testing"
	"time"

	"kvstored/pkg/batch"
	"kvstored/pkg/engine/enginetest"
)

// fill puts n keys of 16 bytes with values of 32 into h.
func fill(b *testing.B, h *Host, n int) {
	ops := batch.New()
	defer ops.Close()
	value := make([]byte, 32)
	for i := 0; i < n; {
		ops.Reset()
		off := ops.Scratch.Copy(value)
		for range min(4096, n-i) {
			key := ops.Scratch.Copy([]byte("key:000000000000"))
			binary.BigEndian.PutUint64(key[8:], uint64(i))
			ops.Set(0, key, off, 0, 0, 0)
			i++
		}
		h.Lock()
		err := h.Exec(ops, 0, ops.Len(), time.Now().UnixMilli())
		h.Unlock()
		if err != nil {
			b.Fatal(err)
		}
	}
}

// keysToFill is a million, or what KVSTORED_BENCH_KEYS says.
func keysToFill() int {
	if n, err := strconv.Atoi(os.Getenv("KVSTORED_BENCH_KEYS")); err == nil {
		return n
	}
	return 1_000_000
}

func benchSwaps(b *testing.B, from, to string, defines ...string) {
	paths := [2]string{enginetest.Build(b, from), enginetest.Build(b, to, defines...)}
	h, err := Open(paths[0], Options{Trust: testTrust})
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	fill(b, h, keysToFill())
	b.ResetTimer()
	for i := range b.N {
		if _, err := h.Swap(Request{Path: paths[(i+1)%2]}); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(h.Status().LaneHeldMax.Microseconds()), "µs-lane-max")
}

// BenchmarkHandOver exchanges two releases of hash over a full store.
func BenchmarkHandOver(b *testing.B) { benchSwaps(b, "hash", "hash", nextVersion) }

// BenchmarkCopy exchanges two formats over a full store.
func BenchmarkCopy(b *testing.B) { benchSwaps(b, "hash", "debug") }

// BenchmarkExec is a batch of one read: the cost of the lane and of the call.
func BenchmarkExec(b *testing.B) {
	h, err := Open(enginetest.Build(b, "hash"), Options{Trust: testTrust})
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	ops := batch.New()
	defer ops.Close()
	ops.Get(0, ops.Scratch.Copy([]byte("none")))
	for b.Loop() {
		h.Lock()
		if err := h.Exec(ops, 0, 1, 1); err != nil {
			b.Fatal(err)
		}
		h.Unlock()
	}
}
