package trace

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// run runs a shell script in a directory and gives what it did there.
func run(t *testing.T, script string, observe Observer) (dir string, seen []string, status unix.WaitStatus) {
	t.Helper()
	dir = t.TempDir()
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Dir = dir
	p, err := Start(cmd, func(c *Call) Action {
		if !strings.HasPrefix(c.Path, dir) {
			return Go
		}
		text := c.Name + " " + filepath.Base(c.Path)
		if c.Done {
			text += " done"
		}
		seen = append(seen, text)
		return observe(c)
	})
	if err != nil {
		t.Fatal(err)
	}
	status, err = p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return dir, seen, status
}

func TestCallsAreSeenInOrder(t *testing.T) {
	_, seen, status := run(t, "echo text >a; mkdir b; exit 3", func(*Call) Action { return Go })
	if want := []string{"openat a", "write a"}; !slices.Equal(seen, want) { // mkdir is another program's
		t.Errorf("seen: %q, want %q", seen, want)
	}
	if status.ExitStatus() != 3 {
		t.Errorf("status %v", status)
	}
}

func TestACallFails(t *testing.T) {
	dir, seen, status := run(t, "echo text >a; echo more >b", func(c *Call) Action {
		if c.Creates && filepath.Base(c.Path) == "a" {
			return Fail(unix.ENOSPC)
		}
		return Go
	})
	if _, err := os.Stat(filepath.Join(dir, "a")); err == nil {
		t.Error("it was made all the same")
	}
	if status.ExitStatus() != 0 || !slices.Contains(seen, "write b") {
		t.Errorf("it did not go on: %v, %q", status, seen)
	}
}

func TestKilledBeforeAndAfter(t *testing.T) {
	for _, after := range []bool{false, true} {
		dir, seen, status := run(t, "echo text >a; echo more >b", func(c *Call) Action {
			switch {
			case c.Name != "write":
				return Go
			case after && !c.Done:
				return After
			}
			return Kill
		})
		text, _ := os.ReadFile(filepath.Join(dir, "a"))
		if want := map[bool]string{true: "text\n"}[after]; string(text) != want {
			t.Errorf("after %v: the file has %q, want %q", after, text, want)
		}
		if status.Signal() != unix.SIGKILL || slices.Contains(seen, "openat b") {
			t.Errorf("after %v: status %v, seen %q", after, status, seen)
		}
	}
}

func TestWhatIsWrittenWhere(t *testing.T) {
	var wrote []string
	run(t, "echo text >a; echo more >>a; exec 3>b; echo 1 >&3; echo 2 >&3", func(c *Call) Action {
		if c.Name == "write" {
			wrote = append(wrote, fmt.Sprintf("%s %q at %d", filepath.Base(c.Path), c.Bytes(), c.At()))
		}
		return Go
	})
	want := []string{`a "text\n" at 0`, `a "more\n" at -1`, `b "1\n" at 0`, `b "2\n" at 2`}
	if !slices.Equal(wrote, want) {
		t.Errorf("wrote %q, want %q", wrote, want)
	}
}
