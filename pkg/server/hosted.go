package server

import (
	"time"

	"kvstored/pkg/batch"
	"kvstored/pkg/command"
	"kvstored/pkg/engine"
)

// Hosted is the engine host as the server wants it.
type Hosted struct{ *engine.Host }

// Status is ENGINE STATUS. The lane is held.
func (s Hosted) Status() []command.Pair {
	st := s.Host.Status()
	last := engine.Refusal{}
	if st.LastError != nil {
		last = *st.LastError
	}
	figures, err := s.Stat(batch.SpaceAll)
	if err != nil {
		figures = batch.Stat{}
	}
	return []command.Pair{
		{Name: "state", Value: string(st.State)},
		{Name: "engine", Value: st.Info.Name},
		{Name: "version", Value: st.Info.Version},
		{Name: "abi", Value: int64(st.Info.ABI)},
		{Name: "format", Value: st.Info.Format},
		{Name: "path", Value: st.Path},
		{Name: "sha256", Value: st.SHA256},
		{Name: "capabilities", Value: engine.CapNames(st.Info.Capabilities)},
		{Name: "generation", Value: int64(st.Generation)},
		{Name: "loaded_at", Value: st.LoadedAt.UTC().Format(time.RFC3339)},
		{Name: "disk", Value: s.Disk()},
		{Name: "rule", Value: st.Rule},
		{Name: "keys", Value: int64(figures.Entries)},
		{Name: "memory", Value: int64(figures.Memory)},
		{Name: "pins", Value: int64(figures.Pins)},
		{Name: "swaps", Value: int64(st.Swaps)},
		{Name: "refused", Value: int64(st.Refused)},
		{Name: "last_swap", Value: st.LastSwap},
		{Name: "last_error", Value: last.What},
		{Name: "last_error_why", Value: last.Why},
		{Name: "last_error_fix", Value: last.Fix},
		{Name: "lane_held_max_us", Value: st.LaneHeldMax.Microseconds()},
		{Name: "lane_held_last_us", Value: st.LaneHeldLast.Microseconds()},
		{Name: "copied_keys", Value: int64(st.CopiedKeys)},
		{Name: "retiring", Value: int64(len(st.Retiring))},
		{Name: "still_mapped", Value: int64(st.StillMapped)},
	}
}
