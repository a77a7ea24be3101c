package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// patience is how long a person waits before wondering.
const patience = time.Second

// engineReload has the daemon load its library anew.
func (a *app) engineReload() *cobra.Command {
	wait := true
	cmd := &cobra.Command{
		Use:   "reload [PATH]",
		Short: "load the library anew and wait for the outcome",
		Long: `The daemon reads its configuration again, checks the library that it names, or
the one at PATH, and exchanges the one in use for it while clients keep
sending. The command ends when the new library serves, or when it was refused;
the reason then stands on standard error, the exit status is 3, and the old
library goes on serving. Interrupting the command does not stop the exchange.

Only root and the daemon's own user may do this. systemctl reload kvstored runs
this command.`,
		Example: `  sudo systemctl reload kvstored
  sudo kvctl engine reload
  sudo kvctl engine reload /usr/lib/kvstored/engines/hash.so`,
		Args: atMost(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"so"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(_ *cobra.Command, args []string) error {
			path := ""
			if len(args) > 0 {
				path = absolute(args[0])
			}
			return a.reload(path, wait)
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", true, "wait for the outcome; --wait=false only asks for the reload")
	return cmd
}

// reload asks for a reload and prints what came of it.
func (a *app) reload(path string, wait bool) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	if !wait {
		args := []string{"ENGINE", "LOAD"}
		if path != "" {
			args = append(args, path)
		}
		if err := c.Send(args...); err != nil {
			return err
		}
		fmt.Fprintln(a.out, "reload requested; the outcome: kvctl engine status")
		return c.Flush()
	}
	defer a.follow("the daemon is checking and loading; interrupting this does not stop it")()
	outcome, err := load(c, path)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.out, printable(outcome))
	return nil
}

// patience tells a person at a terminal what is going on when it takes long;
// the function that it returns ends that.
func (a *app) patience(text string) (done func()) {
	if !a.errTTY {
		return func() {}
	}
	timer := time.AfterFunc(patience, func() { fmt.Fprintln(a.err, "kvctl: "+text) })
	return func() { timer.Stop() }
}
