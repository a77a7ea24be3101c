package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"kvstored/cmd/kvctl/cli"
)

// page is a manual page in the making.
type page struct{ strings.Builder }

// pages makes the page of root and of each command below it, by file name.
// help has no page: it is the pages themselves.
func pages(root *cobra.Command) map[string]string {
	all := map[string]string{}
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		all[fileName(cmd)] = manPage(cmd)
		for _, child := range cli.Children(cmd) {
			if child.Name() != "help" && child.Name() != "version" {
				walk(child)
			}
		}
	}
	walk(root)
	return all
}

// dashed is the command's path as the name of a page: kvctl-engine-use.
func dashed(cmd *cobra.Command) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "-")
}

// fileName is the file of a command's page.
func fileName(cmd *cobra.Command) string { return dashed(cmd) + ".1" }

// manPage is the page of a command.
func manPage(cmd *cobra.Command) string {
	p := &page{}
	fmt.Fprintf(p, ".TH %s 1 \"\" kvstored \"User commands\"\n", escape(strings.ToUpper(dashed(cmd))))
	p.section("NAME")
	fmt.Fprintf(p, "%s \\- %s\n", escape(dashed(cmd)), escape(cmd.Short))
	p.section("SYNOPSIS")
	p.synopsis(cli.UsageLine(cmd))
	p.section("DESCRIPTION")
	p.text(cmd.Long)
	p.children(cmd)
	p.section("OPTIONS")
	p.rows(cli.FlagRows(cmd.NonInheritedFlags(), cmd.InheritedFlags()))
	if names := cli.JSONFields(cmd); names != nil {
		p.section("FIELDS OF \\-\\-JSON")
		p.text(strings.Join(names, ", "))
	}
	if !cmd.HasParent() {
		p.topics()
	}
	if cmd.Example != "" {
		p.section("EXAMPLES")
		p.literal(cmd.Example)
	}
	p.seeAlso(cmd)
	return p.String()
}

// section begins a section.
func (p *page) section(name string) { fmt.Fprintf(p, ".SH %s\n", name) }

// synopsis sets the words of the program in bold, those to fill in in italics.
func (p *page) synopsis(line string) {
	p.WriteString(".nh\n.ad l\n")
	for i, word := range strings.Fields(line) {
		if i > 0 {
			p.WriteString(" ")
		}
		if word == strings.ToLower(word) && !strings.ContainsAny(word, "|") {
			p.WriteString("\\fB" + escape(word) + "\\fR")
			continue
		}
		p.WriteString(italics(word))
	}
	p.WriteString("\n.ad\n.hy\n")
}

// italics sets the letters of a word in italics and its brackets upright.
func italics(word string) string {
	var b strings.Builder
	inside := false
	for _, r := range word {
		letter := r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
		if letter != inside {
			inside = letter
			b.WriteString(map[bool]string{true: "\\fI", false: "\\fR"}[letter])
		}
		b.WriteString(escape(string(r)))
	}
	if inside {
		b.WriteString("\\fR")
	}
	return b.String()
}

// text sets paragraphs; one whose lines are indented is set as it is.
func (p *page) text(text string) {
	for i, paragraph := range strings.Split(strings.Trim(text, "\n"), "\n\n") {
		if strings.HasPrefix(paragraph, "  ") {
			p.literal(paragraph)
			continue
		}
		if i > 0 {
			p.WriteString(".PP\n")
		}
		for line := range strings.SplitSeq(paragraph, "\n") {
			p.WriteString(escape(line) + "\n")
		}
	}
}

// literal sets lines as they are.
func (p *page) literal(text string) {
	p.WriteString(".PP\n.nf\n.RS 4\n")
	for line := range strings.SplitSeq(text, "\n") {
		p.WriteString(escape(strings.TrimPrefix(line, "  ")) + "\n")
	}
	p.WriteString(".RE\n.fi\n")
}

// rows sets names and what they mean.
func (p *page) rows(rows [][2]string) {
	for _, r := range rows {
		fmt.Fprintf(p, ".TP\n\\fB%s\\fR\n%s\n", escape(r[0]), escape(r[1]))
	}
}

// children lists the commands below cmd.
func (p *page) children(cmd *cobra.Command) {
	var rows [][2]string
	for _, child := range cli.Children(cmd) {
		name := child.Name()
		if child.HasSubCommands() {
			var names []string
			for _, c := range cli.Children(child) {
				names = append(names, c.Name())
			}
			name += " " + strings.Join(names, "|")
		}
		rows = append(rows, [2]string{name, child.Short})
	}
	if len(rows) > 0 {
		p.section("COMMANDS OF KVCTL ITSELF")
		p.rows(rows)
	}
}

// topics sets the pages of help that are about no command.
func (p *page) topics() {
	for _, t := range cli.Topics {
		p.section(t.Section)
		p.rows(t.Rows)
		p.WriteString(".PP\n")
		p.text(t.Text)
	}
}

// seeAlso names the neighbours of a page.
func (p *page) seeAlso(cmd *cobra.Command) {
	p.section("SEE ALSO")
	var names []string
	if cmd.HasParent() {
		names = append(names, dashed(cmd.Parent())+" 1")
	}
	for _, child := range cli.Children(cmd) {
		if child.Name() != "help" && child.Name() != "version" {
			names = append(names, dashed(child)+" 1")
		}
	}
	names = append(names, "kvstored.conf 5", "kvstored 8")
	for i, name := range names {
		title, number, _ := strings.Cut(name, " ")
		comma := ","
		if i == len(names)-1 {
			comma = ""
		}
		fmt.Fprintf(p, ".BR %s (%s)%s\n", escape(title), number, comma)
	}
}

// escape makes text safe for troff.
func escape(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...", "'", `\(aq`).Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}
