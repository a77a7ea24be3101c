package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"kvstored/pkg/client"
	"kvstored/pkg/install"
)

// engineStatus shows which library serves.
func (a *app) engineStatus() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "show the library in use, what is on disk, and the last exchange",
		Long: `Shows which library serves and since when, whether the file on disk is still
the same, which rule of the configuration chose it, how much it holds, how long
exchanges stopped the clients, and why the last refused one was refused.

On a pipe each line is name=value, for scripts; --json prints one object.`,
		Example: `  kvctl engine status
  kvctl engine status | grep ^version=
  kvctl --json engine status`,
		Args:              exactly(0, ""),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			c, err := a.dial()
			if err != nil {
				return err
			}
			defer c.Close()
			r, err := c.Do("ENGINE", "STATUS")
			if err != nil {
				return refusal(err)
			}
			fields, err := r.Fields()
			if err != nil {
				return failure{what: "cannot read the status: " + err.Error(), code: ExitServer}
			}
			a.printStatus(fields)
			return nil
		},
	}
}

// printStatus writes the fields in the form that was asked for.
func (a *app) printStatus(fields []client.Field) {
	switch {
	case a.json:
		a.statusJSON(fields)
	case a.outTTY:
		width, _ := a.screen()
		a.statusRows(fields, time.Now(), width)
	default:
		for _, f := range fields {
			fmt.Fprintf(a.out, "%s=%s\n", f.Name, printable(f.Value.Text()))
		}
	}
}

// statusJSON writes the fields as one object.
func (a *app) statusJSON(fields []client.Field) {
	p := printer{app: a}
	p.write("{")
	for i, f := range fields {
		if i > 0 {
			p.write(",")
		}
		p.write(p.fresh(1))
		p.jsonQuoted([]byte(strings.ToValidUTF8(f.Name, "?")))
		p.write(":" + p.gap())
		if f.Value.Kind == client.Integer {
			p.write(f.Value.Text())
		} else {
			p.jsonQuoted([]byte(strings.ToValidUTF8(f.Value.Text(), "?")))
		}
	}
	p.write(p.fresh(0) + "}\n")
}

// page gathers the rows of the status for people.
type page struct {
	app    *app
	fields []client.Field
	used   map[string]bool
	width  int // of the terminal
}

const (
	labelWidth = 13 // of the column of labels
	roomy      = 64 // columns from which on there is such a column
)

// get takes a field; what is taken is not listed again at the end.
func (p *page) get(name string) string {
	p.used[name] = true
	for _, f := range p.fields {
		if f.Name == name {
			return f.Value.Text()
		}
	}
	return ""
}

// has reports whether the server sent a field.
func (p *page) has(name string) bool {
	return slices.ContainsFunc(p.fields, func(f client.Field) bool { return f.Name == name })
}

// before is text with something before it, nothing without text.
func before(head, text string) string { return within(head, text, "") }

// within is text between two others, nothing without text.
func within(head, text, tail string) string {
	if text == "" {
		return ""
	}
	return head + text + tail
}

// number takes a field that counts something.
func (p *page) number(name string) int64 {
	n, err := strconv.ParseInt(p.get(name), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// row writes a label and what stands behind it, between words in as many lines
// as the terminal asks for; nothing if there is nothing. On a narrow terminal
// labels have no column of their own.
func (p *page) row(label string, parts ...string) {
	text := printable(strings.Join(parts, ""))
	if text == "" {
		return
	}
	head, indent := fmt.Sprintf("%*s", labelWidth, label), labelWidth+1
	if p.width < roomy {
		head, indent = label+":", 2
	}
	lines := hang(text, p.width-utf8.RuneCountInString(head)-1, p.width-indent)
	fmt.Fprintln(p.app.out, strings.TrimRight(p.app.style(true, "1", head)+" "+lines[0], " "))
	for _, line := range lines[1:] {
		fmt.Fprintln(p.app.out, strings.Repeat(" ", indent)+line)
	}
}

// hash takes the checksum of the library, which a narrow terminal has no line
// for.
func (p *page) hash() string {
	text := p.get("sha256")
	if len(text) > p.width-labelWidth-1 {
		return text[:min(len(text), 16)] + "…"
	}
	return text
}

// statusRows writes the fields for people, on a terminal so wide; those unknown
// to this kvctl follow as they are.
func (a *app) statusRows(fields []client.Field, now time.Time, width int) {
	p := &page{app: a, fields: fields, used: map[string]bool{}, width: width}
	p.row("engine", p.get("engine"), before(" ", p.get("version")), within(" (generation ", p.get("generation"), ")"))
	p.row("exchange", underWay(p.get("state")))
	p.row("since", since(p.get("loaded_at"), now))
	p.row("library", p.get("path"))
	p.row("on disk", onDisk(p.get("disk")))
	p.row("chosen by", p.get("rule"))
	p.row("sha256", p.hash())
	p.row("interface", before("version ", p.get("abi")), before(", data format ", p.get("format")))
	p.row("can", p.get("capabilities"))
	if p.has("keys") {
		p.row("holds", counted(p.number("keys"), "key"), " in ", size(p.number("memory")))
	}
	if writes, why := p.get("writes"), p.get("writes_why"); writes == "refused" {
		p.row("writes", writes, before(": ", why))
	}
	if n := p.number("pins"); n > 0 {
		p.row("pinned", counted(n, "value"), " that clients are reading")
	}
	if p.has("swaps") {
		p.row("exchanges", grouped(p.number("swaps")), " done, ", grouped(p.number("refused")), " refused")
	}
	p.row("the last", p.get("last_swap"))
	held, last := p.number("lane_held_max_us"), p.number("lane_held_last_us")
	if held > 0 {
		p.row("longest pause", micros(held), ", of the last exchange ", micros(last))
	}
	if n := p.number("copied_keys"); n > 0 {
		p.row("copied", counted(n, "key"))
	}
	if n := p.number("retiring"); n > 0 {
		p.row("retiring", "old libraries whose values are still being read: ", grouped(n))
	}
	if n := p.number("still_mapped"); n > 0 {
		p.row("still mapped", "old libraries that could not be unloaded: ", grouped(n))
	}
	if text := p.get("last_error"); text != "" {
		p.row("last refusal", text)
		p.row("why", p.get("last_error_why"))
		p.row("fix", install.ByUser(p.get("last_error_fix")))
	} else {
		p.get("last_error_why")
		p.get("last_error_fix")
	}
	for _, f := range fields {
		if !p.used[f.Name] {
			p.row(f.Name, f.Value.Text())
		}
	}
}

// underWay names the state of an exchange; nothing where none is running.
func underWay(state string) string {
	if state == "idle" || state == "serving" {
		return ""
	}
	return state
}

// onDisk says what the file at the library's path is now.
func onDisk(state string) string {
	switch state {
	case "same":
		return "the same"
	case "changed":
		return "another one; it serves after: kvctl engine reload"
	case "unreadable":
		return "not readable"
	case "missing":
		return "missing; what serves is not harmed, but the next start needs it"
	}
	return state
}

// since writes a time and how long ago it was.
func since(text string, now time.Time) string {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		seconds, numErr := strconv.ParseInt(text, 10, 64)
		if numErr != nil {
			return text
		}
		if seconds > 1e11 { // milliseconds
			seconds /= 1000
		}
		at = time.Unix(seconds, 0)
	}
	ago := now.Sub(at).Truncate(time.Second)
	if ago < 0 {
		return at.Local().Format("2006-01-02 15:04:05")
	}
	return at.Local().Format("2006-01-02 15:04:05") + " (" + span(ago) + " ago)"
}

// span writes a duration in its two largest units.
func span(d time.Duration) string {
	s := int64(d / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%d h %d min", s/3600, s%3600/60)
	}
	return fmt.Sprintf("%d d %d h", s/86400, s%86400/3600)
}

// micros writes microseconds.
func micros(us int64) string {
	if us < 1000 {
		return fmt.Sprintf("%d µs", us)
	}
	return fmt.Sprintf("%.1f ms", float64(us)/1000)
}

// counted writes a number of things.
func counted(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return grouped(n) + " " + thing + "s"
}

// grouped writes a number with commas between its thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
