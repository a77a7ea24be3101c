//go:build system

package system

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A machine is a container with a real systemd as its first process, made of
// a cached root and a directory of its own laid over it.
type machine struct {
	t      *testing.T
	suite  string
	dir    string // holds upper, work, root and console.log
	root   string // the root as the host sees it
	nspawn *exec.Cmd
	exited chan struct{} // closed when nspawn has ended
	leader int           // the host's pid of the container's first process
	groups []string      // control groups of its own, of the old hierarchies
}

// bootScript starts a container where no system bus is to be had: a private
// /run holds what nspawn wants there.
const bootScript = `mount -t tmpfs -o mode=755 tmpfs /run && mkdir -p /run/systemd/nspawn &&
exec systemd-nspawn -q -D "$0" --register=no --keep-unit --private-network --boot --console=pipe`

// boot starts a machine of the suite; it ends with the test.
func boot(t *testing.T, suite string) *machine {
	t.Helper()
	return bootIn(t, suite, nil)
}

// bootIn is boot, in control groups of the old hierarchies, if there are any.
func bootIn(t *testing.T, suite string, groups []string) *machine {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("containers need root; fix: sudo --preserve-env=PATH make test-system")
	}
	sweep(t)
	lower := cachedRoot(t, suite)
	start := time.Now()
	m := &machine{t: t, suite: suite, exited: make(chan struct{}), groups: groups}
	m.dir = filepath.Join(cacheDir(), fmt.Sprintf("run-%d-%s-%d", os.Getpid(), suite, start.UnixNano()))
	m.root = filepath.Join(m.dir, "root")
	for _, d := range []string{"upper", "work", "root"} {
		if err := os.MkdirAll(filepath.Join(m.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(m.remove)
	m.layOver(lower)
	m.start()
	m.wait("the machine to be up", 60*time.Second, func() bool {
		out, _ := m.try("systemctl is-system-running")
		return strings.HasPrefix(out, "running") || strings.HasPrefix(out, "degraded")
	})
	t.Logf("%s: booted in %.1fs: %s", suite, time.Since(start).Seconds(),
		firstLine(m.run("systemctl --version")))
	return m
}

// layOver makes m.root: an overlay, or a copy where the kernel refuses one.
func (m *machine) layOver(lower string) {
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, m.dir, m.dir)
	err := syscall.Mount("overlay", m.root, "overlay", 0, options)
	if err == nil {
		return
	}
	m.t.Logf("%s: no overlay here (%v), copying the root", m.suite, err)
	if out, err := exec.Command("cp", "-a", lower+"/.", m.root).CombinedOutput(); err != nil {
		m.t.Fatalf("copying the root: %v\n%s", err, out)
	}
}

// start starts nspawn and finds the container's first process.
func (m *machine) start() {
	console, err := os.Create(filepath.Join(m.dir, "console.log"))
	if err != nil {
		m.t.Fatal(err)
	}
	defer console.Close()
	script, unified := bootScript, "1"
	for _, group := range m.groups {
		script, unified = "echo $$ >"+group+"/cgroup.procs && "+script, "0"
	}
	m.nspawn = exec.Command("unshare", "-m", "sh", "-c", script, m.root)
	m.nspawn.Env = append(os.Environ(), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY="+unified)
	m.nspawn.Stdout, m.nspawn.Stderr = console, console
	m.nspawn.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := m.nspawn.Start(); err != nil {
		m.t.Fatalf("starting systemd-nspawn: %v", err)
	}
	go func() {
		m.nspawn.Wait()
		close(m.exited)
	}()
	m.t.Cleanup(m.stop)
	os.WriteFile(filepath.Join(m.dir, "pid"), []byte(strconv.Itoa(m.nspawn.Process.Pid)), 0o644)
	m.wait("systemd-nspawn to start a process", 20*time.Second, func() bool {
		pid := m.nspawn.Process.Pid
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		children := strings.Fields(string(data))
		if len(children) == 0 {
			return false
		}
		m.leader, _ = strconv.Atoi(children[0])
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", m.leader))
		return strings.TrimSpace(string(name)) == "systemd"
	})
}

// stop shuts the machine down as an administrator would, and only if that
// fails ends the one process that boot started.
func (m *machine) stop() {
	if m.t.Failed() {
		out, _ := m.try("journalctl --no-pager -n 60 -o short-precise")
		m.t.Logf("%s: the end of the journal:\n%s", m.suite, out)
	}
	m.try("systemctl poweroff")
	select {
	case <-m.exited:
		return
	case <-time.After(30 * time.Second):
		m.t.Logf("%s: did not power off, ending it", m.suite)
	}
	m.nspawn.Process.Kill()
	<-m.exited
}

// remove takes the machine's directory away.
func (m *machine) remove() {
	unmountAndRemove(m.dir)
}

func unmountAndRemove(dir string) {
	syscall.Unmount(filepath.Join(dir, "root"), syscall.MNT_DETACH)
	os.RemoveAll(dir)
}

// sweep removes what test runs that were killed have left.
func sweep(t *testing.T) {
	dirs, _ := filepath.Glob(filepath.Join(cacheDir(), "run-*"))
	for _, dir := range dirs {
		pid, err := strconv.Atoi(strings.Split(filepath.Base(dir), "-")[1])
		if err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			t.Logf("removing %s, left by an earlier run", dir)
			endLeft(dir)
			unmountAndRemove(dir)
		}
	}
}

// endLeft ends the systemd-nspawn that a killed run has started in dir, if it
// is that process still.
func endLeft(dir string) {
	pid, _ := os.ReadFile(filepath.Join(dir, "pid"))
	cmdline, err := os.ReadFile(filepath.Join("/proc", string(pid), "cmdline"))
	if err == nil && len(pid) > 0 && bytes.Contains(cmdline, []byte(dir)) {
		n, _ := strconv.Atoi(string(pid))
		syscall.Kill(n, syscall.SIGKILL)
		time.Sleep(time.Second)
	}
}

// patience ends what hangs, so that a broken build ends; nothing is measured by it.
const patience = 4 * time.Minute

// command prepares to run a shell script inside, as root, in a clean environment.
func (m *machine) command(ctx context.Context, script string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", "-t", strconv.Itoa(m.leader),
		"-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--",
		"env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "TERM=dumb",
		"SYSTEMD_PAGER=", "SYSTEMD_COLORS=0", "sh", "-c", script)
}

// try runs a script inside and returns what it printed, both streams, and how
// it ended.
func (m *machine) try(script string) (output string, code int) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := m.command(ctx, script)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		code = -1
		if exit, ok := err.(*exec.ExitError); ok {
			code = exit.ExitCode()
		}
		if ctx.Err() != nil {
			out = fmt.Appendf(out, "(ended after %v)", patience)
		}
	}
	return string(out), code
}

// run is try for scripts that must succeed.
func (m *machine) run(script string) string {
	m.t.Helper()
	out, code := m.try(script)
	if code != 0 {
		m.t.Fatalf("%s: %s: exit %d\n%s", m.suite, script, code, out)
	}
	return out
}

// fails runs a script that must fail and returns what it printed.
func (m *machine) fails(script string) string {
	m.t.Helper()
	out, code := m.try(script)
	if code == 0 {
		m.t.Fatalf("%s: %s: succeeded, but should have failed\n%s", m.suite, script, out)
	}
	return out
}

// wait waits until done says so, looking often; the limit is only there so
// that a broken build ends.
func (m *machine) wait(what string, limit time.Duration, done func() bool) {
	m.t.Helper()
	for start := time.Now(); time.Since(start) < limit; time.Sleep(20 * time.Millisecond) {
		if done() {
			return
		}
		select {
		case <-m.exited:
			m.t.Fatalf("%s: ended while waiting for %s\n%s", m.suite, what, m.console())
		default:
		}
	}
	m.t.Fatalf("%s: waited %v for %s\n%s", m.suite, limit, what, m.console())
}

func (m *machine) console() string {
	data, _ := os.ReadFile(filepath.Join(m.dir, "console.log"))
	return "console:\n" + string(bytes.TrimSpace(data[max(0, len(data)-4000):]))
}

// copyIn puts a file of the host into the machine. The path must not lie on
// one of its own file systems (/run, /tmp, /dev).
func (m *machine) copyIn(from, to string, mode os.FileMode) {
	m.t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write(to, data, mode)
}

// write makes a file inside, a new one: an old one at its path is replaced as
// install(1) does it.
func (m *machine) write(path string, data []byte, mode os.FileMode) {
	m.t.Helper()
	host := filepath.Join(m.root, path)
	if err := os.MkdirAll(filepath.Dir(host), 0o755); err != nil {
		m.t.Fatal(err)
	}
	err := os.WriteFile(host+".new", data, mode)
	if err == nil {
		err = os.Chmod(host+".new", mode)
	}
	if err == nil {
		err = os.Rename(host+".new", host)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
