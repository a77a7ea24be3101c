package engine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kvstored/pkg/engine/enginetest"
)

// priority is the nice value of the calling thread.
func priority(t *testing.T) int {
	t.Helper()
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	return 20 - raw // as the system call has it
}

// The trial beside a daemon that serves has a lower priority, the one before
// its start has not; the daemon keeps its own.
func TestTrialGivesWay(t *testing.T) {
	own := priority(t)
	if own >= trialNice {
		t.Skipf("this test runs with priority %d itself, no trial can be seen to give way", own)
	}
	dir := t.TempDir()
	seen := filepath.Join(dir, "seen")
	source := filepath.Join(dir, "nice.c")
	text := fmt.Sprintf(`#include <stdio.h>
#include <sys/resource.h>
__attribute__((constructor)) static void start(void)
{
	FILE *f = fopen(%q, "a");
	fprintf(f, "%%d ", getpriority(PRIO_PROCESS, 0));
	fclose(f);
}
`, seen)
	if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "nice.so")
	exercise := filepath.Join(enginetest.Root(), "examples/exercise/kvstore.c")
	if out, err := exec.Command("gcc", "-fPIC", "-shared", source, exercise, "-o", path).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	loads := func() string {
		text, _ := os.ReadFile(seen)
		os.Remove(seen)
		return strings.TrimSpace(string(text))
	}
	h := openHost(t, path)
	if got, want := loads(), fmt.Sprintf("%d %d", own, own); got != want {
		t.Errorf("at the start: trial and daemon with priorities %s, want %s", got, want)
	}
	mustSwap(t, h, enginetest.Build(t, "debug"))
	loads() // the one that serves is loaded in the trial, too
	mustSwap(t, h, path)
	if got, want := loads(), fmt.Sprintf("%d %d", trialNice, own); got != want {
		t.Errorf("beside a daemon: trial and daemon with priorities %s, want %s", got, want)
	}
}

// What a trial waited for a processor does not count, up to a bound.
func TestTimeLeft(t *testing.T) {
	const s = time.Second
	for _, c := range []struct{ took, waited, want time.Duration }{
		{10 * s, 0, 0},
		{10 * s, 4 * s, 4 * s},
		{10 * s, time.Millisecond, s / 2},
		{15 * s, 4 * s, 0},
		{99 * s, 95 * s, 6 * s},
		{100 * s, 95 * s, 0},
	} {
		if got := timeLeft(10*s, c.took, c.waited); got != c.want {
			t.Errorf("%v, of which it waited %v: %v left, want %v", c.took, c.waited, got, c.want)
		}
	}
	if starved(os.Getpid()) < 0 || starved(-1) != 0 {
		t.Errorf("starved: %v and %v", starved(os.Getpid()), starved(-1))
	}
}
