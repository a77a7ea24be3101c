package cli

import (
	"slices"
	"testing"
)

func TestMountIn(t *testing.T) {
	const table = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:5 / /var/lib/kvstored rw,relatime - tmpfs tmpfs rw,size=64M
31 30 7:0 / /var/lib/kvstored rw,relatime shared:1 - ext4 /dev/loop0 rw,emergency_ro
32 22 7:1 / /srv/a\040b ro,relatime - ext4 /dev/loop1 rw
33 22 7:2 / /srv/c rw - xfs /dev/loop2 ro
`
	for dir, want := range map[string]mount{
		"/var/lib/kvstored/data-1": {point: "/var/lib/kvstored", source: "/dev/loop0", readOnly: true, stopped: true},
		"/var/lib/kvstored2":       {point: "/", source: "/dev/vda"},
		"/srv/a b/x":               {point: "/srv/a b", source: "/dev/loop1", readOnly: true},
		"/srv/c":                   {point: "/srv/c", source: "/dev/loop2", readOnly: true},
	} {
		if got, ok := mountIn(table, dir); !ok || got != want {
			t.Errorf("%s lies in %+v, must be %+v", dir, got, want)
		}
	}
}

func TestParseUnit(t *testing.T) {
	got := parseUnit("x.conf", "[Service]\n# PrivateTmp=no\n ProtectSystem = full\nSystemCallFilter=\n")
	want := []assignment{{"x.conf", "ProtectSystem", "full"}, {"x.conf", "SystemCallFilter", ""}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

// What the unit says of its sandbox is known to be that, and the rest is not.
func TestSandboxKeys(t *testing.T) {
	inside := false
	for _, a := range assignments("../../../packaging/systemd/kvstored.service") {
		inside = inside || a.key == "AmbientCapabilities"
		if a.key == "Also" || a.key == "ExecPaths" { // a drop-in may add paths of libraries
			continue
		}
		if sandbox(a.key) != inside {
			t.Errorf("%s= is taken for sandbox: %v", a.key, sandbox(a.key))
		}
	}
}
