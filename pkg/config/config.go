// Package config reads the daemon's configuration: Key=Value lines in
// kvstored.conf and its drop-ins, overridden by flags.
//
//	conf, err := config.Load(config.Where{})
//	conf.EnginePath()            // the library to serve
//	conf.Rule("Engine")          // "Engine=hash (/etc/kvstored/kvstored.conf:3)"
//
// One table, Settings, says what exists; the manual page, the sample file and
// the answers of CONFIG GET are made of it. Whatever is wrong in any file is
// reported at once, each mistake with its file, line and a way out; nothing
// is guessed and nothing is skipped.
package config

import (
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// DefaultEngine is the library that is served when no rule names another.
const DefaultEngine = "/usr/lib/libkvstore.so"

// Config is what the daemon runs by. It is not changed after Load.
type Config struct {
	Engine     string // a name, or an absolute path
	EngineDir  string
	StateDir   string // "": nothing is kept on disk
	Sync       string // always, interval or none
	Reactors   int
	MaxClients int
	MaxInput   int64
	MaxOutput  int64
	// NotifyKeyspaceEvents is which events are published.
	NotifyKeyspaceEvents string
	// MaxSubscriberOutput limits messages.
	MaxSubscriberOutput int64
	// BusyAfter is how long a script may run before the others hear BUSY, in milliseconds.
	BusyAfter       int
	CheckTimeout    time.Duration
	LogLevel        string
	MaxMemory       Memory // of the data
	MaxMemoryPolicy string

	SlowlogSlowerThan int // microseconds
	SlowlogMaxLen     int
	LatencyMonitor    int // milliseconds

	sources map[string]Source // by setting name; absent: the default
}

// Source says where a setting came from.
type Source struct {
	File string // with Line
	Line int
	Flag string // "--engine", or the name of an environment variable
}

// String is file:line, the flag or variable, or "default".
func (s Source) String() string {
	switch {
	case s.File != "":
		return s.File + ":" + strconv.Itoa(s.Line)
	case s.Flag != "":
		return s.Flag
	default:
		return "default"
	}
}

// Source says where the setting of that name came from.
func (c *Config) Source(name string) Source { return c.sources[name] }

// Rule is the rule that decided a setting, and where it stands.
func (c *Config) Rule(name string) string {
	return name + "=" + c.Text(name) + " (" + c.Source(name).String() + ")"
}

// Text is the value of a setting as CONFIG GET gives it: sizes in bytes,
// times with their unit. An unknown name gives "".
func (c *Config) Text(name string) string {
	s := lookup(name)
	if s == nil {
		return ""
	}
	switch field := s.field(c).(type) {
	case *string:
		return *field
	case *int:
		return strconv.Itoa(*field)
	case *int64:
		return strconv.FormatInt(*field, 10)
	case *time.Duration:
		return FormatTime(*field)
	case *Memory:
		return field.String()
	}
	return ""
}

// Pair is one answer of CONFIG GET.
type Pair struct{ Name, Value string }

// Get gives the settings whose names match the pattern (as in a shell, in
// capitals or not), in the order of the table.
func (c *Config) Get(pattern string) []Pair {
	var pairs []Pair
	pattern = strings.ToLower(pattern)
	for i := range Settings {
		name := Settings[i].Name
		if ok, err := path.Match(pattern, strings.ToLower(name)); err == nil && ok {
			pairs = append(pairs, Pair{name, c.Text(name)})
		}
	}
	return pairs
}

// EnginePath is the library that Engine= names.
func (c *Config) EnginePath() string { return c.PathOf(c.Engine) }

// PathOf is the library that an engine's name, or a path, stands for.
func (c *Config) PathOf(engine string) string {
	if filepath.IsAbs(engine) {
		return engine
	}
	return filepath.Join(c.EngineDir, engine+".so")
}

// Pending names the settings that differ in next but only count from the
// next start of the daemon on.
func (c *Config) Pending(next *Config) []string {
	var names []string
	for i := range Settings {
		s := &Settings[i]
		if !s.Reload && c.Text(s.Name) != next.Text(s.Name) {
			names = append(names, s.Name)
		}
	}
	return names
}
