package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
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
}

// exportResult is what came of an export.
type exportResult struct {
	Keys     int64   `json:"keys"`
	Checksum string  `json:"checksum"`
	Bytes    int64   `json:"bytes"`
	Seconds  float64 `json:"seconds"`
}

// exportCommand writes keys out.
func (a *app) exportCommand() *cobra.Command {
	e := &exporter{app: a}
	cmd := &cobra.Command{
		Use:   "export [OPTION...] [FILE]",
		Short: "write keys, values and times of expiry to a file",
		Long: `Writes the keys of a database to FILE, which only its owner may read, or to
standard output: JSON lines, or as --format or FILE's ending (.jsonl, .csv,
.resp) says. JSON lines end with the number of keys and a checksum, which
kvctl import compares.

The keys are walked over while the daemon goes on: what is changed meanwhile
may be in the file in its old or its new form, and once more. How far it came
stands in FILE.kvctl-resume, from where --resume goes on.`,
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
		_, err := e.write(e.app.out, resumption{Cursor: "0"}, nil)
		return err
	}
	return e.file(path)
}

// file writes to a file.
func (e *exporter) file(path string) error {
	notes := path + ".kvctl-resume"
	job := "export " + e.format + " " + e.match
	r := resumption{Job: job, Cursor: "0"}
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if e.resume {
		var err error
		if r, err = readResumption(notes, job); err != nil {
			return err
		}
		flags = os.O_WRONLY
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return failure{what: "cannot write " + errText(err), code: ExitUsage}
	}
	defer f.Close()
	if e.resume {
		if err := cutAt(f, r.Offset); err != nil {
			return failure{what: "cannot resume: " + errText(err), fix: "run it without --resume", code: ExitUsage}
		}
	}
	out := bufio.NewWriterSize(f, 256<<10)
	save := func(r resumption) error {
		if err := out.Flush(); err != nil {
			return err
		}
		r.Job = job
		return r.write(notes)
	}
	result, err := e.write(out, r, save)
	if err != nil {
		var f failure
		if errors.As(err, &f) && f.fix == "" {
			f.fix = "kvctl export --resume " + path
			return f
		}
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return failure{what: "cannot write " + errText(err), code: ExitUsage}
	}
	_ = os.Remove(notes) // it may never have been written
	if e.app.json {
		return e.app.object(result)
	}
	fmt.Fprintf(e.app.out, "%s, %s in %s, checksum %s\n", counted(result.Keys, "key"), size(result.Bytes), seconds(result.Seconds), result.Checksum)
	return nil
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
	result := exportResult{Keys: done.keys, Checksum: done.String(), Bytes: e.bytes.Load(), Seconds: time.Since(begun).Seconds()}
	return result, err
}

// walk writes one step of SCAN after the other.
func (e *exporter) walk(c *client.Conn, out *bufio.Writer, r resumption, save func(resumption) error) (sum, error) {
	enc := encoder{e.format}
	got := sum{r.Keys, r.Total}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(stop)
	var buf []byte
	put := func(b []byte) error {
		r.Offset += int64(len(b))
		e.bytes.Store(r.Offset)
		_, err := out.Write(b)
		return written(err)
	}
	if r.Offset == 0 {
		if err := put(enc.head()); err != nil {
			return got, err
		}
	}
	saved := time.Now()
	for whole := r; ; whole = r { // what is whole is the file up to the last step
		var err error
		if r.Cursor, err = e.step(c, r.Cursor, func(record record) error {
			got.add(record)
			e.keys.Store(got.keys)
			buf = enc.append(buf[:0], record)
			if err := put(buf); err != nil || len(buf) < atOnce {
				return err
			}
			buf = nil
			return interrupted(stop) // a step of large values takes long
		}); err != nil {
			return got, e.broken(err, whole, save)
		}
		r.Keys, r.Total = got.keys, got.total
		if r.Cursor == "0" {
			return got, errors.Join(put(enc.tail(got)), written(out.Flush()))
		}
		if err := interrupted(stop); err != nil { // a step may have no keys
			return got, e.broken(err, r, save)
		}
		if save != nil && time.Since(saved) > saveEvery {
			saved = time.Now()
			if err := written(save(r)); err != nil {
				return got, err
			}
		}
	}
}

// written is the failure of writing to the file, if err is one.
func written(err error) error {
	if err == nil {
		return nil
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
// daemon holds back what is not read yet, and here one value is held.
func read(c *client.Conn, keys []client.Reply, each func(record) error) error {
	for _, key := range keys {
		name := string(key.Bytes)
		if err := errors.Join(c.Send("GET", name), c.Send("PEXPIRETIME", name)); err != nil {
			return err
		}
	}
	if err := c.Flush(); err != nil {
		return err
	}
	for _, key := range keys {
		value, err := c.Receive()
		if err != nil {
			return err
		}
		expires, err := c.Receive()
		if err != nil {
			return err
		}
		if value.IsNil() || expires.Int == -2 {
			continue
		}
		if err := each(record{key.Bytes, value.Bytes, max(expires.Int, 0)}); err != nil {
			return err
		}
	}
	return nil
}
