package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"kvstored/pkg/command"
)

// protocolCommand finds the command, or its subcommand, that args call; nil if
// the table has none of that name.
func protocolCommand(args []string) *command.Command {
	cmd := command.Lookup([]byte(args[0]))
	if cmd == nil || len(args) < 2 {
		return cmd
	}
	for _, sub := range cmd.Subcommands {
		if strings.EqualFold(sub.Name, args[1]) {
			return sub
		}
	}
	return cmd
}

// nearest is the command of the protocol that name was probably meant to be.
func nearest(name string) string {
	best, bestDistance := "", 3
	if len(name) < 4 {
		bestDistance = 2
	}
	for _, cmd := range command.Table() {
		known := strings.ToUpper(cmd.Name)
		if d := distance(name, known); d < bestDistance {
			best, bestDistance = known, d
		}
	}
	return best
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

// nearestChild names the subcommand that name was probably meant to be, or
// where all are listed.
func nearestChild(cmd *cobra.Command, name string) string {
	for _, child := range cmd.Commands() {
		if !child.Hidden && distance(name, child.Name()) < 3 {
			return "did you mean " + child.CommandPath() + "?"
		}
	}
	return cmd.CommandPath() + " --help"
}

// completeCommand offers the commands of the protocol, in the case in which
// the word was begun, and their subcommands.
func completeCommand(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	const plain = cobra.ShellCompDirectiveNoFileComp
	list := command.Table()
	if len(args) > 0 {
		cmd := command.Lookup([]byte(args[0]))
		if cmd == nil || len(args) > 1 {
			return nil, plain
		}
		list = cmd.Subcommands
	}
	lower := begun != "" && begun == strings.ToLower(begun)
	var offers []string
	for _, cmd := range list {
		name := strings.ToUpper(cmd.Name)
		if lower {
			name = cmd.Name
		}
		ours := len(args) == 0 && name == "engine" // offered already
		if strings.HasPrefix(name, begun) && !ours {
			offers = append(offers, name+"\t"+cmd.Summary)
		}
	}
	return offers, plain
}
