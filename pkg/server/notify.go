package server

import (
	"strconv"

	"kvstored/pkg/batch"
	"kvstored/pkg/command"
)

// Keyspace notifications: what notify-keyspace-events chooses is published on
// __keyspace@DB__:KEY (the event) and __keyevent@DB__:EVENT (the key).

// events publishes notifications.
type events struct {
	hub   *hub
	flags command.Events
	name  []byte // of a channel, being made
}

// fire publishes one event where its class is chosen.
func (e *events) fire(class command.Events, event string, space uint32, key []byte) {
	if e.flags&class == 0 {
		return
	}
	if e.flags&command.EventKeyspace != 0 {
		e.hub.Publish(command.Channels, e.channel("__keyspace@", space, string(key)), []byte(event))
	}
	if e.flags&command.EventKeyevent != 0 {
		e.hub.Publish(command.Channels, e.channel("__keyevent@", space, event), key)
	}
}

func (e *events) channel(prefix string, space uint32, rest string) []byte {
	b := append(e.name[:0], prefix...)
	b = strconv.AppendUint(b, uint64(space), 10)
	b = append(b, "__:"...)
	e.name = append(b, rest...)
	return e.name
}

// event is the name of what happened to a key, with its class.
type event struct {
	class command.Events
	text  string
}

// eventNames is what a command's effects are called.
type eventNames struct {
	changed   event
	removed   event // the zero value: del
	misses    bool  // it looks for values to read
	firstOnly bool  // of its operations only the first one does
	readsOnly bool  // only when it writes nothing
	silent    bool  // nothing is published
	together  bool  // its operations are one event, the first of them only makes room
	anew      bool  // what it sets is new even where something was
}

var names0 = eventNames{changed: event{command.EventString, "set"}}

// namesByCommand has those whose effects are not called set, or which look for
// values to read though they write.
var namesByCommand = map[string]eventNames{
	"append":      {changed: event{command.EventString, "append"}},
	"setrange":    {changed: event{command.EventString, "setrange"}},
	"incr":        {changed: event{command.EventString, "incrby"}},
	"decr":        {changed: event{command.EventString, "incrby"}},
	"incrby":      {changed: event{command.EventString, "incrby"}},
	"decrby":      {changed: event{command.EventString, "incrby"}},
	"incrbyfloat": {changed: event{command.EventString, "incrbyfloat"}},
	"setbit":      {changed: event{command.EventString, "setbit"}},
	"bitfield":    {changed: event{command.EventString, "setbit"}, misses: true, readsOnly: true, together: true},
	"bitop":       {changed: event{command.EventString, "set"}, misses: true},
	"pfadd":       {changed: event{command.EventString, "pfadd"}},
	"pfmerge":     {changed: event{command.EventString, "pfadd"}, misses: true},
	"swapdb":      {silent: true},
	"pfcount":     {misses: true},
	"restore":     {changed: event{command.EventGeneric, "restore"}, anew: true},
	"copy":        {changed: event{command.EventGeneric, "copy_to"}, misses: true, firstOnly: true, anew: true},
	"rename":      {changed: event{command.EventGeneric, "rename_to"}, removed: event{command.EventGeneric, "rename_from"}, anew: true},
	"renamenx":    {changed: event{command.EventGeneric, "rename_to"}, removed: event{command.EventGeneric, "rename_from"}, anew: true},
	"move":        {changed: event{command.EventGeneric, "move_to"}, removed: event{command.EventGeneric, "move_from"}, anew: true},
	"set":         {changed: event{command.EventString, "set"}, misses: true},
	"getset":      {changed: event{command.EventString, "set"}, misses: true},
	"getdel":      {misses: true, firstOnly: true},
	"getex":       {misses: true, firstOnly: true},
}

// namesOf is what a command's effects are called.
func namesOf(cmd *command.Command) eventNames {
	if n, ok := namesByCommand[cmd.Name]; ok {
		return n
	}
	n := names0
	n.misses = cmd.Flags&command.ReadOnly != 0 && cmd.FullName() == cmd.Name
	return n
}

// of publishes what an operation did.
func (e *events) of(o *batch.Op, what batch.Effect, timed bool, n *eventNames) {
	ev := event{}
	switch what {
	case batch.Changed, batch.Passed:
		ev = n.changed
	case batch.Removed:
		ev = n.removed
		if ev.text == "" {
			ev = event{command.EventGeneric, "del"}
		}
	case batch.Retimed:
		ev = event{command.EventGeneric, "expire"}
	case batch.Persisted:
		ev = event{command.EventGeneric, "persist"}
	}
	if ev.text != "" {
		e.fire(ev.class, ev.text, o.Space, o.KeyBytes())
	}
	if timed && ev.text == "set" {
		e.fire(command.EventGeneric, "expire", o.Space, o.KeyBytes())
	}
	if what == batch.Passed { // in Redis it goes when somebody looks
		e.fire(command.EventExpired, "expired", o.Space, o.KeyBytes())
	}
}

// setEvents is notify-keyspace-events from now on. Reactor's goroutine only.
func (w *worker) setEvents(text string) error {
	flags, err := command.ParseEvents(text)
	if err != nil {
		return err
	}
	w.events.flags = flags
	// Without a K or an E there is no channel to publish on.
	w.observe(byEvents, flags&(command.EventKeyspace|command.EventKeyevent) != 0 && flags&^(command.EventKeyspace|command.EventKeyevent) != 0)
	return nil
}
