package server

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"

	"kvstored/pkg/batch"
	"kvstored/pkg/command"
)

// memory is where the daemon's memory is. used is what is in use: the engine's
// part, the data, and the host's, which counts as overhead.
type memory struct {
	stat     batch.Stat
	heap     runtime.MemStats
	used     uint64
	resident uint64
}

// memory looks at it, and notes the peak. The lane is held.
func (w *worker) memory() memory {
	m := memory{stat: w.stat(), resident: residentBytes()}
	runtime.ReadMemStats(&m.heap)
	m.used = m.stat.Memory + m.heap.HeapAlloc
	w.stats.peak = max(w.stats.peak, m.used)
	return m
}

// percent is how much of the whole a part is, as Redis writes it.
func percent(part, whole uint64) string { return fmt.Sprintf("%.2f%%", ratio(part, whole)*100) }

func ratio(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// human is a number of bytes as Redis writes it for people.
func human(n uint64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%dB", n)
	case n < 1<<20:
		return fmt.Sprintf("%.2fK", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.2fM", float64(n)/(1<<20))
	case n < 1<<40:
		return fmt.Sprintf("%.2fG", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%.2fT", float64(n)/(1<<40))
}

func infoMemory(w *worker, b *strings.Builder) {
	m := w.memory()
	both := func(name string, n uint64) {
		field(b, name, n)
		field(b, name+"_human", human(n))
	}
	both("used_memory", m.used)
	both("used_memory_rss", m.resident)
	both("used_memory_peak", w.stats.peak)
	field(b, "used_memory_peak_perc", percent(m.used, w.stats.peak))
	field(b, "used_memory_overhead", m.heap.HeapAlloc)
	field(b, "used_memory_startup", w.s.startup)
	field(b, "used_memory_dataset", m.stat.Memory)
	field(b, "used_memory_dataset_perc", percent(m.stat.Memory, m.used-min(m.used, w.s.startup)))
	field(b, "used_memory_payload", m.stat.Payload)
	field(b, "used_memory_host", m.heap.Sys)
	field(b, "reserved_memory", m.stat.ReservedMemory)
	field(b, "pinned_values", m.stat.Pins)
	var sys unix.Sysinfo_t
	if unix.Sysinfo(&sys) == nil {
		both("total_system_memory", sys.Totalram*uint64(sys.Unit))
	}
	limit := w.s.o.Engine.Limit()
	both("maxmemory", limit.MaxMemory)
	field(b, "maxmemory_policy", limit.Policy)
	field(b, "mem_fragmentation_ratio", fmt.Sprintf("%.2f", ratio(m.resident, m.used)))
	field(b, "mem_fragmentation_bytes", int64(m.resident)-int64(m.used))
	field(b, "mem_not_counted_for_evict", 0)
	field(b, "mem_replication_backlog", 0)
	field(b, "mem_clients_slaves", 0)
	field(b, "mem_clients_normal", w.bufferBytes())
	field(b, "mem_aof_buffer", 0)
	field(b, "active_defrag_running", 0)
	field(b, "lazyfree_pending_objects", 0)
	field(b, "mem_cluster_links", 0)
	field(b, "mem_total_replication_buffers", 0)
	scripts, size := 0, 0
	if w.scripts.vm != nil {
		scripts, size = w.scripts.vm.Count(), w.scripts.vm.Size()
	}
	both("used_memory_scripts", uint64(size))
	field(b, "used_memory_scripts_eval", size)
	field(b, "number_of_cached_scripts", scripts)
	field(b, "number_of_functions", 0)
	field(b, "number_of_libraries", 0)
	field(b, "used_memory_functions", 0)
}

// MemoryLimit is the limit of the data and its policy.
func (h host) MemoryLimit() (uint64, string) {
	limit := h.w.s.o.Engine.Limit()
	return limit.MaxMemory, limit.Policy.String()
}

// bufferBytes is what connections hold of requests and replies.
func (w *worker) bufferBytes() int {
	sum := 0
	for _, cl := range (host{w}).clients() {
		in, out := cl.conn.Buffered()
		sum += in + out
	}
	return sum
}

// MemoryStats is MEMORY STATS: what of Redis's fields exists here.
func (h host) MemoryStats() []command.Pair {
	w := h.w
	m := w.memory()
	fields := []command.Pair{
		{Name: "peak.allocated", Value: int64(w.stats.peak)},
		{Name: "total.allocated", Value: int64(m.used)},
		{Name: "startup.allocated", Value: int64(w.s.startup)},
		{Name: "replication.backlog", Value: int64(0)},
		{Name: "clients.slaves", Value: int64(0)},
		{Name: "clients.normal", Value: int64(w.bufferBytes())},
		{Name: "cluster.links", Value: int64(0)},
		{Name: "aof.buffer", Value: int64(0)},
		{Name: "overhead.total", Value: int64(m.heap.HeapAlloc)},
		{Name: "keys.count", Value: int64(m.stat.Entries)},
		{Name: "keys.bytes-per-key", Value: int64(m.stat.Memory / max(m.stat.Entries, 1))},
		{Name: "dataset.bytes", Value: int64(m.stat.Memory)},
		{Name: "dataset.percentage", Value: 100 * ratio(m.stat.Memory, m.used-min(m.used, w.s.startup))},
		{Name: "peak.percentage", Value: 100 * ratio(m.used, w.stats.peak)},
		{Name: "dataset.payload", Value: int64(m.stat.Payload)},
		{Name: "engine.reserved", Value: int64(m.stat.ReservedMemory)},
		{Name: "host.reserved", Value: int64(m.heap.Sys)},
		{Name: "fragmentation", Value: ratio(m.resident, m.used)},
		{Name: "fragmentation.bytes", Value: int64(m.resident) - int64(m.used)},
	}
	return fields
}

// MemoryDoctor says what is noticeable.
func (h host) MemoryDoctor() string {
	m := h.w.memory()
	var found []string
	if m.stat.Memory < 5<<20 {
		return "The data takes " + human(m.stat.Memory) + ": too little to say anything about it."
	}
	if m.stat.Payload > 0 && ratio(m.stat.Memory, m.stat.Payload) > 3 {
		found = append(found, fmt.Sprintf("The engine uses %.1f bytes for each byte of keys and values: many of them are "+
			"very small, or much was deleted.", ratio(m.stat.Memory, m.stat.Payload)))
	}
	if m.stat.ReservedMemory > 2*m.stat.Memory {
		found = append(found, "The engine holds "+human(m.stat.ReservedMemory)+" and uses "+human(m.stat.Memory)+
			" of it: the rest is kept for what comes; MEMORY PURGE gives back what the host holds.")
	}
	if h.w.stats.peak > m.used*3/2 {
		found = append(found, "At its peak it was "+human(h.w.stats.peak)+", now it is "+human(m.used)+".")
	}
	if n := h.w.bufferBytes(); n > 64<<20 {
		found = append(found, "Connections hold "+human(uint64(n))+" of requests and replies: CLIENT LIST shows which.")
	}
	if len(found) == 0 {
		return "Nothing is noticeable about the memory."
	}
	return strings.Join(found, "\n")
}

// MemoryPurge gives the heap's spare memory back, beside the serving.
func (h host) MemoryPurge() { go debug.FreeOSMemory() }

// residentBytes is the process's resident set.
func residentBytes() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident uint64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0
	}
	return resident * uint64(os.Getpagesize())
}
