package cli

import (
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"kvstored/pkg/config"
)

// engineCheck tries a library without a daemon.
func (a *app) engineCheck() *cobra.Command {
	var full bool
	cmd := &cobra.Command{
		Use:   "check [--full] PATH|NAME",
		Short: "try a library without loading it into the daemon",
		Long: `The library at PATH, or of that NAME in /usr/lib/kvstored/engines, is
loaded in a process of its own, which opens a scratch store and puts it through
the checks that a reload makes; name, version, capabilities and the result of
each check are printed. No daemon is needed and a running one is not touched.
With --full every check is made, at length, for those who write engines. The
exit status is that of kvstored check-engine.`,
		Example: `  kvctl engine check ./libkvstore.so
  kvctl engine check --full ./libkvstore.so
  kvctl engine check hash`,
		Args: exactly(1, "the path of a library"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"so"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(_ *cobra.Command, args []string) error {
			daemon, err := daemonBinary()
			if err != nil {
				return err
			}
			with := []string{"check-engine"}
			if full {
				with = append(with, "--full")
			}
			check := exec.Command(daemon, append(with, libraryPath(args[0]))...)
			check.Stdin, check.Stdout, check.Stderr = a.in, a.out, a.err
			return check.Run()
		},
	}
	cmd.Flags().BoolVar(&full, "full", false, "make every check, at length")
	return cmd
}

// libraryPath is the path of a library that is named by its path or, where
// there is no such file, by its name as in Engine=.
func libraryPath(library string) string {
	if !engineName.MatchString(library) {
		return library
	}
	if _, err := os.Lstat(library); err == nil {
		return library
	}
	conf, err := config.Load(config.Where{})
	if err != nil {
		return library
	}
	return conf.PathOf(library)
}
