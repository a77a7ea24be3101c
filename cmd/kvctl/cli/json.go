package cli

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"kvstored/pkg/client"
)

// json writes a reply as one object {"value": …} on a line of its own, spread
// over lines on a terminal.  A string has "encoding" beside it: "utf-8", or
// "base64" where its bytes are not UTF-8.  Inside arrays and maps a string is
// a plain one, and where its bytes are not UTF-8 an object of that form.
func (p *printer) json(head client.Token) error {
	if err := p.jsonTop(head); err != nil {
		return err
	}
	p.write("\n")
	return nil
}

// jsonTop writes the outermost object.
func (p *printer) jsonTop(head client.Token) error {
	if isLong(head) {
		return p.jsonLong(head, 0, true)
	}
	if text, ok, err := p.jsonText(head); err != nil {
		return err
	} else if ok {
		p.jsonString(text, 0)
		return nil
	}
	p.write("{" + p.fresh(1) + `"value":` + p.gap())
	if err := p.jsonValue(head, 1); err != nil {
		return err
	}
	p.write(p.fresh(0) + "}")
	return nil
}

// jsonText reads the element if it is a string.
func (p *printer) jsonText(head client.Token) (text []byte, ok bool, err error) {
	switch head.Kind {
	case client.Simple:
		return append([]byte{}, head.Text...), true, nil
	case client.Bulk, client.Verbatim:
		if err := p.skipFormat(head); err != nil {
			return nil, false, err
		}
		text, err := p.s.Bytes()
		return text, true, err
	}
	return nil, false, nil
}

// jsonString writes an object with a string and its encoding.
func (p *printer) jsonString(text []byte, depth int) {
	p.write("{" + p.fresh(depth+1) + `"value":` + p.gap())
	encoding := "utf-8"
	if utf8.Valid(text) {
		p.jsonQuoted(text)
	} else {
		encoding = "base64"
		p.write(`"`)
		w := base64.NewEncoder(base64.StdEncoding, p.app.out)
		_, _ = w.Write(text)
		_ = w.Close()
		p.write(`"`)
	}
	p.write("," + p.fresh(depth+1) + `"encoding":` + p.gap() + `"` + encoding + `"` + p.fresh(depth) + "}")
}

// isLong reports whether an element is a string too long to be held.
func isLong(head client.Token) bool {
	return (head.Kind == client.Bulk || head.Kind == client.Verbatim) && head.N > longValue
}

// jsonLong writes a string that is not held; object says that text, too, is in
// an object with its encoding.
func (p *printer) jsonLong(head client.Token, depth int, object bool) error {
	if err := p.skipFormat(head); err != nil {
		return err
	}
	var spool spool
	defer spool.close()
	text, all, err := spool.decide(p.s, &textCheck{})
	if err != nil {
		return err
	}
	encoding := "utf-8"
	if text {
		all = &rewriter{in: all, change: appendJSONPiece}
	} else {
		encoding, object = "base64", true
		all = toBase64(all)
	}
	begin, tail := `"`, `"`
	if object {
		begin = "{" + p.fresh(depth+1) + `"value":` + p.gap() + begin
		tail += "," + p.fresh(depth+1) + `"encoding":` + p.gap() + `"` + encoding + `"` + p.fresh(depth) + "}"
	}
	return around(p.app.out, []byte(begin), all, []byte(tail))
}

// jsonValue writes any element as the value of something.
func (p *printer) jsonValue(head client.Token, depth int) error {
	if isLong(head) {
		return p.jsonLong(head, depth, false)
	}
	if text, ok, err := p.jsonText(head); err != nil {
		return err
	} else if ok && utf8.Valid(text) {
		p.jsonQuoted(text)
		return nil
	} else if ok {
		p.jsonString(text, depth)
		return nil
	}
	switch head.Kind {
	case client.Array, client.Set, client.Push:
		return p.jsonItems(head.N, depth, "[", "]", false)
	case client.Map:
		return p.jsonItems(head.N/2, depth, "{", "}", true)
	case client.Error, client.BlobError:
		text, err := p.innerError(head)
		p.write(`{"error":` + p.gap())
		p.jsonQuoted([]byte(text))
		p.write("}")
		return err
	case client.Nil:
		p.write("null")
	case client.Double:
		p.jsonDouble(scalar(head))
	default:
		p.write(scalar(head))
	}
	return nil
}

// jsonItems writes n elements, or n names and elements, between brackets.
func (p *printer) jsonItems(n int64, depth int, open, shut string, named bool) error {
	p.write(open)
	for i := range n {
		if i > 0 {
			p.write(",")
		}
		p.write(p.fresh(depth + 1))
		if named {
			if err := p.jsonName(); err != nil {
				return err
			}
		}
		t, err := p.s.Next()
		if err != nil {
			return err
		}
		if err := p.jsonValue(t, depth+1); err != nil {
			return err
		}
	}
	if n > 0 {
		p.write(p.fresh(depth))
	}
	p.write(shut)
	return nil
}

// jsonName writes the key of a map; bytes that are not UTF-8 as base64:….
func (p *printer) jsonName() error {
	t, err := p.s.Next()
	if err != nil {
		return err
	}
	text, ok, err := p.jsonText(t)
	if err != nil {
		return err
	}
	if !ok {
		text = []byte(scalar(t))
	}
	if !utf8.Valid(text) {
		text = []byte("base64:" + base64.StdEncoding.EncodeToString(text))
	}
	p.jsonQuoted(text)
	p.write(":" + p.gap())
	return nil
}

// jsonDouble writes a number; what JSON has no number for becomes a string.
func (p *printer) jsonDouble(text string) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		p.jsonQuoted([]byte(text))
		return
	}
	p.write(strconv.FormatFloat(f, 'g', -1, 64))
}

// jsonQuoted writes valid UTF-8 as a string of JSON.
func (p *printer) jsonQuoted(text []byte) {
	b := append(p.app.out.AvailableBuffer(), '"')
	_, _ = p.app.out.Write(append(appendJSONPiece(b, text), '"'))
}

// fresh begins a new line at a depth on a terminal, nothing on a pipe.
func (p *printer) fresh(depth int) string {
	if !p.app.outTTY {
		return ""
	}
	return "\n" + strings.Repeat("  ", depth)
}

// gap is the blank behind a colon on a terminal.
func (p *printer) gap() string {
	if !p.app.outTTY {
		return ""
	}
	return " "
}
