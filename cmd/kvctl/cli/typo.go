package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kvstored/pkg/command"
)

// nearest is that of names which name was probably meant to be, in any case of
// the letters; empty if it is like none. The first of several that are equally
// near wins.
func nearest(name string, names []string) string {
	best, bestDistance := "", 3
	if len(name) < 4 {
		bestDistance = 2
	}
	for _, known := range names {
		if d := distance(strings.ToUpper(name), strings.ToUpper(known)); d < bestDistance {
			best, bestDistance = known, d
		}
	}
	return best
}

// didYouMean asks back; empty where there is nothing to ask about.
func didYouMean(near string) string {
	if near == "" {
		return ""
	}
	return "did you mean " + near + "?"
}

// commandNames are the commands of the protocol, in capitals.
func commandNames(list []*command.Command) []string {
	names := make([]string, len(list))
	for i, cmd := range list {
		names[i] = strings.ToUpper(cmd.Name)
	}
	return names
}

// nearestCommand is the command of the server or of kvctl, as it is called,
// that name was probably meant to be.
func nearestCommand(name string) string {
	names := commandNames(command.Table())
	root := Root("")
	for _, child := range Children(root) {
		names = append(names, child.Name())
	}
	near := nearest(name, names)
	if near != "" && near == strings.ToLower(near) {
		return root.Name() + " " + near
	}
	return near
}

// nearestChild names the subcommand that name was probably meant to be, or
// where all are listed.
func nearestChild(cmd *cobra.Command, name string) string {
	var names []string
	for _, child := range Children(cmd) {
		names = append(names, child.Name())
	}
	if near := nearest(name, names); near != "" {
		return didYouMean(cmd.CommandPath() + " " + near)
	}
	return cmd.CommandPath() + " --help"
}

// nearestSubcommand asks back about the subcommand of one of the server.
func nearestSubcommand(args []string) string {
	cmd := command.Lookup([]byte(args[0]))
	if cmd == nil || len(args) < 2 {
		return ""
	}
	if near := nearest(args[1], commandNames(cmd.Subcommands)); near != "" {
		return didYouMean(strings.ToUpper(args[0]) + " " + near)
	}
	return ""
}

// nearestFlag names the option that was probably meant by one that is not known.
func nearestFlag(cmd *cobra.Command, message string) string {
	name, ok := strings.CutPrefix(message, "unknown flag: --")
	if !ok {
		return ""
	}
	var names []string
	add := func(f *pflag.Flag) { names = append(names, f.Name) }
	cmd.NonInheritedFlags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	if near := nearest(name, names); near != "" {
		return didYouMean("--" + near)
	}
	return ""
}

// distance counts the letters to insert, remove, replace or swap with their
// neighbour that make b of a.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
