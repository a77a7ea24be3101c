//go:build system

package system

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestLmdb shows the package kvstored-engine-lmdb beside a kvstored that runs.
func TestLmdb(t *testing.T) {
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			m := boot(t, suite)
			m.bring()
			m.run("dpkg -i /opt/kvstored.deb && useradd -m -G kvstore asha && kvctl SET name Rojalin")
			m.group("1 installed beside a daemon that runs", m.installsEngine)
			m.group("2 a million keys to lmdb and back", m.movesToLmdb)
			m.group("3 upgraded", m.upgradesEngine)
			m.group("4 removed", m.removesEngine)
			m.group("5 the .rpm", m.engineRpm)
		})
	}
}

// untouched is what changes with every reload and restart.
func (m *machine) untouched() string {
	m.t.Helper()
	return m.run("systemctl show -P MainPID -P NRestarts kvstored.service; kvctl engine status | grep -E '^(engine|version|generation|swaps|refused|sha256|loaded_at)='") +
		m.run(journal+" | grep -c reload || :")
}

func (m *machine) installsEngine() {
	before := m.untouched()
	m.says("Setting up kvstored-engine-lmdb", "dpkg -i /opt/lmdb.deb 2>&1")
	if after := m.untouched(); after != before {
		m.t.Errorf("installing the engine changed the daemon that runs:\n%s\nbefore:\n%s", after, before)
	}
	m.says("lmdb", "kvctl engine check "+engineDir+"/lmdb.so")
}

// movesToLmdb moves everything there and back, while clients check every answer.
func (m *machine) movesToLmdb() {
	m.says("filled", fmt.Sprintf("runuser -u asha -- /opt/hammer -fill %d -expiring", keys))
	before := m.number("swaps")
	c := m.clients(fmt.Sprintf("-keys %d -expiring", keys))
	var pause, lane float64
	for _, name := range []string{"lmdb", "hash"} {
		m.seesProgress("kvctl engine use " + name)
		m.is(name, "kvctl engine status | sed -n 's/^engine=//p'")
		m.says("engine="+name, "cat /var/lib/kvstored/owner")
		m.wait("the data of before to go", time.Minute, func() bool {
			return strings.TrimSpace(m.run("ls -d /var/lib/kvstored/data-* | wc -l")) == "1"
		})
		pause = max(pause, c.mark())
		lane = max(lane, float64(m.number("lane_held_last_us"))/1000)
	}
	f := c.finish()
	m.tell("to lmdb and back", f, pause, lane)
	m.noHarm(f, before+2)
	m.is("Rojalin", "kvctl GET name")
	m.noFailedUnits()
}

// seesProgress runs an exchange and looks meanwhile at what people look at:
// each must say how far it has come.
func (m *machine) seesProgress(exchange string) {
	m.t.Helper()
	m.run("date +%s.%N > /opt/since")
	cmd := m.command(context.Background(), exchange)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	counts, texts := map[int64]bool{}, map[string]bool{}
	for running := true; running; {
		select {
		case err := <-ended:
			if err != nil {
				m.t.Fatalf("%s: %v\n%s", exchange, err, &said)
			}
			running = false
		case <-time.After(300 * time.Millisecond):
		}
		text := strings.TrimSpace(m.run("systemctl show -P StatusText kvstored.service"))
		if strings.Contains(text, "entries") {
			texts[text] = true
		}
		if m.status("state") == "copying" {
			counts[m.number("copied_keys")] = true
		}
	}
	if len(counts) < 3 {
		m.t.Errorf("kvctl engine status told only %d times how far the copy has come", len(counts))
	}
	if len(texts) < 1 {
		m.t.Errorf("STATUS= told nothing of the copy")
	}
	m.says("exchanging the engine: copying to", journal+" --since @$(cat /opt/since)")
	m.t.Logf("%s: %s: %s; kvctl told the count %d times, STATUS= %d", m.suite, exchange, strings.TrimSpace(said.String()), len(counts), len(texts))
}

// upgradesEngine shows that an upgrade reloads who uses the engine, and nobody else.
func (m *machine) upgradesEngine() {
	before := m.untouched()
	m.run("dpkg -i /opt/lmdb-next.deb")
	if after := m.untouched(); after != before {
		m.t.Errorf("upgrading lmdb touched a daemon that serves hash:\n%s\nbefore:\n%s", after, before)
	}
	m.run("kvctl engine use lmdb && touch /etc/kvstored/cache.conf && systemctl start kvstored@cache.socket")
	m.is("OK", "kvctl --socket /run/kvstored/cache.sock SET name Anand")
	m.is("0.1.1", "kvctl engine status | sed -n 's/^version=//p'")
	swaps, pid := m.number("swaps"), m.run("systemctl show -P MainPID kvstored.service")
	others := "kvctl --socket /run/kvstored/cache.sock engine status | grep -E '^(engine|generation|swaps|loaded_at)='"
	other := m.run(others)

	c := m.clients(fmt.Sprintf("-keys %d -expiring", keys))
	m.run("dpkg -i --force-downgrade /opt/lmdb.deb 2>&1")
	m.is("0.1.0", "kvctl engine status | sed -n 's/^version=//p'")
	m.run("dpkg -i /opt/lmdb-next.deb")
	m.is("0.1.1", "kvctl engine status | sed -n 's/^version=//p'")
	pause := c.mark()
	f := c.finish()
	m.tell("two upgrades of the package", f, pause, float64(m.number("lane_held_max_us"))/1000)
	m.noHarm(f, swaps+2)
	m.is(strings.TrimSpace(pid), "systemctl show -P MainPID kvstored.service")
	if now := m.run(others); now != other {
		m.t.Errorf("the instance that serves hash was touched:\n%s\nbefore:\n%s", now, other)
	}
	m.run("systemctl stop kvstored@cache.socket kvstored@cache.service && rm /etc/kvstored/cache.conf")
}

// removesEngine shows that the engine cannot go while data needs it.
func (m *machine) removesEngine() {
	for _, remove := range []string{"dpkg -r", "dpkg -P"} {
		out := m.fails(remove + " kvstored-engine-lmdb 2>&1")
		for _, want := range []string{"not removed: kvstored.service keeps its data with the engine lmdb", "fix: sudo kvctl engine use hash"} {
			if !strings.Contains(out, want) {
				m.t.Errorf("%s in use does not say %q:\n%s", remove, want, out)
			}
		}
		m.run("test -f " + engineDir + "/lmdb.so")
		m.is("Rojalin", "kvctl GET name")
	}
	m.says("dependency problems", "dpkg -r kvstored 2>&1 || :")
	m.is("active", "systemctl is-active kvstored.service")
	before := m.run("kvctl DBSIZE")
	m.run("kvctl engine use hash && dpkg -P kvstored-engine-lmdb")
	m.run("! test -e " + engineDir + "/lmdb.so")
	m.is(strings.TrimSpace(before), "kvctl DBSIZE")
	m.stoppedWithoutEngine()
	m.run("dpkg -P kvstored-engine-lmdb kvstored")
	m.is("", leftovers)
}

// stoppedWithoutEngine removes the engine of a daemon that is stopped: nothing
// is lost, and the start says what is missing.
func (m *machine) stoppedWithoutEngine() {
	m.run("dpkg -i /opt/lmdb.deb && kvctl FLUSHALL && kvctl SET name Rojalin && kvctl engine use lmdb")
	m.run("systemctl stop kvstored.socket kvstored.service && dpkg -r kvstored-engine-lmdb")
	m.run("date +%s.%N > /opt/since")
	m.fails("systemctl start kvstored.service")
	// An entry may come after journalctl --sync, and without its unit when its sender has ended.
	const last = "journalctl --sync; journalctl -q --no-pager -t kvstored -o cat --since @$(cat /opt/since)"
	for _, want := range []string{"lmdb.so", "why:", "fix: ", "apt install kvstored-engine-lmdb"} {
		m.wait("a start without the engine to say "+want, time.Minute, func() bool {
			return strings.Contains(m.run(last), want)
		})
	}
	m.t.Logf("%s: started without its engine:\n%s", m.suite, m.run(last))
	m.run("systemctl stop kvstored.socket kvstored.service; systemctl reset-failed kvstored.socket kvstored.service")
	m.run("dpkg -i /opt/lmdb.deb && systemctl start kvstored.socket")
	m.is("Rojalin", "kvctl GET name")
	m.run("kvctl engine use hash")
}

// engineRpm does the same with rpm.
func (m *machine) engineRpm() {
	m.run("rpm -i --nodeps /opt/kvstored.rpm && systemctl enable --now kvstored.socket && kvctl SET name Rojalin")
	before := m.untouched()
	m.run("rpm -i --nodeps /opt/lmdb.rpm")
	if after := m.untouched(); after != before {
		m.t.Errorf("installing the engine changed the daemon that runs:\n%s\nbefore:\n%s", after, before)
	}
	m.run("rpm -U --nodeps --force /opt/lmdb.rpm")
	if after := m.untouched(); after != before {
		m.t.Errorf("upgrading lmdb touched a daemon that serves hash:\n%s\nbefore:\n%s", after, before)
	}
	m.copyIn(built("test/lmdb-next.so"), engineDir+"/lmdb.so", 0o644)
	m.run("kvctl engine use lmdb")
	m.is("0.1.1", "kvctl engine status | sed -n 's/^version=//p'")
	pid := m.run("systemctl show -P MainPID kvstored.service")
	m.run("rpm -U --nodeps --force /opt/lmdb.rpm")
	m.is("0.1.0", "kvctl engine status | sed -n 's/^version=//p'")
	m.is("Rojalin", "kvctl GET name")
	m.is(strings.TrimSpace(pid), "systemctl show -P MainPID kvstored.service")
	if out := m.fails("rpm -e --nodeps kvstored-engine-lmdb 2>&1"); !strings.Contains(out, "fix: sudo kvctl engine use hash") {
		m.t.Errorf("rpm -e of the engine in use says:\n%s", out)
	}
	m.run("rpm -q kvstored-engine-lmdb && test -f " + engineDir + "/lmdb.so")
	m.run("kvctl engine use hash && rpm -e --nodeps kvstored-engine-lmdb")
	m.is("Rojalin", "kvctl GET name")
	m.run("rpm -e --nodeps kvstored")
	m.noFailedUnits()
}
