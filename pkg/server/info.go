package server

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"kvstored/pkg/command"
	"kvstored/pkg/engine"
	"kvstored/pkg/reactor"
)

// section is one section of INFO.
type section struct {
	name string
	when int // onDefault, onAll
	make func(w *worker, b *strings.Builder)
}

// When a section is written without being named: always, or with "all".
const (
	onDefault = iota
	onAll
)

// infoSections are the sections of INFO in the order of Redis, with the
// fields that monitors read; what does not exist here is left out, or 0 where
// a Redis without that feature says 0.
var infoSections = []section{
	{"Server", onDefault, infoServer},
	{"Clients", onDefault, infoClients},
	{"Memory", onDefault, infoMemory},
	{"Persistence", onDefault, infoPersistence},
	{"Stats", onDefault, infoStats},
	{"Replication", onDefault, infoReplication},
	{"CPU", onDefault, infoCPU},
	{"Modules", onDefault, func(*worker, *strings.Builder) {}},
	{"Commandstats", onAll, infoCommandstats},
	{"Errorstats", onDefault, infoErrorstats},
	{"Latencystats", onAll, infoLatencystats},
	{"Cluster", onDefault, infoCluster},
	{"Keyspace", onDefault, infoKeyspace},
	{"Engine", onDefault, infoEngine},
}

// Info writes the sections asked for, each once; none stands for default.
// Called in the lane.
func (h host) Info(sections []string) string {
	level := -1
	if len(sections) == 0 {
		level = onDefault
	}
	for i, s := range sections {
		sections[i] = strings.ToLower(s)
		switch sections[i] {
		case "default":
			level = max(level, onDefault)
		case "all", "everything":
			level = onAll
		}
	}
	var b strings.Builder
	for _, sec := range infoSections {
		if sec.when > level && !slices.Contains(sections, strings.ToLower(sec.name)) {
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
	field(b, "process_supervised", supervised())
	field(b, "os", fmt.Sprintf("%s %s %s", unix.ByteSliceToString(u.Sysname[:]),
		unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Machine[:])))
	field(b, "arch_bits", 64)
	field(b, "multiplexing_api", "epoll")
	field(b, "go_version", runtime.Version())
	field(b, "process_id", os.Getpid())
	field(b, "run_id", w.s.runID)
	field(b, "tcp_port", 0)
	field(b, "unix_socket", w.s.o.Socket)
	field(b, "server_time_usec", time.Now().UnixMicro())
	field(b, "uptime_in_seconds", int64(up.Seconds()))
	field(b, "uptime_in_days", int64(up.Hours()/24))
	field(b, "lru_clock", time.Now().Unix()&(1<<24-1))
	if file, err := os.Executable(); err == nil {
		field(b, "executable", file)
	}
	field(b, "io_threads_active", 0)
	field(b, "listener0", "name=unix,bind="+w.s.o.Socket)
}

// supervised is who looks after the process, in Redis's words.
func supervised() string {
	if os.Getenv("NOTIFY_SOCKET") != "" {
		return "systemd"
	}
	return "no"
}

func infoClients(w *worker, b *strings.Builder) {
	field(b, "connected_clients", w.s.figures.clients.Load())
	field(b, "cluster_connections", 0)
	field(b, "maxclients", w.s.o.Limits.Clients)
	in, out, subscribed, watching := 0, 0, 0, 0
	w.r.Conns(func(c *reactor.Conn) {
		if cl, ok := c.Data.(*client); ok && cl.Subscribed() {
			subscribed++
		}
		if cl, ok := c.Data.(*client); ok && cl.Watching {
			watching++
		}
		i, o := c.Buffered()
		in, out = max(in, i), max(out, o)
	})
	field(b, "client_recent_max_input_buffer", in)
	field(b, "client_recent_max_output_buffer", out)
	field(b, "blocked_clients", 0)
	field(b, "tracking_clients", w.tracker.on)
	field(b, "pubsub_clients", subscribed)
	field(b, "watching_clients", watching)
	field(b, "total_watched_keys", len(w.watches.keys))
	field(b, "clients_in_timeout_table", 0)
	field(b, "total_blocking_keys", 0)
	field(b, "total_blocking_keys_on_nokey", 0)
}

// infoPersistence tells of the engine's own files in the words of the append-only file:
// on while the store is kept on disk. The lane is held.
func infoPersistence(w *worker, b *strings.Builder) {
	e := w.s.o.Engine
	kept, status := 0, "ok"
	if e.Has(engine.CapDurable) {
		kept = 1
	}
	if done, lost := e.Synced(); lost > done || w.stats.refusing.why != "" {
		status = "err"
	}
	field(b, "loading", 0)
	field(b, "async_loading", 0)
	for _, name := range []string{"current_cow_peak", "current_cow_size", "current_cow_size_age", "rdb_last_cow_size",
		"aof_last_cow_size", "module_fork_in_progress", "module_fork_last_cow_size"} {
		field(b, name, 0) // nothing forks
	}
	infoSave(w, b)
	field(b, "aof_enabled", kept)
	field(b, "aof_rewrite_in_progress", 0)
	field(b, "aof_rewrite_scheduled", 0)
	field(b, "aof_last_rewrite_time_sec", -1)
	field(b, "aof_current_rewrite_time_sec", -1)
	field(b, "aof_last_bgrewrite_status", "ok")
	field(b, "aof_last_write_status", status)
	if kept == 1 {
		pending := 0
		if waits, _ := e.Unsynced(); waits || e.Syncing() {
			pending = 1
		}
		field(b, "aof_pending_bio_fsync", pending)
	}
}

func infoStats(w *worker, b *strings.Builder) {
	f, st, t := &w.s.figures, &w.stats, w.traffic()
	rate := st.rates.perSecond(int64(w.uptime()), w.counters())
	field(b, "total_connections_received", f.accepted.Load())
	field(b, "total_commands_processed", f.commands.Load())
	field(b, "instantaneous_ops_per_sec", int64(rate[0]))
	field(b, "total_net_input_bytes", t.BytesIn)
	field(b, "total_net_output_bytes", t.BytesOut)
	field(b, "instantaneous_input_kbps", fmt.Sprintf("%.2f", rate[1]/1024))
	field(b, "instantaneous_output_kbps", fmt.Sprintf("%.2f", rate[2]/1024))
	field(b, "rejected_connections", f.rejected.Load())
	field(b, "sync_full", 0)
	field(b, "sync_partial_ok", 0)
	field(b, "sync_partial_err", 0)
	field(b, "expired_keys", f.expired.Load())
	field(b, "evicted_keys", f.evicted.Load())
	field(b, "evicted_clients", 0)
	field(b, "keyspace_hits", st.hits)
	field(b, "keyspace_misses", st.misses)
	field(b, "pubsub_channels", len(w.hub.topics[command.Channels]))
	field(b, "pubsub_patterns", len(w.hub.topics[command.Patterns]))
	field(b, "pubsubshard_channels", len(w.hub.topics[command.Shards]))
	field(b, "latest_fork_usec", 0)
	field(b, "total_forks", 0)
	field(b, "migrate_cached_sockets", 0)
	field(b, "slave_expires_tracked_keys", 0)
	field(b, "tracking_total_keys", len(w.tracker.keys))
	field(b, "tracking_total_items", w.tracker.items)
	field(b, "tracking_total_prefixes", len(w.tracker.prefixes))
	for _, name := range []string{"total_net_repl_input_bytes", "total_net_repl_output_bytes", "io_threaded_reads_processed",
		"io_threaded_writes_processed", "active_defrag_hits", "active_defrag_misses", "active_defrag_key_hits",
		"active_defrag_key_misses", "total_active_defrag_time", "current_active_defrag_time", "lazyfreed_objects"} {
		field(b, name, 0)
	}
	field(b, "instantaneous_input_repl_kbps", "0.00")
	field(b, "instantaneous_output_repl_kbps", "0.00")
	field(b, "expire_cycle_cpu_milliseconds", w.housework.Milliseconds())
	field(b, "unexpected_error_replies", 0)
	field(b, "total_error_replies", st.failed)
	field(b, "total_reads_processed", t.Reads)
	field(b, "total_writes_processed", t.Writes)
	field(b, "total_ticks", f.ticks.Load())
	field(b, "eventloop_cycles", f.ticks.Load())
}

func infoReplication(w *worker, b *strings.Builder) {
	field(b, "role", "master")
	field(b, "connected_slaves", 0)
	field(b, "master_failover_state", "no-failover")
	field(b, "master_replid", w.s.runID)
	field(b, "master_replid2", strings.Repeat("0", 40))
	field(b, "master_repl_offset", 0)
	field(b, "second_repl_offset", -1)
	field(b, "repl_backlog_active", 0)
	field(b, "repl_backlog_size", 0)
	field(b, "repl_backlog_first_byte_offset", 0)
	field(b, "repl_backlog_histlen", 0)
}

// infoCPU is the processor time of the process, of its children (trials of
// engines), and of the reactor's thread, on which this runs.
func infoCPU(_ *worker, b *strings.Builder) {
	for _, who := range []struct {
		who  int
		name string
	}{{unix.RUSAGE_SELF, ""}, {unix.RUSAGE_CHILDREN, "_children"}, {unix.RUSAGE_THREAD, "_main_thread"}} {
		var u unix.Rusage
		if err := unix.Getrusage(who.who, &u); err != nil {
			continue
		}
		field(b, "used_cpu_sys"+who.name, seconds(u.Stime))
		field(b, "used_cpu_user"+who.name, seconds(u.Utime))
	}
}

func seconds(t unix.Timeval) string { return fmt.Sprintf("%d.%06d", t.Sec, t.Usec) }

func infoCluster(_ *worker, b *strings.Builder) { field(b, "cluster_enabled", 0) }

func infoEngine(w *worker, b *strings.Builder) {
	for _, p := range w.engineStatus() {
		if p.Value != "" {
			field(b, "engine_"+p.Name, p.Value)
		}
	}
}
