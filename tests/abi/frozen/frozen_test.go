// Package frozen holds today's header to the one of the freeze: copies of the headers and
// an engine of that day are in the folder named after the version of the interface.
package frozen

import (
	"debug/dwarf"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	frozen = "1"
	today  = "../../../libkvstore"
)

// gcc runs the compiler and returns what it printed.
func gcc(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("gcc", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("gcc %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// facts is what code built against a header relies on: "struct kv_op.code" -> offset,
// size and type, "enum kv_status KV_OK" -> value. Sizes of structures, which may grow,
// are in sizes.
type facts struct {
	facts map[string]string
	sizes map[string]int64
}

// read compiles a header alone and reads its types from the debugging information.
func read(t *testing.T, dir, header string) facts {
	t.Helper()
	source, object := filepath.Join(t.TempDir(), "a.c"), filepath.Join(t.TempDir(), "a.o")
	if err := os.WriteFile(source, []byte("#include <"+header+">\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	gcc(t, "-std=c17", "-g", "-fno-eliminate-unused-debug-types", "-I", dir, "-c", "-o", object, source)
	file, err := elf.Open(object)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	data, err := file.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	f := facts{map[string]string{}, map[string]int64{}}
	for r := data.Reader(); ; {
		entry, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if entry == nil {
			return f
		}
		switch entry.Tag {
		case dwarf.TagStructType, dwarf.TagEnumerationType, dwarf.TagTypedef:
			typ, err := data.Type(entry.Offset)
			if err != nil {
				t.Fatal(err)
			}
			f.add(typ)
		}
	}
}

func (f facts) add(typ dwarf.Type) {
	switch typ := typ.(type) {
	case *dwarf.StructType:
		if !strings.HasPrefix(typ.StructName, "kv") {
			return
		}
		f.sizes[typ.StructName] = typ.ByteSize
		for _, field := range typ.Field {
			f.facts["struct "+typ.StructName+"."+field.Name] =
				fmt.Sprintf("at %d, %d bytes, %s", field.ByteOffset, field.Type.Size(), field.Type)
		}
	case *dwarf.EnumType:
		for _, v := range typ.Val {
			f.facts["enum "+typ.EnumName+" "+v.Name] = strconv.FormatInt(v.Val, 10)
		}
	case *dwarf.TypedefType:
		if strings.HasPrefix(typ.Name, "kv") {
			f.facts["typedef "+typ.Name] = typ.Type.String()
		}
	}
}

var define = regexp.MustCompile(`(?m)^#define ((?:KV_|KVSTORE_)\w+)(.*)$`)

// macros are the header's own, without the version, which is to rise.
func macros(t *testing.T, dir, header string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, m := range define.FindAllStringSubmatch(gcc(t, "-E", "-dM", "-I", dir, filepath.Join(dir, header)), -1) {
		if m[1] != "KVSTORE_ABI_VERSION" {
			all[m[1]] = strings.TrimSpace(m[2])
		}
	}
	return all
}

// differences lists what was in the frozen header and is not so today.
func differences(old, now map[string]string) []string {
	var list []string
	for name, was := range old {
		if is, ok := now[name]; !ok {
			list = append(list, name+" is gone")
		} else if is != was {
			list = append(list, fmt.Sprintf("%s was %s, is %s", name, was, is))
		}
	}
	return list
}

func TestLayoutHolds(t *testing.T) {
	for _, header := range []string{"kvstore.h", "kvstore_simple.h"} {
		old, now := read(t, frozen, header), read(t, today, header)
		if len(old.facts) < 100 || len(old.sizes) < 10 {
			t.Fatalf("%s: only %d facts of %d structures were read", header, len(old.facts), len(old.sizes))
		}
		for _, d := range differences(old.facts, now.facts) {
			t.Errorf("%s: %s", header, d)
		}
		for name, size := range old.sizes {
			if now.sizes[name] < size {
				t.Errorf("%s: struct %s had %d bytes, has %d", header, name, size, now.sizes[name])
			}
			for field := range now.facts {
				if !strings.HasPrefix(field, "struct "+name+".") || old.facts[field] != "" {
					continue
				}
				var at int64
				if _, err := fmt.Sscanf(now.facts[field], "at %d,", &at); err != nil || at < size {
					t.Errorf("%s: %s is new, but not at the end (%s)", header, field, now.facts[field])
				}
			}
		}
		was := macros(t, frozen, header)
		if len(was) < 20 {
			t.Fatalf("%s: only %d macros were read", header, len(was))
		}
		for _, d := range differences(was, macros(t, today, header)) {
			if strings.HasPrefix(d, "KVSTORE_SIMPLE_") && !strings.HasSuffix(d, " is gone") {
				continue // what it expands to is compiled into the author's engine
			}
			t.Errorf("%s: %s", header, d)
		}
	}
}

var (
	entryLine = regexp.MustCompile(`(?m)^ \*   (\d+)  (\S+)  \S`)
	version   = regexp.MustCompile(`(?m)^#define KVSTORE_ABI_VERSION (\d+)u$`)
)

// changes are the entries of a header's changelog, oldest first, and its version.
func changes(t *testing.T, path string) ([][]string, string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	v := version.FindSubmatch(text)
	log := strings.SplitN(string(text), "\n * CHANGES ", 2)
	if v == nil || len(log) != 2 {
		t.Fatalf("%s: no version or no CHANGES", path)
	}
	return entryLine.FindAllStringSubmatch(strings.SplitN(log[1], "*/", 2)[0], -1), string(v[1])
}

func TestChangelogMatchesVersion(t *testing.T) {
	list, version := changes(t, today+"/kvstore.h")
	old, _ := changes(t, frozen+"/kvstore.h")
	if len(list) < len(old) || len(old) == 0 {
		t.Fatalf("the changelog has %d entries, the frozen one %d", len(list), len(old))
	}
	last := ""
	for _, entry := range list {
		if _, err := time.Parse(time.DateOnly, entry[2]); err != nil {
			t.Errorf("changelog: %q is no date", entry[2])
		}
		if entry[2] < last {
			t.Errorf("changelog: %s comes after %s", entry[2], last)
		}
		last = entry[2]
	}
	if newest := list[len(list)-1][1]; newest != version {
		t.Errorf("the newest entry is of version %s, KVSTORE_ABI_VERSION is %s", newest, version)
	}
	// What is new in the header has an entry of its own.
	was, is := read(t, frozen, "kvstore.h"), read(t, today, "kvstore.h")
	added := differences(is.facts, was.facts)
	added = append(added, differences(macros(t, today, "kvstore.h"), macros(t, frozen, "kvstore.h"))...)
	if len(added) > 0 && len(list) == len(old) {
		t.Errorf("new since the freeze, without an entry in the changelog: %s", strings.Join(added, "; "))
	}
}

func TestFrozenEnginePassesToday(t *testing.T) {
	kvctl, err := filepath.Abs("../../../build/kvctl")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(kvctl); err != nil {
		t.Fatalf("build/kvctl is missing; fix: make build")
	}
	library := filepath.Join(t.TempDir(), "frozen.so")
	gcc(t, "-std=c17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O2", "-fPIC", "-shared",
		"-fvisibility=hidden", "-I", frozen, "-o", library, frozen+"/engine.c")
	if out, err := exec.Command(kvctl, "engine", "check", "--full", library).CombinedOutput(); err != nil {
		t.Fatalf("kvctl engine check --full: %v\n%s", err, out)
	}
}
