package command

import (
	"slices"

	"kvstored/pkg/resp"
)

// SubKind is what a connection can subscribe to.
type SubKind int

// The kinds.
const (
	Channels SubKind = iota
	Patterns
	Shards // channels of a shard: a name space of their own
	SubKinds
)

// Subscribed tells whether the connection is subscribed to anything.
func (s *Session) Subscribed() bool { return s.Subs != [SubKinds]int{} }

// Confine notes whether there are commands that the session cannot use now. It
// is called when Subs or Monitor has changed.
func (s *Session) Confine() { s.Confined = s.Monitor || s.Subscribed() }

// confined refuses a command that a subscriber or a monitor cannot use.
func (c *Call) confined() bool {
	s, cmd := c.Session, c.Cmd
	switch {
	case s.Subscribed() && s.Proto != 3 && cmd.Flags&InSubscribe == 0:
		c.Reply.Rejected = true
		c.Fail("ERR Can't execute '" + cmd.full + "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context")
	case s.Monitor && cmd.Flags&(Write|ReadOnly) != 0:
		c.Reply.Rejected = true
		c.Fail("ERR Replica can't interact with the keyspace")
	default:
		return false
	}
	return true
}

// Count is the number that SUBSCRIBE and UNSUBSCRIBE of this kind answer:
// channels and patterns are counted together.
func (s *Session) Count(k SubKind) int {
	if k == Shards {
		return s.Subs[Shards]
	}
	return s.Subs[Channels] + s.Subs[Patterns]
}

// Hub is what commands need to reach other connections. Called from a Step.
type Hub interface {
	// Subscribe and Unsubscribe change what s is subscribed to, and its counts.
	Subscribe(s *Session, k SubKind, name []byte)
	Unsubscribe(s *Session, k SubKind, name []byte)
	// Subscriptions is what s is subscribed to, in order.
	Subscriptions(s *Session, k SubKind) []string
	// Publish sends a message to the subscribers of a channel (Channels: and of
	// matching patterns) and returns how many there were.
	Publish(k SubKind, channel, message []byte) int
	// Topics is what anybody is subscribed to, in order.
	Topics(k SubKind) []string
	// Receivers is how many connections are subscribed to a name.
	Receivers(k SubKind, name []byte) int
	Tracker
	// Monitor shows all requests to s; again: that was so before.
	Monitor(s *Session) (again bool, err error)
	// Leave ends all subscriptions, the tracking and the monitoring of s.
	Leave(s *Session)
}

var subscribed = [SubKinds]string{"subscribe", "psubscribe", "ssubscribe"}
var unsubscribed = [SubKinds]string{"unsubscribe", "punsubscribe", "sunsubscribe"}

func planSubscribe(c *Call)    { c.subscribe(Channels) }
func planPsubscribe(c *Call)   { c.subscribe(Patterns) }
func planSsubscribe(c *Call)   { c.subscribe(Shards) }
func planUnsubscribe(c *Call)  { c.unsubscribe(Channels) }
func planPunsubscribe(c *Call) { c.unsubscribe(Patterns) }
func planSunsubscribe(c *Call) { c.unsubscribe(Shards) }

// subscribe answers with one push per name.
func (c *Call) subscribe(k SubKind) {
	c.Keep()
	c.Reply.Pushes = true
	c.Reply.Step = func(x *Exec, r *Reply) {
		for _, name := range r.Args[1:] {
			x.Hub.Subscribe(r.Session, k, name)
			writeSubscription(x.W, subscribed[k], name, r.Session.Count(k))
		}
	}
}

// unsubscribe answers with one push per name; without names it means all of
// them, and answers with one push where there are none.
func (c *Call) unsubscribe(k SubKind) {
	c.Keep()
	c.Reply.Pushes = true
	c.Reply.Step = func(x *Exec, r *Reply) {
		names := r.Args[1:]
		if len(names) == 0 {
			for _, s := range x.Hub.Subscriptions(r.Session, k) {
				names = append(names, []byte(s))
			}
		}
		if len(names) == 0 {
			writeSubscription(x.W, unsubscribed[k], nil, r.Session.Count(k))
		}
		for _, name := range names {
			x.Hub.Unsubscribe(r.Session, k, name)
			writeSubscription(x.W, unsubscribed[k], name, r.Session.Count(k))
		}
	}
}

// writeSubscription writes one push; name nil is null.
func writeSubscription(w *resp.Writer, what string, name []byte, count int) {
	w.Push(3)
	w.BulkString(what)
	if name == nil {
		w.Null()
	} else {
		w.Bulk(name)
	}
	w.Int(int64(count))
}

// pong is what a RESP2 connection that is subscribed gets for PING.
func (c *Call) pong() {
	c.Answer(func(w *resp.Writer) {
		w.Array(2)
		w.BulkString("pong")
		if len(c.Args) == 2 {
			w.Bulk(c.Args[1])
			return
		}
		w.BulkString("")
	})
}

func planPublish(c *Call)  { c.publish(Channels) }
func planSpublish(c *Call) { c.publish(Shards) }

func (c *Call) publish(k SubKind) {
	c.Keep()
	c.Reply.Step = func(x *Exec, r *Reply) { x.W.Int(int64(x.Hub.Publish(k, r.Args[1], r.Args[2]))) }
}

func planPubsubChannels(c *Call)      { c.topics(Channels) }
func planPubsubShardchannels(c *Call) { c.topics(Shards) }

// topics answers with the names that match.
func (c *Call) topics(k SubKind) {
	if len(c.Args) > 3 {
		c.subcommandSyntax()
		return
	}
	c.Keep()
	c.Reply.Step = func(x *Exec, r *Reply) {
		names := x.Hub.Topics(k)
		if len(r.Args) == 3 {
			names = slices.DeleteFunc(names, func(s string) bool { return !Match(r.Args[2], []byte(s), false) })
		}
		x.W.Array(len(names))
		for _, s := range names {
			x.W.BulkString(s)
		}
	}
}

// subcommandSyntax answers for a subcommand with too many arguments.
func (c *Call) subcommandSyntax() {
	c.Fail("ERR unknown subcommand or wrong number of arguments for '" + string(clip(c.Args[1], 128)) + "'. Try " +
		upper(c.Cmd.parent.Name) + " HELP.")
}

func planPubsubNumsub(c *Call)      { c.receivers(Channels) }
func planPubsubShardnumsub(c *Call) { c.receivers(Shards) }

// receivers answers with a list of names and numbers, in RESP3, too.
func (c *Call) receivers(k SubKind) {
	c.Keep()
	c.Reply.Step = func(x *Exec, r *Reply) {
		x.W.Array(2 * len(r.Args[2:]))
		for _, name := range r.Args[2:] {
			x.W.Bulk(name)
			x.W.Int(int64(x.Hub.Receivers(k, name)))
		}
	}
}

func planPubsubNumpat(c *Call) {
	c.Reply.Step = func(x *Exec, _ *Reply) { x.W.Int(int64(len(x.Hub.Topics(Patterns)))) }
}

var pubsubHelp = []string{
	"CHANNELS [<pattern>]",
	"    Return the currently active channels matching a <pattern> (default: '*').",
	"NUMPAT",
	"    Return number of subscriptions to patterns.",
	"NUMSUB [<channel> ...]",
	"    Return the number of subscribers for the specified channels, excluding",
	"    pattern subscriptions(default: no channels).",
	"SHARDCHANNELS [<pattern>]",
	"    Return the currently active shard level channels matching a <pattern> (default: '*').",
	"SHARDNUMSUB [<shardchannel> ...]",
	"    Return the number of subscribers for the specified shard level channel(s)",
}

var pubsubCommands = []*Command{
	{
		Name: "publish", Arity: 3, Flags: PubSub | Loading | Stale | Fast, Group: "pubsub", Since: "2.0.0",
		Summary: "sends a message to the subscribers of a channel",
		Syntax:  "channel message",
		Plan:    planPublish,
	},
	{
		Name: "subscribe", Arity: -2, Flags: PubSub | NoScript | Loading | Stale | Barrier | InSubscribe, Group: "pubsub", Since: "2.0.0",
		Summary: "listens to channels",
		Syntax:  "channel [channel ...]",
		Plan:    planSubscribe,
	},
	{
		Name: "psubscribe", Arity: -2, Flags: PubSub | NoScript | Loading | Stale | Barrier | InSubscribe, Group: "pubsub", Since: "2.0.0",
		Summary: "listens to all channels whose names match patterns",
		Syntax:  "pattern [pattern ...]",
		Plan:    planPsubscribe,
	},
	{
		Name: "unsubscribe", Arity: -1, Flags: PubSub | NoScript | Loading | Stale | Barrier | InSubscribe, Group: "pubsub", Since: "2.0.0",
		Summary: "stops listening to channels, to all of them without names",
		Syntax:  "[channel [channel ...]]",
		Plan:    planUnsubscribe,
	},
	{
		Name: "punsubscribe", Arity: -1, Flags: PubSub | NoScript | Loading | Stale | Barrier | InSubscribe, Group: "pubsub", Since: "2.0.0",
		Summary: "stops listening to patterns, to all of them without names",
		Syntax:  "[pattern [pattern ...]]",
		Plan:    planPunsubscribe,
	},
	{
		Name: "pubsub", Arity: -2, Group: "pubsub", Since: "2.8.0",
		Summary: "about who listens to what",
		Help:    pubsubHelp,
		Subcommands: []*Command{
			{
				Name: "channels", Arity: -2, Flags: PubSub | Loading | Stale, Group: "pubsub", Since: "2.8.0",
				Summary: "the channels that somebody listens to",
				Syntax:  "[pattern]",
				Plan:    planPubsubChannels,
			},
			{
				Name: "numpat", Arity: 2, Flags: PubSub | Loading | Stale, Group: "pubsub", Since: "2.8.0",
				Summary: "how many different patterns are listened to",
				Plan:    planPubsubNumpat,
			},
			{
				Name: "numsub", Arity: -2, Flags: PubSub | Loading | Stale, Group: "pubsub", Since: "2.8.0",
				Summary: "how many listen to each of the channels",
				Syntax:  "[channel [channel ...]]",
				Plan:    planPubsubNumsub,
			},
			{
				Name: "shardchannels", Arity: -2, Flags: PubSub | Loading | Stale, Group: "pubsub", Since: "7.0.0",
				Summary: "the shard channels that somebody listens to",
				Syntax:  "[pattern]",
				Plan:    planPubsubShardchannels,
			},
			{
				Name: "shardnumsub", Arity: -2, Flags: PubSub | Loading | Stale, Group: "pubsub", Since: "7.0.0",
				Summary: "how many listen to each of the shard channels",
				Syntax:  "[shardchannel [shardchannel ...]]",
				Plan:    planPubsubShardnumsub,
			},
			{
				Name: "help", Arity: 2, Flags: Loading | Stale, Group: "pubsub", Since: "6.2.0",
				Summary: "lists the subcommands",
				Plan:    planHelp,
			},
		},
	},
	{
		Name: "spublish", Arity: 3, Flags: PubSub | Loading | Stale | Fast, Group: "pubsub", Since: "7.0.0",
		FirstKey: 1, LastKey: 1, KeyStep: 1, KeyUse: "not_key",
		Summary: "sends a message to the subscribers of a shard channel; there is one shard",
		Syntax:  "shardchannel message",
		Plan:    planSpublish,
	},
	{
		Name: "ssubscribe", Arity: -2, Flags: PubSub | NoScript | Loading | Stale | Barrier | InSubscribe, Group: "pubsub", Since: "7.0.0",
		FirstKey: 1, LastKey: -1, KeyStep: 1, KeyUse: "not_key",
		Summary: "listens to shard channels",
		Syntax:  "shardchannel [shardchannel ...]",
		Plan:    planSsubscribe,
	},
	{
		Name: "sunsubscribe", Arity: -1, Flags: PubSub | NoScript | Loading | Stale | Barrier | InSubscribe, Group: "pubsub", Since: "7.0.0",
		FirstKey: 1, LastKey: -1, KeyStep: 1, KeyUse: "not_key",
		Summary: "stops listening to shard channels, to all of them without names",
		Syntax:  "[shardchannel [shardchannel ...]]",
		Plan:    planSunsubscribe,
	},
}
