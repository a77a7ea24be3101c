package command

var transactionCommands = []*Command{
	{
		Name: "multi", Arity: 1, Flags: NoScript | Loading | Stale | Fast | AllowBusy, Group: "transactions", Since: "1.2.0",
		Summary: "begins a transaction: what follows is kept until EXEC",
		Plan:    planMulti,
	},
	{
		Name: "exec", Arity: 1, Flags: NoScript | Loading | Stale | SkipSlowlog, Group: "transactions", Since: "1.2.0",
		Summary: "carries out the transaction, nothing of anybody else's in between; null when a watched key has changed",
		Plan:    planExec,
	},
	{
		Name: "discard", Arity: 1, Flags: NoScript | Loading | Stale | Fast | AllowBusy, Group: "transactions", Since: "2.0.0",
		Summary: "ends the transaction without carrying it out",
		Plan:    planDiscard,
	},
	{
		Name: "watch", Arity: -2, Flags: NoScript | Loading | Stale | Fast | AllowBusy, Group: "transactions", Since: "2.2.0",
		FirstKey: 1, LastKey: -1, KeyStep: 1, KeyUse: "RO",
		Summary: "has the next EXEC answer null if one of the keys changes before",
		Syntax:  "key [key ...]",
		Plan:    planWatch,
	},
	{
		Name: "unwatch", Arity: 1, Flags: NoScript | Loading | Stale | Fast | AllowBusy, Group: "transactions", Since: "2.2.0",
		Summary: "forgets all watched keys",
		Plan:    planUnwatch,
	},
}
