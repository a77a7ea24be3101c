package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"kvstored/pkg/client"
	"kvstored/pkg/install"
)

// The exit statuses of kvctl; "kvctl help exit-codes" explains them.
const (
	ExitOK      = 0
	ExitMissing = 1
	ExitUsage   = 2
	ExitServer  = 3
	ExitConnect = 4
)

// failure is an error with all that kvctl says of it.
type failure struct {
	what string
	why  string
	fix  string
	code int
}

// Error is the first line.
func (f failure) Error() string { return f.what }

// quiet ends kvctl with a status and without a word.
type quiet int

// Error is never printed.
func (q quiet) Error() string { return fmt.Sprintf("exit %d", int(q)) }

// located puts the place of its cause before a message.
type located struct {
	place string
	err   error
}

// Error is the cause behind its place.
func (l located) Error() string { return l.place + ": " + l.err.Error() }

// Unwrap is the cause.
func (l located) Unwrap() error { return l.err }

// usage is a wrong call of kvctl.
func usage(what string) error {
	return failure{what: what, fix: "kvctl --help", code: ExitUsage}
}

// flagError names a wrong option and where it is described.
func flagError(cmd *cobra.Command, err error) error {
	fix := cmp.Or(nearestFlag(cmd, err.Error()), cmd.CommandPath()+" --help")
	return failure{what: err.Error(), fix: fix, code: ExitUsage}
}

// badLine is a line that cannot be taken apart into words.
func badLine(err error, place string, code int) error {
	return failure{what: err.Error() + place, why: `a " or ' is not closed, or something stands right behind a closing one`,
		fix: `inside "…" write \", inside '…' write \'`, code: code}
}

// report prints an error on standard error and returns the exit status.
func (a *app) report(err error) int {
	if err == nil {
		return ExitOK
	}
	f, silent := describe(err)
	if silent {
		return f.code
	}
	var l located
	if errors.As(err, &l) {
		f.what = l.place + ": " + f.what
	}
	fmt.Fprintf(a.err, "kvctl: %s\n", printable(f.what))
	a.advice("why", f.why)
	a.advice("fix", a.asTyped(f.fix))
	return f.code
}

// describe finds what to say of an error; silent means nothing.
func describe(err error) (f failure, silent bool) {
	var (
		q       quiet
		connect *client.ConnectError
		lost    *client.LostError
		server  *client.ServerError
		foreign *client.ProtocolError
		exit    *exec.ExitError
	)
	switch {
	case errors.As(err, &q):
		return failure{code: int(q)}, true
	case errors.As(err, &f):
		return f, false
	case errors.As(err, &connect):
		advice := connect.Explain()
		return failure{connect.Error(), advice.Why, advice.Fix, ExitConnect}, false
	case errors.As(err, &lost):
		advice := lost.Explain()
		return failure{lost.Error(), advice.Why, advice.Fix, ExitConnect}, false
	case errors.As(err, &server):
		return failure{strings.TrimPrefix(server.Error(), "ERR "), server.Why, install.ByUser(server.Fix), ExitServer}, false
	case errors.As(err, &foreign):
		return failure{foreign.Error(), "", "use --socket PATH to name the socket of kvstored", ExitConnect}, false
	case errors.As(err, &exit):
		return failure{code: exit.ExitCode()}, true
	}
	return failure{what: err.Error(), code: ExitUsage}, false
}

// asTyped is a way out as it is typed where the person is: in the shell
// without the program's name.
func (a *app) asTyped(fix string) string {
	if !a.inShell {
		return fix
	}
	words := strings.Split(fix, " ")
	kept := words[:0:0]
	for i, word := range words {
		if strings.TrimLeft(word, "(") == "kvctl" && i+1 < len(words) && !strings.HasPrefix(words[i+1], "-") && (i == 0 || words[i-1] != "sudo") {
			continue
		}
		kept = append(kept, word)
	}
	return strings.Join(kept, " ")
}

// advice prints "  why: …" or "  fix: …"; further lines stand under the first.
func (a *app) advice(label, text string) {
	if text == "" {
		return
	}
	lines := strings.Split(text, "\n")
	if columns := a.errColumns(); columns > 0 && label == "why" { // a way out stays as it is: it is copied
		var folded []string
		for _, line := range lines {
			folded = append(folded, wrap(printable(line), columns-7)...)
		}
		lines = folded
	}
	fmt.Fprintf(a.err, "  %s: %s\n", a.style(a.errTTY, "1", label), printable(lines[0]))
	for _, line := range lines[1:] {
		fmt.Fprintf(a.err, "       %s\n", printable(line))
	}
}

// errColumns is how wide the terminal of standard error is; 0 where it is none.
func (a *app) errColumns() int {
	columns, _, err := term.GetSize(int(os.Stderr.Fd()))
	if !a.errTTY || err != nil {
		return 0
	}
	return max(columns, 20)
}

// printable replaces what could steer a terminal: messages quote what servers
// and files say.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
