package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"kvstored/pkg/config"
	"kvstored/pkg/repair"
)

// stateDir is where the packaged daemon keeps its data.
const stateDir = "/var/lib/kvstored"

// engineRepair copies what is whole of a damaged store.
func (a *app) engineRepair() *cobra.Command {
	into := ""
	cmd := &cobra.Command{
		Use:   "repair [--into DIR] [STATE-DIR]",
		Short: "copy what is whole of a damaged store",
		Long: `Reads what the engine hash keeps in STATE-DIR, which is the StateDir= of the
configuration or ` + stateDir + ` where it is not named, and says what is
damaged, file by file. If anything is, all that is whole is written into a new
directory beside it, or into DIR, with the commands that put it in place.

The original is only read. No daemon may have it open: the lock of the
directory is taken. An end of the log that a crash tore is no damage; the next
start cuts it.

What stood in a damaged frame is lost: keys then have the value they had
before, keys that were deleted there are back, and of keys of which later only
a part was changed (APPEND, SETRANGE, SETBIT) the value may be wrong. The report
counts what is lost, and names such keys and those that stand in damaged
frames, as far as they can be read.`,
		Example: `  sudo kvctl engine repair
  sudo kvctl engine repair --into /srv/copy /var/lib/kvstored
  sudo kvctl --json engine repair`,
		Args: atMost(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(_ *cobra.Command, args []string) error {
			dir := configuredState()
			if len(args) > 0 {
				dir = args[0]
			}
			return a.repair(dir, into)
		},
	}
	cmd.Flags().StringVar(&into, "into", "", "write the copy into DIR, which must not exist yet")
	placeholder(cmd.Flags(), "into", "DIR")
	_ = cmd.MarkFlagDirname("into")
	return cmd
}

// configuredState is the state directory of the daemon of this machine.
func configuredState() string {
	if conf, err := config.Load(config.Where{}); err == nil && conf.StateDir != "" {
		return conf.StateDir
	}
	return stateDir
}

// repair looks, copies and reports.
func (a *app) repair(dir, into string) error {
	done := a.patience("reading " + dir)
	report, err := repair.Run(repair.Options{Dir: dir, Into: into})
	done()
	if report != nil {
		if a.json {
			if err := a.object(report); err != nil {
				return err
			}
		} else {
			a.printRepair(report)
		}
	}
	var refused *repair.Refusal
	if errors.As(err, &refused) {
		return failure{refused.What, refused.Why, refused.Fix, ExitServer}
	}
	return err
}

// printRepair writes a report for people.
func (a *app) printRepair(r *repair.Report) {
	for _, f := range r.Files {
		note := ""
		if len(f.Damage) == 0 {
			note = ", whole"
		}
		if f.Note != "" {
			note = ", " + f.Note
		}
		fmt.Fprintf(a.out, "%s: %s, %s in %s%s\n", f.Name, size(f.Bytes), counted(int64(f.Records), "record"), counted(int64(f.Frames), "frame"), printable(note))
		for _, d := range f.Damage {
			fmt.Fprintf(a.out, "  damaged from offset %d to %d: %s%s\n", d.Offset, d.End, printable(d.Why), lostThere(d))
		}
	}
	for _, name := range r.Missing {
		fmt.Fprintln(a.out, name+": missing")
	}
	if t := r.Torn; t != nil {
		fmt.Fprintf(a.out, "%s: a crash tore its end at offset %d, %s; that is no damage, the next start cuts it\n", t.File, t.Offset, size(t.Bytes))
	}
	if !r.Damaged {
		fmt.Fprintln(a.out, "\nnothing is damaged, nothing was written")
		return
	}
	a.printLost(r)
	if r.Copy == "" {
		return
	}
	fmt.Fprintf(a.out, "\nwhat is whole, %s, is in %s\nto put it in place, while no daemon runs:\n", counted(int64(r.Kept.Records), "record"), printable(r.Copy))
	for _, c := range r.Commands {
		fmt.Fprintln(a.out, "  "+asBefore()+printable(c))
	}
	if r.StateDir == configuredState() {
		fmt.Fprintln(a.out, "  "+asBefore()+"systemctl start kvstored.socket")
	}
}

// asBefore is what a command has to begin with for the person who started this one.
func asBefore() string {
	if os.Geteuid() == 0 && os.Getenv("SUDO_USER") != "" {
		return "sudo "
	}
	return ""
}

// lostThere says what was in a damaged part.
func lostThere(d repair.Damage) string {
	switch {
	case d.Records > 0:
		return "; lost: " + counted(int64(d.Records), "record") + " in " + counted(int64(d.Frames), "frame")
	case d.Frames > 0:
		return "; lost: " + counted(int64(d.Frames), "frame")
	}
	return ""
}

// keysShown is how many keys are named to people; --json has more.
const keysShown = 20

// printLost says which keys may be affected.
func (a *app) printLost(r *repair.Report) {
	l := r.Lost
	for _, group := range []struct {
		title string
		keys  []repair.Key
		more  int
	}{
		{"keys that stand in damaged frames, which may have an older value now, or none", l.Keys, l.KeysLeftOut},
		{"keys of which only a part was changed later, so that their value may be wrong", l.Doubtful, l.DoubtfulLeftOut},
	} {
		if len(group.keys) == 0 {
			continue
		}
		fmt.Fprintln(a.out, "\n"+group.title+":")
		shown := group.keys[:min(len(group.keys), keysShown)]
		for _, k := range shown {
			fmt.Fprintln(a.out, "  "+k.String())
		}
		if rest := len(group.keys) - len(shown) + group.more; rest > 0 {
			fmt.Fprintln(a.out, "  and "+grouped(int64(rest))+" more; --json names up to 1000")
		}
	}
}
