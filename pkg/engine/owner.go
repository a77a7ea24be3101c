package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The state directory belongs to one daemon (a lock on the file "lock") and
// its data to one engine: the file "owner" names it and the directory below
// where its data lies. That file changes by one atomic rename, so a crash at
// any moment leaves exactly one owner. A new engine gets a new directory; what
// a directory holds that no owner file names was never served.
//
//	lock
//	owner      engine=hash, format=hash-1, directory=data-1, state=whole
//	data-1/    the engine's own
//	served     which library served before a clean stop (served.go)
type stateDir struct {
	path string
	lock *os.File // held while the directory is ours
	own  owner    // what the owner file says; the zero owner: there is none
}

// owner is what the owner file says.
type owner struct {
	Engine    string
	Format    string
	Directory string // "": the data lies in memory only
	Making    bool   // Directory is being filled and was never served
}

const (
	ownerFile = "owner"
	lockFile  = "lock"
)

var dataName = regexp.MustCompile(`^data-[1-9][0-9]{0,8}$`)

// openState locks the directory and reads who owns its data. The error is a
// *Refusal.
func openState(path string) (*stateDir, error) {
	s := &stateDir{path: path}
	if err := s.takeLock(); err != nil {
		return nil, err
	}
	for _, step := range []func() error{s.readOwner, s.settle, s.sweep} {
		if err := step(); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

// settle has what was read reach the disk: a crash may have come between the
// rename that made this owner and its sync. Nothing may build on it before, or
// a power cut would bring back the one whose data sweep has removed.
func (s *stateDir) settle() error {
	if err := syncDir(s.path); err != nil {
		return refuse(err.Error(), "look at the disk of "+s.path+" (journalctl -k), then start again",
			"cannot make sure who owns the data in %s", s.path)
	}
	return nil
}

// close lets another daemon have it.
func (s *stateDir) close() {
	if s != nil {
		s.lock.Close()
	}
}

// takeLock keeps a second daemon out.
func (s *stateDir) takeLock() error {
	name := filepath.Join(s.path, lockFile)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return refuse(err.Error(), "make it writable for this user, or choose another StateDir=",
			"cannot lock the state directory %s", s.path)
	}
	if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(name)
		f.Close()
		why := "another kvstored uses it"
		if pid := strings.TrimSpace(string(holder)); pid != "" {
			why += ", process " + pid
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			why = err.Error()
		}
		return refuse(why, "stop that one, or give this one a StateDir= of its own", "the state directory %s is in use", s.path)
	}
	f.Truncate(0) // the number is a hint for people only
	f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	s.lock = f
	return nil
}

// readOwner reads the owner file, if there is one.
func (s *stateDir) readOwner() error {
	name := filepath.Join(s.path, ownerFile)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return s.orphans()
	}
	if err == nil {
		s.own, err = parseOwner(text)
	}
	if err != nil {
		return refuse(err.Error(), "restore that file, or move "+s.path+" away to begin empty", "cannot tell who owns the data: %s", name)
	}
	return nil
}

// orphans refuses data without an owner file: it is never dropped in silence.
func (s *stateDir) orphans() error {
	names, err := s.dataDirs()
	if err != nil {
		return refuse(err.Error(), "make it readable for this user", "cannot read the state directory %s", s.path)
	}
	if len(names) > 0 {
		return refuse("it holds "+strings.Join(names, ", ")+", but no file "+ownerFile+" that says which engine's data that is",
			"restore that file, or move these directories away to begin empty", "cannot tell who owns the data in %s", s.path)
	}
	return nil
}

// sweep removes what no owner has: what a crash left in the middle of a
// first start or of an exchange.
func (s *stateDir) sweep() error {
	names, err := s.dataDirs()
	if err != nil {
		return refuse(err.Error(), "make it readable for this user", "cannot read the state directory %s", s.path)
	}
	for _, name := range names {
		if name == s.own.Directory && !s.own.Making {
			continue
		}
		if err := os.RemoveAll(filepath.Join(s.path, name)); err != nil {
			return refuse(err.Error(), "sudo rm -r "+filepath.Join(s.path, name), "cannot remove what an interrupted exchange left")
		}
	}
	s.forget()
	if s.own.Making {
		s.own = owner{}
	}
	return nil
}

// dataDirs are the directories of engines.
func (s *stateDir) dataDirs() ([]string, error) {
	entries, err := os.ReadDir(s.path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if dataName.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// newDir makes an empty directory for a store and returns its name.
func (s *stateDir) newDir() (string, error) {
	names, err := s.dataDirs()
	if err != nil {
		return "", err
	}
	highest := 0
	for _, name := range append(names, s.own.Directory) {
		n, _ := strconv.Atoi(strings.TrimPrefix(name, "data-"))
		highest = max(highest, n)
	}
	name := fmt.Sprintf("data-%d", highest+1)
	return name, s.makeDir(name)
}

// makeDir makes the empty directory of a store. It is on disk before an owner
// file names it.
func (s *stateDir) makeDir(name string) error {
	path := filepath.Join(s.path, name)
	err := os.Mkdir(path, 0o700)
	if err == nil {
		if err = syncDir(s.path); err != nil {
			_ = os.Remove(path)
		}
	}
	return err
}

// drop removes the directory of a store that is closed and owns nothing.
func (s *stateDir) drop(name string) error {
	if !dataName.MatchString(name) {
		return nil
	}
	return os.RemoveAll(filepath.Join(s.path, name))
}

// give makes o the owner, by one rename that is on disk when this returns. On
// failure the owner is who it was, unless it is errOwnerUnknown.
func (s *stateDir) give(o owner) error {
	renamed, err := s.write(o)
	if err == nil {
		s.own = o
		return nil
	}
	if renamed {
		if again := s.restore(); again != nil {
			return fmt.Errorf("%w: %w, and then %w", errOwnerUnknown, err, again)
		}
	}
	return err
}

// restore makes the owner file say again what it said before.
func (s *stateDir) restore() error {
	if s.own != (owner{}) {
		_, err := s.write(s.own)
		return err
	}
	if err := os.Remove(filepath.Join(s.path, ownerFile)); err != nil {
		return err
	}
	return syncDir(s.path)
}

// errOwnerUnknown: the owner file may name either on disk. Both have whole data
// as of now, so nothing is lost if nothing is done any more.
var errOwnerUnknown = errors.New("whether the new owner or the one before is on disk is unknown")

// write writes the owner file; renamed: readers find it, though it may not be on disk.
func (s *stateDir) write(o owner) (renamed bool, err error) {
	if err = s.prepare(o); err == nil {
		err = s.rename()
	}
	if err != nil {
		s.forget()
		return false, err
	}
	err = syncDir(s.path)
	s.forget()
	return true, err
}

// prepare has an owner file for o ready, on disk, beside the one that holds.
func (s *stateDir) prepare(o owner) error {
	f, err := os.OpenFile(s.prepared(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(o.text())
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}

// prepared is where prepare has the file.
func (s *stateDir) prepared() string { return filepath.Join(s.path, ownerFile+".new") }

// forget removes what prepare made and rename did not use, or left.
func (s *stateDir) forget() {
	if s != nil {
		os.Remove(s.prepared()) // may not be there
	}
}

// rename has the prepared owner file hold. It waits for no disk: a crash of
// the machine may find either until syncDir. The one of before takes its place, for
// forget: to free a file takes a file system longer than the rest.
func (s *stateDir) rename() error {
	holds := filepath.Join(s.path, ownerFile)
	err := unix.Renameat2(unix.AT_FDCWD, s.prepared(), unix.AT_FDCWD, holds, unix.RENAME_EXCHANGE)
	if err != nil { // there was none, or the file system cannot
		err = os.Rename(s.prepared(), holds)
	}
	return err
}

// syncDir has the names in a directory reach the disk.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (o owner) text() string {
	state := "whole"
	if o.Making {
		state = "being made"
	}
	return "# written by kvstored: who owns the data in this directory\n" +
		"engine=" + o.Engine + "\nformat=" + o.Format + "\ndirectory=" + o.Directory + "\nstate=" + state + "\n"
}

// parseOwner reads an owner file. One that is not whole is an error.
func parseOwner(text []byte) (owner, error) {
	fields := map[string]string{}
	for _, line := range bytes.Split(text, []byte("\n")) {
		if name, value, ok := strings.Cut(string(line), "="); ok && !strings.HasPrefix(name, "#") {
			fields[name] = value
		}
	}
	o := owner{Engine: fields["engine"], Format: fields["format"], Directory: fields["directory"], Making: fields["state"] == "being made"}
	_, hasDirectory := fields["directory"]
	switch {
	case !isName(o.Engine), !isWord(o.Format), !hasDirectory, !o.Making && fields["state"] != "whole",
		o.Directory != "" && !dataName.MatchString(o.Directory):
		return owner{}, errors.New("it is damaged")
	}
	return o, nil
}
