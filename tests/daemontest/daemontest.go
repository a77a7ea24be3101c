// Package daemontest runs the real kvstored for tests: built once per test
// binary, on a socket and with a state directory of its own, ended by its
// process id.
package daemontest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"kvstored/pkg/engine/enginetest"
)

var built struct {
	once sync.Once
	dir  string
	err  error
}

// Binary is the path of kvstored, built from this source tree.
func Binary(t testing.TB) string { return filepath.Join(binaries(t), "kvstored") }

// Control is the path of kvctl.
func Control(t testing.TB) string { return filepath.Join(binaries(t), "kvctl") }

func binaries(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "kvstored-test"); built.err != nil {
			return
		}
		args := []string{"build"}
		if raceEnabled {
			args = append(args, "-race")
		}
		cmd := exec.Command("go", append(args, "-o", built.dir, "./cmd/kvstored", "./cmd/kvctl")...)
		cmd.Dir = enginetest.Root()
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build kvstored: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.dir
}

// Remove deletes the binaries; for TestMain, after the tests.
func Remove() { os.RemoveAll(built.dir) }

// Daemon is a running kvstored.
type Daemon struct {
	Socket string
	cmd    *exec.Cmd
	done   chan error
	log    *bytes.Buffer // of standard error; read it when the process has ended
}

// Start runs kvstored with the engine library and further flags, and returns
// when it accepts connections. The test's end ends it, and fails if it had
// died before or does not exit with 0.
func Start(t testing.TB, engine string, flags ...string) *Daemon {
	t.Helper()
	dir := t.TempDir()
	d := &Daemon{Socket: filepath.Join(dir, "s"), done: make(chan error, 1), log: &bytes.Buffer{}}
	config := filepath.Join(dir, "kvstored.conf")
	if err := os.WriteFile(config, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--listen", d.Socket, "--engine", engine, "--config", config}, flags...)
	d.cmd = exec.Command(Binary(t), args...)
	d.cmd.Stderr = d.log
	d.cmd.Stdout = d.log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.done <- d.cmd.Wait() }()
	t.Cleanup(func() { d.end(t) })
	d.wait(t)
	return d
}

// PID is the daemon's process id.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

func (d *Daemon) wait(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("unix", d.Socket); err == nil {
			c.Close()
			return
		}
		select {
		case err := <-d.done:
			d.done <- err
			t.Fatalf("kvstored has ended: %v\n%s", err, d.log)
		default:
		}
	}
	t.Fatal("kvstored does not listen")
}

func (d *Daemon) end(t testing.TB) {
	d.cmd.Process.Signal(syscall.SIGTERM) // it may have ended: then Wait says how
	select {
	case err := <-d.done:
		if err != nil {
			t.Errorf("kvstored: %v\n%s", err, d.log)
		}
	case <-time.After(20 * time.Second):
		d.cmd.Process.Kill()
		<-d.done
		t.Errorf("kvstored did not end within 20 s of SIGTERM\n%s", d.log)
	}
	if t.Failed() {
		t.Logf("kvstored said:\n%s", d.log)
	}
}
