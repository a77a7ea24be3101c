// Package cli is the command kvctl: one file per subcommand, one file for all
// messages.  It is a package so that man pages and completions are made from
// the same commands and flags.
package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"sync/atomic"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"kvstored/pkg/client"
)

// app is one run of kvctl: its streams and the flags that all commands share.
type app struct {
	in     io.Reader
	out    *bufio.Writer
	err    io.Writer
	inTTY  bool
	outTTY bool
	errTTY bool

	socket    string
	db        int
	json      bool
	fields    []string // of JSON; nil: all, empty: they are asked for
	color     string
	noNewline bool
	noPager   bool
	pipe      bool
	jq        string
	inShell   bool
	filter    *filter       // of --jq
	ended     *atomic.Int32 // the signal that ended it; 0: none

	version string
}

// Main runs kvctl with the arguments and streams of the process and returns
// its exit status.
func Main(version string) int {
	a := &app{
		in: os.Stdin, out: bufio.NewWriterSize(os.Stdout, 64<<10), err: os.Stderr,
		inTTY: isTerminal(os.Stdin), outTTY: isTerminal(os.Stdout), errTTY: isTerminal(os.Stderr),
		version: version, ended: new(atomic.Int32),
	}
	err := a.filtered(a.root().Execute())
	if flushErr := a.out.Flush(); flushErr != nil {
		err = failure{what: "cannot write the answer: " + flushErr.Error(), code: ExitServer}
	}
	return a.status(a.report(err))
}

// filtered waits for the filter of --jq, if there is one, behind a command that
// ended with err.
func (a *app) filtered(err error) error {
	if a.filter == nil {
		return err
	}
	if filtered := a.filter.end(); filtered != nil && (err == nil || errors.Is(filtered, errEnough)) {
		return filtered
	}
	return err
}

// isTerminal reports whether f is a terminal.
func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// Root is the tree of commands, for generators of documents.
func Root(version string) *cobra.Command {
	root := (&app{in: os.Stdin, out: bufio.NewWriter(io.Discard), err: io.Discard, version: version}).root()
	root.InitDefaultHelpCmd()
	return root
}

// root builds the tree of commands.
func (a *app) root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kvctl [OPTION...] [COMMAND [ARGUMENT...]]",
		Short: "talk to kvstored, this machine's key-value store",
		Long: `kvctl sends a command to kvstored and prints the answer. COMMAND is any
command that the server knows, such as SET, GET or INCR; what follows it is
sent as it is, so options of kvctl stand before it. A single argument with
blanks is taken apart like a line of input.

Without a command, on a terminal, kvctl is a shell; see kvctl help shell.

Where standard input is no terminal, lines are read from it, each a command: words
are parted by blanks, "..." takes \n, \t, \" and \xHH, '...' is taken as it is.
Empty lines and lines that begin with # are passed over; QUIT ends.

On a pipe the answer is the bare value, arrays one element a line. On a
terminal it is marked with its type, and of a long value 1 KiB is shown.

A missing key prints nothing and exits with 1; see kvctl help exit-codes.`,
		Example: `  kvctl SET name Rojalin
  kvctl GET name
  kvctl "SET name Rojalin"
  kvctl INCRBY visits -5
  kvctl --json GET name
  kvctl < commands.txt
  kvctl engine status`,
		Version:           a.version,
		Args:              cobra.ArbitraryArgs,
		SilenceErrors:     true,
		SilenceUsage:      true,
		ValidArgsFunction: a.completeLine,
		RunE:              a.command,
	}
	cmd.SetOut(a.out)
	cmd.SetErr(a.err)
	cmd.SetVersionTemplate("kvctl {{.Version}}\n")
	cmd.SetFlagErrorFunc(flagError)
	cmd.SetHelpFunc(func(c *cobra.Command, _ []string) { a.help(c) })
	cmd.SetUsageFunc(func(c *cobra.Command) error { a.help(c); return nil })
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.Flags().SetInterspersed(false)
	a.flags(cmd)
	cmd.AddCommand(a.engine(), a.completion(), a.versionCommand())
	cmd.AddCommand(a.own()...)
	cmd.SetHelpCommand(a.helpCommand())
	return cmd
}

// flags declares what all commands share.
func (a *app) flags(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.SortFlags = false
	f.StringVar(&a.socket, "socket", "", "the daemon's socket is at PATH")
	f.Var(jsonFlag{a}, "json", "print JSON: {\"value\": …, \"encoding\": \"utf-8\" or \"base64\"}; of kvctl's own commands with FIELDS only those")
	f.Lookup("json").NoOptDefVal = "true"
	f.StringVar(&a.jq, "jq", "", "print JSON through EXPRESSION of jq; text comes out bare")
	f.StringVar(&a.color, "color", "auto", "colour the output: WHEN is auto, always or never")
	f.BoolVar(&a.noPager, "no-pager", false, "show long answers without a pager")
	l := cmd.Flags()
	l.SortFlags = false
	a.dbFlag(cmd)
	l.BoolVar(&a.noNewline, "no-newline", false, "print a value without a newline behind it, to copy it byte for byte")
	l.BoolVar(&a.pipe, "pipe", false, "load commands in the protocol's form from standard input; see kvctl import")
	l.BoolP("help", "h", false, "print this help")
	l.Bool("version", false, "print the version")
	placeholder(f, "socket", "PATH")
	placeholder(f, "json", "FIELDS")
	placeholder(f, "color", "WHEN")
	placeholder(f, "jq", "EXPRESSION")
	_ = cmd.RegisterFlagCompletionFunc("jq", cobra.NoFileCompletions)
	_ = cmd.RegisterFlagCompletionFunc("json", func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return JSONFields(c), cobra.ShellCompDirectiveNoFileComp
	})
	_ = cmd.RegisterFlagCompletionFunc("color", cobra.FixedCompletions([]string{"auto", "always", "never"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.PersistentPreRunE = func(called *cobra.Command, _ []string) error {
		switch a.color {
		case "auto", "always", "never":
		default:
			return usage("--color=" + a.color + ": it is auto, always or never")
		}
		if a.fields != nil {
			if err := a.checkFields(called); err != nil {
				return err
			}
		}
		if a.jq != "" && a.filter == nil {
			return a.startFilter()
		}
		return nil
	}
}

// dbFlag declares --db for a command that uses it.
func (a *app) dbFlag(cmd *cobra.Command) {
	cmd.Flags().IntVarP(&a.db, "db", "n", a.db, "use the numbered database N")
	placeholder(cmd.Flags(), "db", "N")
	_ = cmd.RegisterFlagCompletionFunc("db", cobra.NoFileCompletions)
}

// own are the commands of kvctl that look at, watch and move data.
func (a *app) own() []*cobra.Command {
	return []*cobra.Command{
		a.top(), a.stat(), a.latency(), a.bench(), a.keysCommand(), a.watch(), a.subscribe(), a.monitor(),
		a.importCommand(), a.exportCommand(), a.doctor(),
	}
}

// placeholder is the word that stands for an option's value in help and in
// the manual.
func placeholder(set *pflag.FlagSet, name, word string) {
	_ = set.SetAnnotation(name, "placeholder", []string{word})
}

// dial connects to the daemon.
func (a *app) dial() (*client.Conn, error) { return a.dialWith(client.Options{}) }

// dialWith connects to the daemon with further options.
func (a *app) dialWith(opt client.Options) (*client.Conn, error) {
	path, from := client.Locate(a.socket)
	opt.From, opt.DB, opt.RESP3 = from, a.db, true
	c, err := client.DialOptions(context.Background(), path, opt)
	var refused *client.ServerError
	if errors.As(err, &refused) {
		return nil, failure{what: "cannot use database " + strconv.Itoa(a.db) + ": " + refused.Message, why: refused.Why, fix: refused.Fix, code: ExitServer}
	}
	return c, err
}

// style is the escape sequence for text on a terminal, or nothing.  Colour
// never carries a meaning that the text lacks.
func (a *app) style(tty bool, code, text string) string {
	if !a.colored(tty) {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// colored decides whether to use colour on a stream.
func (a *app) colored(tty bool) bool {
	switch a.color {
	case "always":
		return true
	case "never":
		return false
	}
	return tty && os.Getenv("NO_COLOR") == "" && !dumbTerminal()
}
