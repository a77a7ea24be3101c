package logging

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"kvstored/pkg/systemd"
)

// lines gives a logger and what it wrote.
func lines(level zapcore.Level, prefixed bool) (*zap.Logger, *bytes.Buffer) {
	var buffer bytes.Buffer
	out := &output{stderr: &buffer, prefixed: prefixed}
	return zap.New(&core{LevelEnabler: zap.NewAtomicLevelAt(level), out: out}), &buffer
}

func TestLinesForPeople(t *testing.T) {
	log, got := lines(zapcore.InfoLevel, false)
	log.Debug("not shown")
	log.Info("serving", zap.String("engine", "hash"), zap.Int("keys", 3), zap.String("path", "/a b"))
	log.With(zap.Uint64("generation", 2)).Error("reload refused: no entry",
		zap.Error(errors.New("dlopen: x")), Fix("kvctl engine check"), Why("one\ntwo"), MessageID("ab"))
	log.Warn("slow", zap.Duration("held", 2*time.Millisecond), zap.String("empty", ""))
	want := `kvstored: serving engine=hash keys=3 path="/a b"
kvstored: reload refused: no entry generation=2 error="dlopen: x"
  why: one
       two
  fix: kvctl engine check
kvstored: slow held=2ms empty=""
`
	if got.String() != want {
		t.Errorf("got\n%s", got)
	}
}

func TestLinesForTheJournal(t *testing.T) {
	log, got := lines(zapcore.DebugLevel, true)
	log.Debug("a")
	log.Error("b", Why("c"))
	if want := "<7>a\n<3>b\n<3>  why: c\n"; got.String() != want {
		t.Errorf("got %q", got)
	}
}

func TestLevelChanges(t *testing.T) {
	level := zap.NewAtomicLevelAt(ParseLevel("error"))
	var got bytes.Buffer
	log := zap.New(&core{LevelEnabler: level, out: &output{stderr: &got}})
	log.Info("no")
	level.SetLevel(ParseLevel("info"))
	log.Info("yes")
	if got.String() != "kvstored: yes\n" {
		t.Errorf("got %q", got.String())
	}
	for name, want := range map[string]zapcore.Level{"debug": -1, "info": 0, "warning": 1, "error": 2} {
		if ParseLevel(name) != want {
			t.Errorf("%s is %v", name, ParseLevel(name))
		}
	}
}

func TestJournalEntry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	journal, err := systemd.NewJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	defer journal.Close()
	var stderr bytes.Buffer
	log := zap.New(&core{LevelEnabler: zapcore.DebugLevel, out: &output{stderr: &stderr, journal: journal, prefixed: true}})
	log.Error("reload refused", zap.String("path", "/x"), MessageID(systemd.MessageSwapRefused))
	buffer := make([]byte, 1000)
	n, err := c.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	want := "MESSAGE=reload refused path=/x\nPRIORITY=3\nSYSLOG_IDENTIFIER=kvstored\n" +
		"MESSAGE_ID=" + systemd.MessageSwapRefused + "\nPATH=/x\n"
	if string(buffer[:n]) != want {
		t.Errorf("got %q", buffer[:n])
	}
	c.Close()
	os.Remove(path)
	log.Error("journald is gone")
	if !strings.Contains(stderr.String(), "<3>journald is gone") {
		t.Errorf("stderr %q", stderr.String())
	}
}

func TestNewOnAFile(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	t.Setenv("JOURNAL_STREAM", "1:2") // of somebody else's output
	New(f, zap.NewAtomicLevel()).Info("hello")
	if text, _ := os.ReadFile(f.Name()); string(text) != "kvstored: hello\n" {
		t.Errorf("got %q", text)
	}
}
