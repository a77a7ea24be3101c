package cli

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestHelpHasExamples: every command of kvctl's own shows how it is used, with its own name.
func TestHelpHasExamples(t *testing.T) {
	root := Root("test")
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		if !strings.Contains(cmd.Example, cmd.CommandPath()) {
			t.Errorf("%s: no example of it: %q", cmd.CommandPath(), cmd.Example)
		}
		for _, child := range cmd.Commands() {
			if !child.Hidden && child.Name() != "help" {
				look(child)
			}
		}
	}
	look(root)
}
