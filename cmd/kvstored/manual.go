package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kvstored/pkg/config"
)

const summary = "the key-value store of this machine"

// about is the description, for --help and the manual.
var about = []string{
	"kvstored serves Redis clients (RESP2, RESP3, plain lines) on a Unix socket. The data lies in an engine, " +
		"a shared library, that can be exchanged while clients keep sending.",
	"systemd starts it on the first connection to its socket (kvstored.socket) and passes the socket; with " +
		"--listen it makes one of its own. kvctl is the command to talk to it.",
}

// entry is one line of a table in the manual.
type entry struct{ name, text string }

var signals = []entry{
	{"SIGHUP", "read the configuration again and exchange the engine, as ENGINE LOAD does. A second one " +
		"while an exchange runs is carried out after it"},
	{"SIGTERM, SIGINT", "accept nothing more, finish what was received, exit 0. A second one does not wait"},
}

var environment = []entry{
	{"LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES", "the sockets that systemd passed (sd_listen_fds(3)); the one " +
		"named kvstored comes first, every other listening stream socket is served too"},
	{"NOTIFY_SOCKET, WATCHDOG_USEC", "where and how often to report (sd_notify(3)); the watchdog is fed only by " +
		"an answer that came through the serving path"},
	{"STATE_DIRECTORY", "the default of StateDir="},
	{"CONFIGURATION_DIRECTORY", "read in place of /etc/kvstored"},
	{"JOURNAL_STREAM", "when standard error leads to the journal, messages go there with their priority and " +
		"with fields (journalctl -o verbose)"},
	{"GOMAXPROCS, GOMEMLIMIT, GOGC", "set the Go runtime in place of the daemon's own choice"},
}

var files = []entry{
	{"/run/kvstored/kvstored.sock", "the socket"},
	{"/etc/kvstored/kvstored.conf", "the configuration: kvstored.conf(5)"},
	{config.DefaultEngine, "the engine that is served by default"},
	{"/usr/lib/kvstored/engines/", "the engines that packages bring"},
	{"/var/lib/kvstored/", "what outlives the daemon: the data and, after a clean stop, an image of the memory that the next start maps"},
}

// help is what --help prints.
func help(cmd *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s - %s\n\n", cmd.CommandPath(), cmd.Short)
	if cmd.HasParent() {
		fmt.Fprintf(&b, "Usage: %s\n\n%s\nFlags:\n", cmd.UseLine(), wrap(cmd.Long, 0))
		writeFlags(&b, cmd.Flags())
		return b.String()
	}
	b.WriteString("Usage: kvstored [FLAGS]\n")
	for _, sub := range cmd.Commands() {
		if !sub.Hidden {
			fmt.Fprintf(&b, "       %s\n", sub.UseLine())
		}
	}
	b.WriteString("\n")
	for _, paragraph := range about {
		b.WriteString(wrap(paragraph, 0) + "\n")
	}
	b.WriteString("Flags:\n")
	writeFlags(&b, cmd.Flags())
	writeEntries(&b, "Signals", signals)
	writeEntries(&b, "Exit codes", exitEntries())
	b.WriteString("\nMore: man kvstored, man kvstored.conf, man kvctl\n")
	return b.String()
}

// writeFlags lists flags, each with its text below.
func writeFlags(b *strings.Builder, flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		name, text := flagName(f), flagText(f)
		fmt.Fprintf(b, "  %s\n%s", name, wrap(text, 6))
	})
}

func writeEntries(b *strings.Builder, title string, entries []entry) {
	fmt.Fprintf(b, "\n%s:\n", title)
	for _, e := range entries {
		fmt.Fprintf(b, "  %s\n%s", e.name, wrap(e.text, 6))
	}
}

// flagName is "--listen PATH".
func flagName(f *pflag.Flag) string {
	argument, _ := pflag.UnquoteUsage(f)
	name := "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}
	if argument != "" {
		name += " " + argument
	}
	return name
}

// flagText is what a flag does.
func flagText(f *pflag.Flag) string {
	_, text := pflag.UnquoteUsage(f)
	switch f.Name {
	case "help":
		return "print this and exit"
	case "version":
		return "print the version and exit"
	}
	return text
}

func exitEntries() []entry {
	var entries []entry
	for _, e := range exitCodes {
		entries = append(entries, entry{fmt.Sprint(e.code), e.text})
	}
	return entries
}

// wrap breaks text into lines of at most 78 letters, indented.
func wrap(text string, indent int) string {
	var b strings.Builder
	margin := strings.Repeat(" ", indent)
	line := margin
	for _, word := range strings.Fields(text) {
		if len(line) > indent && len(line)+1+len(word) > 78 {
			b.WriteString(line + "\n")
			line = margin
		}
		if len(line) > indent {
			line += " "
		}
		line += word
	}
	b.WriteString(line + "\n")
	return b.String()
}

// manPage is kvstored(8), in troff. packaging/man/kvstored.8 holds it; a test
// compares the two.
func manPage(root *cobra.Command) string {
	root.InitDefaultHelpFlag()
	root.InitDefaultVersionFlag()
	var b strings.Builder
	fmt.Fprintf(&b, ".TH KVSTORED 8 \"\" kvstored \"System administration\"\n.SH NAME\nkvstored \\- %s\n", config.Troff(summary))
	b.WriteString(".SH SYNOPSIS\n.B kvstored\n[\\fIFLAGS\\fR]\n")
	for _, sub := range root.Commands() {
		if !sub.Hidden {
			fmt.Fprintf(&b, ".br\n.B %s\n", config.Troff(sub.UseLine()))
		}
	}
	b.WriteString(".SH DESCRIPTION\n")
	for i, paragraph := range about {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		b.WriteString(config.Troff(paragraph) + "\n")
	}
	b.WriteString(".SH OPTIONS\n")
	manFlags(&b, root.Flags())
	for _, sub := range root.Commands() {
		if sub.Hidden {
			continue
		}
		fmt.Fprintf(&b, ".SH %s\n%s\n", config.Troff(strings.ToUpper(sub.Name())), config.Troff(sub.Long))
		manFlags(&b, sub.Flags())
	}
	manEntries(&b, "SIGNALS", signals)
	manEntries(&b, "EXIT STATUS", exitEntries())
	manEntries(&b, "ENVIRONMENT", environment)
	manEntries(&b, "FILES", files)
	b.WriteString(manEnd)
	return b.String()
}

func manFlags(b *strings.Builder, flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) { manEntry(b, entry{flagName(f), flagText(f)}) })
}

func manEntries(b *strings.Builder, title string, entries []entry) {
	fmt.Fprintf(b, ".SH %s\n", title)
	for _, e := range entries {
		manEntry(b, e)
	}
}

func manEntry(b *strings.Builder, e entry) {
	fmt.Fprintf(b, ".TP\n.B %s\n%s.\n", config.Troff(e.name), config.Troff(e.text))
}

const manEnd = `.SH WHO MAY DO WHAT
Whoever may open the socket may read and write every key: that is the mode and
the group of the socket file. To load an engine (ENGINE LOAD, ENGINE CHECK)
a client must be root or the user that the daemon runs as, by what the kernel
says of the connection.
.SH EXAMPLES
Start it on demand, and use it:
.PP
.nf
    sudo systemctl enable \-\-now kvstored.socket
    kvctl SET name Rojalin
    kvctl GET name
.fi
.PP
Stand alone, with an engine just built:
.PP
.nf
    kvstored \-\-listen /tmp/kv.sock \-\-engine ./libkvstore.so
    kvctl \-\-socket /tmp/kv.sock GET name
.fi
.PP
Exchange the engine under the running clients:
.PP
.nf
    sudo systemctl reload kvstored
.fi
.SH SEE ALSO
.BR kvctl (1),
.BR kvstored.conf (5),
.BR systemd.socket (5)
`
