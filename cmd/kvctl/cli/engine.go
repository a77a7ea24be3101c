package cli

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"kvstored/pkg/client"
	"kvstored/pkg/install"
)

// engine is the group of commands about the library that holds the data.
func (a *app) engine() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "engine",
		Short: "look at and exchange the library that holds the data",
		Long: `The engine is the library that holds the data, libkvstore.so. It is exchanged
while clients keep sending: no key is lost, no connection dropped. A library
that fails is refused, with the reason, and the old one goes on serving.`,
		Example: `  kvctl engine status
  sudo kvctl engine use lmdb`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return failure{what: "unknown command: engine " + args[0], why: "engine has no such subcommand", fix: nearestChild(cmd, args[0]), code: ExitUsage}
			}
			return failure{what: "engine: which one: status, check, reload, use, wait or repair?", fix: "kvctl engine --help", code: ExitUsage}
		},
	}
	cmd.AddCommand(a.engineStatus(), a.engineCheck(), a.engineReload(), a.engineUse(), a.engineRepair(), a.engineWait())
	return cmd
}

// exactly refuses any other number of arguments and says what is missing.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		f := failure{what: cmd.CommandPath() + ": " + what + " is missing", fix: cmd.CommandPath() + " --help", code: ExitUsage}
		if len(args) > n {
			f.what = cmd.CommandPath() + ": too many arguments: " + strings.Join(args[n:], " ")
		}
		return f
	}
}

// atMost refuses more arguments.
func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= n {
			return nil
		}
		return failure{what: cmd.CommandPath() + ": too many arguments: " + strings.Join(args[n:], " "), fix: cmd.CommandPath() + " --help", code: ExitUsage}
	}
}

// absolute is a path as the daemon, which runs in another directory, needs it.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// load asks the daemon to load path, or what its configuration says if path is
// empty, and waits for the outcome however long it takes.
func load(c *client.Conn, path string) (string, error) {
	args := []string{"ENGINE", "LOAD"}
	if path != "" {
		args = append(args, path)
	}
	r, err := c.Do(args...)
	if err != nil || r.Text() != "unchanged" {
		return r.Text(), refusal(err)
	}
	status := statusFields(c)
	return within("unchanged: ", status["engine"], " "+status["version"]+" (generation "+status["generation"]+") serves already"), nil
}

// statusFields asks the daemon for its status; empty where it has none.
func statusFields(c *client.Conn) map[string]string {
	status := map[string]string{}
	r, err := c.Do("ENGINE", "STATUS")
	if err != nil {
		return status
	}
	fields, err := r.Fields()
	if err != nil {
		return status
	}
	for _, f := range fields {
		status[f.Name] = f.Value.Text()
	}
	return status
}

// refusal drops the error code from the server's sentence: it is the reason
// that a person reads.
func refusal(err error) error {
	var server *client.ServerError
	if !errors.As(err, &server) {
		return err
	}
	f := failure{what: server.Message, why: server.Why, fix: server.Fix, code: ExitServer}
	switch {
	case strings.HasPrefix(server.Message, "unknown command"):
		f.what = "the server at this socket is not kvstored"
		f.why = "it does not know the command ENGINE"
		f.fix = "use --socket PATH to name the socket of kvstored"
	case server.Code == "NOPERM" && os.Geteuid() != 0:
		f.fix = "sudo kvctl engine reload"
	}
	return f
}

// daemonBinary finds kvstored: beside kvctl, in PATH, or where packages put it.
func daemonBinary() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "kvstored")
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	if path, err := exec.LookPath("kvstored"); err == nil {
		return path, nil
	}
	for _, path := range []string{"/usr/sbin/kvstored", "/usr/bin/kvstored", "/usr/local/sbin/kvstored", "/usr/local/bin/kvstored"} {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", failure{
		what: "cannot check a library: kvstored is not here",
		why:  "the check is part of kvstored, which stands neither beside kvctl nor in PATH",
		fix:  install.Command("kvstored"),
		code: ExitConnect,
	}
}
