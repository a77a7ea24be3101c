//go:build system

package system

import (
	"encoding/json"
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
		})
	}
}

// finding is what kvctl doctor says of one check.
type finding struct{ Check, Status, What, Why, Fix string }

// doctor runs kvctl doctor and returns what is not well.
func (m *machine) doctor() (amiss []finding, code int) {
	m.t.Helper()
	out, code := m.try("kvctl --json doctor")
	var report struct{ Checks []finding }
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		m.t.Fatalf("kvctl --json doctor: %v\n%s", err, out)
	}
	for _, f := range report.Checks {
		if f.Status != "ok" {
			amiss = append(amiss, f)
		}
	}
	return amiss, code
}

// commands are the lines of a fix for a shell, as they were printed; the first
// that fails ends it. That fsck mended something is no failure.
func commands(fix string) string {
	script := "set -e\n"
	for line := range strings.Lines(fix) {
		script += strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "fsck ") {
			script += " || [ $? = 1 ]"
		}
		script += "\n"
	}
	return script
}

// mends wants the doctor to find what, does what it says, and wants it to find
// nothing then.
func (m *machine) mends(what string) {
	m.t.Helper()
	amiss, _ := m.doctor()
	found := false
	for _, f := range amiss {
		if strings.Contains(f.What, what) {
			found = true
			out, code := m.try(commands(f.Fix))
			m.t.Logf("%s: %s: %s; why: %s; fix: %s", m.suite, f.Status, f.What, f.Why, strings.ReplaceAll(f.Fix, "\n", "; "))
			if code != 0 {
				m.t.Fatalf("what the doctor says against %q fails:\n%s\n%s", f.What, f.Fix, out)
			}
		}
	}
	if !found {
		m.t.Fatalf("kvctl doctor does not find %q, but: %+v", what, amiss)
	}
	if left, code := m.doctor(); len(left) > 0 || code != 0 {
		m.t.Fatalf("after doing what the doctor said against %q: exit %d, %+v", what, code, left)
	}
}
