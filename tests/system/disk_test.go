//go:build system

package system

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A state directory on a disk of its own.
const stateDir = "/var/lib/kvstored"

// onDisk stops the daemon, mounts a file system at its state directory and has
// systemd listen again.
func (m *machine) onDisk(mount string) {
	m.t.Helper()
	m.run("systemctl stop kvstored.socket kvstored.service && " + mount + " && chown kvstore: " + stateDir + " && chmod 700 " + stateDir +
		" && systemctl start kvstored.socket")
}

// offDisk goes back to the machine's own disk.
func (m *machine) offDisk() {
	m.t.Helper()
	m.run("systemctl stop kvstored.socket kvstored.service; umount " + stateDir +
		" && systemctl reset-failed kvstored.socket kvstored.service && systemctl start kvstored.socket")
}

// written is what became of keys that were set.
type written struct {
	taken, refused []string
	said           string
}

var refusedLine = regexp.MustCompile(`(?m)^kvctl: line (\d+): `)

// sets sets n keys to values of so many bytes.
func (m *machine) sets(prefix string, n, size int) (w written) {
	m.t.Helper()
	w.said, _ = m.try(fmt.Sprintf(`v=$(head -c %d /dev/zero | tr '\0' x); for i in $(seq %d); do echo "SET %s$i $v"; done | kvctl 2>&1`, size, n, prefix))
	bad := map[int]bool{}
	for _, line := range refusedLine.FindAllStringSubmatch(w.said, -1) {
		at, _ := strconv.Atoi(line[1])
		bad[at] = true
	}
	for i := 1; i <= n; i++ {
		name := fmt.Sprintf("%s%d", prefix, i)
		if bad[i] {
			w.refused = append(w.refused, name)
		} else {
			w.taken = append(w.taken, name)
		}
	}
	return w
}

// holds checks that what was acknowledged is there, and what was refused is not.
func (m *machine) holds(w written) {
	m.t.Helper()
	if len(w.taken) > 0 {
		m.is(strconv.Itoa(len(w.taken)), "kvctl EXISTS "+strings.Join(w.taken, " "))
	}
	if len(w.refused) > 0 {
		m.is("0", "kvctl EXISTS "+strings.Join(w.refused, " "))
	}
}

// kill ends the daemon as the kernel would, and waits for the next one.
func (m *machine) kill() {
	m.t.Helper()
	m.again() // five starts in ten seconds are the limit
	before := m.run("systemctl show -P NRestarts kvstored.service")
	m.run("kill -9 $(systemctl show -P MainPID kvstored.service)")
	m.wait("systemd to start it again", time.Minute, func() bool {
		return m.run("systemctl show -P NRestarts kvstored.service") != before &&
			strings.TrimSpace(m.run("systemctl show -P ActiveState kvstored.service")) == "active"
	})
}

// fillsDisk fills the disk under the daemon, with each Sync=.
func (m *machine) fillsDisk() {
	m.onDisk("mount -t tmpfs -o size=64M tmpfs " + stateDir)
	for _, sync := range []string{"interval", "always"} {
		m.run("mkdir -p /etc/kvstored/kvstored.conf.d && echo Sync=" + sync + " >/etc/kvstored/kvstored.conf.d/sync.conf && kvctl SET name Rojalin && systemctl reload kvstored")
		before := m.sets("before-"+sync, 20, 100)
		m.run("date +%s.%N > /opt/since")
		m.fails("dd if=/dev/zero of=" + stateDir + "/filler bs=64k 2>&1")
		full := m.sets("full-"+sync, 40, 400_000)
		if len(full.refused) == 0 || !strings.Contains(full.said, "MISCONF the engine 'hash' cannot write: the disk is full; reads go on") {
			m.t.Fatalf("Sync=%s: a full disk: %d refused:\n%.2000s", sync, len(full.refused), full.said)
		}
		m.is("Rojalin", "kvctl GET name")
		m.holds(full)
		m.tellsOfFullDisk()
		m.kill()
		m.holds(before)
		m.holds(full)

		m.run("rm " + stateDir + "/filler")
		after := m.sets("after-"+sync, 20, 1000)
		if len(after.refused) > 0 {
			m.t.Fatalf("Sync=%s: with room again: %.2000s", sync, after.said)
		}
		m.is("taken", "kvctl engine status | sed -n 's/^writes=//p'")
		m.says("all is well", "kvctl doctor")
		m.run("kvctl DEL " + strings.Join(full.taken, " "))
		m.kill()
		m.holds(before)
		m.holds(after)
		m.t.Logf("%s: Sync=%s: on a full disk %d of 40 writes were taken, none was lost by kill -9", m.suite, sync, len(full.taken))
	}
	m.run("rm /etc/kvstored/kvstored.conf.d/sync.conf && systemctl restart kvstored.service")
	m.offDisk()
	m.noFailedUnits()
}

// tellsOfFullDisk looks wherever people look.
func (m *machine) tellsOfFullDisk() {
	m.t.Helper()
	m.is("refused", "kvctl engine status | sed -n 's/^writes=//p'")
	m.says("writes_why=the disk is full; since ", "kvctl engine status")
	m.says("aof_last_write_status:err", "kvctl INFO persistence")
	m.says("writes are refused: no room for the log: No space left on device", journal+" --since @$(cat /opt/since)")
	m.wait("STATUS= to tell of it", time.Minute, func() bool {
		return strings.Contains(m.run("systemctl show -P StatusText kvstored.service"), "; writes are refused: the disk is full")
	})
	out := m.fails("kvctl doctor 2>&1")
	for _, want := range []string{"failure disk", "writes are refused: the disk is full", "reads go on", "fix: du -xh " + stateDir} {
		if !strings.Contains(out, want) {
			m.t.Errorf("kvctl doctor on a full disk does not say %q:\n%s", want, out)
		}
	}
}

// loopDisk is an ext4 that can be made to fail, as a block device inside.
func (m *machine) loopDisk() (device, name string) {
	m.t.Helper()
	image := filepath.Join(m.dir, "disk.img")
	host(m.t, exec.Command("sh", "-c", `truncate -s 64M "$1" && mkfs.ext4 -q -m 0 -e remount-ro "$1"`, "sh", image))
	out, err := exec.Command("losetup", "--find", "--show", image).Output()
	if err != nil {
		m.t.Fatalf("losetup: %v", err)
	}
	loop := strings.TrimSpace(string(out))
	m.t.Cleanup(func() { exec.Command("losetup", "-d", loop).Run() })
	name = filepath.Base(loop)
	numbers, err := os.ReadFile("/sys/class/block/" + name + "/dev")
	if err != nil {
		m.t.Fatal(err)
	}
	m.run("mknod /dev/kvdisk b " + strings.Replace(strings.TrimSpace(string(numbers)), ":", " ", 1))
	return "/dev/kvdisk", name
}

// failsDisk has the kernel stop a file system under the daemon, as it does
// after an error of the disk; then starts on one that is mounted read-only.
func (m *machine) failsDisk() {
	device, name := m.loopDisk()
	m.onDisk("mount " + device + " " + stateDir)
	m.run("kvctl SET name Rojalin")
	before := m.sets("before", 50, 1000)
	time.Sleep(1100 * time.Millisecond) // Sync=interval: now the disk has it
	if err := os.WriteFile("/sys/fs/ext4/"+name+"/trigger_fs_error", []byte("1"), 0o200); err != nil {
		m.t.Fatal(err)
	}
	if out := m.fails("kvctl SET first x 2>&1"); !strings.Contains(out, "outcome unknown: the disk failed") {
		m.t.Errorf("the write that meets the failure says:\n%s", out)
	}
	if out := m.fails("kvctl SET second x 2>&1"); !strings.Contains(out, "READONLY the engine 'hash' takes no writes now; reads go on") || !strings.Contains(out, "fix: kvctl doctor") {
		m.t.Errorf("the write after it says:\n%s", out)
	}
	m.holds(before)
	m.is("refused", "kvctl engine status | sed -n 's/^writes=//p'")
	m.says("the disk failed: Read-only file system", journal)
	m.wait("STATUS= to tell of it", time.Minute, func() bool {
		return strings.Contains(m.run("systemctl show -P StatusText kvstored.service"), "; writes are refused: the disk failed")
	})
	m.mends("the file system at " + stateDir + " is read-only")
	m.holds(before)
	m.is("OK", "kvctl SET second x")
	m.kill()
	m.holds(before)
	m.is("x", "kvctl GET second")
	m.startsReadOnly(before)
	m.offDisk()
	m.noFailedUnits()
}

// startsReadOnly restarts on a state directory that cannot be written.
func (m *machine) startsReadOnly(before written) {
	m.t.Helper()
	m.run("systemctl stop kvstored.socket kvstored.service && mount -o remount,ro " + stateDir + " && systemctl start kvstored.socket")
	m.fails("systemctl restart kvstored.service")
	m.fails("kvctl GET name")
	m.mends("the file system at " + stateDir + " is read-only")
	m.holds(before)
	m.is("OK", "kvctl SET third x")
}
