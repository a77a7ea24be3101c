package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"kvstored/pkg/client"
)

// shown is how much of a long value a terminal gets.
const shown = 1 << 10

// printer writes one reply while it arrives.
type printer struct {
	app     *app
	s       *client.Stream
	text    bool // the answer is text written for people
	last    bool // the connection serves nothing else afterwards
	cut     bool // a long value was shown in part, and the rest not read
	refused error
}

// reply writes the reply whose head came, in the form that was asked for.
func (p *printer) reply(head client.Token) error {
	switch {
	case p.app.json:
		return p.json(head)
	case p.app.outTTY:
		return p.terminal(head, "")
	}
	return p.bare(head, true)
}

// write puts text out.
func (p *printer) write(text string) { _, _ = p.app.out.WriteString(text) }

// ------------------------------------------------------------------- pipes

// bare writes values and nothing else: what is one value ends with a newline,
// of an aggregate each element does.
func (p *printer) bare(head client.Token, top bool) error {
	if head.Kind == client.Nil && top {
		return nil
	}
	if head.Kind == client.Array || head.Kind == client.Set || head.Kind == client.Push || head.Kind == client.Map {
		for range head.N {
			t, err := p.s.Next()
			if err != nil {
				return err
			}
			if err := p.bare(t, false); err != nil {
				return err
			}
		}
		return nil
	}
	if head.Kind == client.Verbatim || p.text && head.Kind == client.Bulk {
		return p.page(head, func(line string) string { return line })
	}
	if err := p.bareValue(head); err != nil {
		return err
	}
	if !p.app.noNewline || !top {
		p.write("\n")
	}
	return nil
}

// bareValue writes one value that is not an aggregate.
func (p *printer) bareValue(head client.Token) error {
	switch head.Kind {
	case client.Bulk:
		_, err := io.Copy(p.app.out, p.s)
		return err
	case client.Error, client.BlobError:
		text, err := p.innerError(head)
		p.write(text)
		return err
	}
	p.write(scalar(head))
	return nil
}

// skipFormat passes over the "txt:" of a verbatim string.
func (p *printer) skipFormat(head client.Token) error {
	if head.Kind != client.Verbatim || head.N < 4 {
		return nil
	}
	_, err := io.ReadFull(p.s, make([]byte, 4))
	return err
}

// innerError reads an error inside an aggregate; kvctl then fails behind the reply.
func (p *printer) innerError(head client.Token) (string, error) {
	text := append([]byte{}, head.Text...)
	if head.Kind == client.BlobError {
		var err error
		if text, err = p.s.Bytes(); err != nil {
			return "", err
		}
	}
	if p.refused == nil {
		p.refused = client.Reply{Kind: client.Error, Bytes: text}.Err()
	}
	return string(text), nil
}

// scalar is the text of a number, a status, a truth or nothing.
func scalar(head client.Token) string {
	switch head.Kind {
	case client.Nil:
		return ""
	case client.Integer:
		return strconv.FormatInt(head.N, 10)
	case client.Boolean:
		return strconv.FormatBool(head.N != 0)
	}
	return string(head.Text)
}

// --------------------------------------------------------------- terminals

// terminal writes a reply marked with its types.  indent stands before all but
// the first line.
func (p *printer) terminal(head client.Token, indent string) error {
	switch head.Kind {
	case client.Array, client.Set, client.Push:
		return p.list(head, indent)
	case client.Map:
		return p.table(head, indent)
	case client.Bulk, client.Verbatim:
		if p.text || head.Kind == client.Verbatim {
			return p.page(head, printable)
		}
		if err := p.quoted(head.N); err != nil {
			return err
		}
	case client.Error, client.BlobError:
		text, err := p.innerError(head)
		if err != nil {
			return err
		}
		p.write(p.app.style(true, "31", "(error) "+printable(text)))
	case client.Nil:
		p.write(p.app.style(true, "2", "(nil)"))
	case client.Simple:
		p.write(printable(scalar(head)))
	default:
		p.write(p.app.style(true, "2", "("+head.Kind.String()+")") + " " + printable(scalar(head)))
	}
	p.write("\n")
	return nil
}

// list writes the elements of an array or a set with their numbers.
func (p *printer) list(head client.Token, indent string) error {
	if head.N == 0 {
		p.write(p.app.style(true, "2", "(empty "+head.Kind.String()+")") + "\n")
		return nil
	}
	width := len(strconv.FormatInt(head.N, 10))
	deeper := indent + strings.Repeat(" ", width+2)
	for i := range head.N {
		if i > 0 {
			p.write(indent)
		}
		p.write(p.app.style(true, "2", fmt.Sprintf("%*d)", width, i+1)) + " ")
		t, err := p.s.Next()
		if err != nil {
			return err
		}
		if err := p.terminal(t, deeper); err != nil {
			return err
		}
	}
	return nil
}

// table writes the keys and values of a map.
func (p *printer) table(head client.Token, indent string) error {
	if head.N == 0 {
		p.write(p.app.style(true, "2", "(empty map)") + "\n")
		return nil
	}
	for i := int64(0); i < head.N; i += 2 {
		if i > 0 {
			p.write(indent)
		}
		t, err := p.s.Next()
		if err != nil {
			return err
		}
		name, err := p.mapKey(t)
		if err != nil {
			return err
		}
		p.write(name + " => ")
		if t, err = p.s.Next(); err != nil {
			return err
		}
		if err := p.terminal(t, indent+"  "); err != nil {
			return err
		}
	}
	return nil
}

// mapKey reads a map's key for a terminal.
func (p *printer) mapKey(head client.Token) (string, error) {
	if head.Kind != client.Bulk && head.Kind != client.Verbatim {
		return printable(scalar(head)), nil
	}
	text, err := p.s.Bytes()
	return quote(text), err
}

// page writes text that has lines of its own, each as filter gives it and with
// the line end that is usual here.
func (p *printer) page(head client.Token, filter func(string) string) error {
	if err := p.skipFormat(head); err != nil {
		return err
	}
	text, err := p.s.Bytes()
	for line := range strings.SplitSeq(strings.TrimRight(string(text), "\r\n"), "\n") {
		p.write(filter(strings.TrimSuffix(line, "\r")) + "\n")
	}
	return err
}

// quoted writes a string of n bytes in quotes; of a long one the beginning and
// its size.
func (p *printer) quoted(n int64) error {
	if n <= shown {
		text, err := p.s.Bytes()
		p.write(quote(text))
		return err
	}
	text := make([]byte, shown)
	if _, err := io.ReadFull(p.s, text); err != nil {
		return err
	}
	note := fmt.Sprintf("(%s; %s shown, all of it: kvctl --no-newline COMMAND > FILE)", size(n), size(shown))
	p.write(quote(wholeRunes(text)) + "… " + p.app.style(true, "2", note))
	p.cut = p.last && n > 16*shown
	return nil
}

// abridged is text in quotes; of a long one the beginning and its size.
func (a *app) abridged(text []byte) string {
	if len(text) <= shown {
		return quote(text)
	}
	note := fmt.Sprintf("(%s; %s shown)", size(int64(len(text))), size(shown))
	return quote(wholeRunes(text[:shown])) + "… " + a.style(true, "2", note)
}

// wholeRunes cuts off the beginning of a character at the end.
func wholeRunes(text []byte) []byte {
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		at := len(text) - back
		if utf8.RuneStart(text[at]) {
			if !utf8.FullRune(text[at:]) {
				return text[:at]
			}
			break
		}
	}
	return text
}

// quote writes text in double quotes, readable characters as they are, so that
// the same line typed back gives the same bytes.
func quote(text []byte) string {
	var b strings.Builder
	b.WriteByte('"')
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch at := strings.IndexRune("\n\r\t\a\b", r); {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case at >= 0:
			b.WriteByte('\\')
			b.WriteByte("nrtab"[at])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			for _, c := range text[:n] {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		}
		text = text[n:]
	}
	b.WriteByte('"')
	return b.String()
}

// size writes a number of bytes for people.
func size(n int64) string {
	if n < 1<<10 {
		return counted(n, "byte")
	}
	units := []string{"KiB", "MiB", "GiB", "TiB"}
	value, unit := float64(n)/(1<<10), 0
	for value >= 1024 && unit < len(units)-1 {
		value /= 1024
		unit++
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", value), ".0") + " " + units[unit]
}
