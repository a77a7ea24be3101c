//go:build system

package system

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// rootPackages is what a machine of ours has beyond the minimum; the rest of
// its network is off, so nothing can be installed later.
const rootPackages = "systemd,systemd-sysv,dbus,libpam-systemd,rpm,sudo,e2fsprogs,liblmdb0"

// rootRecipe changes when makeRoot makes roots differently.
const rootRecipe = "2"

// cacheDir keeps the roots between runs, and the machines of this run.
func cacheDir() string {
	if dir := os.Getenv("KVSTORED_TEST_CACHE"); dir != "" {
		return dir
	}
	return "/var/cache/kvstored-tests"
}

// cachedRoot returns a root directory of the Debian suite, made on first use.
// It is never written to: machines lay their own directory over it.
func cachedRoot(t *testing.T, suite string) string {
	t.Helper()
	key := fmt.Sprintf("%x", sha256.Sum256([]byte(suite+rootPackages+rootRecipe)))[:12]
	root := filepath.Join(cacheDir(), suite+"-"+key)
	if _, err := os.Stat(root); err == nil {
		t.Logf("%s: root from the cache, %s", suite, root)
		return root
	}
	if err := makeRoot(t, suite, root); err != nil {
		t.Fatalf("cannot make a root of Debian %s: %v", suite, err)
	}
	return root
}

// makeRoot makes the root beside its place and then moves it there, so that a
// half-made one is never taken for a whole.
func makeRoot(t *testing.T, suite, root string) error {
	start := time.Now()
	if err := os.MkdirAll(cacheDir(), 0o755); err != nil {
		return err
	}
	mirror, err := mirror()
	if err != nil {
		return err
	}
	half := fmt.Sprintf("%s.half-%d", root, os.Getpid())
	defer os.RemoveAll(half)
	cmd := exec.Command("mmdebstrap", "--quiet", "--variant=minbase",
		"--include="+rootPackages, suite, half, mirror)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mmdebstrap: %w\n%s", err, out)
	}
	if err := os.Rename(half, root); err != nil {
		return err
	}
	t.Logf("%s: root made in %.0fs, %s", suite, time.Since(start).Seconds(), root)
	return nil
}

// mirror is where this machine's own apt gets Debian from.
func mirror() (string, error) {
	if m := os.Getenv("KVSTORED_TEST_MIRROR"); m != "" {
		return m, nil
	}
	out, err := exec.Command("apt-get", "indextargets",
		"--format", "$(CREATED_BY) $(RELEASE) $(REPO_URI)").Output()
	if err != nil {
		return "", fmt.Errorf("apt-get indextargets: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == "Packages" && debianSuites[f[1]] {
			return f[2], nil
		}
	}
	return "", fmt.Errorf("apt is not configured for Debian; fix: name a mirror in KVSTORED_TEST_MIRROR")
}

var debianSuites = map[string]bool{
	"bookworm": true, "trixie": true, "forky": true, "sid": true,
	"oldstable": true, "stable": true, "testing": true, "unstable": true,
}
