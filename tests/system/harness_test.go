//go:build system

package system

import "testing"

// suites are the Debian releases that everything is shown on.
var suites = []string{"bookworm", "trixie"}

// TestHarness shows that the machines themselves work: a service, its
// journal, and a failure that is seen.
func TestHarness(t *testing.T) {
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			m := boot(t, suite)
			m.write("/etc/systemd/system/echo.service", []byte("[Service]\nType=exec\nExecStart=sleep 1000\n"), 0o644)
			m.run("systemctl daemon-reload && systemctl start echo.service")
			m.is("active", "systemctl is-active echo.service")
			m.says("Started", "journalctl --sync; journalctl -u echo.service -o cat")
			m.fails("systemctl start no-such.service")
		})
	}
}
