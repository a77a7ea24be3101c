package server

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"kvstored/pkg/batch"
)

// infoSections are the sections of INFO in the order of Redis, with the
// fields that monitors read; what does not exist here is left out or 0.
var infoSections = []struct {
	name string
	make func(w *worker, b *strings.Builder)
}{
	{"Server", infoServer},
	{"Clients", infoClients},
	{"Memory", infoMemory},
	{"Persistence", infoPersistence},
	{"Stats", infoStats},
	{"Replication", infoReplication},
	{"CPU", infoCPU},
	{"Cluster", infoCluster},
	{"Keyspace", infoKeyspace},
	{"Engine", infoEngine},
}

// Info writes the sections asked for; none, default, all and everything mean
// all of them. Called in the lane.
func (h host) Info(sections []string) string {
	all := len(sections) == 0
	for i, s := range sections {
		sections[i] = strings.ToLower(s)
		all = all || slices.Contains([]string{"default", "all", "everything"}, sections[i])
	}
	var b strings.Builder
	for _, sec := range infoSections {
		if !all && !slices.Contains(sections, strings.ToLower(sec.name)) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		fmt.Fprintf(&b, "# %s\r\n", sec.name)
		sec.make(h.w, &b)
	}
	return b.String()
}

func field(b *strings.Builder, name string, value any) {
	fmt.Fprintf(b, "%s:%v\r\n", name, value)
}

// redisVersion is the version whose behaviour clients find here.
const redisVersion = "7.2.0"

func infoServer(w *worker, b *strings.Builder) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		u = unix.Utsname{}
	}
	up := time.Since(w.s.started)
	field(b, "redis_version", redisVersion)
	field(b, "kvstored_version", w.s.o.Version)
	field(b, "redis_mode", "standalone")
	field(b, "os", fmt.Sprintf("%s %s %s", unix.ByteSliceToString(u.Sysname[:]),
		unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Machine[:])))
	field(b, "arch_bits", 64)
	field(b, "multiplexing_api", "epoll")
	field(b, "go_version", runtime.Version())
	field(b, "process_id", os.Getpid())
	field(b, "tcp_port", 0)
	field(b, "unix_socket", w.s.o.Socket)
	field(b, "server_time_usec", time.Now().UnixMicro())
	field(b, "uptime_in_seconds", int64(up.Seconds()))
	field(b, "uptime_in_days", int64(up.Hours()/24))
}

func infoClients(w *worker, b *strings.Builder) {
	field(b, "connected_clients", w.s.figures.clients.Load())
	field(b, "maxclients", w.s.o.Limits.Clients)
	field(b, "blocked_clients", 0)
	field(b, "tracking_clients", 0)
}

func infoMemory(w *worker, b *strings.Builder) {
	st, _ := w.s.o.Engine.Stat(batch.SpaceAll) // an engine without figures has none
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	field(b, "used_memory", st.Memory+m.HeapAlloc)
	field(b, "used_memory_rss", residentBytes())
	field(b, "used_memory_dataset", st.Memory)
	field(b, "used_memory_payload", st.Payload)
	field(b, "used_memory_host", m.Sys)
	field(b, "reserved_memory", st.ReservedMemory)
	field(b, "pinned_values", st.Pins)
	field(b, "maxmemory", 0)
	field(b, "maxmemory_policy", "noeviction")
}

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

func infoPersistence(_ *worker, b *strings.Builder) {
	field(b, "loading", 0)
	field(b, "rdb_changes_since_last_save", 0)
	field(b, "rdb_bgsave_in_progress", 0)
	field(b, "aof_enabled", 0)
}

func infoStats(w *worker, b *strings.Builder) {
	f := &w.s.figures
	field(b, "total_connections_received", f.accepted.Load())
	field(b, "total_commands_processed", f.commands.Load())
	field(b, "rejected_connections", f.rejected.Load())
	field(b, "expired_keys", f.expired.Load())
	field(b, "evicted_keys", f.evicted.Load())
	field(b, "total_ticks", f.ticks.Load())
}

func infoReplication(_ *worker, b *strings.Builder) {
	field(b, "role", "master")
	field(b, "connected_slaves", 0)
}

func infoCPU(_ *worker, b *strings.Builder) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return
	}
	field(b, "used_cpu_sys", seconds(u.Stime))
	field(b, "used_cpu_user", seconds(u.Utime))
}

func seconds(t unix.Timeval) string { return fmt.Sprintf("%d.%06d", t.Sec, t.Usec) }

func infoCluster(_ *worker, b *strings.Builder) { field(b, "cluster_enabled", 0) }

func infoKeyspace(w *worker, b *strings.Builder) {
	for db := uint32(0); db < 16; db++ {
		st, err := w.s.o.Engine.Stat(db)
		if err != nil {
			return // an engine without figures
		}
		if st.Entries > 0 {
			fmt.Fprintf(b, "db%d:keys=%d,expires=%d,avg_ttl=0\r\n", db, st.Entries, st.Expiring)
		}
	}
}

func infoEngine(w *worker, b *strings.Builder) {
	for _, p := range w.s.o.Engine.Status() {
		if p.Value != "" {
			field(b, "engine_"+p.Name, p.Value)
		}
	}
}
