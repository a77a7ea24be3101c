package repair

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// Refusal is why nothing was done.
type Refusal struct{ What, Why, Fix string }

func (r *Refusal) Error() string { return r.What }

// Options say what to repair.
type Options struct {
	// Dir is a state directory, or the directory of the engine's files in it.
	Dir string
	// Into is where the copy goes; "" for a new directory beside the original.
	Into string
}

var dataName = regexp.MustCompile(`^data-[1-9][0-9]{0,8}$`)

// place is what is to be repaired.
type place struct {
	state string   // the state directory; "": there is none
	data  string   // the engine's directory
	lock  *os.File // nil: there is nothing to lock
	owner string   // "": there is no owner file
}

// Run looks at a store, and writes a copy of what is whole if anything is
// damaged. The original is only read. The error is a *Refusal; the report is
// there when looking came to its end.
func Run(o Options) (*Report, error) {
	p, err := find(o.Dir)
	if err != nil {
		return nil, err
	}
	defer p.lock.Close()
	report := &Report{StateDir: p.state, Directory: p.data}
	s, err := openStore(p.data, report)
	if err != nil {
		return nil, p.unreadable(err)
	}
	defer s.close()
	s.look()
	if !report.Damaged {
		return report, nil
	}
	into, err := p.target(o.Into)
	if err != nil {
		return report, err
	}
	if err = s.copyTo(into, p.data); err != nil {
		return report, &Refusal{"cannot write the copy " + into + ": " + reason(err), "what was written of it is removed again",
			"make room, or name a place elsewhere with --into DIR"}
	}
	s.listDoubts()
	report.Copy, report.Commands = into, p.commands(into)
	return report, nil
}

// find says which directory is meant, and keeps daemons out of it.
func find(dir string) (*place, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, &Refusal{What: "cannot repair " + dir + ": " + err.Error()}
	}
	p := &place{state: dir}
	if dataName.MatchString(filepath.Base(dir)) {
		p.state, p.data = filepath.Dir(dir), dir
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, p.unreadable(err)
	}
	if err := p.takeLock(); err != nil {
		return nil, err
	}
	if err := p.choose(dir); err != nil {
		p.lock.Close()
		return nil, err
	}
	return p, nil
}

// unreadable is the refusal of what cannot be read.
func (p *place) unreadable(err error) error {
	dir := p.data
	if dir == "" {
		dir = p.state
	}
	r := &Refusal{What: "cannot repair " + dir + ": " + reason(err)}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.Why, r.Fix = "there is no such directory", "kvctl engine repair STATE-DIR, with the StateDir= of that daemon"
	case errors.Is(err, fs.ErrPermission):
		r.Why, r.Fix = "its owner may read it, and root", "sudo kvctl engine repair "+dir
	case errors.Is(err, errNoStore):
		r.Why, r.Fix = "neither log-N nor base-N is there", "kvctl engine repair STATE-DIR, with the StateDir= of that daemon"
	}
	return r
}

// takeLock takes the lock that daemons take; the file is not changed.
func (p *place) takeLock() error {
	name := filepath.Join(p.state, "lock")
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return p.unreadable(err)
	}
	if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
		p.lock = f
		return nil
	}
	defer f.Close()
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return p.unreadable(err)
	}
	why := "a daemon has it open"
	if pid, _ := os.ReadFile(name); len(strings.TrimSpace(string(pid))) > 0 {
		why += ", process " + strings.TrimSpace(string(pid))
	}
	return &Refusal{"cannot repair " + p.state + ": it is in use", why,
		"sudo systemctl stop kvstored.socket kvstored.service, or stop that process; then again"}
}

// choose finds the engine's directory, by the owner file if there is one.
func (p *place) choose(dir string) error {
	text, err := os.ReadFile(filepath.Join(p.state, "owner"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p.unreadable(err)
	}
	engine, directory := readOwner(string(text))
	if p.data == "" && directory != "" {
		p.data = filepath.Join(p.state, directory)
	}
	p.owner = engine
	if engine != "" && engine != "hash" && (directory == filepath.Base(p.data)) {
		return p.foreign(engine)
	}
	if p.data != "" {
		return nil
	}
	if found, err := p.only(); err != nil || found {
		return err
	}
	p.state, p.data = "", dir // files of the engine without a state directory around them
	return nil
}

// readOwner is what an owner file says; empty where it does not.
func readOwner(text string) (engine, directory string) {
	for line := range strings.Lines(text) {
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), "="); name {
		case "engine":
			engine = value
		case "directory":
			if dataName.MatchString(value) {
				directory = value
			}
		}
	}
	return engine, directory
}

// only takes the one data directory that is there.
func (p *place) only() (found bool, err error) {
	entries, err := os.ReadDir(p.state)
	if err != nil {
		return false, p.unreadable(err)
	}
	var names []string
	for _, e := range entries {
		if dataName.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	if len(names) > 1 {
		return false, &Refusal{"cannot tell which data of " + p.state + " is meant", "there are " + strings.Join(names, ", ") + ", and no file owner that names one",
			"kvctl engine repair " + filepath.Join(p.state, names[0])}
	}
	if len(names) == 1 {
		p.data = filepath.Join(p.state, names[0])
	}
	return len(names) == 1, nil
}

// foreign is the refusal of another engine's data.
func (p *place) foreign(engine string) error {
	r := &Refusal{"cannot repair " + p.data + ": it holds data of the engine " + engine, "only the files of hash can be repaired here",
		"restore " + p.data + " from a backup"}
	if engine == "lmdb" {
		r.Fix = "mdb_copy -c " + p.data + " NEW-DIRECTORY, which copies what LMDB can still read (package lmdb-utils), or restore a backup"
	}
	return r
}

// target is the directory for the copy, which is not there yet.
func (p *place) target(into string) (string, error) {
	if into != "" {
		into, err := filepath.Abs(into)
		if err == nil && p.holds(into) {
			return "", &Refusal{"cannot write the copy " + into + ": it is inside " + p.data, "the original is only read",
				"name a place outside of it with --into DIR"}
		}
		if err == nil {
			_, err = os.Lstat(into)
		}
		if err == nil {
			return "", &Refusal{"cannot write the copy " + into + ": it exists", "a copy goes into a directory of its own", "name another one with --into DIR"}
		}
		return into, nil
	}
	beside := p.state
	if beside == "" {
		beside = filepath.Dir(p.data)
	}
	for n := 1; ; n++ {
		name := filepath.Join(beside, fmt.Sprintf("repaired-%d", n))
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return name, nil
		} else if err != nil {
			return "", p.unreadable(err)
		}
	}
}

// holds tells whether a path lies in the directory that is being repaired,
// links on the way to either followed.
func (p *place) holds(path string) bool {
	data, err := os.Stat(p.data)
	if err != nil {
		return false
	}
	if parent, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(parent, filepath.Base(path))
	}
	for {
		if info, err := os.Stat(path); err == nil && os.SameFile(info, data) {
			return true
		}
		if path == filepath.Dir(path) {
			return false
		}
		path = filepath.Dir(path)
	}
}

// commands puts the copy in the place of the original.
func (p *place) commands(into string) []string {
	aside := filepath.Join(filepath.Dir(p.data), "damaged-"+strings.TrimPrefix(filepath.Base(p.data), "data-"))
	for n := 1; exists(aside); n++ {
		aside = filepath.Join(filepath.Dir(p.data), fmt.Sprintf("damaged-%s.%d", strings.TrimPrefix(filepath.Base(p.data), "data-"), n))
	}
	all := []string{"mv " + quote(p.data) + " " + quote(aside), "mv " + quote(into) + " " + quote(p.data)}
	if p.state != "" && p.owner == "" {
		all = append(all, "sh -c "+quote(fmt.Sprintf(`printf "engine=hash\nformat=%s\ndirectory=%s\nstate=whole\n" > %s`, dataFormat, filepath.Base(p.data), quote(filepath.Join(p.state, "owner")))))
	}
	return all
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,-]+$`)

// quote is a path as a shell takes it.
func quote(path string) string {
	if plain.MatchString(path) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
