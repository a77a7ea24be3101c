//go:build system

package system

import (
	"strings"
	"testing"
)

// suites are the Debian releases that every scenario is shown on.
var suites = []string{"bookworm", "trixie"}

// TestHarness shows that the machines themselves work: a service started by
// its socket, its journal, and a failing unit.
func TestHarness(t *testing.T) {
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			m := boot(t, suite)
			m.write("/etc/systemd/system/echo.service", []byte("[Service]\nType=exec\nExecStart=sleep 1000\n"), 0o644)
			m.run("systemctl daemon-reload && systemctl start echo.service")
			if out := m.run("systemctl is-active echo.service"); out != "active\n" {
				t.Errorf("the service is %q", out)
			}
			if out := m.run("journalctl -u echo.service -o cat"); !strings.Contains(out, "Started") {
				t.Errorf("the journal says %q", out)
			}
			m.fails("systemctl start no-such.service")
		})
	}
}
