package config

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the manual page and the sample anew")

// tree writes files below a directory of the test and gives it.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func load(t *testing.T, w Where) *Config {
	t.Helper()
	c, err := Load(w)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	c := load(t, Where{Root: t.TempDir()})
	want := Config{
		Engine: "/usr/lib/libkvstore.so", EngineDir: "/usr/lib/kvstored/engines", Sync: "interval", Reactors: 1, MaxClients: 10000,
		MaxInput: 1 << 30, MaxOutput: 1 << 30, MaxSubscriberOutput: 32 << 20, BusyAfter: 5000, CheckTimeout: 10 * time.Second, LogLevel: "info",
		SlowlogSlowerThan: 10000, SlowlogMaxLen: 128,
		MaxMemoryPolicy: "noeviction", sources: map[string]Source{},
	}
	if !reflect.DeepEqual(*c, want) {
		t.Errorf("got %+v", *c)
	}
	if got := c.Rule("Engine"); got != "Engine=/usr/lib/libkvstore.so (default)" {
		t.Errorf("rule %q", got)
	}
}

func TestDropInsWinInOrder(t *testing.T) {
	root := tree(t, map[string]string{
		"etc/kvstored/kvstored.conf":                       "# a comment\n\nEngine = hash\r\nReactors=2\nLogLevel=debug\n",
		"usr/lib/kvstored/kvstored.conf":                   "Reactors=9\nMaxClients=7\n",
		"usr/lib/kvstored/kvstored.conf.d/10-a.conf":       "Reactors=3\n",
		"etc/kvstored/kvstored.conf.d/20-b.conf":           "Reactors=4\nMaxInput=1.5M\n",
		"run/kvstored/kvstored.conf.d/30-c.conf":           "Reactors=5\n; another\nLogLevel=\n",
		"usr/lib/kvstored/kvstored.conf.d/30-c.conf":       "Reactors=6\n",
		"usr/local/lib/kvstored/kvstored.conf.d/note.txt":  "nonsense",
		"usr/local/lib/kvstored/kvstored.conf.d/.x.conf":   "nonsense",
		"usr/local/lib/kvstored/kvstored.conf.d/00-z.conf": "CheckTimeout=1min 30s\n",
	})
	c := load(t, Where{Root: root})
	if c.Reactors != 5 || c.MaxInput != 3<<19 || c.CheckTimeout != 90*time.Second || c.LogLevel != "info" || c.MaxClients != 10000 {
		t.Errorf("got %+v", *c)
	}
	for name, want := range map[string]string{
		"Engine":   "Engine=hash (" + root + "/etc/kvstored/kvstored.conf:3)",
		"Reactors": "Reactors=5 (" + root + "/run/kvstored/kvstored.conf.d/30-c.conf:1)",
		"LogLevel": "LogLevel=info (default)",
	} {
		if got := c.Rule(name); got != want {
			t.Errorf("rule %q, want %q", got, want)
		}
	}
	if got := c.EnginePath(); got != "/usr/lib/kvstored/engines/hash.so" {
		t.Errorf("engine %q", got)
	}
}

func TestLinkToNullHides(t *testing.T) {
	root := tree(t, map[string]string{
		"usr/lib/kvstored/kvstored.conf.d/10.conf": "Reactors=3\n",
		"etc/kvstored/kvstored.conf.d/x":           "",
	})
	if err := os.Symlink("/dev/null", filepath.Join(root, "etc/kvstored/kvstored.conf.d/10.conf")); err != nil {
		t.Fatal(err)
	}
	if c := load(t, Where{Root: root}); c.Reactors != 1 {
		t.Errorf("Reactors %d", c.Reactors)
	}
}

func TestOneFileAndFlags(t *testing.T) {
	root := tree(t, map[string]string{
		"own.conf":                   "Engine=lmdb\nStateDir=/srv/kv\n",
		"own.conf.d/10.conf":         "Engine=simple\n",
		"etc/kvstored/kvstored.conf": "Reactors=8\n",
	})
	w := Where{
		Root: root, File: filepath.Join(root, "own.conf"), StateDir: "/var/lib/kvstored",
		Overrides: []Override{{Name: "Engine", Value: "/opt/e.so", Flag: "--engine"}},
	}
	c := load(t, w)
	if c.Engine != "/opt/e.so" || c.Reactors != 1 || c.StateDir != "/srv/kv" {
		t.Errorf("got %+v", *c)
	}
	if got := c.Rule("Engine"); got != "Engine=/opt/e.so (--engine)" {
		t.Errorf("rule %q", got)
	}
}

func TestEnvironmentOfSystemd(t *testing.T) {
	dir := tree(t, map[string]string{"kvstored.conf": "Reactors=3\n"})
	t.Setenv("STATE_DIRECTORY", "/var/lib/kvstored:/var/lib/other")
	t.Setenv("CONFIGURATION_DIRECTORY", dir)
	w := FromEnvironment()
	w.Root = t.TempDir()
	c := load(t, w)
	if c.StateDir != "/var/lib/kvstored" || c.Reactors != 3 || c.Source("StateDir").String() != "STATE_DIRECTORY" {
		t.Errorf("got %+v", *c)
	}
}

func TestMistakes(t *testing.T) {
	const keys = "the keys are BusyAfter, CheckTimeout, Engine, EngineDir, LatencyMonitor, LogLevel, MaxClients, MaxInput, MaxMemory, MaxMemoryPolicy, MaxOutput, MaxSubscriberOutput, NotifyKeyspaceEvents, Reactors, SlowlogMaxLen, SlowlogSlowerThan, StateDir, Sync"
	for _, c := range []struct{ line, what, fix string }{
		{"Reactor=2", "unknown key Reactor", "did you mean Reactors=?"},
		{"maxclients=2", "unknown key maxclients", "did you mean MaxClients=?"},
		{"Bind=127.0.0.1", "unknown key Bind", keys},
		{"=3", "unknown key ", keys},
		{"Engine hash", "not of the form Key=Value: Engine hash", "write Key=Value, or begin the line with # to make it a comment"},
		{"[Service]", "sections are not used here: [Service]", "remove the line"},
		{"Reactors=two", "Reactors=two: not a whole number", "Reactors= takes a number from 1 to 64"},
		{"Reactors=2 # more", "Reactors=2 # more: not a whole number", "Reactors= takes a number from 1 to 64; a comment needs a line of its own"},
		{"Reactors=0", "Reactors=0: too small", "Reactors= takes a number from 1 to 64"},
		{"Reactors=65", "Reactors=65: too large", "Reactors= takes a number from 1 to 64"},
		{"MaxInput=1KB", "MaxInput=1KB: not a size", "MaxInput= takes bytes, or with K, M, G or T, from 64K to 1T"},
		{"MaxInput=-1", "MaxInput=-1: not a size", "MaxInput= takes bytes, or with K, M, G or T, from 64K to 1T"},
		{"MaxInput=1", "MaxInput=1: too small", "MaxInput= takes bytes, or with K, M, G or T, from 64K to 1T"},
		{"CheckTimeout=soon", "CheckTimeout=soon: not a time", "CheckTimeout= takes seconds, or with ms, s, min or h, from 100ms to 10min"},
		{"CheckTimeout=5ms", "CheckTimeout=5ms: too small", "CheckTimeout= takes seconds, or with ms, s, min or h, from 100ms to 10min"},
		{"LogLevel=loud", "LogLevel=loud: no such choice", "LogLevel= takes one of debug, info, warning, error"},
		{"MaxMemory=lots", "MaxMemory=lots: not a size", "MaxMemory= takes bytes, or with K, M, G or T, from 1M, or from 1% to 100%, or 0"},
		{"MaxMemory=1K", "MaxMemory=1K: too small", "MaxMemory= takes bytes, or with K, M, G or T, from 1M, or from 1% to 100%, or 0"},
		{"MaxMemory=0%", "MaxMemory=0%: not a percentage from 1% to 100%", "MaxMemory= takes bytes, or with K, M, G or T, from 1M, or from 1% to 100%, or 0"},
		{"StateDir=here", "StateDir=here: not an absolute path", "StateDir= takes an absolute path"},
		{`Engine="hash"`, `Engine="hash": neither a name nor an absolute path`, "Engine= takes the name of an engine (hash), or the absolute path of a library; quotes are not used"},
		{"Engine=../evil", "Engine=../evil: neither a name nor an absolute path", "Engine= takes the name of an engine (hash), or the absolute path of a library"},
		{"Engine=\x00", "Engine=?: neither a name nor an absolute path", "Engine= takes the name of an engine (hash), or the absolute path of a library"},
	} {
		root := tree(t, map[string]string{"etc/kvstored/kvstored.conf": "\n" + c.line + "\n"})
		_, err := Load(Where{Root: root})
		problems, ok := err.(Problems)
		if !ok || len(problems) != 1 {
			t.Errorf("%q: got %v", c.line, err)
			continue
		}
		p := problems[0]
		if p.What != c.what || p.Fix != c.fix || p.Line != 2 {
			t.Errorf("%q: got %q, fix %q, line %d", c.line, p.What, p.Fix, p.Line)
		}
		if want := root + "/etc/kvstored/kvstored.conf:2: " + c.what; err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}

func TestEveryMistakeIsReported(t *testing.T) {
	root := tree(t, map[string]string{
		"etc/kvstored/kvstored.conf":           "Reactors=x\nEngine=hash\nFoo\n",
		"etc/kvstored/kvstored.conf.d/10.conf": strings.Repeat("#", maxFile+1),
	})
	w := Where{Root: root, Overrides: []Override{{Name: "StateDir", Value: "x", Flag: "--state-dir"}}}
	_, err := Load(w)
	problems, _ := err.(Problems)
	var got []string
	for _, p := range problems {
		got = append(got, strings.TrimPrefix(p.Error(), root))
	}
	want := []string{
		"/etc/kvstored/kvstored.conf:1: Reactors=x: not a whole number",
		"/etc/kvstored/kvstored.conf:3: not of the form Key=Value: Foo",
		"/etc/kvstored/kvstored.conf.d/10.conf: larger than 1M",
		"--state-dir: StateDir=x: not an absolute path",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	if !strings.HasSuffix(err.Error(), "(and 3 more)") {
		t.Errorf("got %q", err)
	}
}

func TestUnreadable(t *testing.T) {
	root := tree(t, map[string]string{"etc/kvstored/kvstored.conf/x": "", "etc/kvstored/kvstored.conf.d": ""})
	_, err := Load(Where{Root: root})
	problems, _ := err.(Problems)
	if len(problems) != 2 || problems[0].What != "not a directory" || problems[1].What != "is a directory" {
		t.Errorf("got %q", problems)
	}
	_, err = Load(Where{File: filepath.Join(root, "none.conf")})
	if err == nil || !strings.HasSuffix(err.Error(), "/none.conf: no such file or directory") {
		t.Errorf("got %v", err)
	}
}

func TestGet(t *testing.T) {
	c := load(t, Where{Root: t.TempDir()})
	for pattern, want := range map[string][]Pair{
		"maxclients": {{"MaxClients", "10000"}},
		"MAX*put":    {{"MaxInput", "1073741824"}, {"MaxOutput", "1073741824"}, {"MaxSubscriberOutput", "33554432"}},
		"check*":     {{"CheckTimeout", "10s"}},
		"save":       nil,
		"[":          nil,
	} {
		if got := c.Get(pattern); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v", pattern, got)
		}
	}
	if got := len(c.Get("*")); got != len(Settings) {
		t.Errorf("%d settings", got)
	}
}

func TestPending(t *testing.T) {
	old := load(t, Where{File: tree(t, map[string]string{"c": "Reactors=1\nEngine=hash"}) + "/c"})
	next := load(t, Where{File: tree(t, map[string]string{"c": "Reactors=2\nEngine=lmdb"}) + "/c"})
	if got := old.Pending(next); !reflect.DeepEqual(got, []string{"Reactors"}) {
		t.Errorf("got %v", got)
	}
}

func TestUnits(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "4096": 4096, "64K": 64 << 10, "1.5G": 3 << 29, "2 T": 2 << 40, "7B": 7,
		"": -1, "K": -1, "1.2.3": -1, "1e3": -1, "-1": -1, "9999999T": -1, "1k": -1, "NaN": -1,
	} {
		if got, err := ParseSize(text); (err == nil && got != want) || (err != nil) != (want < 0) {
			t.Errorf("ParseSize(%q) = %d, %v", text, got, err)
		}
	}
	for text, want := range map[string]time.Duration{
		"10": 10 * time.Second, "0.5": 500 * time.Millisecond, "500ms": 500 * time.Millisecond,
		"1min 30s": 90 * time.Second, "1h2min3s": 3723 * time.Second, "2 min": 2 * time.Minute, "1m": time.Minute,
		"": -1, "s": -1, "5 apples": -1, "1s2": -1, "-1s": -1, "99999999999h": -1,
	} {
		if got, err := ParseTime(text); (err == nil && got != want) || (err != nil) != (want < 0) {
			t.Errorf("ParseTime(%q) = %v, %v", text, got, err)
		}
	}
	for n, want := range map[int64]string{0: "0", 1023: "1023", 1024: "1K", 3 << 29: "1536M", 1 << 40: "1T"} {
		if got := FormatSize(n); got != want {
			t.Errorf("FormatSize(%d) = %q", n, got)
		}
	}
}

// TestPages keeps the pages in the package equal to the table.
func TestPages(t *testing.T) {
	for path, want := range map[string]string{
		"../../packaging/man/kvstored.conf.5":  ManPage(),
		"../../packaging/config/kvstored.conf": Sample(),
	} {
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("%s differs from the table of settings (%v): go test ./pkg/config -update", path, err)
		}
	}
}

// TestSampleIsTheDefault reads the sample with every key made active.
func TestSampleIsTheDefault(t *testing.T) {
	var lines []string
	for _, line := range strings.Split(Sample(), "\n") {
		if strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "# ") {
			line = line[1:]
		}
		lines = append(lines, line)
	}
	file := filepath.Join(tree(t, map[string]string{"c": strings.Join(lines, "\n")}), "c")
	c, standard := load(t, Where{File: file}), load(t, Where{Root: t.TempDir()})
	if !reflect.DeepEqual(c.Get("*"), standard.Get("*")) {
		t.Errorf("got %v", c.Get("*"))
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("Engine=hash\nReactors=2\n")
	f.Add("[x]\n=\nMaxInput=1.5G\n\xff=\x00")
	file := filepath.Join(f.TempDir(), "c")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		c, err := Load(Where{File: file})
		if err != nil {
			return
		}
		for i := range Settings {
			s := &Settings[i]
			if err := s.set(&Config{}, c.Text(s.Name)); err != nil {
				t.Errorf("%s=%s is not accepted again: %v", s.Name, c.Text(s.Name), err)
			}
		}
	})
}

func TestMemory(t *testing.T) {
	for text, want := range map[string]struct {
		of  int64 // of 1000 bytes
		say string
	}{
		"0": {0, "0"}, "1M": {1 << 20, "1048576"}, "60%": {600, "60%"}, "7 %": {70, "7%"}, "100%": {1000, "100%"},
	} {
		m, err := ParseMemory(text)
		if err != nil || m.Of(1000) != want.of || m.String() != want.say {
			t.Errorf("%s: %d, %q, %v", text, m.Of(1000), m, err)
		}
	}
	root := tree(t, map[string]string{"etc/kvstored/kvstored.conf": "MaxMemory=25%\nMaxMemoryPolicy=allkeys-lru\n"})
	if c := load(t, Where{Root: root}); c.Text("MaxMemory") != "25%" || c.MaxMemoryPolicy != "allkeys-lru" {
		t.Errorf("got %+v", *c)
	}
}
