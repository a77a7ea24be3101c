package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kvstored/pkg/command"
)

// helpCommand explains commands, those of the protocol, and topics.
func (a *app) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND|TOPIC]",
		Short: "explain a command of kvctl or of the server, or a topic",
		Long: `Without an argument prints the overview. COMMAND is one of kvctl (engine
reload) or of the server (SET). TOPIC is commands, which lists those of the
server, ` + topicNames() + `.`,
		Example: `  kvctl help engine reload
  kvctl help SET
  kvctl help exit-codes`,
		ValidArgsFunction: completeHelp,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.explain(cmd.Root(), args)
		},
	}
}

// topicNames lists the topics in a sentence.
func topicNames() string {
	names := make([]string, len(Topics))
	for i, t := range Topics {
		names[i] = t.Name
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// completeHelp offers what help knows.
func completeHelp(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	offers, directive := completeCommand(cmd, args, begun)
	if len(args) > 0 {
		return offers, directive
	}
	for _, c := range cmd.Root().Commands() {
		if c.IsAvailableCommand() && strings.HasPrefix(c.Name(), begun) {
			offers = append(offers, c.Name()+"\t"+c.Short)
		}
	}
	for _, t := range Topics {
		if strings.HasPrefix(t.Name, begun) {
			offers = append(offers, t.Name+"\t"+t.Short)
		}
	}
	return append(offers, "commands\tthe commands of the server"), directive
}

// explain prints the page about what args name.
func (a *app) explain(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		a.help(root)
		return nil
	}
	if args[0] == "commands" {
		a.commandList()
		return nil
	}
	for _, t := range Topics {
		if t.Name == args[0] {
			a.topic(t)
			return nil
		}
	}
	if found, rest, err := root.Find(args); err == nil && found != root && len(rest) == 0 {
		a.help(found)
		return nil
	}
	if cmd := protocolCommand(args); cmd != nil {
		a.protocolHelp(cmd)
		return nil
	}
	f := failure{what: "no help about " + strings.Join(args, " "), fix: "kvctl help, or: kvctl help commands", code: ExitUsage}
	if near := nearestCommand(args[0]); near != "" {
		f.fix = didYouMean(near)
	}
	return f
}

// heading begins a section of help.
func (a *app) heading(text string) {
	fmt.Fprintf(a.out, "\n%s\n", a.style(a.outTTY, "1", text))
}

// rows prints names and what they mean, the meaning in one column.
func (a *app) rows(rows [][2]string) {
	width := 0
	for _, r := range rows {
		width = max(width, len(r[0]))
	}
	columns := a.helpColumns()
	width = min(width, 26)
	if columns < 60 { // what it means stands below what it is about
		for _, r := range rows {
			fmt.Fprintf(a.out, "  %s\n", r[0])
			for _, line := range wrap(r[1], columns-6) {
				fmt.Fprintf(a.out, "      %s\n", line)
			}
		}
		return
	}
	for _, r := range rows {
		lines := wrap(r[1], columns-4-width)
		fmt.Fprintf(a.out, "  %-*s  %s\n", width, r[0], lines[0])
		for _, line := range lines[1:] {
			fmt.Fprintf(a.out, "  %-*s  %s\n", width, "", line)
		}
	}
}

// helpColumns is how wide help is laid out: for 80 columns, or a terminal that
// is narrower.
func (a *app) helpColumns() int {
	if !a.outTTY {
		return 80
	}
	columns, _ := a.screen()
	return max(min(columns, 80), 24)
}

// reflowed is text that was written for 80 columns in fewer: lines that begin
// with a blank are left as they are.
func reflowed(text string, columns int) string {
	if columns >= 80 {
		return text
	}
	var out []string
	for part := range strings.SplitSeq(text, "\n\n") {
		if strings.HasPrefix(part, " ") {
			out = append(out, part)
		} else {
			out = append(out, strings.Join(wrap(part, columns), "\n"))
		}
	}
	return strings.Join(out, "\n\n")
}

// help prints the page of a command of kvctl.
func (a *app) help(cmd *cobra.Command) {
	fmt.Fprintf(a.out, "%s - %s\n\nusage: %s\n", cmd.CommandPath(), cmd.Short, UsageLine(cmd))
	fmt.Fprintf(a.out, "\n%s\n", reflowed(cmd.Long, a.helpColumns()))
	if cmd.Example != "" {
		a.heading("examples")
		fmt.Fprintln(a.out, cmd.Example)
	}
	var children [][2]string
	for _, child := range Children(cmd) {
		children = append(children, [2]string{child.Name(), child.Short})
	}
	if len(children) > 0 {
		a.heading("commands of kvctl itself")
		a.rows(children)
	}
	a.heading("options")
	a.rows(FlagRows(cmd.NonInheritedFlags(), cmd.InheritedFlags()))
	if names := JSONFields(cmd); names != nil {
		a.heading("fields of --json")
		for _, line := range wrap(strings.Join(names, ", "), a.helpColumns()-4) {
			fmt.Fprintln(a.out, "  "+line)
		}
	}
	if !cmd.HasParent() {
		fmt.Fprintf(a.out, "\nmore: kvctl help commands, kvctl help %s, man kvctl\n", Topics[0].Name)
	}
}

// brief is what kvctl says on a terminal when it is not told anything.
func (a *app) brief() {
	fmt.Fprintln(a.out, "kvctl sends a command to kvstored, this machine's key-value store:")
	a.rows([][2]string{
		{"kvctl SET name Rojalin", "keep a value"},
		{"kvctl GET name", "print it"},
		{"kvctl engine status", "which library holds the data"},
		{"kvctl help commands", "all that the server can do"},
		{"kvctl --help", "options, input from files, JSON"},
	})
}

// UsageLine is how a command is called.
func UsageLine(cmd *cobra.Command) string {
	if !cmd.HasParent() {
		return cmd.Use
	}
	line := cmd.Parent().CommandPath() + " " + cmd.Use
	if cmd.HasSubCommands() {
		line += " COMMAND"
	}
	return line
}

// Children are the commands below one that people see.
func Children(cmd *cobra.Command) []*cobra.Command {
	var list []*cobra.Command
	for _, child := range cmd.Commands() {
		if !child.Hidden {
			list = append(list, child)
		}
	}
	return list
}

// FlagRows are the options and their meanings.
func FlagRows(sets ...*pflag.FlagSet) [][2]string {
	var rows [][2]string
	seen := map[string]bool{}
	for _, set := range sets {
		set.SortFlags = false
		set.VisitAll(func(f *pflag.Flag) {
			if f.Hidden || seen[f.Name] || strings.HasPrefix(f.Usage, "help for ") {
				return
			}
			seen[f.Name] = true
			name := "--" + f.Name
			if f.Shorthand != "" {
				name = "-" + f.Shorthand + ", " + name
			}
			switch word := f.Annotations["placeholder"]; {
			case word != nil && f.NoOptDefVal != "":
				name += "[=" + word[0] + "]"
			case word != nil:
				name += " " + word[0]
			}
			rows = append(rows, [2]string{name, f.Usage})
		})
	}
	return rows
}

// topic prints a page about something else.
func (a *app) topic(t Topic) {
	fmt.Fprintf(a.out, "%s\n\n", t.Short)
	a.rows(t.Rows)
	fmt.Fprintf(a.out, "\n%s\n", reflowed(t.Text, a.helpColumns()))
}

// commandList prints the commands of the server, by groups.
func (a *app) commandList() {
	fmt.Fprintln(a.out, "the commands of the server; kvctl help COMMAND says more")
	group := ""
	var rows [][2]string
	for _, cmd := range command.Table() {
		if cmd.Group != group {
			a.rows(rows)
			rows, group = nil, cmd.Group
			a.heading(group)
		}
		rows = append(rows, [2]string{strings.ToUpper(cmd.Name), cmd.Summary})
	}
	a.rows(rows)
}

// protocolHelp prints what the table knows about a command of the server.
func (a *app) protocolHelp(cmd *command.Command) {
	fmt.Fprintf(a.out, "%s\n\nusage: kvctl %s\n", cmd.Summary, cmd.Usage())
	if len(cmd.Subcommands) == 0 {
		return
	}
	a.heading("with")
	var rows [][2]string
	for _, sub := range cmd.Subcommands {
		rows = append(rows, [2]string{strings.TrimSpace(strings.ToUpper(sub.Name) + " " + sub.Syntax), sub.Summary})
	}
	a.rows(rows)
}
