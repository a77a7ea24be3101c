package command

// Subcommands of rows in rows.go that are about the server's own state.
var moreSubcommands = map[string][]*Command{
	"command": {
		{
			Name: "getkeysandflags", Arity: -3, Flags: Loading | Stale, Group: "server", Since: "7.0.0",
			Summary: "the keys among the arguments of a command, and what is done to them",
			Syntax:  "command [arg ...]",
			Plan:    planCommandGetkeysandflags,
		},
	},
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
		Name: "reset", Arity: 1, Flags: Barrier | InSubscribe | NoScript | Loading | Stale | Fast | NoAuth | AllowBusy,
		Group: "connection", Since: "6.2.0",
		Summary: "makes the connection as it was when it was opened",
		Plan:    planReset,
	},
	{
		Name: "slowlog", Arity: -2, Group: "server", Since: "2.2.12",
		Summary: "commands that took long",
		Help:    slowlogHelp,
		Subcommands: []*Command{
			{
				Name: "get", Arity: -2, Flags: Admin | Loading | Stale, Group: "server", Since: "2.2.12",
				Tips:    []string{"request_policy:all_nodes", "nondeterministic_output"},
				Summary: "the latest slow commands",
				Syntax:  "[count]",
				Plan:    planSlowlogGet,
			},
			{
				Name: "len", Arity: 2, Flags: Admin | Loading | Stale, Group: "server", Since: "2.2.12",
				Tips:    []string{"request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"},
				Summary: "the number of slow commands kept",
				Plan:    planSlowlogLen,
			},
			{
				Name: "reset", Arity: 2, Flags: Admin | Loading | Stale, Group: "server", Since: "2.2.12",
				Tips:    []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
				Summary: "forgets the slow commands",
				Plan:    planSlowlogReset,
			},
			{
				Name: "help", Arity: 2, Flags: Loading | Stale, Group: "server", Since: "6.2.0",
				Summary: "lists the subcommands",
				Plan:    planHelp,
			},
		},
	},
	{
		Name: "latency", Arity: -2, Group: "server", Since: "2.8.13",
		Summary: "how long commands and housekeeping take",
		Help:    latencyHelp,
		Subcommands: []*Command{
			latencyRow("doctor", 2, "2.8.13", "what the latency monitor has seen, in words", "", "response_policy:special", planLatencyDoctor),
			latencyRow("histogram", -2, "7.0.0", "how many calls of commands took how long", "[command [command ...]]",
				"response_policy:special", planLatencyHistogram),
			latencyRow("history", 3, "2.8.13", "the samples of an event", "event", "response_policy:special", planLatencyHistory),
			latencyRow("latest", 2, "2.8.13", "the latest sample of each event", "", "response_policy:special", planLatencyLatest),
			{
				Name: "reset", Arity: -2, Flags: Admin | NoScript | Loading | Stale, Group: "server", Since: "2.8.13",
				Tips:    []string{"request_policy:all_nodes", "response_policy:agg_sum"},
				Summary: "forgets events",
				Syntax:  "[event [event ...]]",
				Plan:    planLatencyReset,
			},
			{
				Name: "help", Arity: 2, Flags: Loading | Stale, Group: "server", Since: "2.8.13",
				Summary: "lists the subcommands",
				Plan:    planHelp,
			},
		},
	},
	{
		Name: "memory", Arity: -2, Group: "server", Since: "4.0.0",
		Summary: "about memory",
		Help:    memoryHelp,
		Subcommands: []*Command{
			{
				Name: "doctor", Arity: 2, Group: "server", Since: "4.0.0",
				Tips:    []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"},
				Summary: "what is noticeable about the memory, in words",
				Plan:    planMemoryDoctor,
			},
			{
				Name: "malloc-stats", Arity: 2, Group: "server", Since: "4.0.0",
				Tips:    []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"},
				Summary: "says that the allocator gives no figures; MEMORY STATS has those there are",
				Plan:    planMemoryMallocStats,
			},
			{
				Name: "purge", Arity: 2, Group: "server", Since: "4.0.0",
				Tips:    []string{"request_policy:all_shards", "response_policy:all_succeeded"},
				Summary: "gives memory that is held needlessly back to the system",
				Plan:    planMemoryPurge,
			},
			{
				Name: "stats", Arity: 2, Group: "server", Since: "4.0.0",
				Tips:    []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"},
				Summary: "where the memory is",
				Plan:    planMemoryStats,
			},
			{
				Name: "usage", Arity: -3, Flags: ReadOnly, Group: "server", Since: "4.0.0",
				FirstKey: 2, LastKey: 2, KeyStep: 1, KeyUse: "RO",
				Summary: "bytes of a key and its value, with what the engine needs for an entry on average",
				Syntax:  "key [SAMPLES count]",
				Plan:    planMemoryUsage,
			},
			{
				Name: "help", Arity: 2, Flags: Loading | Stale, Group: "server", Since: "4.0.0",
				Summary: "lists the subcommands",
				Plan:    planHelp,
			},
		},
	},
	{
		Name: "shutdown", Arity: -1, Flags: AdminOnly | Admin | NoScript | Loading | Stale | NoMulti | AllowBusy,
		Group: "server", Since: "1.0.0",
		Summary: "ends the daemon, which systemd starts again for the next client; root and the daemon's user only",
		Syntax:  "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
		Plan:    planShutdown,
	},
	{
		Name: "save", Arity: 1, Flags: Admin | NoScript | NoMulti | NoAsyncLoading | AnsweredLater, Group: "server", Since: "1.0.0",
		Summary: "has the engine write all data as a snapshot and answers when that is on disk; nobody else waits",
		Plan:    planSave,
	},
	{
		Name: "bgsave", Arity: -1, Flags: Admin | NoScript | NoAsyncLoading, Group: "server", Since: "1.0.0",
		Summary: "has the engine write all data as a snapshot and answers at once",
		Syntax:  "[SCHEDULE]",
		Plan:    planBgsave,
	},
	{
		Name: "lastsave", Arity: 1, Flags: AdminCategory | Dangerous | Loading | Stale | Fast, Group: "server", Since: "1.0.0",
		Summary: "when the last snapshot was made that SAVE or BGSAVE asked for, or else the daemon was started",
		Tips:    []string{"nondeterministic_output"},
		Plan:    planLastsave,
	},
	{
		Name: "debug", Arity: -2, Flags: AdminOnly | Admin | NoScript | Loading | Stale, Group: "server", Since: "1.0.0",
		Summary: "what tests of clients need: SLEEP, DIGEST, DIGEST-VALUE, ERROR, OBJECT, PROTOCOL, SET-ACTIVE-EXPIRE; root and the daemon's user only",
		Syntax:  "subcommand [arg ...]",
		Plan:    planDebug,
	},
	{
		Name: "role", Arity: 1, Flags: AdminCategory | NoScript | Loading | Stale | Fast, Group: "server", Since: "2.8.12",
		Summary: "always master, without replicas",
		Plan:    planRole,
	},
	{
		Name: "lolwut", Arity: -1, Flags: ReadOnly | Fast, Group: "server", Since: "5.0.0",
		Summary: "a small picture, and the version",
		Syntax:  "[VERSION version [arg ...]]",
		Plan:    planLolwut,
	},
	{
		Name: "replicaof", Arity: 3, Flags: Admin | NoScript | Stale | NoAsyncLoading, Group: "server", Since: "5.0.0",
		Summary: "only NO ONE is accepted: there is no replication",
		Syntax:  "NO ONE",
		Plan:    planReplicaof,
	},
	{
		Name: "slaveof", Arity: 3, Flags: Admin | NoScript | Stale | NoAsyncLoading, Group: "server", Since: "1.0.0",
		Summary: "the old name of REPLICAOF",
		Syntax:  "NO ONE",
		Plan:    planReplicaof,
	},
	{
		Name: "failover", Arity: -1, Flags: Admin | NoScript | Stale, Group: "server", Since: "6.2.0",
		Summary: "refused: there are no replicas",
		Syntax:  "[ABORT]",
		Plan:    planFailover,
	},
	{
		Name: "cluster", Arity: -2, Group: "cluster", Since: "3.0.0",
		Summary: "refused: this is no cluster",
		Syntax:  "subcommand [arg ...]",
		Plan:    planCluster,
	},
	{
		Name: "readonly", Arity: 1, Flags: Loading | Stale | Fast, Group: "cluster", Since: "3.0.0",
		Summary: "refused: this is no cluster",
		Plan:    planNoCluster,
	},
	{
		Name: "readwrite", Arity: 1, Flags: Loading | Stale | Fast, Group: "cluster", Since: "3.0.0",
		Summary: "refused: this is no cluster",
		Plan:    planNoCluster,
	},
	{
		Name: "asking", Arity: 1, Flags: Fast, Group: "cluster", Since: "3.0.0",
		Summary: "refused: this is no cluster",
		Plan:    planNoCluster,
	},
}

// latencyRow is a subcommand of LATENCY that reads.
func latencyRow(name string, arity int, since, summary, syntax, policy string, plan func(*Call)) *Command {
	return &Command{
		Name: name, Arity: arity, Flags: Admin | NoScript | Loading | Stale, Group: "server", Since: since,
		Tips:    []string{"nondeterministic_output", "request_policy:all_nodes", policy},
		Summary: summary, Syntax: syntax, Plan: plan,
	}
}
