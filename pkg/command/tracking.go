package command

import (
	"bytes"
	"slices"

	"kvstored/pkg/resp"
)

// Tracking is how a connection has its keys tracked (CLIENT TRACKING).
type Tracking struct {
	Bcast, OptIn, OptOut, NoLoop bool
	Caching                      bool  // CLIENT CACHING came for the request planned next
	Redirect                     int64 // id of the connection that gets the messages; 0: this one
	Broken                       bool  // that connection is gone
	Prefixes                     []string
}

// Tracker is the part of the [Hub] for CLIENT TRACKING.
type Tracker interface {
	// Connected tells whether there is a connection with this id.
	Connected(id int64) bool
	// Track sets how s has its keys tracked; nil: not at all. With bcast only
	// prefixes are added to those it has.
	Track(s *Session, t *Tracking)
}

// trackingOptions is what CLIENT TRACKING asks for.
type trackingOptions struct {
	Tracking
	on       bool
	prefixes [][]byte
}

// planClientTracking reads the options when its Step runs: which ids exist is
// known only then.
func planClientTracking(c *Call) {
	c.Keep()
	c.Reply.Step = func(x *Exec, r *Reply) {
		var o trackingOptions
		if text := o.read(x, r.Args); text != "" {
			x.W.Error(text)
			return
		}
		if !o.on {
			x.Hub.Track(r.Session, nil)
		} else {
			if text := o.refused(r.Session.Tracking); text != "" {
				x.W.Error(text)
				return
			}
			x.Hub.Track(r.Session, o.with(r.Session.Tracking))
		}
		x.W.Raw(replyOK)
	}
}

// read reads the arguments; it returns an error's text, or none.
func (o *trackingOptions) read(x *Exec, args [][]byte) string {
	for i := 3; i < len(args); i++ {
		more := i+1 < len(args)
		switch {
		case isWord(args[i], "redirect") && more:
			i++
			if text := o.redirect(x, args[i]); text != "" {
				return text
			}
		case isWord(args[i], "bcast"):
			o.Bcast = true
		case isWord(args[i], "optin"):
			o.OptIn = true
		case isWord(args[i], "optout"):
			o.OptOut = true
		case isWord(args[i], "noloop"):
			o.NoLoop = true
		case isWord(args[i], "prefix") && more:
			i++
			o.prefixes = append(o.prefixes, args[i])
		default:
			return syntaxError
		}
	}
	o.on = isWord(args[2], "on")
	if !o.on && !isWord(args[2], "off") {
		return syntaxError
	}
	return ""
}

func (o *trackingOptions) redirect(x *Exec, arg []byte) string {
	if o.Redirect != 0 {
		return "ERR A client can only redirect to a single other client"
	}
	id, ok := parseInt(arg)
	switch {
	case !ok:
		return "ERR value is not an integer or out of range"
	case !x.Hub.Connected(id):
		return "ERR The client ID you want redirect to does not exist"
	}
	o.Redirect = id
	return ""
}

const trackingSwitch = "mode before disabling tracking for this client, and then re-enabling it with a different mode."

// refused says why the options cannot follow those of now, nil for none.
func (o *trackingOptions) refused(now *Tracking) string {
	switch {
	case !o.Bcast && len(o.prefixes) > 0:
		return "ERR PREFIX option requires BCAST mode to be enabled"
	case now != nil && now.Bcast != o.Bcast:
		return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode."
	case o.Bcast && (o.OptIn || o.OptOut):
		return "ERR OPTIN and OPTOUT are not compatible with BCAST"
	case o.OptIn && o.OptOut:
		return "ERR You can't specify both OPTIN mode and OPTOUT mode"
	case now != nil && (o.OptIn && now.OptOut || o.OptOut && now.OptIn):
		return "ERR You can't switch OPTIN/OPTOUT " + trackingSwitch
	case o.Bcast:
		return o.overlaps(now)
	}
	return ""
}

// overlaps says which prefixes would both stand for the same keys.
func (o *trackingOptions) overlaps(now *Tracking) string {
	const end = "'. Prefixes for a single client must not overlap."
	for i, p := range o.prefixes {
		if now != nil {
			for _, has := range now.Prefixes {
				if samePrefix(p, []byte(has)) {
					return "ERR Prefix '" + string(cString(p)) + "' overlaps with an existing prefix '" + string(cString([]byte(has))) + end
				}
			}
		}
		for _, other := range o.prefixes[i+1:] {
			if samePrefix(p, other) {
				return "ERR Prefix '" + string(cString(p)) + "' overlaps with another provided prefix '" + string(cString(other)) + end
			}
		}
	}
	return ""
}

// samePrefix tells whether one of the two begins with the other.
func samePrefix(a, b []byte) bool {
	n := min(len(a), len(b))
	return bytes.Equal(a[:n], b[:n])
}

// with is the options on top of those of now; prefixes add up.
func (o *trackingOptions) with(now *Tracking) *Tracking {
	t := o.Tracking
	if t.Bcast && len(o.prefixes) == 0 {
		o.prefixes = [][]byte{nil}
	}
	if now != nil {
		t.Prefixes = slices.Clone(now.Prefixes)
		t.Caching = now.Caching
	}
	for _, p := range o.prefixes {
		if !slices.Contains(t.Prefixes, string(p)) {
			t.Prefixes = append(t.Prefixes, string(p))
		}
	}
	slices.Sort(t.Prefixes)
	return &t
}

func planClientCaching(c *Call) {
	t := c.Session.Tracking
	yes, no := isWord(c.Args[2], "yes"), isWord(c.Args[2], "no")
	switch {
	case t == nil:
		c.Fail("ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled")
	case yes && !t.OptIn:
		c.Fail("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
	case no && !t.OptOut:
		c.Fail("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
	case !yes && !no:
		c.Fail(syntaxError)
	default:
		t.Caching = true
		c.Reply.Fixed = replyOK
	}
}

// redirection is the id that messages go to; 0: to itself; -1: no tracking.
func (s *Session) redirection() int64 {
	if s.Tracking == nil {
		return -1
	}
	return s.Tracking.Redirect
}

func planClientGetredir(c *Call) {
	c.Answer(func(w *resp.Writer) { w.Int(c.Session.redirection()) })
}

func planClientTrackinginfo(c *Call) {
	c.Answer(func(w *resp.Writer) {
		flags, prefixes := c.Session.trackingFlags(), []string(nil)
		if t := c.Session.Tracking; t != nil {
			prefixes = t.Prefixes
		}
		w.Map(3)
		w.BulkString("flags")
		w.Set(len(flags))
		for _, f := range flags {
			w.BulkString(f)
		}
		w.BulkString("redirect")
		w.Int(c.Session.redirection())
		w.BulkString("prefixes")
		w.Array(len(prefixes))
		for _, p := range prefixes {
			w.BulkString(p)
		}
	})
}

func (s *Session) trackingFlags() []string {
	t := s.Tracking
	if t == nil {
		return []string{"off"}
	}
	flags := []string{"on"}
	for _, f := range []struct {
		is   bool
		name string
	}{
		{t.Bcast, "bcast"}, {t.OptIn, "optin"}, {t.OptIn && t.Caching, "caching-yes"}, {t.OptOut, "optout"},
		{t.OptOut && t.Caching, "caching-no"}, {t.NoLoop, "noloop"}, {t.Broken, "broken_redirect"},
	} {
		if f.is {
			flags = append(flags, f.name)
		}
	}
	return flags
}

func planMonitor(c *Call) {
	c.Reply.Step = func(x *Exec, r *Reply) {
		switch again, err := x.Hub.Monitor(r.Session); {
		case err != nil:
			x.W.Error("ERR " + err.Error())
		case !again: // Redis does not answer the second one
			x.W.Raw(replyOK)
		}
	}
}

var trackingCommands = []*Command{
	{
		Name: "caching", Arity: 3, Flags: NoScript | Loading | Stale, Group: "connection", Since: "6.0.0",
		Summary: "whether the keys of the next command are tracked, where OPTIN or OPTOUT was chosen",
		Syntax:  "<YES | NO>",
		Plan:    planClientCaching,
	},
	{
		Name: "getredir", Arity: 2, Flags: NoScript | Loading | Stale, Group: "connection", Since: "6.0.0",
		Summary: "the id of the connection that gets this one's invalidations",
		Plan:    planClientGetredir,
	},
	{
		Name: "tracking", Arity: -3, Flags: NoScript | Loading | Stale | Barrier, Group: "connection", Since: "6.0.0",
		Summary: "tells the connection when keys that it has read, or that begin with a prefix, change",
		Syntax: "<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] " +
			"[NOLOOP]",
		Plan: planClientTracking,
	},
	{
		Name: "trackinginfo", Arity: 2, Flags: NoScript | Loading | Stale, Group: "connection", Since: "6.2.0",
		Summary: "how the keys of this connection are tracked",
		Plan:    planClientTrackinginfo,
	},
}

var monitorCommands = []*Command{{
	Name: "monitor", Arity: 1, Flags: Admin | NoScript | Loading | Stale | Barrier, Group: "server", Since: "1.0.0",
	Summary: "shows every request that is carried out from now on, except the administrative ones",
	Plan:    planMonitor,
}}
