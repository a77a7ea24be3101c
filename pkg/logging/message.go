package logging

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"go.uber.org/zap/zapcore"

	"kvstored/pkg/systemd"
)

// message is one entry, taken apart.
type message struct {
	priority int // of syslog(3)
	what     string
	why      string
	fix      string
	id       string
	fields   []systemd.Field // the others, in order, with their own names
}

// newMessage takes an entry apart.
func newMessage(entry zapcore.Entry, fields []zapcore.Field) message {
	m := message{priority: priority(entry.Level), what: entry.Message}
	for _, field := range fields {
		for _, f := range flatten(field) {
			switch f.Name {
			case keyWhy:
				m.why = f.Value
			case keyFix:
				m.fix = f.Value
			case keyMessageID:
				m.id = f.Value
			default:
				m.fields = append(m.fields, f)
			}
		}
	}
	return m
}

// flatten writes the value of a field as text. A field may stand for several
// (an object), or for none.
func flatten(field zapcore.Field) []systemd.Field {
	encoder := zapcore.NewMapObjectEncoder()
	field.AddTo(encoder)
	flat := make([]systemd.Field, 0, len(encoder.Fields))
	for name, value := range encoder.Fields {
		// The long form of an error (its stack) is for debuggers.
		if !strings.HasSuffix(name, "Verbose") {
			flat = append(flat, systemd.Field{Name: name, Value: fmt.Sprint(value)})
		}
	}
	sort.Slice(flat, func(i, j int) bool { return flat[i].Name < flat[j].Name })
	return flat
}

// priority is the level as syslog(3) numbers it.
func priority(level zapcore.Level) int {
	switch {
	case level >= zapcore.DPanicLevel:
		return 2
	case level == zapcore.ErrorLevel:
		return 3
	case level == zapcore.WarnLevel:
		return 4
	case level == zapcore.InfoLevel:
		return 6
	default:
		return 7
	}
}

// text is the message as people read it.
func (m *message) text() string {
	var b strings.Builder
	b.WriteString(m.what)
	for _, f := range m.fields {
		b.WriteString(" " + f.Name + "=" + quote(f.Value))
	}
	if m.why != "" {
		b.WriteString("\n  why: " + indent(m.why))
	}
	if m.fix != "" {
		b.WriteString("\n  fix: " + indent(m.fix))
	}
	return b.String()
}

// indent keeps the lines of a long reason below its beginning.
func indent(text string) string { return strings.ReplaceAll(text, "\n", "\n       ") }

// quote leaves plain words alone.
func quote(value string) string {
	if value == "" || strings.ContainsAny(value, " =\"\n\t\\") {
		return strconv.Quote(value)
	}
	return value
}

// journalFields are the fields of the journal's entry.
func (m *message) journalFields() []systemd.Field {
	fields := []systemd.Field{
		{Name: "MESSAGE", Value: m.text()},
		{Name: "PRIORITY", Value: strconv.Itoa(m.priority)},
		{Name: "SYSLOG_IDENTIFIER", Value: Program},
	}
	for _, f := range []systemd.Field{{Name: "MESSAGE_ID", Value: m.id}, {Name: "WHY", Value: m.why}, {Name: "FIX", Value: m.fix}} {
		if f.Value != "" {
			fields = append(fields, f)
		}
	}
	return append(fields, m.fields...)
}
