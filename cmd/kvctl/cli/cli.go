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
	color     string
	noNewline bool

	version string
}

// Main runs kvctl with the arguments and streams of the process and returns
// its exit status.
func Main(version string) int {
	a := &app{
		in: os.Stdin, out: bufio.NewWriterSize(os.Stdout, 64<<10), err: os.Stderr,
		inTTY: isTerminal(os.Stdin), outTTY: isTerminal(os.Stdout), errTTY: isTerminal(os.Stderr),
		version: version,
	}
	err := a.root().Execute()
	if flushErr := a.out.Flush(); flushErr != nil {
		err = failure{what: "cannot write the answer: " + flushErr.Error(), code: ExitServer}
	}
	return a.report(err)
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

Without a command, lines are read from standard input, each a command: words
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
		ValidArgsFunction: completeCommand,
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
	cmd.SetHelpCommand(a.helpCommand())
	return cmd
}

// flags declares what all commands share.
func (a *app) flags(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.SortFlags = false
	f.StringVar(&a.socket, "socket", "", "the daemon's socket is at PATH")
	f.BoolVar(&a.json, "json", false, "print JSON: {\"value\": …, \"encoding\": \"utf-8\" or \"base64\"}")
	f.StringVar(&a.color, "color", "auto", "colour the output: WHEN is auto, always or never")
	l := cmd.Flags()
	l.SortFlags = false
	l.IntVarP(&a.db, "db", "n", 0, "use the numbered database N")
	l.BoolVar(&a.noNewline, "no-newline", false, "print a value without a newline behind it, to copy it byte for byte")
	l.BoolP("help", "h", false, "print this help")
	l.Bool("version", false, "print the version")
	placeholder(f, "socket", "PATH")
	placeholder(f, "color", "WHEN")
	placeholder(l, "db", "N")
	_ = cmd.RegisterFlagCompletionFunc("color", cobra.FixedCompletions([]string{"auto", "always", "never"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("db", cobra.NoFileCompletions)
	cmd.PersistentPreRunE = func(*cobra.Command, []string) error {
		switch a.color {
		case "auto", "always", "never":
			return nil
		}
		return usage("--color=" + a.color + ": it is auto, always or never")
	}
}

// placeholder is the word that stands for an option's value in help and in
// the manual.
func placeholder(set *pflag.FlagSet, name, word string) {
	_ = set.SetAnnotation(name, "placeholder", []string{word})
}

// dial connects to the daemon.
func (a *app) dial() (*client.Conn, error) {
	path, from := client.Locate(a.socket)
	c, err := client.DialOptions(context.Background(), path, client.Options{From: from, DB: a.db, RESP3: true})
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
	term := os.Getenv("TERM")
	return tty && os.Getenv("NO_COLOR") == "" && term != "dumb" && term != ""
}
