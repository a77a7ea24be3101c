package repair

import (
	"bufio"
	"crypto/rand"
	"os"
	"path/filepath"
	"syscall"
)

// gather is how long frames of the copy are, large values aside.
const gather = 256 << 10

// copyTo writes what is whole into a new directory, with the owner and mode of
// the original, as one log: what stood in the base, then what happened. On
// failure nothing is left of it.
func (s *store) copyTo(dir, like string) (err error) {
	info, err := os.Stat(like)
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	f, err := os.OpenFile(filepath.Join(dir, "log-1"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	w := newWriter(f)
	if err = s.each(w.frame); err == nil {
		err = w.end()
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return err
	}
	s.report.Kept = w.kept
	s.report.Lost.name(w.gone)
	return settle(dir, f, info)
}

// settle gives a directory and its file to the owner of the original, and has
// them reach the disk.
func settle(dir string, f *os.File, like os.FileInfo) error {
	if stat, ok := like.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		for _, path := range []string{f.Name(), dir} {
			if err := os.Chown(path, int(stat.Uid), int(stat.Gid)); err != nil {
				return err
			}
		}
	}
	if err := os.Chmod(dir, like.Mode().Perm()); err != nil {
		return err
	}
	for _, path := range []string{dir, filepath.Dir(dir)} {
		d, err := os.Open(path)
		if err != nil {
			return err
		}
		err = d.Sync()
		d.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// writer writes a log.
type writer struct {
	out   *bufio.Writer
	id    uint64
	seq   uint64
	body  []byte // records of the frame that is being gathered
	count uint64
	kept  Kept
	long  [stages]longValue
	gone  []Key // whose values cannot be put together
	err   error
}

func newWriter(f *os.File) *writer {
	var random [16]byte
	rand.Read(random[:]) // never fails
	w := &writer{out: bufio.NewWriterSize(f, 1<<20), id: le.Uint64(random[:])}
	_, w.err = w.out.Write(fileHead{kind: kindLog, number: 1, id: w.id, firstSeq: 1, store: le.Uint64(random[8:])}.bytes())
	return w
}

// frame adds the records of a frame, which stay together.
func (w *writer) frame(fr frame) error {
	w.kept.Frames++
	fr = w.join(fr)
	w.kept.Records += fr.count
	if len(w.body) > 0 && len(w.body)+len(fr.body) > gather {
		w.flush()
	}
	w.body = append(w.body, fr.body...)
	w.count += fr.count
	if len(w.body) > gather {
		w.flush()
	}
	return w.err
}

// flush writes what is gathered. Each frame says that those before it are on
// disk: the copy is synced before anyone uses it.
func (w *writer) flush() {
	if w.err != nil || w.count == 0 {
		return
	}
	w.seq++
	var head [frameHeadSize]byte
	frameHead{kind: frameRecords, seq: w.seq, synced: w.seq - 1, count: w.count}.put(head[:], w.id, w.body)
	var zero [8]byte
	for _, part := range [][]byte{head[:], w.body, zero[:-len(w.body)&7]} {
		if _, err := w.out.Write(part); err != nil {
			w.err = err
			return
		}
	}
	w.body, w.count = w.body[:0], 0
}

// end writes all that is left.
func (w *writer) end() error {
	w.flush()
	if w.err == nil {
		w.err = w.out.Flush()
	}
	return w.err
}
