package cli

import "testing"

// What was meant is found among the commands of server and kvctl and their
// subcommands; what is like nothing is asked back about by nobody.
func TestNearest(t *testing.T) {
	for name, want := range map[string]string{
		"GTE": "GET", "statt": "kvctl stat", "tpo": "kvctl top", "exprot": "kvctl export", "INCRR": "INCR", "mointor": "MONITOR", "rojalin": "",
	} {
		if got := nearestCommand(name); got != want {
			t.Errorf("%s: %q, not %q", name, got, want)
		}
	}
	if got := nearestSubcommand([]string{"config", "GTE"}); got != "did you mean CONFIG GET?" {
		t.Errorf("CONFIG GTE: %q", got)
	}
	if got := nearestSubcommand([]string{"CLIENT", "nonsense"}); got != "" {
		t.Errorf("CLIENT nonsense: %q", got)
	}
}
