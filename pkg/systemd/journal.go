package systemd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// JournalSocket is where journald takes entries in its own protocol.
const JournalSocket = "/run/systemd/journal/socket"

// sendPatience bounds how long an entry waits for a journald that is stuck:
// then it is given up, because serving clients matters more.
var sendPatience = unix.Timeval{Usec: 250_000}

// IsJournal says whether what is written to fd goes to the journal, by
// JOURNAL_STREAM, which names the stream's device and inode: the variable
// alone may be inherited by a process whose output was redirected since.
func IsJournal(fd int) bool {
	device, inode, ok := strings.Cut(os.Getenv("JOURNAL_STREAM"), ":")
	if !ok {
		return false
	}
	dev, err1 := strconv.ParseUint(device, 10, 64)
	ino, err2 := strconv.ParseUint(inode, 10, 64)
	var stat unix.Stat_t
	if err1 != nil || err2 != nil || unix.Fstat(fd, &stat) != nil {
		return false
	}
	return uint64(stat.Dev) == dev && stat.Ino == ino
}

// Field is one field of a journal entry.
type Field struct{ Name, Value string }

// Journal sends entries to journald. Its methods may be called from any
// goroutine.
type Journal struct {
	fd   int
	path string
}

// NewJournal prepares to send to the socket at path, normally JournalSocket.
func NewJournal(path string) (*Journal, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("a socket to the journal: %w", err)
	}
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &sendPatience)
	return &Journal{fd: fd, path: path}, nil
}

// Close ends the use of the journal.
func (j *Journal) Close() error { return unix.Close(j.fd) }

// Send writes one entry. Names are made fit for the journal (FieldName).
func (j *Journal) Send(fields []Field) error {
	var entry []byte
	for _, f := range fields {
		entry = appendField(entry, FieldName(f.Name), f.Value)
	}
	err := j.sendmsg(entry, nil)
	if errors.Is(err, unix.EMSGSIZE) || errors.Is(err, unix.ENOBUFS) {
		err = j.sendLarge(entry)
	}
	if err != nil {
		return fmt.Errorf("writing to the journal: %w", err)
	}
	return nil
}

// sendmsg sends one datagram.
func (j *Journal) sendmsg(data, rights []byte) error {
	// An address of its own for each call: the call writes into it.
	address := &unix.SockaddrUnix{Name: j.path}
	for {
		err := unix.Sendmsg(j.fd, data, rights, address, unix.MSG_NOSIGNAL)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// sendLarge passes an entry that no datagram holds, as a sealed memfd.
func (j *Journal) sendLarge(entry []byte) error {
	fd, err := unix.MemfdCreate("journal-entry", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), "journal-entry")
	defer file.Close()
	if _, err := file.Write(entry); err != nil {
		return err
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return err
	}
	return j.sendmsg(nil, syscall.UnixRights(fd))
}

// appendField appends one field as the protocol writes it: NAME=value, or,
// when the value holds a line break, the name, its length and its bytes.
func appendField(entry []byte, name, value string) []byte {
	entry = append(entry, name...)
	if !strings.Contains(value, "\n") {
		entry = append(entry, '=')
	} else {
		entry = append(entry, '\n')
		entry = binary.LittleEndian.AppendUint64(entry, uint64(len(value)))
	}
	entry = append(entry, value...)
	return append(entry, '\n')
}

// FieldName makes a name that journald accepts: capital letters, digits and
// underscores, beginning with a letter, at most 64 bytes.
func FieldName(name string) string {
	fit := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		default:
			return '_'
		}
	}, name)
	fit = strings.TrimLeft(fit, "_0123456789")
	if fit == "" {
		fit = "FIELD"
	}
	return fit[:min(len(fit), 64)]
}
