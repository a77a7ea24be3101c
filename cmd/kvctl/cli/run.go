package cli

import (
	"cmp"
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"kvstored/pkg/client"
	"kvstored/pkg/command"
)

// command sends what stands on the command line, or the lines of standard input.
func (a *app) command(cmd *cobra.Command, args []string) error {
	if a.pipe {
		if len(args) > 0 {
			return usage("--pipe takes commands from standard input, none as arguments")
		}
		return a.pipeMode()
	}
	if len(args) == 1 && strings.ContainsAny(args[0], " \t\n") {
		words, err := split(args[0])
		if err != nil {
			return badLine(err, " in: "+args[0], ExitUsage)
		}
		args = words
		if len(args) == 0 {
			return usage("an empty command")
		}
	}
	switch {
	case len(args) == 0 && a.inTTY && a.outTTY && !a.json:
		return a.shell()
	case len(args) == 0 && a.inTTY && a.json:
		a.listFields(cmd.Root())
		return nil
	case len(args) == 0 && a.inTTY:
		a.brief()
		return nil
	case len(args) == 0:
		return a.lines()
	case args[0] == "":
		return usage("an empty command")
	}
	switch name := strings.ToUpper(args[0]); {
	case name == "MONITOR" && len(args) == 1:
		return a.watchCommands(nil, 0)
	case (name == "SUBSCRIBE" || name == "PSUBSCRIBE") && len(args) > 1:
		return a.subscribeTo(args[1:], name == "PSUBSCRIBE", 0)
	}
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Send(args...); err != nil {
		return err
	}
	if err := c.Flush(); err != nil {
		return err
	}
	kind, err := a.receive(c, args, true)
	if err != nil {
		return explainServer(err, args)
	}
	if kind == client.Nil {
		return quiet(ExitMissing)
	}
	return nil
}

// receive prints the next reply, the answer to args, and returns its kind.
// last says that nothing follows on this connection.
func (a *app) receive(c *client.Conn, args []string, last bool) (client.Kind, error) {
	var kind client.Kind
	var refused error
	cut := errors.New("cut")
	err := c.ReceiveStream(func(s *client.Stream) error {
		head, err := s.Next()
		if err != nil {
			return err
		}
		kind = head.Kind
		if refused, err = serverError(head, s); refused != nil || err != nil {
			return err
		}
		p := printer{app: a, s: s, text: isText(args), last: last}
		if err := p.reply(head); err != nil {
			return err
		}
		refused = p.refused
		if p.cut {
			return cut // what is left need not be sent to us
		}
		return nil
	})
	if err == cut {
		c.Abandon()
		err = nil
	}
	if err == nil {
		err = refused
	}
	return kind, err
}

// serverError reads the error whose head came; nil if it is none.
func serverError(head client.Token, s *client.Stream) (refused, err error) {
	switch head.Kind {
	case client.Error:
		return client.Reply{Kind: client.Error, Bytes: head.Text}.Err(), nil
	case client.BlobError:
		text, err := s.Bytes()
		return client.Reply{Kind: client.Error, Bytes: text}.Err(), err
	}
	return nil, nil
}

// explainServer adds what kvctl knows about an error of the server.
func explainServer(err error, args []string) error {
	var server *client.ServerError
	if !errors.As(err, &server) {
		return err
	}
	f := failure{what: commandName(args) + ": " + strings.TrimPrefix(server.Error(), "ERR "), code: ExitServer}
	switch {
	case server.Why != "" || server.Fix != "":
		f.what = commandName(args) + ": " + server.Message
		f.why, f.fix = server.Why, server.Fix
	case strings.HasPrefix(server.Message, "unknown command"):
		f = unknownCommand(args[0], server.Message)
	case strings.HasPrefix(server.Message, "wrong number of arguments"), server.Message == "syntax error":
		if flag := ownFlag(args[1:]); flag != "" {
			f.why = "what follows " + args[0] + " is sent as it is, " + flag + " too"
			f.fix = "options of kvctl stand before the command: kvctl " + flag + " " + args[0] + " …"
		} else if known := protocolCommand(args); known != nil {
			f.fix = "call it as: " + known.Usage()
		}
	case strings.HasPrefix(server.Message, "unknown subcommand"):
		f.why = "there is none of that name"
		f.fix = cmp.Or(nearestSubcommand(args), "kvctl help "+strings.ToUpper(args[0]))
	case server.Code == "NOPERM" && os.Geteuid() != 0:
		f.fix = "sudo kvctl …"
	default:
		f.why, f.fix = advise(server, args)
	}
	return f
}

// commandName is the command as it was typed, with the subcommand where that
// is what does the work.
func commandName(args []string) string {
	if known := command.Lookup([]byte(args[0])); known != nil && len(known.Subcommands) > 0 && len(args) > 1 {
		return args[0] + " " + args[1]
	}
	return args[0]
}

// unknownCommand says that the server lacks a command, and why if it tells.
func unknownCommand(name, message string) failure {
	f := failure{what: "unknown command: " + name, why: "neither the server nor kvctl has a command of that name", fix: "kvctl help commands", code: ExitServer}
	if _, lacks, ok := strings.Cut(message, "': "); ok {
		f.why = lacks
		return f
	}
	if near := nearestCommand(name); near != "" && near != strings.ToUpper(name) {
		f.fix = didYouMean(near)
	}
	return f
}

// ownFlag finds an option of kvctl among the arguments of a command.
func ownFlag(args []string) string {
	for _, arg := range args {
		name, _, _ := strings.Cut(arg, "=")
		switch name {
		case "--json", "--jq", "--socket", "--color", "--no-newline", "--db", "--help":
			return name
		}
	}
	return ""
}

// isText reports whether the answer is text written for people, with lines of
// its own.
func isText(args []string) bool {
	name := strings.ToUpper(args[0])
	if len(args) > 1 {
		switch name + " " + strings.ToUpper(args[1]) {
		case "CLIENT LIST", "CLIENT INFO", "ENGINE CHECK":
			return true
		}
	}
	return name == "INFO"
}
