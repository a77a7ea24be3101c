//go:build system

package system

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Where `make test-system` has put what is tested.
const (
	top       = "../.."
	engineDir = "/usr/lib/kvstored/engines"
)

// fixtures is what the scenarios bring along, made once on the host.
type fixtures struct {
	dir    string
	deb    string // the package built from this tree
	rpm    string
	next   string // the same package under the next version number, with hash-next
	hammer string

	lmdb     string // the package of the engine lmdb
	lmdbRpm  string
	lmdbNext string // under the next version number, with lmdb-next
}

var made *fixtures

// prepared makes the fixtures, or returns those made before.
func prepared(t *testing.T) *fixtures {
	t.Helper()
	if made != nil {
		return made
	}
	dir, err := os.MkdirTemp("", "kvstored-system-")
	if err != nil {
		t.Fatal(err)
	}
	f := &fixtures{dir: dir}
	f.deb = oneOf(t, "dist/kvstored_*.deb")
	f.rpm = oneOf(t, "dist/kvstored-[0-9]*.rpm")
	f.hammer = filepath.Join(dir, "hammer")
	cmd := exec.Command("go", "build", "-o", f.hammer, "./hammer")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	host(t, cmd)
	f.next = f.nextPackage(t, f.deb, "hash")
	f.lmdb = oneOf(t, "dist/kvstored-engine-lmdb_*.deb")
	f.lmdbRpm = oneOf(t, "dist/kvstored-engine-lmdb-*.rpm")
	f.lmdbNext = f.nextPackage(t, f.lmdb, "lmdb")
	made = f
	return f
}

func TestMain(m *testing.M) {
	code := m.Run()
	if made != nil {
		os.RemoveAll(made.dir)
	}
	os.Exit(code)
}

// oneOf is the one file of the tree that the pattern matches.
func oneOf(t *testing.T, pattern string) string {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(top, pattern))
	if len(found) != 1 {
		t.Fatalf("%s: %d files, must be one; fix: make packages", pattern, len(found))
	}
	return found[0]
}

// built is a file under build/.
func built(name string) string { return filepath.Join(top, "build", name) }

// host runs a command on the host that must succeed.
func host(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
}

// nextPackage makes the next release of a package out of this one.
func (f *fixtures) nextPackage(t *testing.T, this, engine string) string {
	t.Helper()
	tree, deb := filepath.Join(f.dir, "next-"+engine), filepath.Join(f.dir, "next-"+engine+".deb")
	script := `dpkg-deb -R "$1" "$2" && sed -i 's/^Version: .*/Version: 99.0-1/' "$2/DEBIAN/control" &&
		install -m 644 "$3" "$2` + engineDir + `/" && dpkg-deb -Zgzip -z1 --root-owner-group -b "$2" "$4"`
	library := filepath.Join(tree+".so", engine+".so")
	host(t, exec.Command("install", "-D", built("test/"+engine+"-next.so"), library))
	host(t, exec.Command("sh", "-c", script, "sh", this, tree, library, deb))
	return deb
}

// example builds the example engine as the reader of kvstored-dev does, with
// nothing but what that package holds.
func (f *fixtures) example(t *testing.T) string {
	t.Helper()
	script := `dpkg-deb -x "$1" "$2" && cd "$2" && export PKG_CONFIG_PATH="$2/usr/share/pkgconfig" &&
		gcc -O2 -Wall -Wextra -Werror -Iusr/include $(pkg-config --variable=engine_flags kvstored) \
			-o example.so usr/share/doc/kvstored-dev/examples/simple.c`
	dir := filepath.Join(f.dir, "dev")
	host(t, exec.Command("sh", "-c", script, "sh", oneOf(t, "dist/kvstored-dev_*.deb"), dir))
	return filepath.Join(dir, "example.so")
}

// A badLibrary must be refused, and its refusal must say why.
type badLibrary struct {
	name string
	data []byte
	mode os.FileMode
	says string // words of the reason, in small letters
}

// badLibraries makes one of each kind.
func (f *fixtures) badLibraries(t *testing.T) []badLibrary {
	t.Helper()
	good := readFile(t, built("engines/hash.so"))
	return []badLibrary{
		{"a text file", []byte("this is no library\n"), 0o644, "not a shared library"},
		{"a truncated ELF", good[:len(good)/3], 0o644, "cut short"},
		{"another machine's ELF", foreign(good), 0o644, "machine"},
		{"no entry symbol", f.faulty(t, "no-symbol"), 0o644, "kvstore_engine"},
		{"a future ABI", f.faulty(t, "future-abi"), 0o644, "too new"},
		{"crashes in its constructor", f.faulty(t, "crash-in-constructor"), 0o644, "crash"},
		{"hangs", f.faulty(t, "hang-in-open"), 0o644, "hang"},
		{"gives wrong answers", f.faulty(t, "wrong-answers"), 0o644, "delete"},
		{"writable by others", good, 0o666, "writable"},
	}
}

// faulty builds the debug engine with a fault.
func (f *fixtures) faulty(t *testing.T, fault string) []byte {
	t.Helper()
	host(t, exec.Command(top+"/libkvstore/engines/debug/build.sh", f.dir, fault))
	return readFile(t, filepath.Join(f.dir, "debug-"+fault+".so"))
}

// foreign is the library as if it were made for another machine.
func foreign(library []byte) []byte {
	const eMachine, x86, arm64 = 18, 62, 183
	machine := uint16(arm64)
	if runtime.GOARCH == "arm64" {
		machine = x86
	}
	other := append([]byte(nil), library...)
	binary.LittleEndian.PutUint16(other[eMachine:], machine)
	return other
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
