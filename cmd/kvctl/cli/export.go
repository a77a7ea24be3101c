package cli

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"kvstored/pkg/client"
)

// exporter is one run of kvctl export.
type exporter struct {
	app    *app
	format string
	match  string
	resume bool

	keys  atomic.Int64
	bytes atomic.Int64
	spool spool
	file  hash.Hash // of the bytes of a file of CSV; else nil
}

// exportResult is what came of an export.
type exportResult struct {
	Keys     int64   `json:"keys"`
	Checksum string  `json:"checksum"`
	Kept     string  `json:"kept"` // where an import finds both
	Bytes    int64   `json:"bytes"`
	Seconds  float64 `json:"seconds"`

	sum sum
}

// exportCommand writes keys out.
func (a *app) exportCommand() *cobra.Command {
	e := &exporter{app: a}
	cmd := &cobra.Command{
		Use:   "export [OPTION...] [FILE]",
		Short: "write keys, values and times of expiry to a file",
		Long: `Writes the keys of a database to FILE, which only its owner may read, or to
standard output: JSON lines, or as --format or FILE's ending (.jsonl, .csv,
.resp) says.

The number of keys and a checksum of them are what kvctl import compares. In
JSON lines they are the last line; in the form of the protocol they stand in an
ECHO at the end, which any server answers, so that redis-cli --pipe loads such a
file, too. CSV has no place for them: they are beside it, in FILE.sha256, which
sha256sum -c also reads; on standard output CSV comes without.

The keys are walked over while the daemon goes on: what is changed meanwhile
may be in the file in its old or its new form, and once more. How far it came
stands in FILE.kvctl-resume, from where --resume goes on, after kill -9, too.

Long values go through in pieces. Whether one is text shows at its end only:
text of more than 1 MiB is kept in a file in $TMPDIR or /var/tmp meanwhile.`,
		Example: `  kvctl export dump.jsonl
  kvctl export --match 'session:*' --format csv > sessions.csv
  kvctl export --resume dump.jsonl
  kvctl export | gzip > dump.jsonl.gz`,
		Args: atMost(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(_ *cobra.Command, args []string) error { return e.run(args) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&e.format, "format", "", "write FORMAT: jsonl, csv or resp")
	f.StringVar(&e.match, "match", "", "only keys that match PATTERN")
	f.BoolVar(&e.resume, "resume", false, "go on where an export broke off")
	placeholder(f, "format", "FORMAT")
	placeholder(f, "match", "PATTERN")
	a.dbFlag(cmd)
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("match", cobra.NoFileCompletions)
	return cmd
}

// run writes to what was named.
func (e *exporter) run(args []string) error {
	defer e.spool.close()
	path := ""
	if len(args) > 0 && args[0] != "-" {
		path = args[0]
	}
	if e.format == "" {
		e.format = formatOf(path)
	}
	if e.format == "" {
		e.format = formatJSON
	}
	if formatOf("."+e.format) != e.format {
		return usage("export: --format=" + e.format + ": it is jsonl, csv or resp")
	}
	if path == "" {
		if e.resume {
			return usage("export: --resume needs a file")
		}
		result, err := e.write(e.app.out, resumption{Cursor: "0"}, nil)
		if err == nil && e.app.errTTY {
			fmt.Fprintln(e.app.err, "kvctl: "+e.summary(result))
		}
		return err
	}
	return e.toFile(path)
}

// summary says what was written, and where its checksum is.
func (e *exporter) summary(r exportResult) string {
	where := ", in " + r.Kept
	if r.Kept == "" {
		where = ", which CSV on standard output does not keep"
	}
	return fmt.Sprintf("%s, %s in %s, checksum %s%s", counted(r.Keys, "key"), size(r.Bytes), seconds(r.Seconds), r.Checksum, where)
}

// kept is where the count and the checksum are; empty: nowhere.
func (e *exporter) kept(path string) string {
	switch {
	case e.format == formatJSON:
		return "its last line"
	case e.format == formatRESP:
		return inLastCommand
	case path != "":
		return path + besideSuffix
	}
	return ""
}

// job names an export in its state file.
func (e *exporter) job() string {
	job := "export " + e.format + " " + e.match
	if e.app.db != 0 {
		job += " of " + strconv.Itoa(e.app.db)
	}
	return job
}

// open opens the file, new or where r left it.
func (e *exporter) open(path string, r resumption) (*os.File, error) {
	flags := os.O_RDWR | os.O_CREATE | os.O_TRUNC
	if e.resume {
		flags = os.O_RDWR
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, failure{what: "cannot write " + errText(err), code: ExitUsage}
	}
	if e.format == formatCSV {
		e.file = sha256.New()
		_ = os.Remove(path + besideSuffix) // it may not be there; what it says is not so any more
	}
	if e.resume {
		if err := e.goOn(f, r.Offset); err != nil {
			_ = f.Close()
			return nil, failure{what: "cannot resume: " + errText(err), fix: "run it without --resume", code: ExitUsage}
		}
	}
	return f, nil
}

// goOn drops what lies behind offset and goes there.
func (e *exporter) goOn(f *os.File, offset int64) error {
	if e.file != nil {
		if _, err := io.CopyN(e.file, f, offset); err != nil && err != io.EOF {
			return err
		}
	}
	return cutAt(f, offset)
}

// toFile writes to a file.
func (e *exporter) toFile(path string) error {
	notes := path + ".kvctl-resume"
	r := resumption{Job: e.job(), Cursor: "0"}
	if e.resume {
		var err error
		if r, err = readResumption(notes, e.job()); err != nil {
			return err
		}
	}
	c, err := e.app.dial() // before anything is written
	if err != nil {
		return err
	}
	_ = c.Close()
	f, err := e.open(path, r)
	if err != nil {
		return err
	}
	defer f.Close()
	out := bufio.NewWriterSize(f, 256<<10)
	save := func(r resumption) error {
		if err := errors.Join(out.Flush(), f.Sync()); err != nil { // or the power may go between the two files
			return err
		}
		r.Job = e.job()
		return r.write(notes)
	}
	if err := written(save(r)); err != nil { // at once, or what an earlier export has left would be taken for its state
		return err
	}
	result, err := e.write(out, r, save)
	if err != nil {
		return resumable(err, path)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return failure{what: "cannot write " + errText(err), code: ExitUsage}
	}
	if e.file != nil {
		if err := writeBeside(path, e.file, result.sum); err != nil {
			return err
		}
	}
	_ = os.Remove(notes)
	result.Kept = e.kept(path)
	if e.app.json {
		return e.app.object(result)
	}
	fmt.Fprintln(e.app.out, e.summary(result))
	return nil
}

// resumable adds how an export that broke off is gone on with.
func resumable(err error, path string) error {
	f, silent := describe(err)
	if silent {
		return err
	}
	if f.fix == "" || f.code == ExitConnect {
		f.fix = "kvctl export --resume " + client.ShellWord(path)
	}
	return f
}

// cutAt drops what lies behind offset and goes there.
func cutAt(f *os.File, offset int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < offset {
		return fmt.Errorf("the file is shorter than it was")
	}
	if err := f.Truncate(offset); err != nil {
		return err
	}
	_, err = f.Seek(offset, io.SeekStart)
	return err
}

// write walks over the keys from where r says. save, if there is one, is told
// now and then how far it came.
func (e *exporter) write(out *bufio.Writer, r resumption, save func(resumption) error) (exportResult, error) {
	begun := time.Now()
	c, err := e.app.dial()
	if err != nil {
		return exportResult{}, err
	}
	defer c.Close()
	var total int64
	if n, err := c.Do("DBSIZE"); err == nil && e.match == "" {
		total = n.Int
	}
	e.keys.Store(r.Keys)
	e.bytes.Store(r.Offset)
	bar := e.app.progress(total, func() state {
		return state{done: e.keys.Load(), keys: e.keys.Load(), bytes: e.bytes.Load()}
	})
	defer bar.end()
	done, err := e.walk(c, out, r, save)
	result := exportResult{sum: done, Keys: done.keys, Checksum: done.String(), Kept: e.kept(""), Bytes: e.bytes.Load(), Seconds: time.Since(begun).Seconds()}
	return result, err
}

// walk writes one step of SCAN after the other.
func (e *exporter) walk(c *client.Conn, out *bufio.Writer, r resumption, save func(resumption) error) (sum, error) {
	w := &recordWriter{exporter: e, out: out, enc: encoder{e.format, &e.spool}, sum: sum{r.Keys, r.Total}, offset: r.Offset}
	stop, done := e.app.signals()
	defer done()
	if r.Offset == 0 {
		if _, err := w.Write(w.enc.head()); err != nil {
			return w.sum, err
		}
	}
	saved := time.Now()
	for whole := r; ; whole = r { // what is whole is the file up to the last step
		var err error
		if r.Cursor, err = e.step(c, r.Cursor, func(record record) error {
			if large, err := w.put(record); err != nil || !large {
				return err
			}
			return interrupted(stop) // a step of large values takes long
		}); err != nil {
			return w.sum, e.broken(err, whole, save)
		}
		r.Offset, r.Keys, r.Total = w.offset, w.sum.keys, w.sum.total
		if r.Cursor == "0" {
			_, err := w.Write(w.enc.tail(w.sum))
			return w.sum, errors.Join(err, written(out.Flush()))
		}
		if err := interrupted(stop); err != nil { // a step may have no keys
			return w.sum, e.broken(err, r, save)
		}
		if save != nil && time.Since(saved) > saveEvery {
			saved = time.Now()
			if err := written(save(r)); err != nil {
				return w.sum, err
			}
		}
	}
}

// recordWriter writes records one after the other.
type recordWriter struct {
	*exporter
	out    *bufio.Writer
	enc    encoder
	sum    sum
	offset int64
	buf    []byte
}

// Write puts out the bytes of the file, and counts them.
func (w *recordWriter) Write(b []byte) (int, error) {
	w.offset += int64(len(b))
	w.bytes.Store(w.offset)
	if w.file != nil {
		w.file.Write(b)
	}
	n, err := w.out.Write(b)
	return n, written(err)
}

// put writes one record; large says that it took a while.
func (w *recordWriter) put(r record) (large bool, err error) {
	if r.long == nil {
		w.sum.add(r)
		w.buf = w.enc.append(w.buf[:0], r)
		_, err = w.Write(w.buf)
	} else {
		h := recordHash(r.key)
		r.long = io.TeeReader(r.long, h)
		if err = w.enc.stream(w, r); err == nil {
			w.sum.took(h, r.expires)
		}
	}
	w.keys.Store(w.sum.keys)
	return r.long != nil, err
}

// written is the failure of writing to the file, if err is one.
func written(err error) error {
	var told failure
	if err == nil || errors.As(err, &told) {
		return err
	}
	return failure{what: "cannot write " + errText(err), code: ExitUsage}
}

// broken notes how far the export came.
func (e *exporter) broken(err error, r resumption, save func(resumption) error) error {
	if save != nil {
		if saveErr := save(r); saveErr != nil {
			return written(saveErr)
		}
	}
	if errors.Is(err, errInterrupted) {
		return failure{what: "interrupted after " + counted(r.Keys, "key"), code: ExitServer}
	}
	return err
}

// step reads the keys of one step of SCAN, hands them on one by one, and
// returns the cursor of the next.
func (e *exporter) step(c *client.Conn, cursor string, each func(record) error) (string, error) {
	args := []string{"SCAN", cursor, "COUNT", scanCount}
	if e.match != "" {
		args = append(args, "MATCH", e.match)
	}
	r, err := c.Do(args...)
	if err != nil {
		return cursor, err
	}
	if len(r.Items) != 2 {
		return cursor, failure{what: "the server's answer to SCAN makes no sense", code: ExitServer}
	}
	if err := read(c, r.Items[1].Items, each); err != nil {
		return cursor, err
	}
	return r.Items[0].Text(), nil
}

// read gets values and the moments of expiry. All are asked for at once: the
// daemon holds back what is not read yet, and here one value is held, or of a
// long one a piece.
func read(c *client.Conn, keys []client.Reply, each func(record) error) error {
	for _, key := range keys {
		name := string(key.Bytes)
		if err := errors.Join(c.Send("PEXPIRETIME", name), c.Send("GET", name)); err != nil {
			return err
		}
	}
	if err := c.Flush(); err != nil {
		return err
	}
	for _, key := range keys {
		expires, err := c.Receive()
		if err != nil {
			return err
		}
		value, body, err := c.ReceiveUpTo(longValue)
		if err != nil {
			return err
		}
		r := record{key: key.Bytes, value: value.Bytes, expires: max(expires.Int, 0)}
		if body != nil {
			r.long, r.size = body, body.N
		}
		if body == nil && value.IsNil() || expires.Int == -2 {
			continue
		}
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}
