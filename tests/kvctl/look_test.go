package kvctl

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"kvstored/pkg/client"
	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
)

// object runs kvctl --json and reads what it prints.
func object(t *testing.T, socket string, into any, args ...string) {
	t.Helper()
	out := must(t, socket, "", append([]string{"--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatalf("kvctl --json %q: %v in %s", args, err, out)
	}
}

func TestLooks(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	var lines strings.Builder
	for _, key := range []string{"user:1:name", "user:1:mail", "user:2:name", "session:a", "session:b", "plain"} {
		lines.WriteString("SET " + key + " 0123456789\n")
	}
	lines.WriteString("EXPIRE session:a 500\nSET big:one " + strings.Repeat("x", 1000) + "\n")
	must(t, d.Socket, lines.String())

	var keys struct {
		Keys, Bytes, Expiring int64
		Biggest               string
		Below                 []struct {
			Prefix string
			Keys   int64
		}
	}
	object(t, d.Socket, &keys, "keys", "--depth", "1")
	if keys.Keys != 7 || keys.Expiring != 1 || keys.Biggest != "big:one" || len(keys.Below) != 3 || keys.Below[0].Prefix != "big:" || keys.Bytes < 1060 {
		t.Errorf("keys: %+v", keys)
	}
	if out := must(t, d.Socket, "", "keys", "session:*"); strings.Count(out, "\n") != 2 {
		t.Errorf("keys PATTERN is the command KEYS: %q", out)
	}
	if out := must(t, d.Socket, "", "keys", "--match", "user:*", "--no-sizes"); !strings.HasPrefix(out, "\t3\t") {
		t.Errorf("keys --match: %q", out)
	}

	var stat struct{ Keys, Clients int64 }
	object(t, d.Socket, &stat, "stat", "--count", "1", "--interval", "20ms")
	if stat.Keys != 7 || stat.Clients < 1 {
		t.Errorf("stat: %+v", stat)
	}
	if out := must(t, d.Socket, "", "--json=clients,keys", "stat", "--count", "1", "--interval", "20ms"); out != "{\"clients\":1,\"keys\":7}\n" {
		t.Errorf("two fields of stat: %s", out)
	}
	var times struct {
		Count int64
		P50   float64 `json:"p50_us"`
		Max   float64 `json:"max_us"`
	}
	object(t, d.Socket, &times, "latency", "--count", "50", "GET", "plain")
	if times.Count != 50 || times.P50 <= 0 || times.Max < times.P50 {
		t.Errorf("latency: %+v", times)
	}
	var bench struct{ Commands, Errors, Hits int64 }
	object(t, d.Socket, &bench, "bench", "--count", "5000", "--connections", "3", "--pipeline", "16", "--keys", "100", "--ratio", "1:1")
	if bench.Commands != 5000 || bench.Errors != 0 || bench.Hits == 0 {
		t.Errorf("bench: %+v", bench)
	}
	if n := must(t, d.Socket, "", "DBSIZE"); n != "7\n" {
		t.Errorf("bench leaves keys behind: %s", n)
	}
	for _, args := range [][]string{{"bench", "--ratio", "x"}, {"bench", "--connections", "0"}, {"stat", "--interval", "0"}, {"keys", "--depth", "0"}, {"watch"}, {"subscribe"}} {
		if _, stderr, status := run(t, d.Socket, "", args...); status != 2 || !strings.HasPrefix(stderr, "kvctl: ") {
			t.Errorf("%q: exit status %d, %s", args, status, stderr)
		}
	}
}

// A key that is asked for more than others is told without anybody having
// watched for it.
func TestHotKeys(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	var lines strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&lines, "GET key:%d\nGET \"h\\xff\"\n", i)
	}
	must(t, d.Socket, lines.String(), "-n", "3")
	var hot []struct {
		Key, Encoding string
		DB            int
		PerSecond     float64 `json:"per_second"`
		Share         float64
	}
	object(t, d.Socket, &hot, "keys", "--hot", "--top", "1")
	if len(hot) != 1 || hot[0].Key != "aP8=" || hot[0].Encoding != "base64" || hot[0].DB != 3 || hot[0].PerSecond <= 0 || hot[0].Share < 0.3 || hot[0].Share > 0.7 {
		t.Errorf("%+v", hot)
	}
	if out := must(t, d.Socket, "", "keys", "--hot"); !strings.HasPrefix(out, "h\ufffd\t3\t") {
		t.Errorf("on a pipe: %q", out)
	}
}

func TestDoctor(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	var report struct {
		OK     bool
		Checks []struct{ Check, Status, What, Why, Fix string }
	}
	object(t, d.Socket, &report, "doctor")
	seen := map[string]bool{}
	for _, c := range report.Checks {
		seen[c.Check] = true
		if c.Status == "failure" {
			t.Errorf("%+v", c)
		}
	}
	for _, check := range []string{"socket", "permissions", "unit", "answer", "limits", "engine", "memory"} {
		if !seen[check] {
			t.Errorf("no check of %s: %+v", check, report.Checks)
		}
	}
	stdout, stderr, status := run(t, d.Socket+".none", "", "doctor")
	if status != 4 || stderr != "" || !strings.Contains(stdout, "no such file") || !strings.Contains(stdout, "fix: kvstored --listen") {
		t.Errorf("nothing there: %d %s %s", status, stdout, stderr)
	}
}

// listen starts a kvctl that prints until it is told enough.
func listen(t *testing.T, socket string, args ...string) (next func() string, wait func() int) {
	t.Helper()
	cmd := exec.Command(daemontest.Control(t), append([]string{"--socket", socket}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewReader(out)
	next = func() string {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Errorf("kvctl %q: %v", args, err)
		}
		return strings.TrimSuffix(line, "\n")
	}
	return next, func() int { _ = cmd.Wait(); return cmd.ProcessState.ExitCode() }
}

func TestSubscribe(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	next, wait := listen(t, d.Socket, "subscribe", "--count", "2", "news")
	for must(t, d.Socket, "", "PUBLISH", "news", "Rojalin") == "0\n" {
	}
	must(t, d.Socket, "", "PUBLISH", "other", "nobody")
	must(t, d.Socket, "", "PUBLISH", "news", "again")
	if a, b := next(), next(); a != "Rojalin" || b != "again" {
		t.Errorf("it printed %q and %q", a, b)
	}
	if code := wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	next, _ = listen(t, d.Socket, "--json", "subscribe", "-p", "n*")
	for must(t, d.Socket, "", "PUBLISH", "news", "x") == "0\n" {
	}
	if line := next(); !strings.Contains(line, `"pattern":"n*","channel":"news","message":"x"`) {
		t.Errorf("it printed %s", line)
	}
}

func TestWatch(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	must(t, d.Socket, "", "SET", "state", "starting")
	next, wait := listen(t, d.Socket, "watch", "--until", "ready", "state")
	if line := next(); line != "starting" {
		t.Errorf("first it printed %q", line)
	}
	must(t, d.Socket, "", "SET", "state", "ready")
	if line := next(); line != "ready" {
		t.Errorf("then it printed %q", line)
	}
	if code := wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if _, _, status := run(t, d.Socket, "", "watch", "--until", "never", "--timeout", "50ms", "state"); status != 1 {
		t.Errorf("a time-out: exit status %d", status)
	}
}

// MONITOR is read as a Redis writes it.
func TestMonitor(t *testing.T) {
	socket, _ := redis(t)
	c, err := client.Dial(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, cmd := range [][]string{{"AUTH", "open"}, {"CONFIG", "SET", "requirepass", ""}} {
		if _, err := c.Do(cmd...); err != nil {
			t.Fatal(err)
		}
	}
	next, _ := listen(t, socket, "--json", "monitor", "--only", "SET,GET", "--count", "1")
	done := make(chan string)
	go func() { done <- next() }()
	for i := 0; ; i++ {
		if _, err := c.Do("SET", "a b", "c\"\x00d"); err != nil {
			t.Fatal(err)
		}
		select {
		case line := <-done:
			var m struct {
				DB      int
				Command []string
			}
			if err := json.Unmarshal([]byte(line), &m); err != nil || len(m.Command) != 3 || m.Command[1] != "a b" || m.Command[2] != "c\"\x00d" {
				t.Errorf("%s: %v", line, err)
			}
			return
		default:
		}
	}
}
