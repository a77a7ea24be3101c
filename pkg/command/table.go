package command

import "strings"

var engineCommands = []*Command{{
	Name: "engine", Arity: -2, Flags: Admin | NoScript | Loading | Stale | OnlyKvstored, Group: "engine", Since: "0.1.0",
	Summary: "about the engine that keeps the data",
	Help:    engineHelp,
	Subcommands: []*Command{
		{
			Name: "status", Arity: 2, Flags: NoScript | Loading | Stale | OnlyKvstored, Group: "engine", Since: "0.1.0",
			Summary: "which engine serves, since when, and what came of the last swap",
			Plan:    planEngineStatus,
		},
		{
			Name: "hotkeys", Arity: -2, Flags: NoScript | Loading | Stale | OnlyKvstored, Group: "engine", Since: "0.1.0",
			Summary: "the keys that are asked for most, with operations a second and their share; a sample is always taken",
			Syntax:  "[count]",
			Plan:    planEngineHotkeys,
		},
		{
			Name: "load", Arity: -2, Flags: Admin | NoScript | LoadsCode | OnlyKvstored, Group: "engine", Since: "0.1.0",
			Summary: "exchanges the engine for the configured library, or for the one at a path; root and the daemon's user only",
			Syntax:  "[path]",
			Plan:    planEngineLoad,
		},
		{
			Name: "check", Arity: 3, Flags: Admin | NoScript | LoadsCode | OnlyKvstored, Group: "engine", Since: "0.1.0",
			Summary: "tries a library in a child process and reports on it; root and the daemon's user only",
			Syntax:  "path",
			Plan:    planEngineCheck,
		},
		{
			Name: "help", Arity: 2, Flags: Loading | Stale | OnlyKvstored, Group: "engine", Since: "0.1.0",
			Summary: "lists the subcommands",
			Plan:    planHelp,
		},
	},
}}

var table []*Command

// Table is all commands, by group and then as the manual has them.
func Table() []*Command { return table }

func init() {
	for _, group := range [][]*Command{
		stringCommands, bitCommands, hllCommands, genericCommands, moreGenericCommands, connectionCommands,
		transactionCommands, scriptCommands, pubsubCommands, serverCommands, engineCommands, adminCommands,
		monitorCommands,
	} {
		table = append(table, group...)
	}
	for _, cmd := range table {
		cmd.full = cmd.Name
		addName(cmd.Name, cmd)
		cmd.number()
		cmd.Subcommands = append(cmd.Subcommands, moreSubcommands[cmd.Name]...)
		if cmd.Name == "client" {
			cmd.Subcommands = append(cmd.Subcommands, trackingCommands...)
		}
		for _, sub := range cmd.Subcommands {
			sub.parent, sub.full = cmd, cmd.Name+"|"+sub.Name
			sub.number()
		}
	}
}

var numbered int

// number gives the command its Index, and what else follows from its row.
func (cmd *Command) number() {
	cmd.Looks = cmd.Flags&ReadOnly != 0 && cmd.FirstKey != 0
	cmd.Index = numbered
	numbered++
}

// Count is how many commands and subcommands there are: Index is below it.
func Count() int { return numbered }

// Usage is the command as the manual writes it: upper case, then the arguments.
func (cmd *Command) Usage() string {
	return strings.TrimSpace(upper(cmd.words()) + " " + cmd.Syntax)
}
