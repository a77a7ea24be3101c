package command

// Subcommands of rows in rows.go that are about the server's own state.
var moreSubcommands = map[string][]*Command{
	"client": {
		{
			Name: "kill", Arity: -3, Flags: Admin | NoScript | Loading | Stale, Group: "connection", Since: "2.4.0",
			Summary: "closes connections, all that match every filter",
			Syntax: "<address | [ID client-id] [TYPE <NORMAL | MASTER | SLAVE | REPLICA | PUBSUB>] [USER username] [ADDR address] " +
				"[LADDR address] [SKIPME yes/no]>",
			Plan: planClientKill,
		},
		{
			Name: "no-evict", Arity: 3, Flags: Admin | NoScript | Loading | Stale, Group: "connection", Since: "7.0.0",
			Summary: "notes that this connection is not to be evicted; no connection ever is",
			Syntax:  "<ON | OFF>",
			Plan:    planClientNoEvict,
		},
		{
			Name: "no-touch", Arity: 3, Flags: NoScript | Loading | Stale, Group: "connection", Since: "7.2.0",
			Summary: "notes that what this connection reads does not count as used",
			Syntax:  "<ON | OFF>",
			Plan:    planClientNoTouch,
		},
		{
			Name: "pause", Arity: -3, Flags: Admin | NoScript | Loading | Stale, Group: "connection", Since: "2.9.50",
			Summary: "holds back the requests of all connections for a time, or only those that write",
			Syntax:  "timeout [WRITE | ALL]",
			Plan:    planClientPause,
		},
		{
			Name: "reply", Arity: 3, Flags: NoScript | Loading | Stale, Group: "connection", Since: "3.2.0",
			Summary: "says which replies this connection wants",
			Syntax:  "<ON | OFF | SKIP>",
			Plan:    planClientReply,
		},
		{
			Name: "unblock", Arity: -3, Flags: Admin | NoScript | Loading | Stale, Group: "connection", Since: "5.0.0",
			Summary: "wakes a client that waits in a command; no command waits here, so it is always 0",
			Syntax:  "client-id [TIMEOUT | ERROR]",
			Plan:    planClientUnblock,
		},
		{
			Name: "unpause", Arity: 2, Flags: Admin | NoScript | Loading | Stale, Group: "connection", Since: "6.2.0",
			Summary: "ends a pause",
			Plan:    planClientUnpause,
		},
	},
}

// adminCommands are further commands about connections and the server.
var adminCommands = []*Command{
	{
		Name: "reset", Arity: 1, Flags: Barrier | InSubscribe | NoScript | Loading | Stale | Fast | NoAuth | AllowBusy, Group: "connection", Since: "6.2.0",
		Summary: "makes the connection as it was when it was opened",
		Plan:    planReset,
	},
}
