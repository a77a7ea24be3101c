package cli

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// importer is one run of kvctl import.
type importer struct {
	app    *app
	format string
	from   string
	resume bool
	verify bool
	piped  bool // by --pipe
	spool  spool
}

// importCommand loads keys.
func (a *app) importCommand() *cobra.Command {
	i := &importer{app: a}
	cmd := &cobra.Command{
		Use:   "import [OPTION...] [FILE]",
		Short: "load keys from a file, from standard input or from a Redis",
		Long: `Loads what FILE, or standard input, holds: JSON lines and CSV as kvctl export
writes them, or commands in the protocol of Redis (RESP, an append-only file,
plain lines). With --from the strings of a Redis, Valkey or kvstored are read
over its socket or its address, with their times of expiry; keys of other types
are counted and left out.

A JSON line is {"key":"name","value":"Rojalin"}, with "expires" in milliseconds
since 1970 and, for bytes that are not UTF-8, "encoding" and "key_encoding"
"base64". CSV has the columns key, value, expires and encoding.

A command that the server refuses is named by its line, or by its number where a
file is in the form of the protocol, and the others go on. Lines that begin with
# are passed over.
Mistakes in the file end the load. How far it came stands in FILE.kvctl-resume
(kvctl-import.kvctl-resume with --from), from where --resume goes on; commands
at the break may then be carried out twice.

The number of keys and the checksum that kvctl export keeps with what it writes
are compared: in the last line of JSON lines, in the ECHO at the end of commands,
in FILE.sha256 beside CSV. What came without is loaded, and the last line that is
printed says that nothing was compared. --verify reads every key back, too; of
commands only those of an export can be.

Long values go through in pieces; what of them must be read twice and comes on a
pipe is kept in a file in $TMPDIR or /var/tmp meanwhile.`,
		Example: `  kvctl import dump.jsonl
  kvctl import --format csv < users.csv
  kvctl import --from redis://localhost:6379/0 --verify
  kvctl import --from /run/redis/redis-server.sock
  kvctl import --resume dump.jsonl`,
		Args: atMost(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(_ *cobra.Command, args []string) error { return i.run(args) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&i.format, "format", "", "the file has FORMAT: jsonl, csv or resp; else its name tells")
	f.StringVar(&i.from, "from", "", "copy from SOURCE: redis://[user:password@]host[:port][/db], unix:///path[?db=N] or a socket's path")
	f.BoolVar(&i.resume, "resume", false, "go on where a load broke off")
	f.BoolVar(&i.verify, "verify", false, "read every key back and compare")
	placeholder(f, "format", "FORMAT")
	placeholder(f, "from", "SOURCE")
	a.dbFlag(cmd)
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// pipe loads commands from standard input: kvctl --pipe.
func (a *app) pipeMode() error {
	return (&importer{app: a, format: formatRESP, piped: true}).run(nil)
}

// run loads from what was named.
func (i *importer) run(args []string) error {
	defer i.spool.close()
	switch {
	case i.from != "" && (len(args) > 0 || i.format != ""):
		return usage("import: --from takes neither a file nor --format")
	case i.from != "":
		return i.copy()
	}
	if i.format != "" && formatOf("."+i.format) != i.format {
		return usage("import: --format=" + i.format + ": it is jsonl, csv or resp")
	}
	if len(args) == 0 || args[0] == "-" {
		return i.stream()
	}
	return i.file(args[0])
}

// stream loads standard input.
func (i *importer) stream() error {
	if i.resume || i.verify {
		return usage("import: --resume and --verify need a file")
	}
	in := bufio.NewReaderSize(i.app.in, 256<<10)
	if i.format == "" {
		i.format = guess(in)
	}
	return i.load(i.source(in, nil, resumption{}), 0, "", nil)
}

// guess tells the format from the first bytes.
func guess(in *bufio.Reader) string {
	head, _ := in.Peek(1)
	switch {
	case len(head) > 0 && head[0] == '{':
		return formatJSON
	default:
		return formatRESP
	}
}

// source reads in, which reads file if that can be read twice, from the place
// that r says.
func (i *importer) source(in *bufio.Reader, file *os.File, r resumption) source {
	from := reading{in: in, file: file, spool: &i.spool, offset: r.Offset, lines: r.Lines, sum: sum{r.Keys, r.Total}}
	switch i.format {
	case formatJSON:
		return &jsonSource{from}
	case formatCSV:
		s := newCSVSource(from, r.Columns)
		if file != nil {
			s.want = claimBeside(file.Name())
		}
		return s
	}
	s := &respSource{reading: from, open: r.Exports, ours: r.Exports > 0 || r.Claimed != nil}
	if s.want = r.Claimed; s.want != nil {
		s.want.where = inLastCommand
		s.export, _ = s.want.sum()
	}
	return s
}

// file loads a file.
func (i *importer) file(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return failure{what: "cannot read " + errText(err), code: ExitUsage}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return failure{what: "cannot read " + errText(err), code: ExitUsage}
	}
	if info.IsDir() {
		return failure{what: "cannot read " + path + ": a directory", code: ExitUsage}
	}
	if i.format == "" {
		i.format = formatOf(path)
	}
	notes := path + ".kvctl-resume"
	var r resumption
	if i.resume {
		if r, err = readResumption(notes, i.job()); err != nil {
			return err
		}
		if r.Size != info.Size() || r.Modified != info.ModTime().UnixNano() {
			return failure{what: "cannot resume: " + path + " has changed since", fix: "run it without --resume", code: ExitUsage}
		}
		i.format = r.Format
		if _, err := f.Seek(r.Offset, io.SeekStart); err != nil {
			return failure{what: "cannot read " + errText(err), code: ExitUsage}
		}
	}
	in := bufio.NewReaderSize(f, 256<<10)
	if i.format == "" {
		i.format = guess(in)
	}
	if !info.Mode().IsRegular() {
		return i.load(i.source(in, nil, r), 0, path, nil)
	}
	src := i.source(in, f, r)
	save := func(m mark) error {
		r := resumption{Job: i.job(), Format: i.format, Size: info.Size(), Modified: info.ModTime().UnixNano(),
			Offset: m.offset, Lines: m.lines, Keys: m.sum.keys, Total: m.sum.total, Exports: m.exports, Claimed: m.claimed}
		if s, ok := src.(*csvSource); ok {
			r.Columns = s.columns
		}
		return r.write(notes)
	}
	return i.load(src, info.Size(), path, save)
}

// job names a load in its state file.
func (i *importer) job() string {
	job := "import"
	if i.from != "" {
		job += " --from " + withoutPassword(i.from)
	}
	if i.app.db != 0 {
		job += " into " + strconv.Itoa(i.app.db)
	}
	return job
}

// load runs the loader and says what came of it.
func (i *importer) load(src source, total int64, path string, save func(mark) error) error {
	a := i.app
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	l := &loader{app: a, src: src, save: save}
	switch src := src.(type) {
	case *respSource:
		l.unit = src.unit
	case *jsonSource, *csvSource:
		l.unit = func() string { return "line" }
	}
	if save != nil { // at once, or what an earlier load has left would be taken for its state
		if err := l.begin(); err != nil {
			return err
		}
	}
	result, err := l.run(c, total)
	if err != nil {
		fix := ""
		if save != nil {
			fix = "kvctl import --resume " + strings.TrimSpace(path)
			if i.from != "" {
				fix = "kvctl import --resume --from " + withoutPassword(i.from)
			}
		}
		return broke(err, l.answered(), fix)
	}
	if save != nil {
		_ = os.Remove(i.notes(path)) // it may never have been written
	}
	if s, ok := src.(*redisSource); ok {
		result.Skipped = s.skipped
	}
	if err := i.check(src, &result, path); err != nil {
		return err
	}
	return i.say(result)
}

// notes is the state file's path.
func (i *importer) notes(path string) string {
	if i.from != "" {
		return "kvctl-import.kvctl-resume"
	}
	return path + ".kvctl-resume"
}

// check compares with what the file says it holds, and with the daemon.
func (i *importer) check(src source, result *loadResult, path string) error {
	got, want := src.totals()
	if want != nil {
		if !want.holds(got) {
			return failure{
				what: cmp.Or(path, "the input") + " does not hold what " + want.where + " says: " + want.differs(got),
				why:  "it was changed or cut since it was written; what it has was loaded",
				fix:  "export it again" + within("; if the change was meant: rm ", beside(want.where), ""), code: ExitServer,
			}
		}
		result.Verified, result.Checked = true, "count and checksum are those of "+want.where
	}
	if !i.verify {
		return nil
	}
	ok, err := i.compare(path)
	if err != nil {
		return err
	}
	result.Verified, result.Checked = ok, strings.TrimPrefix(result.Checked+"; every key read back", "; ")
	return nil
}

// say prints what was done.
func (i *importer) say(r loadResult) error {
	a := i.app
	if a.json {
		if err := a.object(r); err != nil {
			return err
		}
	} else {
		line := fmt.Sprintf("%s in %s", counted(r.Commands, "command"), seconds(r.Seconds))
		if rate := float64(r.Commands) / max(r.Seconds, 0.001); rate >= 1 {
			line += fmt.Sprintf(" (%s/s)", grouped(int64(rate)))
		}
		if r.Failed > 0 {
			line += ", refused: " + grouped(r.Failed)
		}
		if r.Skipped > 0 {
			line += ", not strings, left out: " + grouped(r.Skipped)
		}
		if r.Checksum != "" {
			line += ", checksum " + r.Checksum
		}
		switch {
		case r.Verified:
			line += ", verified: " + r.Checked
		case !i.piped:
			line += ", not verified: " + i.unchecked()
		}
		fmt.Fprintln(a.out, line)
	}
	if r.Failed > 0 {
		return quiet(ExitServer)
	}
	return nil
}

// unchecked says why nothing was compared.
func (i *importer) unchecked() string {
	switch {
	case i.from != "":
		return "--verify reads every key back"
	case i.format == formatRESP:
		return "no export of kvctl"
	}
	return "the input has no checksum; --verify reads every key back"
}

// seconds writes a time for people.
func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(time.Millisecond).String()
}

// compare reads every record again and asks the daemon for its key.
func (i *importer) compare(path string) (bool, error) {
	var src source
	if i.from != "" {
		again, _, err := i.dialSource("0")
		if err != nil {
			return false, err
		}
		defer again.conn.Close()
		src = again
	} else {
		f, err := os.Open(path)
		if err != nil {
			return false, failure{what: "cannot read " + errText(err), code: ExitUsage}
		}
		defer f.Close()
		src = i.source(bufio.NewReaderSize(f, 256<<10), f, resumption{})
	}
	c, err := i.app.dial()
	if err != nil {
		return false, err
	}
	defer c.Close()
	ok, err := verifyAll(c, src)
	if resp, is := src.(*respSource); is && err == nil && !resp.ours {
		return false, usage("import: --verify needs what kvctl export wrote: what other commands leave behind is not known")
	}
	return ok, err
}
