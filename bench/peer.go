package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// peer is one server, running on a socket of its own.
type peer struct {
	name     string
	socket   string
	loadArgs []string // what the generator needs for it
	cmd      *exec.Cmd
	log      string // path
	syncs    string // path of the file in which its syncs are counted; "": they are not
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
	counter  string // the library that counts its syncs; "": they are not counted
}

const floorName = "floor"

// recipes are the peers asked for, kvstored first, able to serve g.
func recipes(t tools, o options, g group) []recipe {
	clients := fmt.Sprint(max(g.clients, o.conns) + 100)
	redis := func(s string) []string {
		return append([]string{"--port", "0", "--unixsocket", s, "--save", "", "--daemonize", "no", "--maxclients", clients}, g.appendOnly(s)...)
	}
	all := []recipe{
		{name: subject, program: o.kvstored, args: func(s string) []string { return kvstoredArgs(o, g, s, clients) }},
		{name: reference, program: o.redis, args: redis},
		{name: "valkey", program: o.valkey, args: redis},
	}
	if g.sync != "" {
		all = append(all, lmdbRecipe(o, g, clients))
		for i := range all {
			all[i].counter = t.syncs
		}
	} else {
		all = append(all, inMemory(o, g, clients)...)
		if o.floor && !g.noFloor {
			all = append(all, floorRecipe(t, o))
		}
	}
	return slices.DeleteFunc(all, func(r recipe) bool { return r.program == "" })
}

// speakers are the servers with all of the commands that the bench uses.
var speakers = []string{subject, reference, "valkey"}

// speaking is how those are started that were asked for.
func (b *bench) speaking() []recipe {
	return slices.DeleteFunc(recipes(b.tools, b.o, group{noFloor: true}), func(r recipe) bool { return !slices.Contains(speakers, r.name) })
}

// inMemory are the peers that keep nothing on disk.
func inMemory(o options, g group, clients string) []recipe {
	return []recipe{
		{name: "pogocache", program: o.pogocache, args: func(s string) []string {
			return []string{"-p", "0", "-s", s, "--threads", "1", "--maxconns", clients}
		}},
		{name: "memcached", program: o.memcached, args: func(s string) []string {
			return []string{"-s", s, "-m", fmt.Sprint(max(g.capacity, 1<<30) >> 20), "-t", "1", "-c", clients, "-u", userName()}
		}, loadArgs: []string{"--memcached"}},
	}
}

// lmdbRecipe is kvstored with the engine lmdb, beside itself with hash.
func lmdbRecipe(o options, g group, clients string) recipe {
	g.engine = o.lmdb
	r := recipe{name: lmdbName, program: o.kvstored, args: func(s string) []string { return kvstoredArgs(o, g, s, clients) }}
	if o.lmdb == "" {
		r.program = ""
	}
	return r
}

// stateDir is where the server on a socket keeps its data in this group.
func (g group) stateDir(socket string) string {
	return socket + "." + strings.ReplaceAll(g.name, " ", "-")
}

// kvstoredArgs leaves the machine's own configuration out.
func kvstoredArgs(o options, g group, socket, clients string) []string {
	file := socket + ".conf"
	text := "MaxClients=" + clients + "\n"
	args := []string{"--listen", socket, "--config", file}
	if g.sync != "" {
		text += "Sync=" + g.sync + "\n"
	}
	// An error shows when kvstored does not find the file, or directory.
	_ = os.WriteFile(file, []byte(text), 0o600)
	if g.engine != "" || g.sync != "" {
		_ = os.Mkdir(g.stateDir(socket), 0o700)
		args = append(args, "--state-dir", g.stateDir(socket))
	}
	switch {
	case g.engine != "":
		args = append(args, "--engine", g.engine)
	case o.engine != "":
		args = append(args, "--engine", o.engine)
	}
	return args
}

// appendOnly has redis keep its data as kvstored does with g.sync.
func (g group) appendOnly(socket string) []string {
	if g.sync == "" {
		return []string{"--appendonly", "no"}
	}
	_ = os.Mkdir(g.stateDir(socket), 0o700) // an error shows when it is not found
	when := map[string]string{syncInterval: "everysec", syncAlways: "always"}
	return []string{"--appendonly", "yes", "--appendfsync", when[g.sync], "--dir", g.stateDir(socket)}
}

// floorRecipe tells the floor how long requests are, since it does not look.
func floorRecipe(t tools, o options) recipe {
	set := len("*3\r\n$3\r\nSET\r\n$16\r\n\r\n\r\n") + keySize + len(fmt.Sprintf("$%d\r\n", o.value)) + o.value
	get := len("*2\r\n$3\r\nGET\r\n$16\r\n\r\n") + keySize
	return recipe{name: floorName, program: t.floor, args: func(s string) []string {
		return []string{s, fmt.Sprint(set), fmt.Sprint(get), fmt.Sprint(o.value)}
	}, loadArgs: []string{"--any-value"}}
}

func userName() string {
	u, err := user.Current()
	if err != nil {
		return "nobody"
	}
	return u.Username
}

// startAll starts every peer. What did start is returned with the error.
func startAll(ctx context.Context, dir string, rs []recipe) ([]*peer, error) {
	var peers []*peer
	for _, r := range rs {
		p, err := start(ctx, dir, r)
		if err != nil {
			return peers, err
		}
		peers = append(peers, p)
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
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command(program, r.args(p.socket)...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if r.counter != "" {
		if err := p.countSyncs(r.counter); err != nil {
			return nil, err
		}
	}
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

// countSyncs has the library counter count p's syncs in a file.
func (p *peer) countSyncs(counter string) error {
	p.syncs = p.socket + ".syncs"
	if err := os.WriteFile(p.syncs, make([]byte, 8), 0o600); err != nil {
		return err
	}
	p.cmd.Env = append(os.Environ(), "LD_PRELOAD="+counter, "KVBENCH_SYNCS="+p.syncs)
	return nil
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

// dial connects, and waits while as many connections as the server lets wait
// are not yet accepted.
func (p *peer) dial(ctx context.Context) (net.Conn, error) {
	for {
		c, err := net.Dial("unix", p.socket)
		if !errors.Is(err, syscall.EAGAIN) {
			return c, err
		}
		if err := sleep(ctx, time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// restFiles is more than a server has open without clients.
const restFiles = 200

// rest waits until the server has closed the connections of the last load: with
// thousands of them the next ones would be too many for it.
func (p *peer) rest(ctx context.Context) error {
	for deadline := time.Now().Add(30 * time.Second); ; {
		files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.pid()))
		if err != nil {
			return fmt.Errorf("count the open files of %s: %w; its log: %s", p.name, err, p.lastWords())
		}
		if len(files) < restFiles {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s has %d files open after a load: it closes no connections", p.name, len(files))
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
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

// version is the version that a program names, as far as one can be found.
func (r recipe) version() string {
	if r.name == floorName {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	text, err := exec.CommandContext(ctx, r.program, "--version").CombinedOutput()
	if err != nil {
		return "?"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if v := versionNumber.FindString(line); v != "" {
		return v
	}
	return "?"
}
