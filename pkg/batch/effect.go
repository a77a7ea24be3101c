package batch

// Answers of an update function: enum kv_answer.
const (
	answerRemove  = 10
	answerReplace = 20
	answerPatch   = 30
	answerRetag   = 40
)

// noted is the address of the C function that calls an update function and
// notes its answer; set once.
var noted uintptr

// SetNoted names that C function.
func SetNoted(addr uintptr) { noted = addr }

// Note has operations that are added from now on keep what [Op.Effect] needs;
// with news, also whether a key that is set was there before.
func (b *Batch) Note(on, news bool) { b.note, b.noteNew = on || news, news }

// setNoted is Set as an update, which sees the entry before.
func (b *Batch) setNoted(space uint32, key, value []byte, expiry int64, flags uint16) int {
	i, a := b.Update(space, key, FuncSet)
	a.SetValue(value)
	a.Expiry = expiry
	if flags&KeepExpiry != 0 {
		a.Flags = KeepTTL
	}
	b.ops[i].Flags = flags &^ KeepExpiry
	return i
}

// Effect is what an operation did to its key.
type Effect int

// The effects.
const (
	Nothing   Effect = iota
	Changed          // the value; the expiry time maybe, too
	Removed          // the entry
	Retimed          // it has another expiry time
	Persisted        // it has no expiry time any more
	Cleared          // everything in the space has gone
	Passed           // it was set with an expiry time that had passed already
)

// Effect is what a carried-out operation did; an Update must have been added
// while [Batch.Note] was on. timed: the command gave an expiry time with the
// value; created: the key was not there before, as far as is known.
func (o *Op) Effect() (what Effect, timed, created bool) {
	if o.Code == Delete && o.Length == asSet && (o.Status == OK || o.Status == NotFound) {
		return Passed, true, false
	}
	if o.Status != OK {
		return Nothing, false, false
	}
	switch o.Code {
	case Set:
		return Changed, o.Expiry != 0, false
	case Delete:
		return Removed, false, false
	case Clear:
		return Cleared, false, false
	case Update:
		return o.Args().effect()
	}
	return Nothing, false, false
}

func (a *Arg) effect() (what Effect, timed, created bool) {
	switch {
	case a.Answer == answerRemove && a.Function == funcs[FuncSet]:
		return Passed, true, false
	case a.Answer == answerRemove && a.Existed != 0:
		return Removed, false, false
	case a.Answer == answerReplace || a.Answer == answerPatch:
		return Changed, a.Expiry != 0, a.Existed == 0
	case a.Function == funcs[FuncAppend] && a.Outcome == Done: // of nothing, to what is there
		return Changed, false, false
	case a.Answer == answerRetag && a.Existed != 0 && a.Expiry == 0:
		return Persisted, false, false
	case a.Answer == answerRetag && a.Existed != 0:
		return Retimed, false, false
	}
	return Nothing, false, false
}

// Missed tells whether a carried-out operation looked for a value that was not
// there.
func (o *Op) Missed() bool {
	switch o.Code {
	case Get, Meta:
		return o.Status == NotFound
	case Update:
		a := o.Args()
		return o.Status == OK && a.Existed == 0 && a.Outcome == Absent
	}
	return false
}

// function is the update function that is meant.
func (o *Op) function() uintptr {
	if o.Update == noted {
		return o.Args().Function
	}
	return o.Update
}
