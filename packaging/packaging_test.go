// Package packaging_test holds together what is written down twice: in the
// parts of the packages and in the sources.
package packaging_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = ".."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return string(out)
}

// find lists the first group of every match.
func find(text, pattern string) (all []string) {
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// TestCatalog shows that the journal's catalog explains each message that has
// an id, and no other.
func TestCatalog(t *testing.T) {
	constants := find(read(t, "../pkg/systemd/catalog.go"), `= "([0-9a-f]{32})"`)
	explained := find(read(t, "catalog/kvstored.catalog"), `(?m)^-- ([0-9a-f]{32})$`)
	if len(constants) == 0 || strings.Join(constants, " ") != strings.Join(explained, " ") {
		t.Errorf("pkg/systemd has the ids %q, the catalog %q", constants, explained)
	}
}

// TestVersion shows that VERSION, the changelog and the sources agree.
func TestVersion(t *testing.T) {
	version := strings.TrimSpace(read(t, "../VERSION"))
	if !strings.HasPrefix(read(t, "changelog"), "kvstored ("+version+"-1)") {
		t.Errorf("the changelog does not begin with %s-1", version)
	}
}

// TestCopyright shows that the copyright file names every module that is
// linked into the programs.
func TestCopyright(t *testing.T) {
	copyright := read(t, "copyright")
	modules := output(t, "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/kvstored", "./cmd/kvctl")
	for module := range strings.FieldsSeq(modules) {
		if module != "kvstored" && !strings.Contains(copyright, module) {
			t.Errorf("packaging/copyright does not name %s", module)
		}
	}
}

// TestInstances shows that a further instance differs from the first only in
// its names.
func TestInstances(t *testing.T) {
	names := strings.NewReplacer("kvstored@%i.socket", "kvstored.socket", "/%i.sock", "/kvstored.sock",
		"kvstored-instances/%i", "kvstored", " --config /etc/kvstored/%i.conf", "", "store %i", "store of this machine")
	for _, kind := range []string{"socket", "service"} {
		first := directives(read(t, "systemd/kvstored."+kind))
		further := names.Replace(directives(read(t, "systemd/kvstored@."+kind)))
		if first != further {
			t.Errorf("kvstored.%s:\n%s\nkvstored@.%s, names replaced:\n%s", kind, first, kind, further)
		}
	}
}

// directives is a unit without comments and empty lines.
func directives(unit string) string {
	return strings.Join(find(unit, `(?m)^([^#\n].*)$`), "\n")
}

// TestTargets shows that each make target that the documents name is there.
func TestTargets(t *testing.T) {
	help := output(t, "make", "--no-print-directory", "help")
	for _, doc := range []string{"../README.md", "../docs/operations.md", "../docs/architecture.md"} {
		for _, target := range find(read(t, doc), "(?m)(?:^    |`)make ([a-z-]+)") {
			if !strings.Contains(help, "make "+target+" ") {
				t.Errorf("%s: there is no make %s", doc, target)
			}
		}
	}
}
