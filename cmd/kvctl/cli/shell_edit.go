package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/reeflective/readline"
	"github.com/reeflective/readline/inputrc"
)

// editor reads what a person enters: one line, or several while a quote is
// open. io.EOF is the end, readline.ErrInterrupt a line that was dropped.
type editor interface {
	Readline() (string, error)
}

// setUp makes the line editor.
func (s *shell) setUp() {
	rl := readline.NewShell(inputrc.WithApp("kvctl"))
	s.edit = rl
	rl.Config.Vars["convert-meta"] = false // or é, ü and ß are taken for Alt with another key
	rl.Config.Vars["input-meta"] = true
	rl.Config.Vars["output-meta"] = true
	rl.Config.Vars["cursor-position-probe"] = false
	rl.Config.Vars["enable-bracketed-paste"] = true
	rl.Config.Vars["multiline-column"] = false
	rl.Config.Vars["bell-style"] = "none"
	for _, keymap := range []string{"emacs", "vi-insert"} {
		if binds := rl.Config.Binds[keymap]; binds != nil {
			binds[inputrc.Unescape(`\C-I`)] = inputrc.Bind{Action: "menu-complete"}
		}
	}
	rl.Prompt.Primary(s.prompt)
	rl.Prompt.Secondary(func() string { return s.app.style(true, "2", "   ...> ") })
	rl.AcceptMultiline = func(line []rune) bool { return !openQuote(string(line)) }
	rl.Completer = func(line []rune, cursor int) readline.Completions {
		offers := s.complete(line, cursor)
		if !s.app.colored(true) {
			offers = offers.Tag("") // the library's headings have a colour
		}
		return offers
	}
	rl.Hint.SetProvider(s.hint)
	if s.app.colored(true) {
		rl.SyntaxHighlighter = highlight
	} else {
		rl.Config.Vars["completion-selection-style"] = "\x1b[0;7m" // reverse, in place of colours
	}
	dropMenu(rl)
	insertWhole(rl)
	names := rl.History.Name()
	rl.History.Delete(names)
	rl.History.Add("history", openHistory(historyPath()))
}

// dropMenu has Ctrl-C drop the line while a menu or a search is open, too;
// the library only shuts that.
func dropMenu(rl *readline.Shell) {
	keymap := rl.Keymap
	abort := keymap.Commands()["abort"]
	keymap.Register(map[string]func(){"abort": func() {
		if keymap.Local() != "" && keymap.InputIsTerminator() {
			abort()
		}
		abort()
	}})
}

// insertWhole has what is one character to a person, but several to Unicode,
// inserted as a whole; the library takes the first of them.
func insertWhole(rl *readline.Shell) {
	insert := rl.Keymap.Commands()["self-insert"]
	rl.Keymap.Register(map[string]func(){"self-insert": func() {
		typed := slices.Clone(rl.Keys.Caller())
		insert()
		if len(typed) > 1 && unicode.IsPrint(typed[0]) {
			rl.Cursor().InsertAt(typed[1:]...)
		}
	}})
}

// prompt shows the database and, inside MULTI, how many commands wait.
func (s *shell) prompt() string {
	name := "kvctl"
	if s.db != 0 {
		name += "[" + strconv.Itoa(s.db) + "]"
	}
	color := "1;36"
	switch {
	case s.multi && s.broken:
		name, color = name+"(MULTI broken)", "1;31"
	case s.multi:
		name, color = name+"(MULTI "+strconv.Itoa(s.queued)+")", "1;33"
	case !s.conn.Connected():
		name, color = name+"(not connected)", "1;31"
	}
	return s.app.style(true, color, name+">") + " "
}

// dumbTerminal reports whether the terminal understands no control sequences.
func dumbTerminal() bool {
	name := os.Getenv("TERM")
	return name == "" || name == "dumb"
}

// plainEditor is the editor of terminals that understand no control sequences:
// the kernel's own line editing.
type plainEditor struct {
	in     *bufio.Reader
	out    io.Writer
	prompt func() string
}

// Readline asks for a line; Ctrl-C drops what was typed, which the kernel does
// by itself.
func (e *plainEditor) Readline() (string, error) {
	signals := make(chan os.Signal, 1)
	done := make(chan struct{})
	signal.Notify(signals, os.Interrupt)
	defer close(done)
	defer signal.Stop(signals)
	fmt.Fprint(e.out, e.prompt())
	go func() {
		for {
			select {
			case <-signals:
				fmt.Fprint(e.out, "\n"+e.prompt())
			case <-done:
				return
			}
		}
	}()
	text, err := e.in.ReadString('\n')
	for err == nil && openQuote(strings.TrimSuffix(text, "\n")) {
		fmt.Fprint(e.out, "   ...> ")
		var more string
		more, err = e.in.ReadString('\n')
		text += more
	}
	if err == io.EOF && text != "" {
		err = nil
	}
	return strings.TrimSuffix(text, "\n"), err
}

// statements takes what was entered apart at the ends of lines outside quotes:
// several commands may have been pasted at once.
func statements(text string) []string {
	var list []string
	begun := ""
	for line := range strings.SplitSeq(text, "\n") {
		if begun += line; openQuote(begun) {
			begun += "\n"
			continue
		}
		list = append(list, begun)
		begun = ""
	}
	if begun != "" {
		list = append(list, begun)
	}
	return list
}

// openQuote reports whether a line ends inside quotes, so that more is to come.
func openQuote(line string) bool {
	var quote byte
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote == 0 && (c == '"' || c == '\'') && (i == 0 || isBlank(line[i-1])):
			quote = c
		case quote != 0 && c == '\\' && (quote == '"' || i+1 < len(line) && line[i+1] == '\''):
			i++
		case c == quote:
			quote = 0
		}
	}
	return quote != 0
}
