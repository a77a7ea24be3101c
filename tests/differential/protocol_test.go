package differential

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/command"
)

// TestProtocol sends raw bytes, most of them wrong, to both servers and
// compares everything that comes back until the end.
func TestProtocol(t *testing.T) {
	redis, ours := startRedis(t), startOurs(t, *library)
	long := strings.Repeat("1", 70_000)
	for _, text := range []string{
		"PING\r\n", "PING\n", "\r\n\r\nPING\r\n", "  ping  \t hello \r\n", "*0\r\n*-1\r\nPING\r\n", "*1\r\n$4\r\nPING\r\n",
		"*1\r\n$4\r\nPINGxy*1\r\n$4\r\nPING\r\n", "*x\r\nPING\r\n", "*01\r\n", "*-0\r\n", "* 1\r\n", "*99999999999\r\n", "*\r\n",
		"*1\r\nPING\r\n", "*1\r\n:4\r\n", "*1\r\n\r\n", "*1\r\n\xff\r\n", "*1\r\n$x\r\n", "*1\r\n$-1\r\n", "*1\r\n$04\r\nPING\r\n",
		"*1\r\n$999999999999\r\n", "*1\r\n$536870913\r\n", "*2\r\n$3\r\nGET\r\n$0\r\n\r\n", "*1\r\n$0\r\n\r\nPING\r\n",
		"SET k \"a b\"\r\nGET k\r\n", "SET k \"a\\x41\\n\\r\\t\\b\\a\\\"\\q\"\r\nGET k\r\n", "SET k 'a\\'b\\n'\r\nGET k\r\n",
		"SET k \"open\r\nPING\r\n", "SET k 'open\r\n", "SET k \"a\"b\r\n", "SET k a\"b c\"\r\nGET k\r\n", "SET \"\" ''\r\nGET \"\"\r\n",
		"GET \"\\x4\"\r\n", "GET \"\\xzz\"\r\n", "\"PING\"\r\n", "PING\r\nQUIT\r\nPING\r\n", "QUIT now please\r\n",
		long, "*" + long, "*1\r\n$" + long, "PING\r\n*1\r\n$4\r\nPI",
		"HELLO 3\r\nGET nosuch\r\nHELLO 2\r\nGET nosuch\r\n", "SELECT 3\r\nSET k v\r\nSELECT 0\r\nEXISTS k\r\nSELECT 3\r\nDEL k\r\n",
		"MULTI\r\nCLIENT REPLY SKIP\r\nPING a\r\nPING b\r\nEXEC\r\nPING c\r\nPING d\r\n",
		"MULTI\r\nPING a\r\nCLIENT REPLY OFF\r\nRENAME no such\r\nGET k\r\nEXEC\r\nPING b\r\nCLIENT REPLY ON\r\nPING c\r\n",
		"MULTI\r\nCLIENT REPLY OFF\r\nCLIENT REPLY ON\r\nPING a\r\nEXEC\r\nPING b\r\n",
		"CLIENT REPLY SKIP\r\nMULTI\r\nPING a\r\nEXEC\r\n", "CLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nPING a\r\nPING b\r\n",
		"CLIENT REPLY OFF\r\nSUBSCRIBE a a\r\nUNSUBSCRIBE\r\nSUBSCRIBE\r\nPUNSUBSCRIBE c\r\nCLIENT REPLY ON\r\nPING b\r\n",
		"CLIENT REPLY SKIP\r\nSUBSCRIBE a\r\nPING\r\nRESET\r\nPING\r\n", "CLIENT REPLY SKIP\r\nUNSUBSCRIBE\r\nPING\r\n",
		"MULTI\r\nCLIENT REPLY OFF\r\nSUBSCRIBE a\r\nGET k\r\nUNSUBSCRIBE\r\nEXEC\r\nCLIENT REPLY ON\r\nPING b\r\n",
		"CLIENT REPLY OFF\r\nCLIENT REPLY SKIP\r\nNOSUCH\r\nPING\r\nCLIENT REPLY ON\r\nPING b\r\n",
	} {
		a, b := exchangeRaw(t, redis, text), exchangeRaw(t, ours, text)
		if strings.HasPrefix(text, "HELLO") {
			a, b = withoutVersion(a), withoutVersion(b)
		}
		if a != b {
			t.Errorf("%.60q\n  redis    %.200q\n  kvstored %.200q", text, a, b)
		}
	}
}

// modulesOf8 is the one module that Redis 8 says it has.
var modulesOf8 = regexp.MustCompile(`modules\r\n\*1\r\n(%4|\*8)\r\n(\$\d+\r\n.*\r\n|:\d+\r\n)+?\$4\r\nargs\r\n\*0\r\n`)

// withoutVersion takes out what HELLO says of server, version and id.
func withoutVersion(s string) string {
	s = modulesOf8.ReplaceAllString(s, "modules\r\n*0\r\n")
	var out []string
	lines := strings.Split(s, "\r\n")
	for i := 0; i < len(lines); i++ {
		out = append(out, lines[i])
		switch lines[i] {
		case "server", "version":
			i += 2
		case "id":
			i++
		}
	}
	return strings.Join(out, "\r\n")
}

// exchangeRaw sends text, says that no more comes, and returns all that is
// answered.
func exchangeRaw(t *testing.T, path, text string) string {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		io.WriteString(c, text)
		c.(*net.UnixConn).CloseWrite()
	}()
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	b, err := io.ReadAll(c)
	if err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("%.60q: after %.100q: %v", text, b, err)
	}
	return string(b)
}

// TestCommandInfo compares what COMMAND INFO and COMMAND GETKEYS say of each
// command that both servers have; sets are compared without order.
func TestCommandInfo(t *testing.T) {
	redis, ours := dial(t, startRedis(t)), dial(t, startOurs(t, *library))
	release := redis.release(t)
	for proto := 2; proto <= 3; proto++ {
		redis.do(t, "HELLO", fmt.Sprint(proto))
		ours.do(t, "HELLO", fmt.Sprint(proto))
		for _, cmd := range command.Table() {
			if cmd.Flags&command.OnlyKvstored != 0 || cmd.Name == "waitaof" { // that since Redis 7.2
				continue
			}
			compareInfo(t, release, redis, ours, cmd.Name)
			for _, sub := range cmd.Subcommands {
				if sub.Name != "setinfo" && sub.Name != "no-touch" { // since Redis 7.2
					compareInfo(t, release, redis, ours, sub.FullName())
				}
			}
		}
	}
}

func compareInfo(t *testing.T, release int, redis, ours *conn, name string) {
	t.Helper()
	a, b := redis.do(t, "COMMAND", "INFO", name), ours.do(t, "COMMAND", "INFO", name)
	if len(a.Elems) != 1 || len(b.Elems) != 1 || len(a.Elems[0].Elems) != 10 || len(b.Elems[0].Elems) != 10 {
		t.Errorf("COMMAND INFO %s:\n  redis    %s\n  kvstored %s", name, a.String(), b.String())
		return
	}
	a.Elems[0].Elems[8].dropNotes()
	for i := range 9 { // subcommands are compared one by one
		if x, y := &a.Elems[0].Elems[i], &b.Elems[0].Elems[i]; x.flat() != y.flat() && !oddInfo(release, name, i) {
			t.Errorf("COMMAND INFO %s, element %d:\n  redis    %s\n  kvstored %s", name, i, x.flat(), y.flat())
		}
	}
}

// dropNotes takes out the sentences that Redis has in two key specifications.
func (v *Value) dropNotes() {
	for i := range v.Elems {
		spec := &v.Elems[i]
		if len(spec.Elems) == 8 && string(spec.Elems[0].Text) == "notes" {
			spec.Elems = spec.Elems[2:]
			spec.Text = map[byte][]byte{'*': []byte("6"), '%': []byte("3")}[spec.Kind]
		}
	}
}

// TestEverySplit sends commands in two pieces, split at every byte, and wants
// the answer that the whole command gets.
func TestEverySplit(t *testing.T) {
	ours := startOurs(t, *library)
	g := newGenerator(*seed)
	g.now = time.Now().Unix()
	c := dial(t, ours)
	seen := map[string]bool{}
	for len(seen) < 45 {
		r := g.next()
		name := strings.ToUpper(r.args[0])
		var b strings.Builder
		fmt.Fprintf(&b, "*%d\r\n", len(r.args))
		for _, a := range r.args {
			fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
		}
		if seen[name] || r.rule != exact || b.Len() > 200 {
			if len(seen) >= 40 && g.chance(2000) {
				break
			}
			continue
		}
		seen[name] = true
		splitEverywhere(t, c, r, b.String())
		if plain(r.args) {
			splitEverywhere(t, c, r, strings.Join(r.args, " ")+"\r\n")
		}
	}
	t.Logf("%d commands split at every byte", len(seen))
}

func splitEverywhere(t *testing.T, c *conn, r request, text string) {
	t.Helper()
	var want Value
	for i := len(text); i > 0; i-- {
		setup := [][]string{{"HELLO", "2"}, {"FLUSHALL"}}
		for _, k := range r.keys {
			setup = append(setup, []string{"SET", k, "10", "PXAT", "4000000000000"})
		}
		for _, s := range setup {
			c.put(s, false)
		}
		c.out.WriteString(text[:i])
		c.Write(c.out.Bytes())
		c.out.Reset()
		if i < len(text) {
			time.Sleep(20 * time.Microsecond) // so that the pieces are mostly read apart
			io.WriteString(c, text[i:])
		}
		for range setup {
			c.read(t, "setup")
		}
		got := c.read(t, r.String())
		if i == len(text) {
			want = got
		} else if !got.Equal(&want) {
			t.Fatalf("%s split after %d bytes: %s, whole: %s", r, i, got.String(), want.String())
		}
	}
}

// TestLongValuesInPieces: a value of 100 KiB, split around every place where
// something begins or ends.
func TestLongValuesInPieces(t *testing.T) {
	path := startOurs(t, *library)
	value := strings.Repeat("0123456789", 10_240)
	text := fmt.Sprintf("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", len(value), value)
	want := fmt.Sprintf("+OK\r\n$%d\r\n%s\r\n", len(value), value)
	var at []int
	for _, base := range []int{0, 25, 16 << 10, 32 << 10, 64 << 10, len(text) - 25} {
		for d := range 30 {
			at = append(at, base+d)
		}
	}
	for _, i := range at {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			i := min(max(i, 1), len(text)-1)
			io.WriteString(c, text[:i])
			time.Sleep(100 * time.Microsecond)
			io.WriteString(c, text[i:])
		}()
		got := make([]byte, len(want))
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.ReadFull(bufio.NewReader(c), got); err != nil || string(got) != want {
			t.Errorf("split after %d bytes: %v, %.60q", i, err, got)
		}
		c.Close()
	}
}
