package engine

import (
	"fmt"
	"strings"
)

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

// refuseLoad is the refusal of a library that cannot be loaded.
func refuseLoad(image *Image, f *loadFailure) *Refusal {
	check := "kvctl engine check " + image.Path
	switch f.status {
	case noSymbol:
		return refuse("not a kvstored engine, and it does not have the set and get of a legacy one", check,
			"%s: %s", image.Path, f.text)
	case noDescriptor:
		return refuse(f.text, "tell the engine's author; kvstore.h says what a descriptor must have",
			"%s: the engine's descriptor is not valid", image.Path)
	}
	// The linker names the private copy; people know the file.
	why := strings.ReplaceAll(f.text, image.loadPath(), image.Path)
	return refuse(why, "build or install it again, then: "+check, "%s: the dynamic linker does not take it", image.Path)
}
