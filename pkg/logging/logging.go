// Package logging writes the daemon's messages: to the journal in its own
// protocol when standard error leads there, else as lines for people.
//
//	log := logging.New(os.Stderr, level)
//	log.Error("reload refused", logging.Why("no symbol kvstore_engine"), logging.Fix("..."))
//
// A line is the message, then its fields as key=value, then why and fix on
// lines of their own:
//
//	kvstored: reload refused path=/usr/lib/libkvstore.so
//	  why: no symbol kvstore_engine
//	  fix: kvctl engine check /usr/lib/libkvstore.so
//
// The journal gets the same text as MESSAGE, and each field as one of its
// own, in capitals.
package logging

import (
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"kvstored/pkg/systemd"
)

// Program begins each line and is the journal's SYSLOG_IDENTIFIER.
const Program = "kvstored"

// The fields that are treated in a way of their own.
const (
	keyWhy       = "why"
	keyFix       = "fix"
	keyMessageID = "message_id"
)

// Why is the field with the reason for what the message says.
func Why(text string) zap.Field { return zap.String(keyWhy, text) }

// Fix is the field with what mends it.
func Fix(text string) zap.Field { return zap.String(keyFix, text) }

// MessageID is the field that ties a message to the catalog: a constant of
// pkg/systemd. Only the journal gets it.
func MessageID(id string) zap.Field { return zap.String(keyMessageID, id) }

// New makes the daemon's logger. Messages below level are left out; level may
// be changed at any time.
func New(stderr *os.File, level zap.AtomicLevel) *zap.Logger {
	out := &output{stderr: stderr}
	if systemd.IsJournal(int(stderr.Fd())) {
		out.prefixed = true
		if journal, err := systemd.NewJournal(systemd.JournalSocket); err == nil {
			out.journal = journal
		}
	}
	return zap.New(&core{LevelEnabler: level, out: out})
}

// ParseLevel reads the value of LogLevel=.
func ParseLevel(name string) zapcore.Level {
	switch name {
	case "debug":
		return zapcore.DebugLevel
	case "warning":
		return zapcore.WarnLevel
	case "error":
		return zapcore.ErrorLevel
	default:
		return zapcore.InfoLevel
	}
}

// output is where the lines go.
type output struct {
	journal  *systemd.Journal // nil: not used
	prefixed bool             // lines begin with <N>, as journald reads them
	mu       sync.Mutex       // keeps a message's lines together
	stderr   io.Writer        // guarded by mu
}

// core is a zapcore.Core that knows the journal.
type core struct {
	zapcore.LevelEnabler
	fields []zapcore.Field
	out    *output
}

// With gives a core that adds fields to each message.
func (c *core) With(fields []zapcore.Field) zapcore.Core {
	all := append(append([]zapcore.Field(nil), c.fields...), fields...)
	return &core{LevelEnabler: c.LevelEnabler, fields: all, out: c.out}
}

// Check adds the core to the entry when its level is wanted.
func (c *core) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

// Sync has nothing to do: nothing is held back.
func (c *core) Sync() error { return nil }

// Write sends one message. When the journal does not take it, it goes to
// standard error, which leads to the journal as well.
func (c *core) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	m := newMessage(entry, append(append([]zapcore.Field(nil), c.fields...), fields...))
	if c.out.journal != nil && c.out.journal.Send(m.journalFields()) == nil {
		return nil
	}
	text := Program + ": " + m.text() + "\n"
	if c.out.prefixed {
		prefix := "<" + strconv.Itoa(m.priority) + ">"
		text = prefix + strings.ReplaceAll(m.text(), "\n", "\n"+prefix) + "\n"
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	_, err := io.WriteString(c.out.stderr, text)
	return err
}
