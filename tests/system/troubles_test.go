//go:build system

package system

import (
	"strings"
	"testing"
)

// TestTroubles shows what goes wrong on real machines: what is told of it, and
// that what is said to mend it does.
func TestTroubles(t *testing.T) {
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			m := boot(t, suite)
			m.bring()
			m.run("dpkg -i /opt/kvstored.deb && useradd -m -G kvstore asha && useradd -m mallory && kvctl SET name Rojalin")
			m.says("all is well", "kvctl doctor")
			m.group("1 a full disk", m.fillsDisk)
			m.group("2 a disk that fails", m.failsDisk)
			m.group("3 settings changed over the socket", m.setsConfig)
			m.group("4 one trouble at a time, by the doctor", m.doctors)
			m.group("5 another engine's data", m.refusesOthersData)
			m.group("6 every command of the manual", m.followsManual)
		})
	}
}

// fixOf is what kvctl's message says to do.
func fixOf(out string) string {
	_, fix, _ := strings.Cut(out, "\n  fix: ")
	var lines []string
	for i, line := range strings.Split(fix, "\n") {
		if i > 0 && !strings.HasPrefix(line, "       ") {
			break
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.Join(lines, "\n")
}

// setsConfig changes settings over the socket and makes them last.
func (m *machine) setsConfig() {
	const dropIn = "/etc/kvstored/kvstored.conf.d/90-config-set.conf"
	setting := func(name string) string { return strings.TrimSpace(m.run("kvctl CONFIG GET " + name + " | tail -n 1")) }
	if out := m.fails("runuser -u asha -- kvctl CONFIG SET slowlog-max-len 7 2>&1"); !strings.Contains(out, "root and the daemon's own user") {
		m.t.Errorf("one who may not is told:\n%s", out)
	}
	for _, change := range []string{"slowlog-max-len 7 maxmemory 64mb", "slowlog-max-len 9 notify-keyspace-events KEA"} {
		m.is("OK", "kvctl CONFIG SET "+change)
		out := m.fails("kvctl CONFIG REWRITE 2>&1")
		for _, want := range []string{"cannot write " + dropIn, "the daemon may not change its own configuration, root may"} {
			if !strings.Contains(out, want) {
				m.t.Errorf("CONFIG REWRITE does not say %q:\n%s", want, out)
			}
		}
		m.run(commands(fixOf(out)))
		m.run("systemctl reload kvstored && systemctl restart kvstored")
		if got := setting("maxmemory"); got != "67108864" {
			m.t.Errorf("after a restart maxmemory is %s", got)
		}
	}
	if got := setting("slowlog-max-len") + setting("notify-keyspace-events"); got != "9AKE" {
		m.t.Errorf("after a restart the settings are %s", got)
	}
	m.t.Logf("%s: CONFIG REWRITE made:\n%s", m.suite, m.run("cat "+dropIn+" && ls -l "+dropIn))
	m.run("rm " + dropIn + " && systemctl reload kvstored")
}
