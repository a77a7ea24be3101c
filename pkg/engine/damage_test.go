package engine

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"kvstored/pkg/batch"
	"kvstored/pkg/engine/enginetest"
)

// spoil turns a byte, at from where text begins, wherever the data has it.
func spoil(t *testing.T, dir, text string, at int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "data-*", "data.mdb"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	times := 0
	for from := 0; ; times++ {
		i := bytes.Index(data[from:], []byte(text))
		if i < 0 {
			break
		}
		data[from+i+at] ^= 0x20
		from += i + len(text)
	}
	if times == 0 {
		t.Fatalf("%s does not have %q", files[0], text)
	}
	if err := os.WriteFile(files[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A damaged entry of lmdb is not copied to another engine, not left out in
// silence and not served: the refusal names its key and the way out, which works.
func TestDamageIsNamed(t *testing.T) {
	for _, of := range []struct {
		name  string
		space uint32
		key   int
		at    int // from the key on
		words []string
	}{
		{"the value of the first key", 0, 0, 8, []string{`key "key0000"`, "kvctl DEL KEY"}},
		{"a value", 0, 1234, 9, []string{`key "key1234"`, "its entry is damaged", "kvctl DEL KEY"}},
		{"a value in another database", 3, 2000, 9, []string{`key "key2000" of database 3`, "kvctl -n 3 DEL KEY"}},
		{"a key", 3, 700, 4, []string{"an entry of database 3", "its key is damaged, too", "kvctl -n 3 export FILE"}},
	} {
		t.Run(of.name, func(t *testing.T) {
			dir := t.TempDir()
			h := openHost(t, enginetest.Build(t, "lmdb"), onDisk(dir))
			c := newTab(t, h)
			const n = 2500
			value := func(i int) string { return fmt.Sprintf(" value of %04d ", i) }
			c.do(func() {
				for i := range n {
					c.b.Set(of.space, c.in(fmt.Sprintf("key%04d", i)), c.in(value(i)), 0, 0, 0)
				}
			})
			h.Close()
			key := fmt.Sprintf("key%04d", of.key)
			spoil(t, dir, key+value(of.key), of.at)
			h = openHost(t, enginetest.Build(t, "lmdb"), onDisk(dir))
			c = newTab(t, h)
			hash := enginetest.Build(t, "hash")
			mustRefuse(t, h, hash, of.words...)
			if got := c.get(of.space, key); got != batch.Corrupt.String() {
				t.Errorf("the damaged entry is read as %q", got)
			}
			c.do(func() { c.b.Delete(of.space, c.in(key)) })
			if st := c.b.Op(0).Status; st != batch.OK {
				t.Fatalf("it cannot be removed: %s", st)
			}
			if o := mustSwap(t, h, hash); o.Copied != n-1 {
				t.Errorf("%d entries were copied, want %d", o.Copied, n-1)
			}
			for i := range n {
				want := value(i)
				if i == of.key {
					want = "-"
				}
				if got := c.get(of.space, fmt.Sprintf("key%04d", i)); got != want {
					t.Fatalf("key%04d is %q, want %q", i, got, want)
				}
			}
		})
	}
}
