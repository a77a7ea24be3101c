package systemd

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestIsJournal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	for stream, want := range map[string]bool{
		fmt.Sprintf("%d:%d", stat.Dev, stat.Ino):   true,
		fmt.Sprintf("%d:%d", stat.Dev, stat.Ino+1): false,
		fmt.Sprintf("%d:%d", stat.Dev+1, stat.Ino): false,
		"":    false,
		"x:y": false,
		"7":   false,
	} {
		t.Setenv("JOURNAL_STREAM", stream)
		if got := IsJournal(int(f.Fd())); got != want {
			t.Errorf("JOURNAL_STREAM=%q: %v, want %v", stream, got, want)
		}
	}
}

// journald is a socket that takes entries as journald does.
func journald(t *testing.T) (*Journal, *net.UnixConn) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	j, err := NewJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); j.Close() })
	return j, c
}

func TestJournalEntry(t *testing.T) {
	j, c := journald(t)
	err := j.Send([]Field{{"MESSAGE", "two\nlines"}, {"PRIORITY", "6"}, {"_engine name", "hash"}})
	if err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 1000)
	n, err := c.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	want := "MESSAGE\n\x09\x00\x00\x00\x00\x00\x00\x00two\nlines\nPRIORITY=6\nENGINE_NAME=hash\n"
	if string(buffer[:n]) != want {
		t.Errorf("got %q\nwant %q", buffer[:n], want)
	}
}

func TestJournalLargeEntry(t *testing.T) {
	j, c := journald(t)
	long := strings.Repeat("x", 3<<20)
	if err := j.Send([]Field{{"MESSAGE", long}}); err != nil {
		t.Fatal(err)
	}
	oob := make([]byte, 100)
	_, oobn, _, _, err := c.ReadMsgUnix(nil, oob)
	if err != nil {
		t.Fatal(err)
	}
	control, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(control) != 1 {
		t.Fatalf("control messages %v, %v", control, err)
	}
	fds, err := unix.ParseUnixRights(&control[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("descriptors %v, %v", fds, err)
	}
	f := os.NewFile(uintptr(fds[0]), "entry")
	defer f.Close()
	entry, err := io.ReadAll(io.NewSectionReader(f, 0, 8<<20))
	if err != nil || string(entry) != "MESSAGE="+long+"\n" {
		t.Errorf("%d bytes, %v", len(entry), err)
	}
}

func TestJournalWithoutJournald(t *testing.T) {
	j, err := NewJournal(filepath.Join(t.TempDir(), "none"))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Send([]Field{{"MESSAGE", "x"}}); err == nil {
		t.Error("no error")
	}
}

func TestFieldName(t *testing.T) {
	for name, want := range map[string]string{
		"engine": "ENGINE", "lane-held_us": "LANE_HELD_US", "_x": "X", "9": "FIELD", "": "FIELD",
		strings.Repeat("a", 80): strings.Repeat("A", 64),
	} {
		if got := FieldName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// TestCatalogExplainsEveryMessage compares the constants with the catalog.
func TestCatalogExplainsEveryMessage(t *testing.T) {
	catalog, err := os.ReadFile("../../packaging/catalog/kvstored.catalog")
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{
		MessageSwapped, MessageSwapRefused, MessageStillMapped,
		MessageNotStarting, MessageBadConfig, MessageLimit,
	}
	for _, id := range ids {
		if !strings.Contains(string(catalog), "\n-- "+id+"\n") {
			t.Errorf("the catalog does not explain %s", id)
		}
	}
	if n := strings.Count(string(catalog), "\n-- "); n != len(ids) {
		t.Errorf("the catalog explains %d messages, there are %d", n, len(ids))
	}
}
