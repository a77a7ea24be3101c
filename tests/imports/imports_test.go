// Package imports states which room of the house may know which other, and
// fails when one reaches where it must not.
package imports

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "kvstored/"

// allowed names, for each room, all the rooms it may import itself. A room
// that is not here may not exist: new ones say first where they stand.
var allowed = map[string][]string{
	"cmd/kvstored": {
		"pkg/access", "pkg/batch", "pkg/config", "pkg/engine", "pkg/logging", "pkg/reactor",
		"pkg/command", "pkg/server", "pkg/systemd",
	},
	"cmd/kvctl":     {"cmd/kvctl/cli"},
	"cmd/kvctl/cli": {"pkg/client", "pkg/command", "pkg/config", "pkg/install", "pkg/repair", "pkg/resp", "pkg/systemd"},
	"pkg/server": {
		"pkg/access", "pkg/batch", "pkg/command", "pkg/engine", "pkg/reactor", "pkg/resp",
		"pkg/logging", "pkg/script", "pkg/systemd",
	},
	"pkg/script":  {"pkg/resp"},
	"pkg/reactor": {"pkg/batch"},
	"pkg/command": {"pkg/batch", "pkg/resp"},
	"pkg/engine":  {"libkvstore", "pkg/batch", "pkg/engine/conformance", "pkg/install"},
	// The checks of the ABI, which know engines by an interface only.
	"pkg/engine/conformance": {"pkg/batch"},
	"pkg/access":             {},
	"pkg/systemd":            {},
	"pkg/logging":            {"pkg/systemd"},
	"pkg/config":             {},
	"pkg/repair":             {},
	"pkg/install":            {},
	"pkg/client":             {"pkg/install", "pkg/resp"},
	"pkg/resp":               {},
	"pkg/batch":              {},
	"libkvstore":             {},
}

// never names what a room must not import of Go and of others, with what no
// part of it may reach of ours, however indirectly.
var never = map[string][]string{
	"cmd/kvctl":   {"kvstored/pkg/server", "kvstored/pkg/reactor", "kvstored/pkg/engine"},
	"pkg/client":  {"kvstored/pkg/server", "kvstored/pkg/engine", "kvstored/pkg/command"},
	"pkg/repair":  {"net"},
	"pkg/resp":    {"net", "os", "golang.org/x/sys/unix"},
	"pkg/batch":   {"net"},
	"pkg/reactor": {"kvstored/pkg/resp", "kvstored/pkg/command", "kvstored/pkg/engine"},
	"pkg/command": {"kvstored/pkg/engine", "net", "golang.org/x/sys/unix"},
	"pkg/engine":  {"net", "kvstored/pkg/reactor", "kvstored/pkg/resp"},
	"pkg/server":  {"github.com/spf13/cobra", "flag"},
	"pkg/systemd": {"go.uber.org/zap"},
	"pkg/script":  {"net", "os", "golang.org/x/sys/unix"},
}

// room is what go list says of a package.
type room struct {
	ImportPath string
	Imports    []string
	CgoFiles   []string
	Deps       []string
	Error      *struct{ Err string }
}

// rooms lists the packages of the house, without tests.
func rooms(t *testing.T) []room {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,CgoFiles,Deps,Error", "./...")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []room
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var r room
		if err := decoder.Decode(&r); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
}

// place is where a package stands below the module, and whether it is one of
// the house's rooms rather than a test, a benchmark or a tool.
func place(importPath string) (string, bool) {
	at := strings.TrimPrefix(importPath, module)
	for _, part := range []string{"tests", "bench", "tools", "examples", "packaging"} {
		if at == part || strings.HasPrefix(at, part+"/") {
			return at, false
		}
	}
	return at, !strings.HasSuffix(path.Base(at), "test") // packages that help tests
}

func TestRoomsKnowOnlyWhatTheyMay(t *testing.T) {
	for _, r := range rooms(t) {
		at, ours := place(r.ImportPath)
		if !ours {
			continue
		}
		may, known := allowed[at]
		if !known {
			t.Errorf("%s is not in the table of rooms: say there what it may import", at)
			continue
		}
		for _, imported := range r.Imports {
			other, inside := strings.CutPrefix(imported, module)
			if inside && !slices.Contains(may, other) {
				t.Errorf("%s must not import %s", at, other)
			}
		}
	}
}

func TestWhatNoRoomMayReach(t *testing.T) {
	for _, r := range rooms(t) {
		at, _ := place(r.ImportPath)
		for _, forbidden := range never[at] {
			reached := r.Imports
			if strings.HasPrefix(forbidden, module) {
				reached = r.Deps
			}
			if slices.Contains(reached, forbidden) {
				t.Errorf("%s must not reach %s", at, forbidden)
			}
		}
	}
}

func TestOnlyTheEngineRoomSpeaksC(t *testing.T) {
	for _, r := range rooms(t) {
		at, ours := place(r.ImportPath)
		if ours && len(r.CgoFiles) > 0 && at != "pkg/engine" {
			t.Errorf("%s imports \"C\" in %v: only pkg/engine may", at, r.CgoFiles)
		}
	}
}

func TestKvctlBuildsWithoutC(t *testing.T) {
	cmd := exec.Command("go", "build", "-o", os.DevNull, "./cmd/kvctl")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
