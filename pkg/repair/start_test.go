package repair

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
)

// start runs a daemon over a state directory until it answers or ends. A nil
// connection: it refused, with that text.
func start(t *testing.T, state string) (c net.Conn, text string, end func()) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	var log bytes.Buffer
	d := exec.Command(daemontest.Binary(t), "--listen", socket, "--state-dir", state,
		"--engine", enginetest.Build(t, "hash"), "--config", os.DevNull)
	d.Stderr = &log
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.Wait() }()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		select {
		case err := <-ended:
			if err == nil {
				t.Fatalf("the daemon ended without an error\n%s", &log)
			}
			return nil, log.String(), func() {}
		default:
		}
		if c, err := net.Dial("unix", socket); err == nil {
			c.SetDeadline(time.Now().Add(60 * time.Second))
			if !answers(c) { // it listens before it has opened the store
				c.Close()
				continue
			}
			return c, "", func() { c.Close(); d.Process.Kill(); <-ended }
		}
	}
	d.Process.Kill()
	t.Fatalf("the daemon neither answers nor ends: %v\n%s", <-ended, &log)
	return nil, "", nil
}

// answers tells whether a daemon does so.
func answers(c net.Conn) bool {
	pong := make([]byte, 7)
	_, err := io.WriteString(c, "*1\r\n$4\r\nPING\r\n")
	if err == nil {
		_, err = io.ReadFull(c, pong)
	}
	return err == nil && string(pong) == "+PONG\r\n"
}

// ask is what a daemon has under a key.
func ask(t *testing.T, c net.Conn, key string) (value string, there bool) {
	t.Helper()
	if _, err := fmt.Fprintf(c, "*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", len(key), key); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	line, err := in.ReadString('\n')
	if err != nil || line[0] != '$' {
		t.Fatalf("GET %s: %q %v", key, line, err)
	}
	n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
	if n < 0 {
		return "", false
	}
	data := make([]byte, n+2)
	if _, err := io.ReadFull(in, data); err != nil {
		t.Fatal(err)
	}
	return string(data[:n]), true
}

// same checks that a daemon has what the files that were kept say.
func same(t *testing.T, what string, c net.Conn, want map[string]string, whole map[string]string) {
	t.Helper()
	names := maps.Clone(whole)
	maps.Copy(names, want)
	for name := range names {
		v, there := want[name]
		if got, has := ask(t, c, strings.TrimPrefix(name, "0/")); has != there || got != v {
			t.Fatalf("%s: the daemon has %q (%v) for %s, not %q (%v)", what, got, has, name, v, there)
		}
	}
}

var wayOut = regexp.MustCompile(`sudo kvctl (engine repair \S*/data-1)`)

// mend follows a refusal's way out to the letter, and then that of kvctl.
func mend(t *testing.T, what, refusal string) *Report {
	t.Helper()
	command := wayOut.FindStringSubmatch(refusal)
	if command == nil {
		t.Fatalf("%s: the daemon names no way out: %s", what, refusal)
	}
	out, err := exec.Command(daemontest.Control(t), append([]string{"--json"}, strings.Fields(command[1])...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: kvctl %s: %v\n%s", what, command[1], err, out)
	}
	r := &Report{}
	if err := json.Unmarshal(out, r); err != nil {
		t.Fatalf("%s: %v\n%s", what, err, out)
	}
	if !r.Damaged || r.Copy == "" || len(r.Commands) == 0 {
		t.Fatalf("%s: the daemon refused, repair found nothing: %s\n%s", what, refusal, out)
	}
	for _, c := range r.Commands {
		if out, err := exec.Command("sh", "-c", c).CombinedOutput(); err != nil {
			t.Fatalf("%s: %s: %v\n%s", what, c, err, out)
		}
	}
	return r
}

// The daemon and repair judge alike what is damage, and what repair copied is
// what the daemon then serves: for samples of all damages, by the commands
// that people are told.
func TestDaemonStartsAfterwards(t *testing.T) {
	original := makeStore(t)
	state := filepath.Dir(original)
	s := &spoiler{t: t, dir: original, files: files(t, original)}
	s.whole, s.pieces = read(t, original)
	owner, err := os.ReadFile(filepath.Join(state, "owner"))
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	try := func(what, name string, data []byte) {
		os.RemoveAll(original)
		for _, aside := range []string{"damaged-*", "repaired-*"} {
			found, _ := filepath.Glob(filepath.Join(state, aside))
			for _, dir := range found {
				os.RemoveAll(dir)
			}
		}
		os.Mkdir(original, 0o700)
		os.WriteFile(filepath.Join(state, "owner"), owner, 0o644)
		s.put(name, data)
		r := &Report{}
		st, err := openStore(original, r)
		if err != nil {
			t.Fatal(err)
		}
		st.look()
		st.close()
		want := s.whole
		if !r.Damaged {
			want, _ = read(t, original)
		}
		c, refusal, end := start(t, state)
		if (c == nil) != r.Damaged {
			t.Fatalf("%s: repair says damaged: %v; the daemon says %q\n%+v", what, r.Damaged, refusal, r)
		}
		if r.Damaged {
			refused++
			want, _ = read(t, mend(t, what, refusal).Directory)
			if c, refusal, end = start(t, state); c == nil {
				t.Fatalf("%s: repaired, and refused: %s", what, refusal)
			}
		}
		defer end()
		same(t, what, c, want, s.whole)
	}
	for i, name := range slices.Sorted(maps.Keys(s.files)) {
		data := s.files[name]
		for at := 5 + i; at < len(data); at += max(len(data)/7, 1) {
			spoilt := bytes.Clone(data)
			spoilt[at] ^= 0x10
			try(fmt.Sprintf("byte %d of %s", at, name), name, spoilt)
		}
		try(name+" cut in half", name, data[:len(data)/2])
		try(name+" is missing", name, nil)
	}
	if refused == 0 {
		t.Error("the test does not test")
	}
}
