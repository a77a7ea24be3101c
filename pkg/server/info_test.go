package server

import (
	"io"
	"strconv"
	"strings"
	"testing"

	"kvstored/pkg/engine"
	"kvstored/pkg/engine/enginetest"
)

// monitored are the fields of INFO that monitors read and that mean something
// here: of redis_exporter those of its gauges and counters (exporter/exporter.go)
// that Redis 7.2 has, of Netdata those of its charts (go.d/modules/redis).
// What is left out says something of Redis's inside: allocator_*, eventloop_duration_*,
// expired_stale_perc, expired_time_cap_reached_count, reply_buffer_*, used_memory_vm_*,
// rdb_last_load_*, the ACL counters, the sizes of an append-only file.
var monitored = map[string]string{
	"redis_exporter": `
active_defrag_hits active_defrag_key_hits active_defrag_key_misses active_defrag_misses
active_defrag_running aof_current_rewrite_time_sec aof_enabled aof_last_bgrewrite_status
aof_last_cow_size aof_last_rewrite_time_sec aof_last_write_status aof_rewrite_in_progress
aof_rewrite_scheduled async_loading blocked_clients client_recent_max_input_buffer
client_recent_max_output_buffer clients_in_timeout_table connected_clients connected_slaves
eventloop_cycles evicted_clients evicted_keys expire_cycle_cpu_milliseconds expired_keys
io_threaded_reads_processed io_threaded_writes_processed io_threads_active keyspace_hits
keyspace_misses latest_fork_usec lazyfree_pending_objects lazyfreed_objects loading
master_repl_offset maxclients maxmemory mem_aof_buffer mem_clients_normal mem_clients_slaves
mem_cluster_links mem_fragmentation_bytes mem_fragmentation_ratio mem_not_counted_for_evict
mem_replication_backlog mem_total_replication_buffers migrate_cached_sockets module_fork_in_progress
module_fork_last_cow_size number_of_cached_scripts number_of_functions number_of_libraries
process_id pubsub_channels pubsub_patterns pubsubshard_channels rdb_bgsave_in_progress
rdb_changes_since_last_save rdb_current_bgsave_time_sec rdb_last_bgsave_status
rdb_last_bgsave_time_sec rdb_last_cow_size rdb_last_save_time rdb_saves rejected_connections
repl_backlog_active repl_backlog_first_byte_offset repl_backlog_histlen repl_backlog_size
second_repl_offset slave_expires_tracked_keys sync_full sync_partial_err sync_partial_ok
total_blocking_keys total_blocking_keys_on_nokey total_commands_processed total_connections_received
total_error_replies total_net_input_bytes total_net_output_bytes total_net_repl_input_bytes
total_net_repl_output_bytes total_reads_processed total_writes_processed tracking_clients
tracking_total_items tracking_total_keys tracking_total_prefixes unexpected_error_replies
uptime_in_seconds used_cpu_sys used_cpu_sys_children used_cpu_sys_main_thread used_cpu_user
used_cpu_user_children used_cpu_user_main_thread used_memory used_memory_dataset
used_memory_functions used_memory_overhead used_memory_peak used_memory_rss used_memory_startup`,
	"Netdata": `
total_connections_received rejected_connections connected_clients blocked_clients tracking_clients
clients_in_timeout_table total_commands_processed instantaneous_ops_per_sec keyspace_hits
keyspace_misses maxmemory used_memory used_memory_rss used_memory_peak used_memory_dataset
mem_fragmentation_ratio evicted_keys total_net_input_bytes total_net_output_bytes
rdb_changes_since_last_save rdb_bgsave_in_progress rdb_current_bgsave_time_sec
rdb_last_bgsave_status rdb_last_save_time expired_keys connected_slaves uptime_in_seconds`,
}

// fields is INFO as a monitor reads it.
func (c *caller) fields(section string) map[string]string {
	c.t.Helper()
	n, _ := strconv.Atoi(strings.TrimPrefix(c.ask("INFO %s", section), "$"))
	text := make([]byte, n+2)
	if _, err := io.ReadFull(c.r, text); err != nil {
		c.t.Fatal(err)
	}
	all := map[string]string{}
	for line := range strings.SplitSeq(string(text), "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			if _, twice := all[name]; twice {
				c.t.Errorf("%s stands there twice", name)
			}
			all[name] = value
		}
	}
	return all
}

func TestFieldsOfMonitors(t *testing.T) {
	host, err := engine.Open(enginetest.Build(t, "hash"), engine.Options{Trust: engine.Trust{AllowOwnUID: true}, StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Close)
	_, path := serve(t, Hosted{host}, DefaultLimits)
	c, other := call(t, path), call(t, path)
	c.ask("SET key value EX 100")
	all := c.fields("everything")
	for monitor, names := range monitored {
		for name := range strings.FieldsSeq(names) {
			value, there := all[name]
			if !there {
				t.Errorf("%s reads %s, which is not there", monitor, name)
			} else if _, err := strconv.ParseFloat(value, 64); err != nil && value != "ok" {
				t.Errorf("%s reads %s as a number; it is %q", monitor, name, value)
			}
		}
	}
	if !strings.HasPrefix(all["db0"], "keys=1,expires=1,avg_ttl=") {
		t.Errorf("db0 is %s", all["db0"])
	}
	// What counts does count.
	for range 2 {
		other.ask("WATCH key")
	}
	other.ask("EVAL 'return 1' 0")
	c.ask("SCRIPT LOAD 'return 2'")
	c.answer() // the name
	all = c.fields("everything")
	for name, want := range map[string]string{"watching_clients": "1", "total_watched_keys": "1", "pubsub_clients": "0",
		"number_of_cached_scripts": "2", "process_supervised": "no"} {
		if all[name] != want {
			t.Errorf("%s is %s, not %s", name, all[name], want)
		}
	}
	if size, err := strconv.Atoi(all["used_memory_scripts"]); err != nil || size < 1000 || size > 10_000 || all["used_memory_scripts_eval"] != all["used_memory_scripts"] {
		t.Errorf("used_memory_scripts is %s, used_memory_scripts_eval %s", all["used_memory_scripts"], all["used_memory_scripts_eval"])
	}
	other.ask("SCRIPT FLUSH")
	if all = c.fields("memory"); all["used_memory_scripts"] != "0" || all["number_of_cached_scripts"] != "0" {
		t.Errorf("after SCRIPT FLUSH: %s bytes, %s scripts", all["used_memory_scripts"], all["number_of_cached_scripts"])
	}
	other.ask("UNWATCH")
	other.ask("SUBSCRIBE news")
	if all = c.fields("clients"); all["pubsub_clients"] != "1" || all["watching_clients"] != "0" {
		t.Errorf("%v", all)
	}
}

// averages reads avg_ttl of a database times and returns the last.
func (c *caller) averages(db string, times int) (ms float64) {
	c.t.Helper()
	for range times {
		_, text, _ := strings.Cut(c.fields("keyspace")[db], "avg_ttl=")
		var err error
		if ms, err = strconv.ParseFloat(text, 64); err != nil {
			c.t.Fatalf("%s: %v", db, err)
		}
	}
	return ms
}

// TestAverageTTL: exact for few keys, a sample of many, and those that hardly
// any key has are found by and by and then remembered.
func TestAverageTTL(t *testing.T) {
	_, path := start(t, "hash", DefaultLimits)
	c := call(t, path)
	near := func(db string, times int, want, part float64) {
		t.Helper()
		if got := c.averages(db, times); got < want*(1-part)-2000 || got > want*(1+part) {
			t.Errorf("avg_ttl of %s is %.0f, not about %.0f", db, got, want)
		}
	}
	c.ask("SET forever value")
	if got := c.averages("db0", 1); got != 0 {
		t.Errorf("avg_ttl is %.0f where nothing expires", got)
	}
	for i := range 200 {
		c.ask("SET key:%d value PX %d", i, 100_000+i*1000)
	}
	near("db0", 1, 199_500, 0)
	c.ask("FLUSHDB")
	for i := range 5_000 {
		c.ask("SET key:%d value PX %d", i, 1_000_000+i*400)
	}
	near("db0", 1, 2_000_000, 0.1)
	c.ask("SELECT 1")
	for i := range 5_000 {
		c.ask("SET key:%d value", i)
	}
	c.ask("EXPIRE key:77 5000")
	c.ask("EXPIRE key:78 7000")
	near("db1", 29, 6_000_000, 0.1)
	c.ask("PERSIST key:77")
	c.ask("PERSIST key:78")
	if got := c.averages("db1", 1); got != 0 {
		t.Errorf("avg_ttl is %.0f where nothing expires any more", got)
	}
}
