package kvctl

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
)

// Sixteen values of 8 MiB are written out and copied without being held at once.
func TestBigValuesPassThrough(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	c := dial(t, d.Socket)
	value := strings.Repeat("0123456789abcdef", 8<<20/16)
	const n = 16
	for i := range n {
		if _, err := c.Do("SET", "big:"+string(rune('a'+i)), value); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "dump.resp")
	for _, args := range [][]string{{"export", path}, {"-n", "1", "import", "--from", d.Socket}} {
		cmd := exec.Command(daemontest.Control(t), append([]string{"--socket", d.Socket}, args...)...)
		cmd.Dir = t.TempDir()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
		if peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss; peak > 100<<10 {
			t.Errorf("%q used %d MiB", args, peak>>10)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Size() < n*int64(len(value)) {
		t.Errorf("the file: %v, %v", info, err)
	}
	if out := must(t, d.Socket, "", "-n", "1", "DBSIZE"); out != "16\n" {
		t.Errorf("%s keys were copied", out)
	}
}
