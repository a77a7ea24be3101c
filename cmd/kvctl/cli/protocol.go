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
