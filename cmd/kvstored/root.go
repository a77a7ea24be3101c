package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"kvstored/pkg/config"
)

// options are the flags of the daemon.
type options struct {
	listen      string
	listenGroup string
	engine      string
	stateDir    string
	config      string
}

// newRoot makes the command line.
func newRoot(level zap.AtomicLevel, log *zap.Logger) *cobra.Command {
	var o options
	root := &cobra.Command{
		Use:           "kvstored",
		Short:         summary,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			where, err := o.where()
			if err != nil {
				return err
			}
			return newDaemon(o, where, level, log).run()
		},
	}
	o.define(root.Flags())
	root.SetVersionTemplate("kvstored {{.Version}}\n")
	root.SuggestionsMinimumDistance = 2
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(&cobra.Command{Hidden: true})
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { fmt.Fprint(cmd.OutOrStdout(), help(cmd)) })
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return misuse(err.Error()) })
	root.AddCommand(newCheckEngine())
	return root
}

// define declares the flags. The manual and --help are made of them.
func (o *options) define(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.StringVar(&o.listen, "listen", "", "make a listening socket at `PATH` and stand alone, without systemd; "+
		"a socket file that nobody listens on any more is replaced. Its mode is 0600")
	flags.StringVar(&o.listenGroup, "listen-group", "", "give the socket of --listen to `GROUP`, with mode 0660")
	flags.StringVar(&o.engine, "engine", "", "serve the engine at `PATH`, or of that name in EngineDir=, "+
		"whatever the configuration says")
	flags.StringVar(&o.stateDir, "state-dir", "", "keep in `DIR` what outlives the daemon")
	flags.StringVar(&o.config, "config", "", "read `FILE` and FILE.d/*.conf in place of the standard configuration")
}

// where says what to read, with the flags as overrides.
func (o *options) where() (config.Where, error) {
	where := config.FromEnvironment()
	where.File = o.config
	if o.listenGroup != "" && o.listen == "" {
		return where, misuse("--listen-group without --listen")
	}
	if o.engine != "" {
		engine, err := enginePath(o.engine)
		if err != nil {
			return where, err
		}
		where.Overrides = append(where.Overrides, config.Override{Name: "Engine", Value: engine, Flag: "--engine"})
	}
	if o.stateDir != "" {
		dir, err := filepath.Abs(o.stateDir)
		if err != nil {
			return where, err
		}
		where.Overrides = append(where.Overrides, config.Override{Name: "StateDir", Value: dir, Flag: "--state-dir"})
	}
	return where, nil
}

// enginePath makes a relative path absolute and leaves a name alone.
func enginePath(engine string) (string, error) {
	if strings.ContainsAny(engine, "/.") {
		return filepath.Abs(engine)
	}
	return engine, nil
}

// noArguments refuses what is not a flag.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	f := misuse("unknown command " + args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		f.fix = "kvstored " + near[0]
	}
	return f
}
