package cli

import "testing"

// In the shell a way out is typed without the program's name, but for what
// the shell itself does not do.
func TestAsTyped(t *testing.T) {
	for fix, want := range map[string]string{
		"kvctl GET name":              "GET name",
		"kvctl GET name, then decide": "GET name, then decide",
		"sudo kvctl …":                "sudo kvctl …",
		"kvctl -n N …":                "kvctl -n N …",
		"what is big: kvctl keys; or": "what is big: keys; or",
		"in the shell: kvctl":         "in the shell: kvctl",
		"did you mean kvctl top?":     "did you mean top?",
	} {
		if got := (&app{inShell: true}).asTyped(fix); got != want {
			t.Errorf("%q becomes %q", fix, got)
		}
		if got := (&app{}).asTyped(fix); got != fix {
			t.Errorf("outside %q becomes %q", fix, got)
		}
	}
}
