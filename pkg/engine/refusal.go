package engine

import "fmt"

// Refusal says why a library is not taken: what happened to what, why, and
// what mends it. Each part is lower case, without a full stop.
type Refusal struct {
	What string `json:"what"`
	Why  string `json:"why,omitempty"`
	Fix  string `json:"fix,omitempty"`
}

// Error is all of it in one line.
func (r *Refusal) Error() string {
	text := r.What
	if r.Why != "" {
		text += "; why: " + r.Why
	}
	if r.Fix != "" {
		text += "; fix: " + r.Fix
	}
	return text
}

// refuse makes a Refusal; what is a format.
func refuse(why, fix, what string, args ...any) *Refusal {
	return &Refusal{What: fmt.Sprintf(what, args...), Why: why, Fix: fix}
}
