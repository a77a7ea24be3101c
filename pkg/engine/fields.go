package engine

import (
	"time"

	"kvstored/pkg/batch"
)

// Field is one line of ENGINE STATUS. Value is a string or an int64.
type Field struct {
	Name  string
	Value any
}

// Fields is ENGINE STATUS: the status, the figures of the store, and what is
// on disk. The lane is held.
func (h *Host) Fields() []Field {
	s := h.Status()
	var st batch.Stat
	if h.Has(CapScan) { // without it an engine has no figures
		st, _ = h.Stat(batch.SpaceAll)
	}
	var lastError Refusal
	if s.LastError != nil {
		lastError = *s.LastError
	}
	var all []Field
	text := func(name, value string) { all = append(all, Field{name, value}) }
	number := func(name string, value uint64) { all = append(all, Field{name, int64(value)}) }
	text("state", string(s.State))
	text("engine", s.Info.Name)
	text("version", s.Info.Version)
	number("abi", uint64(s.Info.ABI))
	text("format", s.Info.Format)
	text("path", s.Path)
	text("sha256", s.SHA256)
	text("capabilities", CapNames(s.Info.Capabilities))
	number("generation", s.Generation)
	text("loaded_at", s.LoadedAt.UTC().Format(time.RFC3339))
	text("disk", h.Disk())
	text("rule", s.Rule)
	number("keys", st.Entries)
	number("memory", st.Memory)
	number("pins", st.Pins)
	number("swaps", s.Swaps)
	number("refused", s.Refused)
	text("last_swap", s.LastSwap)
	text("last_error", lastError.What)
	text("last_error_why", lastError.Why)
	text("last_error_fix", lastError.Fix)
	number("lane_held_max_us", uint64(s.LaneHeldMax.Microseconds()))
	number("lane_held_last_us", uint64(s.LaneHeldLast.Microseconds()))
	number("copied_keys", s.CopiedKeys)
	number("retiring", uint64(len(s.Retiring)))
	number("still_mapped", uint64(s.StillMapped))
	return all
}
