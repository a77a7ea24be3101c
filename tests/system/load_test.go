//go:build system

package system

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
)

// clients are a running hammer inside a machine: eight clients that check
// every answer.
type clients struct {
	m      *machine
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	errors bytes.Buffer
	marked int
}

// figures is what the hammer prints at its end.
type figures struct {
	Commands, Increments, Counted, Reconnects int64
	Seconds                                   float64
	MaxPause                                  float64 `json:"max_pause_ms"`
	P50                                       float64 `json:"p50_ms"`
	P999                                      float64 `json:"p999_ms"`
	KeysChecked                               int64   `json:"keys_checked"`
}

// clients starts a hammer as asha, a member of the group kvstore.
func (m *machine) clients(flags string) *clients {
	m.t.Helper()
	c := &clients{m: m, cmd: m.command(context.Background(), "exec runuser -u asha -- /opt/hammer "+flags)}
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		m.t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	c.cmd.Stderr = &c.errors
	if err := c.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { c.in.Close() })
	c.mark() // they are connected and at work
	return c
}

// mark returns the longest pause, in milliseconds, that any client saw since
// the mark before.
func (c *clients) mark() float64 {
	c.m.t.Helper()
	c.marked++
	fmt.Fprintf(c.in, "%d\n", c.marked)
	f := strings.Fields(c.line())
	if len(f) != 3 || f[1] != strconv.Itoa(c.marked) {
		c.m.t.Fatalf("hammer printed %q at mark %d", f, c.marked)
	}
	pause, _ := strconv.ParseFloat(f[2], 64)
	return pause
}

// finish ends the clients, which read everything back, and returns their figures.
func (c *clients) finish() (f figures) {
	c.m.t.Helper()
	c.in.Close()
	line := c.line()
	if err := c.cmd.Wait(); err != nil {
		c.m.t.Fatalf("hammer: %v\n%s%s", err, line, &c.errors)
	}
	if err := json.Unmarshal([]byte(line), &f); err != nil {
		c.m.t.Fatalf("hammer printed %q: %v", line, err)
	}
	return f
}

// line reads one line; a hammer that ended has found something wrong.
func (c *clients) line() string {
	c.m.t.Helper()
	line, err := c.out.ReadString('\n')
	if err != nil {
		c.cmd.Wait()
		c.m.t.Fatalf("the clients stopped: %s", &c.errors)
	}
	return line
}
