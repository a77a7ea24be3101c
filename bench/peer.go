package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// peer is one server, running on a socket of its own.
type peer struct {
	name     string
	version  string
	socket   string
	loadArgs []string // what the generator needs for it
	cmd      *exec.Cmd
	log      string // path
	ended    chan struct{}
}

func (p *peer) pid() int { return p.cmd.Process.Pid }

// lastWords is the end of what the server wrote.
func (p *peer) lastWords() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	text = bytes.TrimSpace(text)
	return string(text[max(0, len(text)-600):])
}

// recipe says how a peer is started; args gets the path of the socket.
type recipe struct {
	name     string
	program  string
	args     func(socket string) []string
	loadArgs []string
}

// recipes are the peers asked for, kvstored first.
func recipes(t tools, o options) []recipe {
	redis := func(s string) []string {
		return []string{"--port", "0", "--unixsocket", s, "--save", "", "--appendonly", "no", "--daemonize", "no"}
	}
	all := []recipe{
		{"kvstored", o.kvstored, func(s string) []string {
			if o.engine == "" {
				return []string{"--listen", s}
			}
			return []string{"--listen", s, "--engine", o.engine}
		}, nil},
		{"redis", o.redis, redis, nil},
		{"valkey", o.valkey, redis, nil},
		{"pogocache", o.pogocache, func(s string) []string { return []string{"-p", "0", "-s", s, "-t", "1"} }, nil},
		{"memcached", o.memcached, func(s string) []string {
			return []string{"-s", s, "-m", "4096", "-t", "1", "-u", userName()}
		}, []string{"--memcached"}},
	}
	if o.floor {
		all = append(all, floorRecipe(t, o))
	}
	var wanted []recipe
	for _, r := range all {
		if r.program != "" {
			wanted = append(wanted, r)
		}
	}
	return wanted
}

// floorRecipe tells the floor how long requests are, since it does not look.
func floorRecipe(t tools, o options) recipe {
	const key = 16
	set := len("*3\r\n$3\r\nSET\r\n$16\r\n\r\n\r\n") + key + len(fmt.Sprintf("$%d\r\n", o.value)) + o.value
	get := len("*2\r\n$3\r\nGET\r\n$16\r\n\r\n") + key
	return recipe{"floor", t.floor, func(s string) []string {
		return []string{s, fmt.Sprint(set), fmt.Sprint(get), fmt.Sprint(o.value)}
	}, []string{"--any-value"}}
}

func userName() string {
	u, err := user.Current()
	if err != nil {
		return "nobody"
	}
	return u.Username
}

// startAll starts every peer and fills it. What did start is returned with
// the error.
func startAll(ctx context.Context, dir string, t tools, o options) ([]*peer, error) {
	var peers []*peer
	for _, r := range recipes(t, o) {
		p, err := start(ctx, dir, r)
		if err != nil {
			return peers, err
		}
		peers = append(peers, p)
		if p.name == "floor" {
			continue
		}
		_, err = t.run(ctx, p, "--fill", "--pipeline", "64", "--connections", "8",
			"--keys", fmt.Sprint(o.keys), "--value", fmt.Sprint(o.value))
		if err != nil {
			return peers, err
		}
	}
	return peers, nil
}

// start runs one server and waits until its socket answers.
func start(ctx context.Context, dir string, r recipe) (*peer, error) {
	program, err := exec.LookPath(r.program)
	if err != nil {
		return nil, explain("cannot start "+r.name, err.Error(),
			fmt.Sprintf("give its path with -%s PATH, or leave it out with -%s ''", r.name, r.name))
	}
	p := &peer{name: r.name, loadArgs: r.loadArgs, socket: filepath.Join(dir, r.name+".sock"),
		log: filepath.Join(dir, r.name+".log"), ended: make(chan struct{})}
	p.version = versionOf(ctx, r.name, program)
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command(program, r.args(p.socket)...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", r.name, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in its log
		close(p.ended)
	}()
	if err := p.awaitSocket(ctx); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (p *peer) awaitSocket(ctx context.Context) error {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		c, err := net.Dial("unix", p.socket)
		if err == nil {
			return c.Close()
		}
		select {
		case <-p.ended:
			return fmt.Errorf("start %s: it ended; its log: %s", p.name, p.lastWords())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return fmt.Errorf("start %s: nothing answers on %s; its log: %s", p.name, p.socket, p.lastWords())
}

// stop ends the server, by force when it takes too long.
func (p *peer) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(stopWithin):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

func stopAll(peers []*peer) {
	for _, p := range peers {
		p.stop()
	}
}

var versionNumber = regexp.MustCompile(`[0-9]+\.[0-9]+[0-9A-Za-z.\-+]*`)

// versionOf is the version that a program names, as far as one can be found.
func versionOf(ctx context.Context, name, program string) string {
	if name == "floor" {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	text, err := exec.CommandContext(ctx, program, "--version").CombinedOutput()
	if err != nil {
		return "?"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if v := versionNumber.FindString(line); v != "" {
		return v
	}
	return "?"
}
