package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Hints name what may still follow; what was used drops out.
func TestHints(t *testing.T) {
	for line, want := range map[string]string{
		"":                        "",
		"GET":                     "key  - the value of a key",
		"get ":                    "key  - the value of a key",
		"GET name":                "",
		"SETEX name":              "seconds value",
		"SET name x NX":           "[GET] [EX seconds",
		"SET name x NX EX":        "seconds [GET]",
		"SET name x NX EX 5":      "[GET]",
		"SET name x NX EX 5 GET":  "",
		"MGET a b":                "[key ...]",
		"MSET a 1 b":              "value [key value ...]",
		"CLIENT SETNAME":          "connection-name",
		"watch 2 SETEX name":      "seconds value",
		"NONSENSE":                "",
		"SCAN 0 MATCH x":          "[COUNT count] [TYPE type]",
		`SET "two words" "half a`: "[NX | XX",
	} {
		words, begun, _ := typed(line)
		if begun != "" {
			words = append(words, begun)
		}
		if got := hintFor(words); want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%q: hint %q, not %q", line, got, want)
		}
	}
}

// A value goes on in the next line while a quote is open.
func TestOpenQuote(t *testing.T) {
	for line, want := range map[string]bool{
		`SET a "b`: true, `SET a "b"`: false, `SET a 'it'`: false, `SET a 'x\'y`: true, `SET a "b\"`: true,
		`SET a it's`: false, "SET a \"b\nc\"": false, ``: false,
	} {
		if openQuote(line) != want {
			t.Errorf("%q: open %v", line, !want)
		}
	}
}

// Several commands may be pasted at once; quotes hold lines together.
func TestStatements(t *testing.T) {
	for text, want := range map[string][]string{
		"GET a": {"GET a"}, "SET a \"b\nc\"\nGET a": {"SET a \"b\nc\"", "GET a"}, "GET a\n\nGET b\n": {"GET a", "", "GET b", ""},
		"SET a 'b\nc": {"SET a 'b\nc\n"}, "": {""},
	} {
		if got := statements(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, not %q", text, got, want)
		}
	}
}

// Colours change nothing of the text.
func TestHighlightKeepsTheText(t *testing.T) {
	for _, line := range []string{"SET name Rojalin EX 5", `set  "a b`, "nonsense x", " GET 'a' ", "SET a \"b\nc\"", "\t"} {
		colored := highlight([]rune(line))
		for _, code := range []string{"1;32", "33", "36", "0"} {
			colored = strings.ReplaceAll(colored, "\x1b["+code+"m", "")
		}
		if colored != line {
			t.Errorf("%q became %q", line, colored)
		}
	}
}

// The file of lines is its owner's alone, survives, and holds no secrets.
func TestHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "history")
	h := openHistory(path)
	for _, line := range []string{"SET a \"b\nc\"", "AUTH hunter2", "HELLO 3 AUTH default hunter2", " SET private hunter2",
		"config set requirepass hunter2", "import --from redis://me:hunter2@host", "GET a"} {
		if _, err := h.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	text, _ := os.ReadFile(path)
	if strings.Contains(string(text), "hunter2") {
		t.Errorf("a secret is kept:\n%s", text)
	}
	again := openHistory(path)
	if again.Len() != 2 || again.lines[0] != "SET a \"b\nc\"" || again.lines[1] != "GET a" {
		t.Errorf("read back: %q", again.lines)
	}
	if openHistory("").Len() != 0 || openHistory("/dev/null").path != "" {
		t.Error("no file, and lines in it")
	}
}
