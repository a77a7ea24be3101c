package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

const (
	historyKept = 10_000 // lines that a start of the shell keeps
	historyLong = 64 << 10
)

// history is the shell's memory of lines, in memory and in a file that only
// its owner reads: one JSON string a line.  It is used by one goroutine.
type history struct {
	path  string // empty: not written
	lines []string
}

// historyPath is where the lines are kept; empty where they are not.
func historyPath() string {
	if path, set := os.LookupEnv("KVCTL_HISTORY"); set {
		return path
	}
	dir := os.Getenv("XDG_STATE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil || home == "" {
			return ""
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "kvctl", "history")
}

// openHistory reads the file, which need not exist; one that grew long is cut.
func openHistory(path string) *history {
	h := &history{path: path}
	if path == "" {
		return h
	}
	f, err := os.Open(path)
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) || os.MkdirAll(filepath.Dir(path), 0o700) != nil {
			h.path = ""
		}
		return h
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		h.path = "" // /dev/null, say
		return h
	}
	in := bufio.NewScanner(f)
	in.Buffer(nil, 8*historyLong)
	for in.Scan() {
		var line string
		if json.Unmarshal(in.Bytes(), &line) == nil && line != "" {
			h.lines = append(h.lines, line)
		}
	}
	if n := len(h.lines); n > 2*historyKept {
		h.lines = h.lines[n-historyKept:]
		h.rewrite()
	}
	_ = os.Chmod(path, 0o600)
	return h
}

// rewrite replaces the file by what is in memory.
func (h *history) rewrite() {
	var text strings.Builder
	for _, line := range h.lines {
		text.Write(encodeLine(line))
	}
	temporary := h.path + ".new"
	if os.WriteFile(temporary, []byte(text.String()), 0o600) == nil {
		_ = os.Rename(temporary, h.path)
	}
}

// encodeLine is a line as the file has it.
func encodeLine(line string) []byte {
	data, _ := json.Marshal(line) // a string always can be
	return append(data, '\n')
}

// Write adds a line, unless it has a secret or begins with a blank.
func (h *history) Write(line string) (int, error) {
	line = strings.TrimRight(line, "\n")
	if line == "" || line[0] == ' ' || hasSecret(line) || len(line) > historyLong {
		return len(h.lines), nil
	}
	h.lines = append(h.lines, line)
	if h.path == "" {
		return len(h.lines), nil
	}
	f, err := os.OpenFile(h.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		h.path = "" // said once
		return len(h.lines), err
	}
	_, err = f.Write(encodeLine(line))
	return len(h.lines), errors.Join(err, f.Close())
}

// GetLine is one line.
func (h *history) GetLine(i int) (string, error) {
	if i < 0 || i >= len(h.lines) {
		return "", errors.New("there is no such line")
	}
	return h.lines[i], nil
}

// Len is how many lines there are.
func (h *history) Len() int { return len(h.lines) }

// Dump is all lines.
func (h *history) Dump() interface{} { return h.lines }

// hasSecret reports whether a line may hold a password.
func hasSecret(line string) bool {
	words, err := split(line)
	if err != nil {
		words = strings.Fields(line)
	}
	if len(words) < 2 {
		return false
	}
	first, second := strings.ToUpper(words[0]), strings.ToUpper(words[1])
	switch first {
	case "AUTH":
		return true
	case "HELLO", "MIGRATE":
		for _, w := range words[1:] {
			if u := strings.ToUpper(w); u == "AUTH" || u == "AUTH2" {
				return true
			}
		}
	case "ACL":
		return second == "SETUSER"
	case "CONFIG":
		return second == "SET" && strings.Contains(strings.ToLower(line), "pass") || second == "SET" && strings.Contains(strings.ToLower(line), "auth")
	case "IMPORT":
		return strings.Contains(line, "@") && strings.Contains(line, "://")
	}
	return false
}
