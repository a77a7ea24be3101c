package cli

import (
	"bytes"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Shells are the shells that completions are made for.
var Shells = []string{"bash", "zsh", "fish"}

// completion prints the script that teaches a shell to complete kvctl.
func (a *app) completion() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "print the completion script for a shell",
		Long: `Prints the script that teaches a shell to complete the commands and options of
kvctl, and keys: those of the running daemon, as far as they are found at once and
can be typed as they are. The packages install it already; this is for other
installations. Completing never starts a daemon.`,
		Example: `  source <(kvctl completion bash)
  kvctl completion fish > ~/.config/fish/completions/kvctl.fish`,
		Args:              exactly(1, "the shell (bash, zsh or fish)"),
		ValidArgsFunction: cobra.FixedCompletions(Shells, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			return WriteCompletion(cmd.Root(), args[0], a.out)
		},
	}
}

// bashWords is how the script for bash takes the line apart, and
// bashWordsAlone how it does that where the package bash-completion is missing:
// keys with a colon are not completed then, all else is.
const (
	bashWords      = `    _get_comp_words_by_ref "$@" cur prev words cword` + "\n"
	bashWordsAlone = `    if declare -F _get_comp_words_by_ref >/dev/null 2>&1; then
        _get_comp_words_by_ref "$@" cur prev words cword
    else
        words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
        cur=${words[cword]} prev=${words[cword-1]}
    fi
`
)

// WriteCompletion writes the completion script of a shell.
func WriteCompletion(root *cobra.Command, shell string, w io.Writer) error {
	switch shell {
	case "bash":
		var script bytes.Buffer
		if err := root.GenBashCompletionV2(&script, true); err != nil {
			return err
		}
		_, err := w.Write(bytes.Replace(script.Bytes(), []byte(bashWords), []byte(bashWordsAlone), 1))
		return err
	case "zsh":
		return root.GenZshCompletion(w)
	case "fish":
		return root.GenFishCompletion(w, true)
	}
	return failure{what: fmt.Sprintf("no completions for %s", shell), fix: "kvctl completion bash, zsh or fish", code: ExitUsage}
}

// versionCommand prints the version, for those who do not think of --version.
func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "print the version of kvctl",
		Example:           "  kvctl version",
		Args:              atMost(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				return a.object(map[string]string{"version": a.version})
			}
			_, err := fmt.Fprintf(a.out, "kvctl %s\n", a.version)
			return err
		},
	}
}
