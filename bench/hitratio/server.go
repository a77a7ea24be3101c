package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// server is a way to start one of the caches.
type server struct {
	name    string
	program string
	args    func(dir, socket string) []string
	policy  string
}

func servers(o options) []server {
	ours := func(dir, socket string) []string {
		return []string{"--listen", socket, "--engine", o.engine, "--config", filepath.Join(dir, "conf")}
	}
	redis := func(dir, socket string) []string {
		return []string{"--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", dir}
	}
	return []server{
		{"kvstored, allkeys-s3fifo", o.kvstored, ours, "allkeys-s3fifo"},
		{"kvstored, allkeys-random", o.kvstored, ours, "allkeys-random"},
		{"Redis, allkeys-lru", o.redis, redis, "allkeys-lru"},
		{"Redis, allkeys-lfu", o.redis, redis, "allkeys-lfu"},
	}
}

func (s *server) slug() string { return strings.NewReplacer(" ", "-", ",", "").Replace(s.name) }

// row measures one server and prints its line.
func (s *server) row(o options, dir string, out io.Writer) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "conf"), nil, 0o600); err != nil {
		return err
	}
	memory, err := s.calibrate(o, dir)
	if err != nil {
		return err
	}
	var ratios []float64
	keys := make([]string, 0, len(traceNames))
	for _, name := range traceNames {
		ratio, left, err := s.measure(o, dir, memory, newTrace(name, o))
		if err != nil {
			return err
		}
		ratios, keys = append(ratios, ratio), append(keys, strconv.Itoa(left))
	}
	fmt.Fprintf(out, "%s\t%.1f MiB\t%s", s.name, float64(memory)/(1<<20), strings.Join(keys, " "))
	for _, r := range ratios {
		fmt.Fprintf(out, "\t%.1f %%", 100*r)
	}
	fmt.Fprintln(out)
	return nil
}

// calibrate finds the limit of memory under which as many keys fit as wanted,
// on the first trace.
func (s *server) calibrate(o options, dir string) (memory uint64, err error) {
	memory = uint64(o.room*(o.value+60)) + 2<<20
	for range 4 {
		_, keys, err := s.measure(o, dir, memory, newTrace(traceNames[0], o))
		if err != nil {
			return 0, err
		}
		if far := keys - o.room; far*50 < o.room && far*50 > -o.room { // 2 %
			break
		}
		memory = uint64(float64(memory) * float64(o.room) / float64(max(keys, 1)))
	}
	return max(memory, 1<<20), nil
}

// measure replays a trace against a fresh server: the hit ratio, and how many
// keys there are at the end.
func (s *server) measure(o options, dir string, memory uint64, next trace) (ratio float64, keys int, err error) {
	socket := filepath.Join(dir, "s")
	os.Remove(socket)
	cmd := exec.Command(s.program, s.args(dir, socket)...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
		if err != nil {
			err = fmt.Errorf("%w; it said: %s", err, bytes.TrimSpace(said.Bytes()))
		}
	}()
	c, err := dial(socket)
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	for _, set := range [][2]string{{"maxmemory-policy", s.policy}, {"maxmemory", strconv.FormatUint(memory, 10)}} {
		c.send("CONFIG", "SET", set[0], set[1])
		if _, _, err := c.reply(); err != nil {
			return 0, 0, err
		}
	}
	hits, err := c.replay(o, next)
	if err != nil {
		return 0, 0, err
	}
	c.send("DBSIZE")
	size, _, err := c.reply()
	if err != nil {
		return 0, 0, err
	}
	keys, err = strconv.Atoi(size)
	return float64(hits) / float64(o.requests), keys, err
}

// conn is a connection with what was not sent yet.
type conn struct {
	net.Conn
	r *bufio.Reader
	w *bufio.Writer
}

func dial(socket string) (*conn, error) {
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("unix", socket)
		if err == nil {
			return &conn{c, bufio.NewReaderSize(c, 1<<16), bufio.NewWriterSize(c, 1<<16)}, nil
		}
		if time.Since(began) > 20*time.Second {
			return nil, err
		}
	}
}

func (c *conn) send(args ...string) {
	fmt.Fprintf(c.w, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(c.w, "$%d\r\n%s\r\n", len(a), a)
	}
}

// reply reads one status, number or bulk string; there: it is not null.
func (c *conn) reply() (text string, there bool, err error) {
	if err := c.w.Flush(); err != nil {
		return "", false, err
	}
	line, err := c.r.ReadString('\n')
	if err != nil {
		return "", false, err
	}
	line = strings.TrimRight(line, "\r\n")
	switch line[0] {
	case '-':
		return "", false, fmt.Errorf("it answered %s", line)
	case '$':
		n, err := strconv.Atoi(line[1:])
		if err != nil || n < 0 {
			return "", false, err
		}
		b := make([]byte, n+2)
		_, err = io.ReadFull(c.r, b)
		return string(b[:n]), true, err
	}
	return line[1:], true, nil
}

const pipeline = 32

// replay asks for the keys of a trace and sets those that are not there.
func (c *conn) replay(o options, next trace) (hits int, err error) {
	value := strings.Repeat("v", o.value)
	keys := make([]string, 0, pipeline)
	for done := 0; done < o.requests; done += len(keys) {
		keys = keys[:0]
		for range min(pipeline, o.requests-done) {
			keys = append(keys, fmt.Sprintf("key:%012d", next()))
			c.send("GET", keys[len(keys)-1])
		}
		var missed []string
		for _, key := range keys {
			_, there, err := c.reply()
			if err != nil {
				return 0, err
			}
			if there {
				hits++
			} else {
				missed = append(missed, key)
			}
		}
		for _, key := range missed {
			c.send("SET", key, value)
		}
		for range missed {
			if _, _, err := c.reply(); err != nil {
				return 0, err
			}
		}
	}
	return hits, nil
}
