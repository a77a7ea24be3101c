package command

import (
	"bytes"
	"fmt"

	"kvstored/pkg/batch"
	"kvstored/pkg/resp"
)

// failed writes the error of an operation that was not carried out; a missing
// key is none.
func failed(w *resp.Writer, o *batch.Op, r *Reply) bool {
	if o.Status == batch.OK || o.Status == batch.NotFound {
		return false
	}
	w.Error(statusError(o, r.engine()))
	return true
}

// engine names the engine that serves.
func (r *Reply) engine() string {
	if r.Session == nil || r.Session.EngineName == nil {
		return ""
	}
	return r.Session.EngineName()
}

// statusError is the reply to an operation that an engine did not carry out.
func statusError(o *batch.Op, engine string) string {
	name := "the engine"
	if engine != "" {
		name = "the engine '" + engine + "'"
	}
	switch o.Status {
	case batch.OutOfMemory:
		return outOfMemory
	case batch.NoSpace:
		return "MISCONF " + name + " cannot write: the disk is full; reads go on"
	case batch.ReadOnly:
		return "READONLY " + name + " takes no writes now; reads go on"
	case batch.TooLarge:
		return "ERR key or value is too large for " + name
	case batch.Unsupported:
		return "ERR " + name + " cannot " + wish(o)
	case batch.Refused:
		return "ERR " + name + " does not take " + form(o)
	case batch.IOError:
		return "ERR input/output error in " + name + "; see the journal of kvstored"
	case batch.Corrupt:
		return "ERR " + name + " found stored data damaged; see the journal of kvstored"
	case batch.Unknown:
		return "ERR outcome unknown: the write may or may not have happened; why: " + name + " lost track of it; " +
			"fix: read the key, then decide"
	}
	return fmt.Sprintf("ERR %s failed: %s", name, o.Status)
}

// wish says what an operation asked of an engine that it cannot do.
func wish(o *batch.Op) string {
	switch {
	case o.Expiry != 0 || o.Code == batch.Update && o.Arg != 0 && o.Args().Expiry != 0:
		return "keep expiry times"
	case o.Space != 0:
		return "keep databases apart; only database 0 can be used"
	case o.Code == batch.Clear:
		return "remove everything at once"
	case o.Code == batch.Delete:
		return "delete keys"
	case o.Tag != 0:
		return "keep kinds of values apart"
	}
	return "do that"
}

// form says what is unusual about an operation's key and value.
func form(o *batch.Op) string {
	key := o.KeyBytes()
	value := []byte(nil)
	switch {
	case o.Code == batch.Set:
		value = o.ValueBytes()
	case o.Code == batch.Update && o.Arg != 0:
		value = batch.Bytes(o.Args().Value, o.Args().ValueLen)
	}
	switch {
	case hasNUL(key):
		return "NUL bytes in keys"
	case hasNUL(value):
		return "NUL bytes in values"
	case len(key) == 0:
		return "empty keys"
	}
	return "keys or values of this form"
}

func hasNUL(b []byte) bool { return bytes.IndexByte(b, 0) >= 0 }
