//go:build system

package system

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// limit is MemoryMax= of the unit.
const limit = 96 << 20

// TestMemoryMax shows the daemon below a limit that the kernel keeps.
func TestMemoryMax(t *testing.T) {
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			m := bootCounting(t, suite)
			m.bring()
			m.run("dpkg -i /opt/kvstored.deb && " + unitDropIn("kvstored.service", `[Service]\nMemoryMax=96M\nMemorySwapMax=0\n`))
			m.group("1 no MaxMemory=, told by the doctor", m.limitMissing)
			m.group("2 writes are refused", m.refusesWrites)
			m.group("3 keys go", m.evictsKeys)
			m.group("4 short values come to lie in huge pages", m.hugePages)
		})
	}
}

// bootCounting starts a machine whose systemd has a controller for memory: that
// of the unified hierarchy, or of the old one where the host has it there.
func bootCounting(t *testing.T, suite string) *machine {
	t.Helper()
	if text, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers"); err == nil && strings.Contains(string(text), "memory") {
		return boot(t, suite)
	}
	groups := []string{oldGroup(t, "name=systemd", "systemd"), oldGroup(t, "memory", "memory")}
	m := bootIn(t, suite, groups)
	m.run("mount -o remount,bind,rw /sys/fs/cgroup/memory && systemctl daemon-reexec")
	return m
}

// oldGroup makes a control group below this process's own, for a machine.
func oldGroup(t *testing.T, controller, mount string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) < 3 || part[1] != controller {
			continue
		}
		dir := filepath.Join("/sys/fs/cgroup", mount, part[2], fmt.Sprintf("kvstored-test-%d-%d", os.Getpid(), time.Now().UnixNano()))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { exec.Command("find", dir, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";").Run() })
		return dir
	}
	t.Fatalf("no control group of %s, and none of the unified hierarchy: memory cannot be limited here", controller)
	return ""
}

// limitMissing has the doctor notice that only the kernel keeps a limit.
func (m *machine) limitMissing() {
	m.run("kvctl SET name Rojalin")
	m.mends("MemoryMax= of kvstored.service is 96 MiB, and no MaxMemory= is set")
	m.is("MaxMemory=60%", "cat /etc/kvstored/kvstored.conf.d/memory.conf")
}

// unfinished holds buffers in the daemon: requests whose end never comes, one
// after each pause.
func (m *machine) unfinished(n, bytes int, pause time.Duration) {
	m.t.Helper()
	data := []byte(strings.Repeat("x", bytes))
	for range n {
		conn, err := net.Dial("unix", fmt.Sprintf("/proc/%d/root/run/kvstored/kvstored.sock", m.leader))
		if err != nil {
			m.t.Fatal(err)
		}
		m.t.Cleanup(func() { conn.Close() })
		fmt.Fprintf(conn, "*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$%d\r\n", 2*bytes)
		if _, err := conn.Write(data); err != nil {
			m.t.Fatal(err)
		}
		time.Sleep(pause)
	}
}

// info is a number in INFO.
func (m *machine) info(name string) int64 {
	m.t.Helper()
	n, err := strconv.ParseInt(strings.TrimSpace(m.run("kvctl INFO | tr -d '\\r' | sed -n 's/^"+name+"://p'")), 10, 64)
	if err != nil {
		m.t.Fatalf("INFO: %s: %v", name, err)
	}
	return n
}

// refusesWrites fills the memory with MaxMemory=60%, and buffers of clients
// beside; the daemon lives.
func (m *machine) refusesWrites() {
	if got := m.info("maxmemory"); got > limit*6/10 || got < limit/4 {
		m.t.Errorf("MaxMemory=60%% of 96M is %d", got)
	}
	first := m.sets("first", 200, 500_000)
	if len(first.refused) == 0 || !strings.Contains(first.said, "OOM command not allowed when used memory > 'maxmemory'.") {
		m.t.Fatalf("100 MB were taken below 58 MB:\n%.1000s", first.said)
	}
	m.unfinished(6, 4<<20, 0)
	second := m.sets("second", 100, 500_000)
	if len(second.refused) == 0 {
		m.t.Error("with buffers beside all was taken")
	}
	m.lives("noeviction")
	m.is("Rojalin", "kvctl GET name")
}

// evictsKeys does the same with a policy under which keys go.
func (m *machine) evictsKeys() {
	m.run("printf 'MaxMemory=80%%\\nMaxMemoryPolicy=allkeys-s3fifo\\n' >/etc/kvstored/kvstored.conf.d/policy.conf && systemctl reload kvstored")
	all := m.sets("third", 400, 500_000)
	if len(all.refused) > 0 {
		m.t.Errorf("%d writes were refused:\n%.1000s", len(all.refused), all.said)
	}
	before := m.info("maxmemory")
	m.unfinished(2, 4<<20, 0)                       // such long ones are received within the limit
	m.unfinished(40, 500_000, 150*time.Millisecond) // and these beside it; the daemon looks once a second
	m.wait("the data to give way to the buffers", time.Minute, func() bool { return m.info("maxmemory") < before-8<<20 })
	m.says("the data is kept below", journal)
	if all = m.sets("fourth", 40, 200_000); len(all.refused) > 0 {
		m.t.Errorf("with buffers beside %d writes were refused:\n%.1000s", len(all.refused), all.said)
	}
	if m.info("evicted_keys") == 0 {
		m.t.Error("no key went")
	}
	m.lives("allkeys-s3fifo")
}

// hugePages wants some to be made in the sandbox of the unit, close to the limit of its memory.
func (m *machine) hugePages() {
	if text, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled"); err != nil || strings.Contains(string(text), "[never]") {
		m.t.Log("NOT looked at: this kernel has no huge pages, or they are switched off")
		return
	}
	m.run(`awk 'BEGIN { for (i = 0; i < 60000; i++) printf "SET short:%d %0500d\n", i, i }' | kvctl --pipe`)
	m.wait("huge pages", time.Minute, func() bool {
		n := m.run("sed -n 's/^ShmemPmdMapped: *\\([0-9]*\\) kB/\\1/p' /proc/$(systemctl show -P MainPID kvstored.service)/smaps_rollup")
		return strings.TrimSpace(n) != "0"
	})
	m.lives("allkeys-s3fifo")
}

// lives wants the daemon never to have been ended.
func (m *machine) lives(policy string) {
	m.t.Helper()
	m.is("0", "systemctl show -P NRestarts kvstored.service")
	m.is("success", "systemctl show -P Result kvstored.service")
	m.says("maxmemory_policy:"+policy, "kvctl INFO memory")
	if amiss, code := m.doctor(""); code != 0 {
		m.t.Errorf("doctor: exit %d, %+v", code, amiss)
	}
	m.t.Logf("%s: %s: data %d of at most %d bytes, control group %s", m.suite, policy, m.info("reserved_memory"), m.info("maxmemory"),
		strings.TrimSpace(m.run("systemctl show -P MemoryCurrent kvstored.service")))
}
