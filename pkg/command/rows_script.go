package command

const evalFlags = NoScript | Stale | SkipMonitor | NoMandatoryKeys | MovableKeys

var scriptCommands = []*Command{
	{
		Name: "eval", Arity: -3, Flags: evalFlags, Group: "scripting", Since: "2.6.0",
		NumKeys: 2, KeyUse: "RW access update",
		Summary: "runs a script in Lua, nothing of anybody else's in between",
		Syntax:  "script numkeys [key [key ...]] [arg [arg ...]]",
		Plan:    planEval,
	},
	{
		Name: "eval_ro", Arity: -3, Flags: ReadOnly | evalFlags, Group: "scripting", Since: "7.0.0",
		NumKeys: 2, KeyUse: "RO access",
		Summary: "runs a script in Lua that writes nothing",
		Syntax:  "script numkeys [key [key ...]] [arg [arg ...]]",
		Plan:    planEvalRo,
	},
	{
		Name: "evalsha", Arity: -3, Flags: evalFlags, Group: "scripting", Since: "2.6.0",
		NumKeys: 2, KeyUse: "RW access update",
		Summary: "runs a script that the daemon knows by its SHA-1",
		Syntax:  "sha1 numkeys [key [key ...]] [arg [arg ...]]",
		Plan:    planEvalsha,
	},
	{
		Name: "evalsha_ro", Arity: -3, Flags: ReadOnly | evalFlags, Group: "scripting", Since: "7.0.0",
		NumKeys: 2, KeyUse: "RO access",
		Summary: "runs a script that writes nothing and that the daemon knows by its SHA-1",
		Syntax:  "sha1 numkeys [key [key ...]] [arg [arg ...]]",
		Plan:    planEvalshaRo,
	},
	{
		Name: "script", Arity: -2, Group: "scripting", Since: "2.6.0",
		Summary: "about the scripts that the daemon knows",
		Help:    scriptHelp,
		Subcommands: []*Command{
			{
				Name: "load", Arity: 3, Flags: NoScript | Stale, Group: "scripting", Since: "2.6.0",
				Tips:    []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
				Summary: "keeps a script for EVALSHA and returns its SHA-1",
				Syntax:  "script",
				Plan:    planScriptLoad,
			},
			{
				Name: "exists", Arity: -3, Flags: NoScript, Group: "scripting", Since: "2.6.0",
				Tips:    []string{"request_policy:all_shards", "response_policy:agg_logical_and"},
				Summary: "which scripts are known",
				Syntax:  "sha1 [sha1 ...]",
				Plan:    planScriptExists,
			},
			{
				Name: "flush", Arity: -2, Flags: NoScript, Group: "scripting", Since: "2.6.0",
				Tips:    []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
				Summary: "forgets all scripts",
				Syntax:  "[ASYNC | SYNC]",
				Plan:    planScriptFlush,
			},
			{
				Name: "kill", Arity: 2, Flags: NoScript | AllowBusy, Group: "scripting", Since: "2.6.0",
				Tips:    []string{"request_policy:all_shards", "response_policy:one_succeeded"},
				Summary: "ends the script that runs, if it has written nothing",
				Plan:    planScriptKill,
			},
			{
				Name: "debug", Arity: 3, Flags: NoScript, Group: "scripting", Since: "3.2.0",
				Summary: "there is no debugger: NO changes nothing, YES and SYNC are refused",
				Syntax:  "<YES | SYNC | NO>",
				Plan:    planScriptDebug,
			},
			{
				Name: "help", Arity: 2, Flags: Loading | Stale, Group: "scripting", Since: "5.0.0",
				Summary: "lists the subcommands",
				Plan:    planHelp,
			},
		},
	},
}
