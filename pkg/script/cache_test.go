package script

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// TestScriptsAreBounded by number and by size; the one that was not used for
// the longest time goes first, and those of SCRIPT LOAD never.
func TestScriptsAreBounded(t *testing.T) {
	v := New()
	text := func(i int) []byte { return fmt.Appendf(nil, "return %d", i) }
	loaded, _ := v.Load(text(0))
	must := func(s *Script, err error) *Script {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first, second := must(v.Eval(text(1))), must(v.Eval(text(2)))
	third := must(v.Eval(text(3)))
	v.Use(first.SHA)               // by EVALSHA
	must(v.Eval(text(2)))          // by EVAL
	for i := range keptEvals - 2 { // one too many
		must(v.Eval(text(10 + i)))
	}
	if v.Find(loaded.SHA) == nil || v.Find(first.SHA) == nil || v.Find(second.SHA) == nil || v.Find(third.SHA) != nil {
		t.Error("not what was used last is kept")
	}
	if v.Count() != keptEvals+1 {
		t.Errorf("%d scripts are kept", v.Count())
	}
	must(v.Load(text(1)))
	v.scripts.room = 256 << 10
	long := must(v.Eval([]byte("local t = {} " + strings.Repeat("t.x = 1 ", 4000))))
	if v.Size() > v.scripts.room+long.size || v.Find(first.SHA) == nil || v.Find(loaded.SHA) == nil || v.Find(long.SHA) == nil {
		t.Errorf("%d scripts with %d bytes are kept", v.Count(), v.Size())
	}
	huge := must(v.Eval([]byte("local t = {} " + strings.Repeat("t.x = 1 ", 90_000))))
	if v.Find(huge.SHA) == nil || v.Count() != 3 || v.Size() < huge.size || v.scripts.loose != huge.size {
		t.Errorf("%d scripts with %d bytes are kept", v.Count(), v.Size())
	}
}

// TestSizeOfScripts: what is told of their size is what they take, about.
func TestSizeOfScripts(t *testing.T) {
	for _, body := range []string{
		strings.Repeat("t.x = t.y + 1 ", 2000), strings.Repeat("local function f(a, b) return a + b end f(1, 2) ", 150),
		strings.Repeat("do local a, b, c = 1, 'two', {} end ", 1500),
	} {
		v := New()
		const scripts = 40
		before := heapNow()
		for i := range scripts {
			if _, err := v.Load(fmt.Appendf(nil, "local t = {x = %d} %s return t", i, body)); err != nil {
				t.Fatal(err)
			}
		}
		took := float64(heapNow()-before) / float64(v.Size())
		runtime.KeepAlive(v)
		if took < 0.5 || took > 2 {
			t.Errorf("%.30s: %.2f times what is told", body, took)
		}
	}
}

func heapNow() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
