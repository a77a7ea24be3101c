package cli

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"kvstored/pkg/client"
	"kvstored/pkg/command"
)

// keysWithin is how long the completion of a login shell may take to find keys.
const keysWithin = 4 * offerBudget

// completeLine offers what may follow a command of the protocol: its
// subcommands, options and keys of the daemon.
func (a *app) completeLine(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	offers, directive := completeCommand(cmd, args, begun)
	if len(args) == 0 || len(offers) > 0 {
		return offers, directive
	}
	of, given := command.Lookup([]byte(args[0])), args[1:]
	if of != nil && len(of.Subcommands) > 0 {
		of, given = subcommand(of, given)
	}
	if of == nil {
		return nil, directive
	}
	left := after(of.Syntax, given)
	for _, option := range inCase(left.options(), begun) {
		if strings.HasPrefix(option, begun) {
			offers = append(offers, option)
		}
	}
	if left.wantsKey() {
		offers = append(offers, a.someKeys(begun)...)
	}
	return offers, directive
}

// subcommand is the one that the first argument names, and the arguments
// behind it; nil where there is none.
func subcommand(of *command.Command, args []string) (*command.Command, []string) {
	for _, sub := range of.Subcommands {
		if len(args) > 0 && strings.EqualFold(sub.Name, args[0]) {
			return sub, args[1:]
		}
	}
	return nil, nil
}

// someKeys is keys that begin with what was typed: those found in a time that a
// person does not notice, none where no daemon runs. Looking never starts one.
func (a *app) someKeys(begun string) []string {
	found := make(chan []string, 1)
	go func() {
		path, _ := client.Locate(a.socket)
		if state := client.ServiceState(path); state != "" && state != "active" {
			found <- nil
			return
		}
		offers := newKeyOffers(a)
		defer offers.close()
		found <- offers.offer(begun)
	}()
	select {
	case keys := <-found:
		return slices.DeleteFunc(keys, func(key string) bool { return !plainForShells(key) })
	case <-time.After(keysWithin):
		return nil
	}
}

// plainForShells tells whether every shell takes the key as it is, whatever its
// completion does with it: nothing in it is expanded, parted or carried out.
func plainForShells(key string) bool {
	for _, r := range key {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_.:/@+,=%-", r) || r == unicode.ReplacementChar {
			return false
		}
	}
	return key != ""
}
