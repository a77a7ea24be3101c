package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// memoryName is the case that -only can choose.
const memoryName = "memory"

// keySize is the generator's KEY_LEN.
const keySize = 16

// MemoryPoint is kvstored's memory at one number of keys.
type MemoryPoint struct {
	Keys     int     `json:"keys"`
	Overhead float64 `json:"bytes_over_payload"` // per key
}

// memoryMark is the most bytes for a key beyond key and value.
const memoryMark = 24.0

// memoryOf is the bytes per key over key and value of each peer, or nothing of
// one whose figures cannot be read.
func memoryOf(peers []*peer, c Case) map[string]float64 {
	per := map[string]float64{}
	for _, p := range peers {
		if n, err := memory(p.pid()); err == nil && p.name != floorName {
			per[p.name] = float64(n)/float64(c.Keys) - float64(keySize+c.Value)
		}
	}
	return per
}

// memoryCurve fills a server of its own from one million keys to ten in steps
// of 5 % and notes the memory at each.
func (b *bench) memoryCurve(ctx context.Context, r *Report) error {
	const value = 32
	last := 10_000_000
	if b.o.quick {
		last = 1_300_000
	}
	fmt.Fprintf(b.progress, "%-26s", memoryName+" per key")
	p, err := start(ctx, b.dir, recipes(b.tools, b.o, group{})[0])
	if err != nil {
		return err
	}
	defer p.stop()
	for from, keys := 0, 1_000_000; keys <= last; from, keys = keys, keys+keys/20 {
		if _, err := b.tools.run(ctx, p, fillArgs(from, keys, value)...); err != nil {
			return err
		}
		n, err := memory(p.pid())
		if err != nil {
			return err
		}
		r.Memory = append(r.Memory, MemoryPoint{keys, float64(n)/float64(keys) - keySize - value})
	}
	fmt.Fprintf(b.progress, " %.1f bytes over key and value at the worst, mark %.0f\n", r.worstMemory().Overhead, memoryMark)
	return nil
}

// memory is the bytes of anonymous and shared memory that a process has
// touched: files it runs from are not counted, a memfd is.
func memory(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	return memoryIn(string(text))
}

// memoryIn adds Pss_Anon and Pss_Shmem, which are in kB.
func memoryIn(text string) (uint64, error) {
	var sum uint64
	found := 0
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		if name != "Pss_Anon" && name != "Pss_Shmem" {
			continue
		}
		kB, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read %q of smaps_rollup: %w", strings.TrimSpace(line), err)
		}
		sum += kB << 10
		found++
	}
	if found != 2 {
		return 0, fmt.Errorf("smaps_rollup names %d of Pss_Anon and Pss_Shmem", found)
	}
	return sum, nil
}

// idleClientsName is the case of memory per connection.
const idleClientsName = "idle connections"

// perClientMark is the most bytes of user memory for an idle connection.
const perClientMark = 1 << 10

// perClient is the bytes that each of many idle connections takes in p.
func perClient(ctx context.Context, p *peer, clients int) (float64, error) {
	before, err := memory(p.pid())
	if err != nil {
		return 0, err
	}
	for range clients {
		c, err := p.dial(ctx)
		if err != nil {
			return 0, fmt.Errorf("open %d connections to %s: %w", clients, p.name, err)
		}
		defer c.Close()
	}
	if err := sleep(ctx, 2*time.Second); err != nil {
		return 0, err
	}
	after, err := memory(p.pid())
	return (float64(after) - float64(before)) / float64(clients), err
}
