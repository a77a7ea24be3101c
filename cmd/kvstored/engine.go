package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"kvstored/pkg/config"
	"kvstored/pkg/engine"
	"kvstored/pkg/logging"
	"kvstored/pkg/server"
	"kvstored/pkg/systemd"
)

// trust says which libraries may be loaded under conf.
func (d *daemon) trust(conf *config.Config) engine.Trust {
	alone := d.options.listen != ""
	t := engine.Trust{
		Engine:      conf.EnginePath(),
		EngineDir:   conf.EngineDir,
		AllowOwnUID: alone || usersOwn(),
	}
	if alone && conf.Source("EngineDir") == (config.Source{}) {
		t.Engine, t.EngineDir = "", "" // who runs it by hand may keep engines anywhere
	}
	return t
}

// usersOwn says whether a user runs this daemon: it then takes that user's
// libraries. The system's daemon must not load what it could have written
// itself. MANAGERPID comes from a user's service manager, INVOCATION_ID from
// any: without it a person started us, perhaps by systemd-socket-activate.
func usersOwn() bool {
	return os.Getenv("MANAGERPID") != "" || os.Getenv("INVOCATION_ID") == ""
}

// checks says how libraries are tried.
func checks(conf *config.Config) engine.CheckOptions {
	return engine.CheckOptions{Command: engine.SelfCheck, Timeout: conf.CheckTimeout}
}

// startEngine loads the engine and opens its store.
func (d *daemon) startEngine() error {
	conf := d.conf.Load()
	d.notify.Status("loading the engine " + conf.EnginePath())
	host, err := engine.Open(conf.EnginePath(), engine.Options{
		Trust:      d.trust(conf),
		Rule:       conf.Rule("Engine"),
		StateDir:   conf.StateDir,
		MemoryOnly: conf.Sync == "none",
		OnOpening:  d.opening,
		Check:      checks(conf),
		Limit:      d.memoryLimit(conf, 0),
		Log:        d.log,
		OnState:    d.swapState,
		OnProgress: d.swapProgress,
		OnFatal:    d.storeLost,
	})
	if err != nil {
		what, why, fix := explain(err)
		return &failure{exitNoEngine, what, why, fix}
	}
	d.host = host
	return nil
}

// opening shows how far a long start has come, and keeps systemd patient.
func (d *daemon) opening(text string) {
	d.notify.Status("starting: " + text)
	d.notify.ExtendTimeout(extendBy)
	d.log.Info("starting: " + text)
}

// syncMode is what Sync= promises while data is kept on disk.
func syncMode(conf *config.Config) server.SyncMode {
	if conf.Sync == "always" {
		return server.SyncAlways
	}
	return server.SyncInterval
}

// explain takes a refusal apart.
func explain(err error) (what, why, fix string) {
	var r *engine.Refusal
	if errors.As(err, &r) {
		return r.What, r.Why, r.Fix
	}
	return err.Error(), "", ""
}

// storeLost ends the daemon, from any goroutine, without waiting.
func (d *daemon) storeLost(err error) {
	select {
	case d.lost <- err:
	default:
	}
}

// serving names the engine that serves. It does not wait for the lane.
func (d *daemon) serving() string {
	s := d.host.Status()
	return fmt.Sprintf("serving %s %s (generation %d)", s.Info.Name, s.Info.Version, s.Generation)
}

// swapState shows in STATUS= where a swap stands.
func (d *daemon) swapState(state engine.State) {
	if state != engine.Idle {
		d.tellBusy("exchanging the engine: " + string(state))
	}
}

// swapProgress shows in STATUS= how far a long swap is.
func (d *daemon) swapProgress(text string) {
	d.tellBusy("exchanging the engine: " + text)
	d.log.Info("exchanging the engine: " + text)
}

// swapEngine exchanges the engine for the library at path.
func (d *daemon) swapEngine(next *config.Config, path, rule string) (string, error) {
	trust := d.trust(next)
	limit := d.memoryLimit(next, d.others.Load())
	outcome, err := d.host.Swap(engine.Request{Path: path, Rule: rule, Trust: &trust, MemoryOnly: next.Sync == "none",
		Limit: &limit})
	if err != nil {
		return "", err
	}
	if outcome.Unchanged {
		d.log.Info("reloaded: the engine is unchanged")
		return outcome.String(), nil
	}
	d.srv.KeepHouse() // what was received into the store that no longer serves is moved
	d.log.Info("reloaded: "+outcome.String(), append(logFields(d.host.Status()),
		zap.Int64("lane_held_us", outcome.LaneHeld.Microseconds()), zap.Uint64("copied", outcome.Copied),
		logging.MessageID(systemd.MessageSwapped))...)
	return outcome.String(), nil
}

// checkFor is ENGINE CHECK: it does not wait.
func (d *daemon) checkFor(path string, done func(string, error)) {
	conf := d.conf.Load()
	go func() { done(checks(conf).Report(conf.PathOf(path), d.trust(conf)).Text(), nil) }()
}

// newCheckEngine makes the subcommand. The daemon runs it, too, to try a
// library in a process that may die of it; the flags for that are the
// engine room's own, so it reads them all.
func newCheckEngine() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check-engine [--json] [--full] PATH",
		Short: "try an engine without loading it into a daemon",
		Long: "Examines the library at PATH and tries it in a process of its own: loads it, checks its interface, " +
			"opens a scratch store and runs the conformance tests. Prints name, version, ABI, capabilities, data " +
			"format, SHA-256 and the result of each check. Exits with 0 when a daemon can load it, 1 when not, 2 " +
			"when used wrongly.",
		DisableFlagParsing:    true,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && (args[0] == "--help" || args[0] == "-h") {
				return cmd.Help()
			}
			if code := engine.CheckMain(args, cmd.OutOrStdout(), cmd.ErrOrStderr()); code != exitOK {
				return exitCode(code)
			}
			return nil
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().Bool("json", false, "print the report as JSON")
	cmd.Flags().Bool("full", false, "make every check, at length")
	return cmd
}

// logFields are the fields that tell engines apart in the journal.
func logFields(s engine.Status) []zap.Field {
	return []zap.Field{
		zap.String("path", s.Path), zap.String("engine", s.Info.Name), zap.String("version", s.Info.Version),
		zap.String("sha256", short(s.SHA256)),
	}
}

// short is enough of a hash to tell two apart.
func short(hash string) string { return hash[:min(len(hash), 12)] }
