package main

import (
	"os"
	"path/filepath"
	"testing"

	"kvstored/pkg/config"
	"kvstored/pkg/engine"
)

// Every policy that the configuration takes is one of the engine room.
func TestPolicies(t *testing.T) {
	for i := range config.Settings {
		s := &config.Settings[i]
		if s.Name != "MaxMemoryPolicy" {
			continue
		}
		for _, name := range s.Choices {
			if _, ok := engine.ParsePolicy(name); !ok {
				t.Errorf("the engine room does not know %s", name)
			}
		}
	}
}

func TestBelow(t *testing.T) {
	const m = 1 << 20
	for _, test := range []struct{ most, group, others, want int64 }{
		{500 * m, 0, 0, 500 * m},              // no control group
		{500 * m, 2000 * m, 100 * m, 500 * m}, // far below
		{2000 * m, 1000 * m, 0, (1000 - 32 - 16) * m},
		{2000 * m, 1000 * m, 100 * m, (1000 - 100 - 16) * m},
		{900 * m, 1000 * m, 800 * m, 500 * m}, // never below half of the group
		{300 * m, 1000 * m, 800 * m, 300 * m},
		{100 * m, 64 * m, 0, (64 - 16 - 4) * m},
	} {
		if got := below(test.most, test.group, test.others); got != test.want {
			t.Errorf("%v: %d", test, got)
		}
	}
}

func TestUnreclaimable(t *testing.T) {
	dir := t.TempDir()
	text := "anon 100\nfile 5000\nshmem 20\nkernel_stack 3\nslab_reclaimable 9999\nslab_unreclaimable 4\nsock 7\n"
	if err := os.WriteFile(filepath.Join(dir, "memory.stat"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if n, ok := unreclaimable(dir); !ok || n != 134 {
		t.Errorf("got %d, %v", n, ok)
	}
	old := t.TempDir()
	for name, text := range map[string]string{"memory.stat": "cache 5000\nrss 100\nshmem 20\ntotal_rss 100\n", "memory.kmem.usage_in_bytes": "14\n"} {
		if err := os.WriteFile(filepath.Join(old, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if n, ok := unreclaimable(old); !ok || n != 134 {
		t.Errorf("the old hierarchy: %d, %v", n, ok)
	}
	if _, ok := unreclaimable(filepath.Join(dir, "none")); ok {
		t.Error("found what is not there")
	}
}
