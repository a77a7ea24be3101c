package repair

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	daemontest.Remove()
	os.Exit(code)
}

// makeStore has a daemon write a base and a log behind it, kills it, and
// returns the directory of the engine's files. Those that no longer count, as
// a newer base stands for them and the kill came before they went, are removed.
func makeStore(t *testing.T) string {
	t.Helper()
	data := writeStore(t)
	s, err := openStore(data, &Report{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	counts := map[string]bool{}
	for _, fl := range s.all() {
		counts[fl.name] = true
	}
	for name := range files(t, data) {
		if !counts[name] {
			os.Remove(filepath.Join(data, name))
		}
	}
	return data
}

// writeStore has a daemon write the store.
func writeStore(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	state, socket := filepath.Join(dir, "state"), filepath.Join(dir, "s")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	d := exec.Command(daemontest.Binary(t), "--listen", socket, "--state-dir", state,
		"--engine", enginetest.Build(t, "hash", "DISK_BASE_LEAST=900"), "--config", os.DevNull)
	d.Stderr = &log
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { d.Process.Kill(); d.Wait() }()
	c := dial(t, socket, &log)
	defer c.Close()
	data := filepath.Join(state, "data-1")
	based := func() bool { bases, _ := filepath.Glob(filepath.Join(data, "base-*")); return len(bases) > 0 }
	for i := 0; !based() || i < 12; i++ {
		say(t, c, fmt.Sprintf("SET key-%d value-%d-%s", i%7, i, strings.Repeat("x", i%40)))
		say(t, c, fmt.Sprintf("APPEND tail-%d more-%d", i%3, i))
		if i > 60000 {
			t.Fatalf("no base after %d rounds\n%s", i, &log)
		}
		time.Sleep(time.Millisecond) // the base is synced meanwhile, which may take long
	}
	for i := range 8 {
		say(t, c, fmt.Sprintf("SET late-%d value-%d", i, i))
		say(t, c, fmt.Sprintf("APPEND tail-%d last-%d", i%3, i))
	}
	say(t, c, "DEL key-2 late-3")
	say(t, c, "SET key-5 again EX 100000")
	return data
}

func dial(t *testing.T, socket string, log *bytes.Buffer) net.Conn {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("unix", socket); err == nil {
			c.SetDeadline(time.Now().Add(60 * time.Second))
			return c
		}
	}
	t.Fatalf("the daemon does not answer\n%s", log)
	return nil
}

// say sends a line and waits for its answer, which is one line.
func say(t *testing.T, c net.Conn, line string) {
	t.Helper()
	if _, err := c.Write([]byte(line + "\r\n")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 200)
	if n, err := c.Read(answer); err != nil || answer[0] == '-' {
		t.Fatalf("%s: %s %v", line, answer[:n], err)
	}
}

// replay is what records come to.
func replay(m map[string]string, body []byte) {
	eachRecord(body, func(r record) {
		k := fmt.Sprintf("%d/%s", r.space, r.key)
		switch old, there := m[k]; r.kind {
		case recordSet:
			m[k] = string(r.value)
		case recordDelete:
			delete(m, k)
		case recordClear:
			maps.DeleteFunc(m, func(k, _ string) bool { return strings.HasPrefix(k, fmt.Sprintf("%d/", r.space)) })
		case recordPatch:
			if there {
				v := make([]byte, r.total)
				copy(v, old)
				copy(v[r.offset:], r.value)
				m[k] = string(v)
			}
		}
	})
}

// piece is a frame of the whole store: where it lies, and which keys it names.
type piece struct {
	file     string
	at, next int64
	keys     map[string]bool
}

// read replays a store that is whole, or cut where it is torn.
func read(t *testing.T, dir string) (state map[string]string, pieces []piece) {
	t.Helper()
	r := &Report{}
	s, err := openStore(dir, r)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	s.look()
	state = map[string]string{}
	if err = s.each(func(fr frame) error { replay(state, fr.body); return nil }); err != nil {
		t.Fatal(err)
	}
	for _, fl := range s.all() {
		fl.walk(func(fr frame) bool {
			p := piece{fl.name, fr.at, fr.next, map[string]bool{}}
			eachRecord(fr.body, func(r record) { p.keys[fmt.Sprintf("%d/%s", r.space, r.key)] = true })
			pieces = append(pieces, p)
			return true
		}, new(missed).passOver)
	}
	return state, pieces
}

// files are the bytes of a directory.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, e := range entries {
		if all[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// spoiler damages a store in all ways and looks at what repair makes of it.
type spoiler struct {
	t      *testing.T
	dir    string // of the damaged store
	whole  map[string]string
	pieces []piece
	files  map[string][]byte
	copies int
	torn   int
	same   int
}

// put writes the whole store anew, but for one file; nil: that one is missing.
func (s *spoiler) put(name string, data []byte) {
	s.t.Helper()
	for n, whole := range s.files {
		if n == name {
			whole = data
		}
		path := filepath.Join(s.dir, n)
		if whole == nil {
			os.Remove(path)
		} else if err := os.WriteFile(path, whole, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

// try repairs what was put and checks that everything that differs afterwards
// is explained: it stood in a damaged frame, or is said to be doubtful.
func (s *spoiler) try(what, name string, from, to int64) {
	t := s.t
	t.Helper()
	before := files(t, s.dir)
	r, err := Run(Options{Dir: s.dir})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	for n, data := range files(t, s.dir) {
		if !bytes.Equal(data, before[n]) {
			t.Fatalf("%s: the original %s was changed", what, n)
		}
	}
	lost := map[string]bool{}
	for _, p := range s.pieces {
		cut := r.Torn != nil && (p.file > r.Torn.File && strings.HasPrefix(p.file, "log") || p.file == r.Torn.File && p.at >= r.Torn.Offset)
		if cut || p.file == name && p.next > from && p.at < to {
			maps.Copy(lost, p.keys)
		}
	}
	result := s.dir
	if r.Damaged {
		result = r.Copy
		defer os.RemoveAll(r.Copy)
		for _, k := range r.Lost.Doubtful {
			lost[fmt.Sprintf("%d/%s", k.Space, k.Key)] = true
		}
		if again, err := Run(Options{Dir: r.Copy}); err != nil || again.Damaged || again.Torn != nil {
			t.Fatalf("%s: the copy is not whole: %v %+v", what, err, again)
		}
		s.copies++
	} else if r.Torn != nil {
		s.torn++
	} else {
		s.same++
	}
	state, _ := read(t, result)
	for k, v := range s.whole {
		if got, there := state[k]; (!there || got != v) && !lost[k] {
			t.Fatalf("%s: %s is %q, not %q, without a word\n%+v", what, k, got, v, r)
		}
	}
	for k := range state {
		if _, there := s.whole[k]; !there && !lost[k] {
			t.Fatalf("%s: %s is back without a word\n%+v", what, k, r)
		}
	}
}

// every is how far apart the bytes are that are damaged; KVSTORED_REPAIR_EVERY=1
// takes all of them. It is no power of two, so that each field has its turn.
func every(t *testing.T) int {
	text := os.Getenv("KVSTORED_REPAIR_EVERY")
	if text == "" {
		return 13
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("KVSTORED_REPAIR_EVERY=%s is no number of bytes", text)
	}
	return n
}

func TestEveryByteAndEveryEnd(t *testing.T) {
	step := every(t)
	original := makeStore(t)
	s := &spoiler{t: t, dir: filepath.Join(t.TempDir(), "data-7"), files: files(t, original)}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s.whole, s.pieces = read(t, original)
	if len(s.whole) < 15 || len(s.files) < 2 {
		t.Fatalf("a poor store: %v", s.whole)
	}
	for name, data := range s.files {
		for at := 0; at < len(data); at += step {
			spoilt := bytes.Clone(data)
			spoilt[at] ^= []byte{1, 2, 4, 8, 16, 32, 64, 128, 255}[at%9]
			s.put(name, spoilt)
			s.try(fmt.Sprintf("byte %d of %s", at, name), name, int64(at), int64(at)+1)
			if at/step%3 == 0 {
				s.put(name, data[:at])
				s.try(fmt.Sprintf("%s cut at %d", name, at), name, int64(at), int64(len(data)))
			}
		}
		s.put(name, append(make([]byte, 64), data[64:]...))
		s.try("the head of "+name+" is zeros", name, 0, int64(len(data)))
		s.put(name, nil)
		s.try(name+" is missing", name, 0, int64(len(data)))
	}
	t.Logf("%d copies, %d torn ends, %d times nothing to do", s.copies, s.torn, s.same)
	if s.copies == 0 || s.torn == 0 {
		t.Error("the test does not test")
	}
}

// A damaged head alone costs nothing: what seeds the checksums is found anew.
func TestHeadAlone(t *testing.T) {
	original := makeStore(t)
	whole, _ := read(t, original)
	all := files(t, original)
	for name := range all {
		for _, at := range []int{0, 9, 24, 31, 60} {
			dir := filepath.Join(t.TempDir(), "data-1")
			os.Mkdir(dir, 0o700)
			for n, d := range all {
				d = bytes.Clone(d)
				if n == name {
					d[at] ^= 0x55
				}
				os.WriteFile(filepath.Join(dir, n), d, 0o600)
			}
			r, err := Run(Options{Dir: dir, Into: filepath.Join(t.TempDir(), "copy")})
			if err != nil || !r.Damaged || r.Lost.Frames != 0 {
				t.Fatalf("%s, byte %d of its head: %v %+v", name, at, err, r)
			}
			if state, _ := read(t, r.Copy); !maps.Equal(state, whole) {
				t.Fatalf("%s, byte %d of its head: %v, not %v", name, at, state, whole)
			}
		}
	}
}
