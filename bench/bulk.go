package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"kvstored/pkg/client"
)

// bulkName is the case that -only can choose.
const bulkName = "bulk load"

// Bulk is how long a program took to load many keys into a server.
type Bulk struct {
	Tool    string `json:"tool"`
	Server  string `json:"server"`
	Keys    int    `json:"keys"`
	Seconds Spread `json:"seconds"`
	CPU     Spread `json:"cpu_s"`          // of the program
	ToOwn   Spread `json:"to_own"`         // of Seconds to those of redis-cli --pipe into redis, round by round
	ToSame  Spread `json:"to_same_server"` // into kvstored, as kvctl
	marked  bool
	args    func(socket string) []string // of the program
	program string
	input   string // path of standard input; "": none
	peer    *peer
	seconds []float64
	cpu     []float64
}

// bulkReadings are the ways to read the mark "at least half of redis-cli
// --pipe's time".
var bulkReadings = []struct {
	name  string
	limit float64 // of the ratio of times
}{{"at least half as fast", 2}, {"at most half the time", 0.5}}

// bulkTool is the program that all others are compared with.
const bulkTool = "redis-cli --pipe"

// bulk loads the same keys with all programs, turn and turn about.
func (b *bench) bulk(ctx context.Context, r *Report) error {
	keys, rounds := 1_000_000, 3
	if b.o.quick {
		keys, rounds = 200_000, 2
	}
	if b.o.kvctl == "" {
		return nil
	}
	files, err := writeBulk(filepath.Join(b.dir, "bulk"), keys)
	if err != nil {
		return err
	}
	defer func() {
		for _, f := range files {
			_ = os.Remove(f) // at the latest with all of the directory
		}
	}()
	peers, err := startAll(ctx, b.dir, b.bulkServers())
	defer stopAll(peers)
	if err != nil {
		return err
	}
	all := b.bulkTools(files, peers)
	fmt.Fprintf(b.progress, "%-26s", bulkName)
	for range rounds {
		for _, u := range all {
			if err := u.load(ctx, keys); err != nil {
				return fmt.Errorf("load %d keys into %s with %s: %w", keys, u.Server, u.Tool, err)
			}
		}
		fmt.Fprint(b.progress, ".")
	}
	r.addBulk(all)
	for i := range r.Bulk {
		fmt.Fprintf(b.progress, " %s into %s %s s,", r.Bulk[i].Tool, r.Bulk[i].Server, figure(r.Bulk[i].Seconds.Median))
	}
	fmt.Fprintln(b.progress)
	return nil
}

// bulkServers are kvstored and, where there is redis-cli, redis.
func (b *bench) bulkServers() []recipe {
	rs := b.speaking()
	if len(rs) > 1 && rs[1].name == reference && b.o.redisCLI != "" {
		return rs[:2]
	}
	return rs[:1]
}

// writeBulk writes the same keys in all forms, by the ends of their names.
func writeBulk(base string, keys int) (map[string]string, error) {
	forms := map[string]func(w *bufio.Writer, key, value string){
		".resp": func(w *bufio.Writer, key, value string) {
			_, _ = w.Write(client.AppendCommand(nil, []byte("SET"), []byte(key), []byte(value))) // Flush tells
		},
		".jsonl": func(w *bufio.Writer, key, value string) {
			fmt.Fprintf(w, "{\"key\":\"%s\",\"value\":\"%s\"}\n", key, value)
		},
		".csv": func(w *bufio.Writer, key, value string) { fmt.Fprintf(w, "%s,%s,,\n", key, value) },
	}
	files := map[string]string{}
	for form, put := range forms {
		files[form] = base + form
		f, err := os.Create(files[form])
		if err != nil {
			return nil, err
		}
		w := bufio.NewWriter(f)
		if form == ".csv" {
			fmt.Fprintln(w, "key,value,expires,encoding")
		}
		for i := range keys {
			key := fmt.Sprintf("key:%012d", i)
			put(w, key, key+strings.Repeat("x", 16))
		}
		if err := w.Flush(); err != nil {
			return nil, fmt.Errorf("write %s: %w", files[form], err)
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// bulkTools are the programs, each with its server; the first two are what the
// others are compared with.
func (b *bench) bulkTools(files map[string]string, peers []*peer) []*Bulk {
	var all []*Bulk
	if len(peers) > 1 {
		for _, p := range []*peer{peers[1], peers[0]} {
			all = append(all, &Bulk{Tool: bulkTool, program: b.o.redisCLI, peer: p, input: files[".resp"],
				args: func(s string) []string { return []string{"-s", s, "--pipe"} }})
		}
	}
	all = append(all, &Bulk{Tool: "kvctl --pipe", program: b.o.kvctl, peer: peers[0], input: files[".resp"], marked: true,
		args: func(s string) []string { return []string{"--socket", s, "--pipe"} }})
	for _, form := range []string{".resp", ".jsonl", ".csv"} {
		all = append(all, &Bulk{Tool: "kvctl import FILE" + form, program: b.o.kvctl, peer: peers[0], marked: form == ".resp",
			args: func(s string) []string { return []string{"import", "--socket", s, files[form]} }})
	}
	for _, u := range all {
		u.Server = u.peer.name
	}
	return all
}

// load empties the server, runs the program once, and sees that all keys are there.
func (u *Bulk) load(ctx context.Context, keys int) error {
	u.Keys = keys
	c, err := client.Dial(u.peer.socket)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Do("FLUSHALL"); err != nil {
		return err
	}
	if err := sleep(ctx, 500*time.Millisecond); err != nil { // what was there is given back
		return err
	}
	cmd := exec.CommandContext(ctx, u.program, u.args(u.peer.socket)...)
	if u.input != "" {
		in, err := os.Open(u.input)
		if err != nil {
			return err
		}
		defer in.Close()
		cmd.Stdin = in
	}
	began := time.Now()
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(text))
	}
	u.seconds = append(u.seconds, time.Since(began).Seconds())
	u.cpu = append(u.cpu, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
	size, err := c.Do("DBSIZE")
	if err == nil && size.Int != int64(keys) {
		err = fmt.Errorf("%d keys are there", size.Int)
	}
	return err
}

// addBulk puts what was measured into the report.
func (r *Report) addBulk(all []*Bulk) {
	var own, same *Bulk
	for _, u := range all {
		switch {
		case u.Tool == bulkTool && u.Server == reference:
			own = u
		case u.Tool == bulkTool:
			same = u
		}
	}
	for _, u := range all {
		u.Seconds, u.CPU = spread(u.seconds), spread(u.cpu)
		u.ToOwn, u.ToSame = u.times(own), u.times(same)
		r.Bulk = append(r.Bulk, *u)
	}
}

// times are the seconds of u in those of other, if that was measured.
func (u *Bulk) times(other *Bulk) Spread {
	if other == nil {
		return Spread{}
	}
	per := make([]float64, len(u.seconds))
	for i := range per {
		per[i] = u.seconds[i] / other.seconds[i]
	}
	return spread(per)
}

// markLines has the mark in both of its readings.
func (u *Bulk) markLines() []markLine {
	if !u.marked || u.ToOwn.High == 0 {
		return nil
	}
	name := fmt.Sprintf("%s, %s", u.Tool, keysName(u.Keys))
	var lines []markLine
	for _, to := range []struct {
		what  string
		ratio Spread
	}{{bulkTool + " into " + reference, u.ToOwn}, {bulkTool + " into the same server", u.ToSame}} {
		for _, as := range bulkReadings {
			lines = append(lines, markLine{name, "wall time, " + as.name, to.what, to.ratio.String(), fmt.Sprintf("≤ %.2f", as.limit), to.ratio.Median <= as.limit})
		}
	}
	return lines
}

// bulkTable has all programs.
func (r *Report) bulkTable(b *strings.Builder) {
	if len(r.Bulk) == 0 {
		return
	}
	fmt.Fprintf(b, "\n| load of %s | into | s | to %s into %s | to the same into %s | keys/s | CPU of the program, s |\n|---|---|---|---|---|---|---|\n",
		keysName(r.Bulk[0].Keys), bulkTool, reference, subject)
	for i := range r.Bulk {
		u := &r.Bulk[i]
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s |\n", u.Tool, u.Server, u.Seconds, u.ToOwn, u.ToSame,
			figure(float64(u.Keys)/u.Seconds.Median), u.CPU)
	}
}
