package repair

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A copy inside the original would change the original: it is refused, by
// whatever name the place is given.
func TestIntoTheOriginal(t *testing.T) {
	state := t.TempDir()
	data := filepath.Join(state, "data-1")
	if err := os.MkdirAll(filepath.Join(data, "deeper"), 0o700); err != nil {
		t.Fatal(err)
	}
	// A log of which nothing but the name is left.
	if err := os.WriteFile(filepath.Join(data, "log-1"), []byte("spoilt"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(data, link); err != nil {
		t.Fatal(err)
	}
	for _, into := range []string{
		filepath.Join(data, "copy"), filepath.Join(data, "deeper", "copy"),
		filepath.Join(link, "copy"), data + "/../data-1/copy", filepath.Join(data, "not", "there"), data,
	} {
		_, err := Run(Options{Dir: state, Into: into})
		var refused *Refusal
		if !errors.As(err, &refused) || !strings.Contains(refused.What, "inside") {
			t.Errorf("--into %s: %v", into, err)
		}
	}
	entries, _ := os.ReadDir(data)
	if len(entries) != 2 {
		t.Errorf("the original has %v now", entries)
	}
	if r, err := Run(Options{Dir: state, Into: filepath.Join(state, "data-10")}); err != nil || r.Copy == "" {
		t.Errorf("a place beside the original with a longer name: %v", err)
	}
}

// What the commands write into an owner file is what the engine calls its files.
func TestFormatIsTheEngines(t *testing.T) {
	text, err := os.ReadFile("../../libkvstore/engines/hash/layout.h")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte("#define FORMAT \""+dataFormat+"\"\n")) {
		t.Errorf("layout.h has another FORMAT than %s", dataFormat)
	}
	p := &place{state: "/s", data: "/s/data-1"}
	all := p.commands("/s/repaired-1")
	if got := all[len(all)-1]; !strings.Contains(got, "format="+dataFormat+`\n`) || strings.Contains(got, "%!") {
		t.Errorf("the owner file is written by %s", got)
	}
}
