package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"kvstored/pkg/client"
	"kvstored/pkg/config"
	"kvstored/pkg/install"
)

const (
	mainConfig = "/etc/kvstored/kvstored.conf"
	dropIn     = "50-engine.conf" // in FILE.d of the configuration FILE
)

// engineName is what Engine= takes as a name.
var engineName = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// engineUse changes the configured engine and has it loaded.
func (a *app) engineUse() *cobra.Command {
	file := ""
	cmd := &cobra.Command{
		Use:   "use NAME|PATH",
		Short: "choose the library, now and for every start to come",
		Long: `Writes Engine= into /etc/kvstored/kvstored.conf.d/` + dropIn + ` and has the
daemon load that library, as kvctl engine reload does. If it is refused, the
file is put back as it was. Where another rule stands above that file - a flag of
kvstored, or a file that is read later - nothing is written. Without a running daemon the library is checked, and
it takes effect at the next start. NAME stands for the library of that name in
/usr/lib/kvstored/engines. Only root may do this.`,
		Example: `  sudo kvctl engine use hash
  sudo kvctl engine use /usr/local/lib/mine.so`,
		Args: exactly(1, "the name or the path of a library"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return installedEngines(file), cobra.ShellCompDirectiveDefault
		},
		RunE: func(_ *cobra.Command, args []string) error {
			return a.use(args[0], file)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "the daemon was started with --config FILE; write into FILE.d")
	placeholder(cmd.Flags(), "config", "FILE")
	return cmd
}

// installedEngines are the names of the libraries in EngineDir=.
func installedEngines(file string) []string {
	conf, err := config.Load(config.Where{File: file})
	if err != nil {
		return nil
	}
	paths, _ := filepath.Glob(filepath.Join(conf.EngineDir, "*.so"))
	var names []string
	for _, path := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(path), ".so"))
	}
	return names
}

// use makes engine the configured one.
func (a *app) use(engine, file string) error {
	if strings.ContainsAny(engine, "/.") {
		engine = absolute(engine)
	} else if !engineName.MatchString(engine) {
		return failure{what: "cannot use " + engine + ": neither a name nor a path", why: "a name has small letters, digits and hyphens", fix: "kvctl engine use /PATH/TO/LIBRARY.so", code: ExitUsage}
	}
	if strings.ContainsAny(engine, "\n\r") {
		return usage("a path with a line break cannot stand in a configuration")
	}
	d := choice{engine: engine, file: file, path: filepath.Join(mainConfig+".d", dropIn)}
	if file != "" {
		d.path = filepath.Join(file+".d", dropIn)
	}
	if err := d.mayWrite(); err != nil {
		return err
	}
	c, err := a.running()
	if err != nil {
		return err
	}
	if c == nil {
		return a.useLater(&d)
	}
	defer c.Close()
	if err := d.overruled(statusFields(c)["rule"]); err != nil {
		return err
	}
	return a.useNow(&d, c)
}

// running connects to a daemon that runs; nil if none does.  One that waits
// for its first connection is not started: it would come up with the old
// configuration only to be told to change it.
func (a *app) running() (*client.Conn, error) {
	path, from := client.Locate(a.socket)
	switch client.ServiceState(path) {
	case "inactive", "failed":
		return nil, nil
	}
	c, err := client.DialOptions(context.Background(), path, client.Options{From: from})
	var none *client.ConnectError
	if errors.As(err, &none) && (none.Reason == client.Missing || none.Reason == client.Refused) {
		return nil, nil
	}
	return c, err
}

// useLater checks the library and writes the choice for the next start.
func (a *app) useLater(d *choice) error {
	if conf, err := config.Load(d.where()); err == nil {
		if err := d.overruled(conf.Rule("Engine")); err != nil {
			return err
		}
	}
	path, err := d.library()
	if err != nil {
		return err
	}
	daemon, err := daemonBinary()
	if err != nil {
		return err
	}
	if report, err := exec.Command(daemon, "check-engine", path).CombinedOutput(); err != nil {
		_, _ = a.err.Write(report)
		return failure{
			what: "cannot use " + d.engine + ": " + path + " failed its check",
			why:  "the reason stands above; nothing was changed",
			fix:  "kvctl engine check " + path, code: ExitServer,
		}
	}
	if err := d.write(); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "engine %s takes effect at the next start of kvstored; it passed its check\n", d.engine)
	return nil
}

// useNow writes the choice and has the daemon load it; where that fails the
// choice is taken back.
func (a *app) useNow(d *choice, c *client.Conn) error {
	if err := d.write(); err != nil {
		return err
	}
	stop := a.follow("the daemon is checking and loading the library")
	outcome, err := load(c, "")
	stop()
	if err == nil {
		err = d.unread(statusFields(c)["rule"])
	}
	if err == nil {
		fmt.Fprintln(a.out, printable(outcome))
		return nil
	}
	if restoreErr := d.restore(); restoreErr != nil {
		return restoreErr
	}
	f, _ := describe(err)
	f.why = strings.TrimPrefix(f.why+"; "+d.path+" is as it was before", "; ")
	return f
}

// splitRule takes a rule apart: "Engine=hash (/etc/kvstored/kvstored.conf:3)".
func splitRule(rule string) (engine, source string) {
	head, source, _ := strings.Cut(rule, " (")
	return strings.TrimPrefix(head, "Engine="), strings.TrimSuffix(source, ")")
}

// overruled refuses a choice that would change nothing, since the rule in force
// stands above the drop-in: a flag, or a drop-in that is read later.
func (d *choice) overruled(rule string) error {
	engine, source := splitRule(rule)
	if engine == d.engine {
		return nil
	}
	f := failure{what: "cannot use " + d.engine + ": another rule wins", code: ExitServer}
	file := source[:max(strings.LastIndexByte(source, ':'), 0)]
	switch {
	case strings.HasPrefix(source, "--"):
		f.why = "kvstored was started with " + source + " " + client.ShellWord(engine) + ", which stands above every file; nothing was changed"
		f.fix = "start it again without " + source + "; or, until it ends: " + install.Sudo("kvctl engine reload "+client.ShellWord(d.libraryOr()))
	case strings.HasSuffix(filepath.Dir(file), ".d") && filepath.Base(file) > dropIn:
		f.why = rule + " stands above " + d.path + "; nothing was changed"
		f.fix = "remove that rule, then: " + install.Sudo("kvctl engine use "+client.ShellWord(d.engine))
	default:
		return nil
	}
	return f
}

// unread is the failure of a choice that the daemon did not see: rule is the
// one in force behind the reload.
func (d *choice) unread(rule string) error {
	engine, source := splitRule(rule)
	if rule == "" || engine == d.engine || strings.Contains(source, dropIn) {
		return nil
	}
	f := failure{what: "cannot use " + d.engine + ": the daemon does not read " + d.path, why: "its rule is " + rule, code: ExitServer}
	f.fix = install.Sudo("kvctl engine use --config FILE "+client.ShellWord(d.engine)) + ", FILE being that of kvstored --config"
	return f
}

// choice is the drop-in that names the engine, and what was there before.
type choice struct {
	engine string
	file   string // of --config, or ""
	path   string // of the drop-in
	before []byte // nil: there was none
	had    bool
}

// where is the configuration that the choice belongs to.
func (d *choice) where() config.Where {
	return config.Where{File: d.file}
}

// library is the path that the engine's name stands for.
func (d *choice) library() (string, error) {
	if filepath.IsAbs(d.engine) {
		return d.engine, nil
	}
	conf, err := config.Load(d.where())
	if err != nil {
		return "", failure{what: "the configuration of kvstored is wrong: " + err.Error(), why: "nothing was changed", code: ExitServer}
	}
	return conf.PathOf(d.engine), nil
}

// libraryOr is the library's path or, where the configuration does not tell
// it, a word that stands for it.
func (d *choice) libraryOr() string {
	path, err := d.library()
	if err != nil {
		return "PATH"
	}
	return path
}

// mayWrite refuses early, and in words, what writing would refuse late.
func (d *choice) mayWrite() error {
	dir := filepath.Dir(d.path)
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		var probe *os.File
		if probe, err = os.CreateTemp(dir, ".kvctl-*"); err == nil {
			_ = probe.Close()
			return os.Remove(probe.Name())
		}
	}
	return d.refused(err)
}

// refused is the failure to write the drop-in.
func (d *choice) refused(err error) error {
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		return failure{
			what: "cannot use " + d.engine + ": only root may change " + filepath.Dir(d.path),
			why:  "you are not root",
			fix:  "sudo kvctl engine use " + d.engine, code: ExitServer,
		}
	}
	return failure{what: "cannot write " + d.path + ": " + err.Error(), code: ExitServer}
}

// write puts the choice in place, whole or not at all.
func (d *choice) write() error {
	before, err := os.ReadFile(d.path)
	switch {
	case err == nil:
		d.before, d.had = before, true
	case !errors.Is(err, fs.ErrNotExist):
		return d.refused(err)
	}
	text := "# written by: kvctl engine use " + d.engine + "\nEngine=" + d.engine + "\n"
	if err := replaceFile(d.path, []byte(text), 0o644); err != nil {
		return d.refused(err)
	}
	return nil
}

// restore puts back what was there before.
func (d *choice) restore() error {
	err := os.Remove(d.path)
	if d.had {
		err = replaceFile(d.path, d.before, 0o644)
	}
	if err != nil {
		return failure{what: "cannot put back " + d.path + ": " + err.Error(), why: "the library was refused", fix: "remove the file, or name the old engine in it", code: ExitServer}
	}
	return nil
}

// replaceFile gives path a new content by one rename, so that a crash leaves
// the old one or the new one.
func replaceFile(path string, data []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".kvctl-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
