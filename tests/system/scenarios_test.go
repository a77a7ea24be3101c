//go:build system

package system

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/systemd"
)

// journal shows what the daemon and systemd said of it, all that was said so far.
const journal = "journalctl --sync; journalctl -q --no-pager -u kvstored.service -o cat"

// TestDebian shows on a machine of each suite what a user does with the
// package. The groups build on each other, as a user's days do.
func TestDebian(t *testing.T) {
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			m := boot(t, suite)
			m.bring()
			m.group("1 installed and started by its socket", m.startsBySocket)
			m.group("1b further instances and a user's own", m.startsOthers)
			m.group("2a exchanged between two releases", m.exchangesReleases)
			m.group("2b exchanged between two formats", m.exchangesFormats)
			m.group("3 bad libraries are refused", m.refusesBadLibraries)
			m.group("4 the file on disk can do no harm", m.survivesItsFile)
			m.group("5a upgraded under load", m.upgrades)
			m.group("5b removed and purged", m.removes)
		})
	}
}

// group runs one group as a subtest; the machine reports to it meanwhile.
func (m *machine) group(name string, test func()) {
	outer := m.t
	outer.Run(name, func(t *testing.T) {
		m.t = t
		defer func() { m.t = outer }()
		if outer.Failed() {
			t.Fatal("not run: it builds on a group that failed")
		}
		test()
	})
	m.t = outer
}

// bring puts the packages and the clients into the machine.
func (m *machine) bring() {
	f := prepared(m.t)
	m.copyIn(f.deb, "/opt/kvstored.deb", 0o644)
	m.copyIn(f.next, "/opt/kvstored-next.deb", 0o644)
	m.copyIn(f.rpm, "/opt/kvstored.rpm", 0o644)
	m.copyIn(f.lmdb, "/opt/lmdb.deb", 0o644)
	m.copyIn(f.lmdbNext, "/opt/lmdb-next.deb", 0o644)
	m.copyIn(f.lmdbRpm, "/opt/lmdb.rpm", 0o644)
	m.copyIn(f.hammer, "/opt/hammer", 0o755)
}

// status is one field of `kvctl engine status`.
func (m *machine) status(name string) string {
	m.t.Helper()
	for line := range strings.Lines(m.run("kvctl engine status")) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return value
		}
	}
	m.t.Fatalf("kvctl engine status does not tell %s", name)
	return ""
}

// number is a field of `kvctl engine status` that counts something.
func (m *machine) number(name string) int64 {
	m.t.Helper()
	n, err := strconv.ParseInt(m.status(name), 10, 64)
	if err != nil {
		m.t.Fatalf("kvctl engine status: %s: %v", name, err)
	}
	return n
}

// is runs a script whose output must be exactly want.
func (m *machine) is(want, script string) {
	m.t.Helper()
	if got := strings.TrimSpace(m.run(script)); got != want {
		m.t.Fatalf("%s printed %q, must be %q", script, got, want)
	}
}

// says runs a script whose output must contain want.
func (m *machine) says(want, script string) {
	m.t.Helper()
	if got := m.run(script); !strings.Contains(got, want) {
		m.t.Fatalf("%s does not say %q, but:\n%s", script, want, got)
	}
}

func (m *machine) startsBySocket() {
	m.says("Setting up kvstored", "dpkg -i /opt/kvstored.deb 2>&1")
	m.run("useradd -m -G kvstore asha && useradd -m mallory")
	m.is("enabled", "systemctl is-enabled kvstored.socket")
	m.run("systemctl start kvstored.socket")
	m.is("active", "systemctl is-active kvstored.socket")
	m.is("inactive", "systemctl is-active kvstored.service || :")
	m.is("660 root kvstore", "stat -c '%a %U %G' /run/kvstored/kvstored.sock")

	m.is("OK", "runuser -u asha -- kvctl SET name Rojalin")
	m.is("active", "systemctl is-active kvstored.service")
	m.is("Rojalin", "runuser -u asha -- kvctl GET name")
	m.is("OK", `runuser -u asha -- kvctl "SET name Rojalin"`)
	m.is("+OK +PONG $7 Rojalin", `runuser -u asha -- /opt/hammer -lines "SET name Rojalin" "PING" "GET name"`)

	m.is("kvstore", "stat -c %U /proc/$(systemctl show -P MainPID kvstored.service)")
	if out := m.fails("runuser -u mallory -- kvctl GET name"); !strings.Contains(out, "fix: sudo usermod -aG kvstore mallory") {
		m.t.Errorf("one who is not in the group is told:\n%s", out)
	}
	if out := m.fails("runuser -u asha -- kvctl engine reload"); !strings.Contains(out, "root and the daemon's own user") {
		m.t.Errorf("one who may not reload is told:\n%s", out)
	}
	m.copyIn(prepared(m.t).example(m.t), "/opt/example.so", 0o644)
	m.run("runuser -u asha -- kvctl engine check /opt/example.so")
	m.sandboxed()
	m.t.Logf("%s", strings.TrimSpace(m.run("systemctl show -P StatusText kvstored.service")))
}

// startsOthers starts an instance of the template, and one of asha's own under
// their service manager; each exchanges its library too.
func (m *machine) startsOthers() {
	m.run("touch /etc/kvstored/cache.conf && systemctl start kvstored@cache.socket")
	const cache = "runuser -u asha -- kvctl --socket /run/kvstored/cache.sock "
	m.is("OK", cache+"SET name Anand")
	m.is("Anand", cache+"GET name")
	m.is("Rojalin", "kvctl GET name")
	m.run("systemctl reload kvstored@cache.service && test -d /var/lib/kvstored-instances/cache")
	m.run("systemctl stop kvstored@cache.socket kvstored@cache.service")

	m.run("loginctl enable-linger asha")
	const own = "runuser -u asha -- env XDG_RUNTIME_DIR=/run/user/$(id -u asha) "
	m.wait("asha's service manager", time.Minute, func() bool {
		_, code := m.try(own + "systemctl --user start kvstored.socket")
		return code == 0
	})
	m.is("OK", own+"kvctl SET name Asha")
	m.is("asha", "stat -c %U /proc/$("+own+"systemctl --user show -P MainPID kvstored.service)")
	m.run(own + "systemctl --user reload kvstored.service")
	m.is("Asha", own+"kvctl GET name")
	m.is("Rojalin", "kvctl GET name")
	m.run(own + "systemctl --user stop kvstored.socket kvstored.service && loginctl disable-linger asha")
}

// sandboxed shows that the sandbox is really in force, and how tight it is.
func (m *machine) sandboxed() {
	m.t.Helper()
	out := m.run("systemd-analyze security --no-pager kvstored.service | tail -n 1")
	m.t.Logf("%s", strings.TrimSpace(out))
	var level float64
	at := strings.Index(out, ":")
	if _, err := fmt.Sscanf(out[at+1:], "%f", &level); err != nil || level > 0.5 {
		m.t.Errorf("exposed more than 0.5: %s", out)
	}
	status := m.run("cat /proc/$(systemctl show -P MainPID kvstored.service)/status")
	for _, want := range []string{"CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(status, want) {
			m.t.Errorf("the process does not have %q", want)
		}
	}
	m.is("lo:", "grep -o '[a-z0-9]*:' /proc/$(systemctl show -P MainPID kvstored.service)/net/dev")
}

// How many keys there are while the engine is exchanged: handed over between
// releases of one engine, copied between formats.
const (
	keys       = 1_000_000
	copiedKeys = 100_000
)

// fill writes the keys that never change.
func (m *machine) fill(n int) {
	m.t.Helper()
	m.says("filled", fmt.Sprintf("runuser -u asha -- /opt/hammer -fill %d", n))
}

func (m *machine) exchangesReleases() {
	m.fill(keys)
	m.copyIn(built("engines/hash.so"), "/opt/hash-0.so", 0o644)
	m.copyIn(built("test/hash-next.so"), "/opt/hash-1.so", 0o644)
	before := m.number("swaps")
	c := m.clients(fmt.Sprintf("-keys %d", keys))
	var pause, lane float64
	for i := 1; i <= 50; i++ {
		m.run(fmt.Sprintf("install -m 644 /opt/hash-%d.so %s/hash.so && systemctl reload kvstored", i%2, engineDir))
		pause = max(pause, c.mark())
		lane = max(lane, float64(m.number("lane_held_last_us"))/1000)
	}
	f := c.finish()
	m.tell("50 exchanges between two releases", f, pause, lane)
	m.noHarm(f, before+50)
	if lane > 10 {
		m.t.Errorf("the lane was held for %.1f ms, above 10 ms", lane)
	}
}

func (m *machine) exchangesFormats() {
	m.copyIn(built("engines/debug.so"), engineDir+"/debug.so", 0o644)
	m.is("OK", "kvctl FLUSHALL")
	m.fill(copiedKeys)
	before := m.number("swaps")
	c := m.clients(fmt.Sprintf("-keys %d", copiedKeys))
	var pause, lane float64
	for i := range 10 {
		name := []string{"debug", "hash"}[i%2]
		m.run("kvctl engine use " + name)
		if got := m.status("engine"); got != name {
			m.t.Fatalf("%s serves, must be %s", got, name)
		}
		pause = max(pause, c.mark())
		lane = max(lane, float64(m.number("lane_held_last_us"))/1000)
	}
	f := c.finish()
	m.tell("10 exchanges between two formats", f, pause, lane)
	m.noHarm(f, before+10)
}

// tell prints what a group of exchanges came to.
func (m *machine) tell(what string, f figures, pause, lane float64) {
	m.t.Logf("%s: %s under 8 clients: %d commands in %.1fs, none failed; %d keys read back; %d increments, %d counted",
		m.suite, what, f.Commands, f.Seconds, f.KeysChecked, f.Increments, f.Counted)
	m.t.Logf("%s: longest pause seen by a client %.1f ms (ordinary: p50 %.2f ms, p99.9 %.2f ms); longest the lane was held %.2f ms",
		m.suite, pause, f.P50, f.P999, lane)
}

// noHarm checks what must hold after exchanges under load.
func (m *machine) noHarm(f figures, swaps int64) {
	m.t.Helper()
	if got := m.number("swaps"); got != swaps {
		m.t.Errorf("%d swaps were counted, must be %d", got, swaps)
	}
	if f.Reconnects != 0 {
		m.t.Errorf("%d connections were closed", f.Reconnects)
	}
	if n := m.number("still_mapped"); n != 0 {
		m.t.Errorf("%d old generations are still mapped", n)
	}
	m.is("0", "systemctl show -P NRestarts kvstored.service")
}

func (m *machine) refusesBadLibraries() {
	pid := m.run("systemctl show -P MainPID kvstored.service")
	serving := m.status("sha256")
	c := m.clients(fmt.Sprintf("-keys %d", copiedKeys))
	for _, bad := range prepared(m.t).badLibraries(m.t) {
		m.write(engineDir+"/hash.so", bad.data, bad.mode)
		m.run("date +%s.%N > /opt/since")
		if out, code := m.try("systemctl reload kvstored"); code == 0 {
			m.t.Errorf("%s: systemctl reload succeeded\n%s", bad.name, out)
			continue
		}
		m.reasonGiven(bad)
		if got := m.status("sha256"); got != serving {
			m.t.Errorf("%s: another library serves now", bad.name)
		}
		c.mark()
	}
	f := c.finish()
	m.t.Logf("%s: clients went on: %d commands, longest pause %.1f ms", m.suite, f.Commands, f.MaxPause)
	m.is(strings.TrimSpace(pid), "systemctl show -P MainPID kvstored.service")
	m.says("The engine that served before serves on", "journalctl --sync; journalctl -q --no-pager -x MESSAGE_ID="+systemd.MessageSwapRefused)
	m.copyIn(built("engines/hash.so"), engineDir+"/hash.so", 0o644)
	m.run("systemctl reload kvstored")
}

// reasonGiven looks for the reason in the journal and in the status.
func (m *machine) reasonGiven(bad badLibrary) {
	m.t.Helper()
	said := m.run(journal + " --since @$(cat /opt/since)")
	status := m.run("kvctl engine status")
	for where, text := range map[string]string{"the journal": said, "kvctl engine status": status} {
		if !strings.Contains(strings.ToLower(text), bad.says) {
			m.t.Errorf("%s: %s does not say %q:\n%s", bad.name, where, bad.says, text)
		}
	}
	m.t.Logf("%s: refused: %s", bad.name, m.status("last_error"))
}

func (m *machine) survivesItsFile() {
	library := engineDir + "/hash.so"
	c := m.clients(fmt.Sprintf("-keys %d", copiedKeys))
	for _, harm := range []string{
		"dd if=/dev/urandom of=%s bs=4k count=20 conv=notrunc status=none",
		"truncate -s 100 %s", "truncate -s 0 %s", "rm %s",
	} {
		m.run(fmt.Sprintf(harm, library))
		c.mark()
		m.fails("systemctl reload kvstored")
		m.t.Logf("after %s: disk=%s", fmt.Sprintf(harm, filepath.Base(library)), m.status("disk"))
		c.mark()
	}
	c.finish()
	m.copyIn(built("engines/hash.so"), library, 0o644)
	m.run("systemctl reload kvstored")
	m.is("same", "kvctl engine status | sed -n 's/^disk=//p'")
}
