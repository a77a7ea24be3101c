//go:build system

package system

import (
	"strings"
	"testing"
)

func (m *machine) upgrades() {
	m.run("rm -rf /etc/kvstored/kvstored.conf.d && systemctl restart kvstored.service")
	pid := m.run("systemctl show -P MainPID kvstored.service")
	c := m.clients("-restarts")
	m.run("date +%s.%N > /opt/since")
	m.says("Setting up kvstored (99.0-1)", "dpkg -i /opt/kvstored-next.deb 2>&1")
	m.is("0.1.1", "kvctl engine status | sed -n 's/^version=//p'")
	if m.run("systemctl show -P MainPID kvstored.service") == pid {
		m.t.Error("the old process still runs")
	}
	c.mark()
	f := c.finish()
	if f.Reconnects == 0 {
		m.t.Error("no client noticed the restart; did it happen?")
	}
	m.t.Logf("%s: upgraded under load: %d commands, %d clients connected again, longest pause %.1f ms",
		m.suite, f.Commands, f.Reconnects, f.MaxPause)
	said := m.run(journal + " --since @$(cat /opt/since)")
	for _, bad := range []string{"Failed with result", "Main process exited", "timed out", "panic"} {
		if strings.Contains(said, bad) {
			m.t.Errorf("the restart was not clean:\n%s", said)
		}
	}
	m.is("success", "systemctl show -P Result kvstored.service")
	m.noFailedUnits()
}

// leftovers lists what belongs to kvstored, wherever it may be; the cache of
// the journal's catalog and the user stay, as is the custom.
const leftovers = `find / -xdev -path /opt -prune -o -path /home -prune -o -path /proc -prune -o \
	\( -name '*kvstore*' -o -name '*kvctl*' \) -print; ls -d /run/kvstored 2>/dev/null; :`

func (m *machine) removes() {
	m.run("rm -f " + engineDir + "/debug.so") // ours, not the package's: it would stay
	m.run("dpkg -r kvstored")
	m.is("inactive", "systemctl is-active kvstored.socket || :")
	m.is("inactive", "systemctl is-active kvstored.service || :")
	m.run("test -d /var/lib/kvstored && test -f /etc/kvstored/kvstored.conf && ! test -L /usr/lib/libkvstore.so")
	m.noFailedUnits()

	m.run("dpkg -i /opt/kvstored.deb && kvctl SET name Rojalin")
	m.run("dpkg -P kvstored")
	m.noFailedUnits()
	m.is("", leftovers)

	// An administrator's own library at the path stays, whatever comes and goes.
	m.copyIn(built("engines/simple.so"), "/usr/lib/libkvstore.so", 0o644)
	m.run("dpkg -i /opt/kvstored.deb")
	m.run("kvctl SET name Rojalin")
	m.is("simple", "kvctl engine status | sed -n 's/^engine=//p'")
	m.run("dpkg -P kvstored && test -f /usr/lib/libkvstore.so")
	m.run("rm /usr/lib/libkvstore.so")
	m.is("", leftovers)
}

func (m *machine) noFailedUnits() {
	m.t.Helper()
	m.is("", "systemctl list-units --failed --no-legend --plain")
}

// TestRpm installs, uses and removes the .rpm, with rpm itself.
func TestRpm(t *testing.T) {
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			m := boot(t, suite)
			m.bring()
			m.run("rpm -i --nodeps /opt/kvstored.rpm")
			m.run("systemctl enable --now kvstored.socket")
			m.is("OK", "kvctl SET name Rojalin")
			m.is("Rojalin", "kvctl GET name")
			m.copyIn(built("test/hash-next.so"), engineDir+"/hash.so", 0o644)
			m.run("systemctl reload kvstored")
			m.is("0.1.1", "kvctl engine status | sed -n 's/^version=//p'")
			m.is("Rojalin", "kvctl GET name")
			m.noFailedUnits()

			m.run("rpm -U --nodeps --force /opt/kvstored.rpm")
			m.is("OK", "kvctl SET name Rojalin")

			m.run("rpm -e --nodeps kvstored")
			m.noFailedUnits()
			m.is("inactive", "systemctl is-active kvstored.socket || :")
			m.is("/var/lib/kvstored", leftovers)
			t.Logf("%s: the .rpm was installed, used, upgraded and removed by %s", suite, strings.TrimSpace(m.run("rpm --version")))
		})
	}
}
