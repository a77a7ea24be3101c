package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

const (
	fileName = "kvstored.conf"
	maxFile  = 1 << 20 // bytes; a configuration is far smaller
)

// standardDirs hold kvstored.conf and kvstored.conf.d/, the strongest first,
// as systemd's own configuration does.
var standardDirs = []string{"/etc/kvstored", "/run/kvstored", "/usr/local/lib/kvstored", "/usr/lib/kvstored"}

// Override is a setting given outside of the files.
type Override struct {
	Name  string // of the setting
	Value string
	Flag  string // how it was given: "--engine"
}

// Where says where the configuration is.
type Where struct {
	// File is the one file to read, with FILE.d/*.conf beside it. "" stands
	// for the standard places.
	File string
	// ConfigDir takes the place of /etc/kvstored, when systemd named one
	// ($CONFIGURATION_DIRECTORY: a user's own instance).
	ConfigDir string
	// StateDir is used when nothing sets StateDir= ($STATE_DIRECTORY).
	StateDir string
	// Root is put before the standard places (tests).
	Root string
	// Overrides are the flags.
	Overrides []Override
}

// FromEnvironment fills in what systemd says about the places.
func FromEnvironment() Where {
	// More than one directory is separated by colons; ours is the first.
	state, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":")
	conf, _, _ := strings.Cut(os.Getenv("CONFIGURATION_DIRECTORY"), ":")
	return Where{StateDir: state, ConfigDir: conf}
}

// Load reads the configuration. The error is Problems.
func Load(w Where) (*Config, error) {
	l := loader{conf: &Config{sources: map[string]Source{}}}
	for i := range Settings {
		if err := Settings[i].set(l.conf, ""); err != nil {
			panic("the default of " + Settings[i].Name + " is wrong: " + err.Error())
		}
	}
	if w.StateDir != "" {
		l.override(Override{Name: "StateDir", Value: w.StateDir, Flag: "STATE_DIRECTORY"})
	}
	for _, file := range w.files(&l) {
		l.readFile(file)
	}
	for _, o := range w.Overrides {
		l.override(o)
	}
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	return l.conf, nil
}

// loader gathers what the files say.
type loader struct {
	conf     *Config
	problems Problems
}

func (l *loader) problem(p Problem) { l.problems = append(l.problems, p) }

// files lists the files to read, in the order of growing strength.
func (w Where) files(l *loader) []string {
	if w.File != "" {
		if _, err := os.Stat(w.File); err != nil {
			l.problem(Problem{File: w.File, What: reason(err), Fix: "give --config a file that can be read"})
			return nil
		}
		return append([]string{w.File}, dropIns(l, []string{w.File + ".d"})...)
	}
	var files, dropInDirs []string
	for _, dir := range w.dirs() {
		main := filepath.Join(dir, fileName)
		if _, err := os.Stat(main); len(files) == 0 && !errors.Is(err, fs.ErrNotExist) {
			files = append(files, main)
		}
		dropInDirs = append(dropInDirs, main+".d")
	}
	return append(files, dropIns(l, dropInDirs)...)
}

// dirs are the standard places, the strongest first.
func (w Where) dirs() []string {
	dirs := make([]string, 0, len(standardDirs))
	for _, dir := range standardDirs {
		dirs = append(dirs, filepath.Join(w.Root, dir))
	}
	if w.ConfigDir != "" {
		dirs[0] = w.ConfigDir
	}
	return dirs
}

// dropIns lists the *.conf files of the directories, sorted by their names; a
// file hides those of the same name in later directories.
func dropIns(l *loader, dirs []string) []string {
	byName := map[string]string{}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.problem(Problem{File: dir, What: reason(err), Fix: "make it a directory that the daemon can read"})
		}
		for _, entry := range entries {
			name := entry.Name()
			if strings.HasPrefix(name, ".") || !strings.HasSuffix(name, ".conf") || byName[name] != "" {
				continue
			}
			byName[name] = filepath.Join(dir, name)
		}
	}
	files := make([]string, 0, len(byName))
	for _, file := range byName {
		files = append(files, file)
	}
	sort.Slice(files, func(i, j int) bool { return filepath.Base(files[i]) < filepath.Base(files[j]) })
	return files
}

// readFile reads one file; what is wrong with it becomes problems.
func (l *loader) readFile(name string) {
	text, err := readLimited(name)
	if err != nil {
		l.problem(Problem{File: name, What: reason(err), Fix: "make it a file that the daemon can read, or remove it"})
		return
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	for i, line := range strings.Split(string(text), "\n") {
		l.readLine(strings.TrimSpace(line), Source{File: name, Line: i + 1})
	}
}

// readLimited reads a file of a sensible size. A link to /dev/null is an
// empty file: it hides the one of that name in a weaker place.
func readLimited(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = errors.New("larger than 1M")
	}
	return text, err
}

// readLine reads one trimmed line.
func (l *loader) readLine(line string, at Source) {
	if line == "" || line[0] == '#' || line[0] == ';' {
		return
	}
	p := Problem{File: at.File, Line: at.Line}
	key, value, ok := strings.Cut(line, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	switch {
	case line[0] == '[':
		p.What = "sections are not used here: " + clip(line)
		p.Fix = "remove the line"
	case !ok:
		p.What = "not of the form Key=Value: " + clip(line)
		p.Fix = "write Key=Value, or begin the line with # to make it a comment"
	default:
		l.assign(key, value, at)
		return
	}
	l.problem(p)
}

// assign gives a setting its value.
func (l *loader) assign(key, value string, at Source) {
	p := Problem{File: at.File, Line: at.Line, Flag: at.Flag}
	s := lookup(key)
	if s == nil {
		p.What = "unknown key " + clip(key)
		p.Fix = suggestKey(key)
		l.problem(p)
		return
	}
	if err := s.set(l.conf, value); err != nil {
		p.What = fmt.Sprintf("%s=%s: %s", s.Name, clip(value), err)
		p.Fix = fmt.Sprintf("%s= takes %s%s", s.Name, s.Takes(), hint(value))
		l.problem(p)
		return
	}
	l.conf.sources[s.Name] = at
	if value == "" {
		delete(l.conf.sources, s.Name)
	}
}

// override applies a flag.
func (l *loader) override(o Override) { l.assign(o.Name, o.Value, Source{Flag: o.Flag}) }
