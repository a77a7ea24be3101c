package command

// Bits, HyperLogLogs and the rest of the keyspace, as rows.go has the others.

var bitCommands = []*Command{
	{
		Name: "setbit", Arity: 4, Flags: Write | DenyOOM, Group: "bitmap", Since: "2.2.0",
		FirstKey: 1, LastKey: 1, KeyStep: 1, KeyUse: "RW access update",
		Summary: "sets one bit and returns the old one",
		Syntax:  "key offset value",
		Plan:    planSetbit,
	},
	{
		Name: "getbit", Arity: 3, Flags: ReadOnly | Fast, Group: "bitmap", Since: "2.2.0",
		FirstKey: 1, LastKey: 1, KeyStep: 1, KeyUse: "RO access",
		Summary: "one bit",
		Syntax:  "key offset",
		Plan:    planGetbit,
	},
	{
		Name: "bitcount", Arity: -2, Flags: ReadOnly, Group: "bitmap", Since: "2.6.0",
		FirstKey: 1, LastKey: 1, KeyStep: 1, KeyUse: "RO access",
		Summary: "how many bits are set, in the whole value or a part",
		Syntax:  "key [start end [BYTE | BIT]]",
		Plan:    planBitcount,
	},
	{
		Name: "bitpos", Arity: -3, Flags: ReadOnly, Group: "bitmap", Since: "2.8.7",
		FirstKey: 1, LastKey: 1, KeyStep: 1, KeyUse: "RO access",
		Summary: "where the first bit is that is set, or not set",
		Syntax:  "key bit [start [end [BYTE | BIT]]]",
		Plan:    planBitpos,
	},
	{
		Name: "bitop", Arity: -4, Flags: Write | DenyOOM, Group: "bitmap", Since: "2.6.0",
		FirstKey: 2, LastKey: -1, KeyStep: 1, KeyUse: "OW update; RO access",
		Summary: "sets a key to the bits of others put together",
		Syntax:  "<AND | OR | XOR | NOT> destkey key [key ...]",
		Plan:    planBitop,
	},
	{
		Name: "bitfield", Arity: -2, Flags: Write | DenyOOM, Group: "bitmap", Since: "3.2.0",
		FirstKey: 1, LastKey: 1, KeyStep: 1, KeyUse: "RW access update variable_flags", Use: useOfBitfield,
		Summary: "reads, sets and adds to numbers of any width inside a value",
		Syntax:  "key [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value | INCRBY encoding offset increment> ...]",
		Plan:    planBitfield,
	},
	{
		Name: "bitfield_ro", Arity: -2, Flags: ReadOnly | Fast, Group: "bitmap", Since: "6.0.0",
		FirstKey: 1, LastKey: 1, KeyStep: 1, KeyUse: "RO access",
		Summary: "reads numbers of any width inside a value",
		Syntax:  "key [GET encoding offset [GET encoding offset ...]]",
		Plan:    planBitfieldRo,
	},
}

var hllCommands = []*Command{
	{
		Name: "pfadd", Arity: -2, Flags: Write | DenyOOM | Fast, Group: "hyperloglog", Since: "2.8.9",
		FirstKey: 1, LastKey: 1, KeyStep: 1, KeyUse: "RW insert",
		Summary: "adds elements to a HyperLogLog",
		Syntax:  "key [element [element ...]]",
		Plan:    planPfadd,
	},
	{
		Name: "pfcount", Arity: -2, Flags: ReadOnly, Group: "hyperloglog", Since: "2.8.9",
		FirstKey: 1, LastKey: -1, KeyStep: 1, KeyUse: "RW access",
		Summary: "about how many different elements were added to the HyperLogLogs",
		Syntax:  "key [key ...]",
		Plan:    planPfcount,
	},
	{
		Name: "pfmerge", Arity: -2, Flags: Write | DenyOOM, Group: "hyperloglog", Since: "2.8.9",
		FirstKey: 1, LastKey: -1, KeyStep: 1, KeyUse: "RW access insert; RO access",
		Summary: "adds all that HyperLogLogs have seen to the first one",
		Syntax:  "destkey [sourcekey [sourcekey ...]]",
		Plan:    planPfmerge,
	},
}

var moreGenericCommands = []*Command{
	{
		Name: "touch", Arity: -2, Flags: ReadOnly | Fast, Group: "generic", Since: "3.2.1",
		FirstKey: 1, LastKey: -1, KeyStep: 1, KeyUse: "RO",
		Tips:    []string{"request_policy:multi_shard", "response_policy:agg_sum"},
		Summary: "how many of the keys exist",
		Syntax:  "key [key ...]",
		Plan:    planExists,
	},
	{
		Name: "move", Arity: 3, Flags: Write | Fast, Group: "generic", Since: "1.0.0",
		FirstKey: 1, LastKey: 1, KeyStep: 1, KeyUse: "RW access update",
		Summary: "moves a key to another database, if it is free there",
		Syntax:  "key db",
		Plan:    planMove,
	},
	{
		Name: "swapdb", Arity: 3, Flags: Write | Fast | Dangerous, Group: "generic", Since: "4.0.0",
		Summary: "exchanges two databases",
		Syntax:  "index1 index2",
		Plan:    planSwapdb,
	},
	{
		Name: "dump", Arity: 2, Flags: ReadOnly, Group: "generic", Since: "2.6.0",
		FirstKey: 1, LastKey: 1, KeyStep: 1, KeyUse: "RO access",
		Tips:    []string{"nondeterministic_output"},
		Summary: "a value as RESTORE takes it",
		Syntax:  "key",
		Plan:    planDump,
	},
	{
		Name: "restore", Arity: -4, Flags: Write | DenyOOM | Dangerous, Group: "generic", Since: "2.6.0",
		FirstKey: 1, LastKey: 1, KeyStep: 1, KeyUse: "OW update",
		Summary: "sets a key to what DUMP gave",
		Syntax:  "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
		Plan:    planRestore,
	},
	{
		Name: "wait", Arity: 3, Group: "generic", Since: "3.0.0",
		Tips:    []string{"request_policy:all_shards", "response_policy:agg_min"},
		Summary: "how many replicas have the writes: none, there are no replicas",
		Syntax:  "numreplicas timeout",
		Plan:    planWait,
	},
	{
		Name: "waitaof", Arity: 4, Flags: NoScript, Group: "generic", Since: "7.2.0",
		Tips:    []string{"request_policy:all_shards", "response_policy:agg_min"},
		Summary: "as WAIT, for append-only files",
		Syntax:  "numlocal numreplicas timeout",
		Plan:    planWaitaof,
	},
	{
		Name: "object", Arity: -2, Group: "generic", Since: "2.2.3",
		Summary: "about how values are kept",
		Help:    objectHelp,
		Subcommands: []*Command{
			{
				Name: "encoding", Arity: 3, Flags: ReadOnly, Group: "generic", Since: "2.2.3",
				FirstKey: 2, LastKey: 2, KeyStep: 1, KeyUse: "RO",
				Tips:    []string{"nondeterministic_output"},
				Summary: "how Redis would keep the value: int, embstr or raw",
				Syntax:  "key",
				Plan:    planObjectEncoding,
			},
			{
				Name: "freq", Arity: 3, Flags: ReadOnly, Group: "generic", Since: "4.0.0",
				FirstKey: 2, LastKey: 2, KeyStep: 1, KeyUse: "RO",
				Tips:    []string{"nondeterministic_output"},
				Summary: "how often a key is used, by samples, while the policy goes by use; else refused",
				Syntax:  "key",
				Plan:    planObjectFreq,
			},
			{
				Name: "idletime", Arity: 3, Flags: ReadOnly, Group: "generic", Since: "2.2.3",
				FirstKey: 2, LastKey: 2, KeyStep: 1, KeyUse: "RO",
				Tips:    []string{"nondeterministic_output"},
				Summary: "refused: when a key was last used is not noted",
				Syntax:  "key",
				Plan:    planObjectIdletime,
			},
			{
				Name: "refcount", Arity: 3, Flags: ReadOnly, Group: "generic", Since: "2.2.3",
				FirstKey: 2, LastKey: 2, KeyStep: 1, KeyUse: "RO",
				Tips:    []string{"nondeterministic_output"},
				Summary: "how often Redis would share the value",
				Syntax:  "key",
				Plan:    planObjectRefcount,
			},
			{
				Name: "help", Arity: 2, Flags: Loading | Stale, Group: "generic", Since: "6.2.0",
				Summary: "lists the subcommands",
				Plan:    planHelp,
			},
		},
	},
}
