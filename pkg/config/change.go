package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// changed is the source of what CONFIG SET changed.
const changed = "CONFIG SET"

// rewritten is the drop-in that Rewrite makes.
const rewritten = "90-config-set.conf"

// With is c with one setting changed while the daemon runs.
func (c *Config) With(name, value string) (*Config, error) {
	s := lookup(name)
	if s == nil {
		return nil, errors.New("there is no such setting")
	}
	if !s.Live {
		return nil, errors.New("it counts from the start of the daemon; set it in the configuration file")
	}
	next := *c
	next.sources = maps.Clone(c.sources)
	if err := s.set(&next, value); err != nil {
		return nil, fmt.Errorf("%w; it takes %s", err, s.Takes())
	}
	next.sources[s.Name] = Source{Flag: changed}
	return &next, nil
}

// Rewrite makes what With changed last: in a drop-in of the configuration
// that is replaced at once or not at all. Nothing changed: nothing is done.
func (c *Config) Rewrite(w Where) error {
	file := filepath.Join(w.ownDropIns(), rewritten)
	var lines []string
	news := false
	for i := range Settings {
		s := &Settings[i]
		from := c.Source(s.Name)
		if from.Flag == changed || from.File == file {
			lines = append(lines, s.Name+"="+c.Text(s.Name)+"\n")
		}
		news = news || from.Flag == changed
	}
	if !news {
		return nil
	}
	text := "# Made by CONFIG REWRITE; the next one replaces it.\n" + strings.Join(lines, "")
	if err := replaceFile(file, text); err != nil {
		return fmt.Errorf("cannot write %s\n  why: %s\n  fix: %s", file, unwritable(err), byHand(file, lines))
	}
	return nil
}

// unwritable is why the drop-in cannot be written. The packaged unit lets the
// daemon change nothing below /etc.
func unwritable(err error) string {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
		return reason(err) + ": the daemon may not change its own configuration, root may"
	}
	return reason(err)
}

// byHand is the command by which root writes the lines to the file.
func byHand(file string, lines []string) string {
	quote := func(s string) string { return "'" + strings.ReplaceAll(strings.TrimSpace(s), "'", `'\''`) + "'" }
	words := []string{"printf", `'%s\n'`}
	for _, line := range lines {
		words = append(words, quote(line))
	}
	return strings.Join(words, " ") + " | sudo install -D -m 644 /dev/stdin " + quote(file)
}

// ownDropIns is the directory of the strongest drop-ins.
func (w Where) ownDropIns() string {
	if w.File != "" {
		return w.File + ".d"
	}
	return filepath.Join(w.dirs()[0], fileName+".d")
}

// replaceFile writes a file that is there as a whole, after a power cut, too,
// or as it was before. Its directory is made if need be.
func replaceFile(name, text string) (err error) {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(name)+"-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err = f.WriteString(text); err != nil {
		return err
	}
	if err = f.Chmod(0o644); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), name); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return nil // the file is there; only its name may not outlive a power cut
	}
	defer d.Close()
	_ = unix.Fsync(int(d.Fd())) // as above
	return nil
}
