package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"kvstored/pkg/client"
)

// respMark begins what is said about an export in the form of the protocol: an
// ECHO, which every server answers and which changes nothing.
const respMark = "kvctl export"

// encoder writes records as a file has them.
type encoder struct {
	format string
	spool  *spool
}

// head is how a file begins.
func (e encoder) head() []byte {
	switch e.format {
	case formatCSV:
		return []byte("key,value,expires,encoding\n")
	case formatRESP:
		return echo(respMark + " begins")
	}
	return nil
}

// tail is how a file ends. CSV has no place for it; see checksumFile.
func (e encoder) tail(s sum) []byte {
	switch e.format {
	case formatJSON:
		return fmt.Appendf(nil, `{"end":{"keys":%d,"checksum":"%s"}}`+"\n", s.keys, s)
	case formatRESP:
		return echo(respMark + " ends: " + s.text())
	}
	return nil
}

// echo is the command that does nothing but say text.
func echo(text string) []byte { return client.AppendCommand(nil, []byte("ECHO"), []byte(text)) }

// append writes one record whose value is held.
func (e encoder) append(b []byte, r record) []byte {
	switch e.format {
	case formatRESP:
		return appendSet(b, r)
	case formatCSV:
		return appendCSV(b, r)
	}
	b = append(b, `{"key":`...)
	b = appendJSONText(b, "key_encoding", r.key)
	b = append(b, `,"value":`...)
	b = appendJSONText(b, "encoding", r.value)
	return append(appendJSONExpiry(b, r.expires), '}', '\n')
}

// stream writes one record whose value is too long to be held.
func (e encoder) stream(w io.Writer, r record) error {
	switch e.format {
	case formatRESP:
		head, tail := setAround(nil, r)
		return around(w, head, r.long, tail)
	case formatCSV:
		return e.streamCSV(w, r)
	}
	text, all, err := e.spool.decide(r.long, &textCheck{})
	if err != nil {
		return err
	}
	head := appendJSONText([]byte(`{"key":`), "key_encoding", r.key)
	head = append(head, `,"value":"`...)
	tail := []byte(`"`)
	if !text {
		tail = append(tail, `,"encoding":"base64"`...)
	}
	tail = append(appendJSONExpiry(tail, r.expires), '}', '\n')
	if text {
		all = &rewriter{in: all, change: appendJSONPiece}
	} else {
		all = toBase64(all)
	}
	return around(w, head, all, tail)
}

// streamCSV writes a line of CSV.
func (e encoder) streamCSV(w io.Writer, r record) error {
	text, all := false, r.long
	if csvText(r.key) {
		var err error
		if text, all, err = e.spool.decide(r.long, &textCheck{none: csvNone}); err != nil {
			return err
		}
	}
	head, encoding := r.key, ""
	if !text {
		head, encoding = base64.StdEncoding.AppendEncode(nil, r.key), "base64"
	}
	line := csvLine(string(head), "", expiryText(r.expires), encoding)
	at := len(line) - len(csvLine("", expiryText(r.expires), encoding)) // behind the empty value
	if text {
		all = &rewriter{in: all, change: appendCSVPiece}
		return around(w, append(line[:at:at], '"'), all, append([]byte{'"'}, line[at:]...))
	}
	return around(w, line[:at], toBase64(all), line[at:])
}

// around writes a body between a head and a tail.
func around(w io.Writer, head []byte, body io.Reader, tail []byte) error {
	if _, err := w.Write(head); err != nil {
		return err
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{body}, make([]byte, pieceSize)); err != nil {
		return err
	}
	_, err := w.Write(tail)
	return err
}

// rewriter gives a body in another form, piece by piece.
type rewriter struct {
	in     io.Reader
	change func(b, piece []byte) []byte

	piece []byte
	spare []byte
	ready []byte // of spare
	end   error
}

// Read gives the next bytes.
func (w *rewriter) Read(p []byte) (int, error) {
	if w.piece == nil {
		w.piece = make([]byte, pieceSize/3*3) // base64 has no rest between two pieces
	}
	for len(w.ready) == 0 {
		if w.end != nil {
			return 0, w.end
		}
		var n int
		n, w.end = fill(w.in, w.piece)
		w.spare = w.change(w.spare[:0], w.piece[:n])
		w.ready = w.spare
	}
	n := copy(p, w.ready)
	w.ready = w.ready[n:]
	return n, nil
}

// toBase64 gives a body in base64.
func toBase64(in io.Reader) io.Reader {
	return &rewriter{in: in, change: base64.StdEncoding.AppendEncode}
}

// appendJSONExpiry writes the member for the time of expiry, if there is one.
func appendJSONExpiry(b []byte, expires int64) []byte {
	if expires == 0 {
		return b
	}
	return strconv.AppendInt(append(b, `,"expires":`...), expires, 10)
}

// appendJSONText writes bytes as a string, with the member that names its
// encoding where that is not UTF-8.
func appendJSONText(b []byte, encodingName string, text []byte) []byte {
	if plainJSON(text) {
		b = append(append(b, '"'), text...)
		return append(b, '"')
	}
	s, encoding := textOf(text)
	quoted, _ := json.Marshal(s) // a string always can be
	b = append(b, quoted...)
	if encoding != "" {
		b = append(b, `,"`+encodingName+`":"`+encoding+`"`...)
	}
	return b
}

// appendJSONPiece writes a piece of text inside the quotes of JSON.
func appendJSONPiece(b, text []byte) []byte {
	const hex = "0123456789abcdef"
	begin := 0
	for i, c := range text {
		if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
			continue
		}
		b = append(b, text[begin:i]...)
		begin = i + 1
		if at := strings.IndexByte("\"\\\n\r\t\b\f", c); at >= 0 {
			b = append(b, '\\', "\"\\nrtbf"[at])
		} else {
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(b, text[begin:]...)
}

// plainJSON reports whether text stands in JSON as it is.
func plainJSON(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// csvNone are the characters that readers of CSV would change.
const csvNone = "\r\x00"

// csvText reports whether bytes stand in CSV as text.
func csvText(b []byte) bool { return utf8.Valid(b) && !bytes.ContainsAny(b, csvNone) }

// appendCSV writes one line. What readers of CSV would change (line ends) and
// what is not UTF-8 is base64.
func appendCSV(b []byte, r record) []byte {
	if csvText(r.key) && csvText(r.value) {
		return append(b, csvLine(string(r.key), string(r.value), expiryText(r.expires), "")...)
	}
	encode := base64.StdEncoding.EncodeToString
	return append(b, csvLine(encode(r.key), encode(r.value), expiryText(r.expires), "base64")...)
}

// csvLine is a line with these fields.
func csvLine(fields ...string) []byte {
	var line bytes.Buffer
	w := csv.NewWriter(&line)
	_ = w.Write(fields)
	w.Flush()
	return line.Bytes()
}

// appendCSVPiece writes a piece of text inside the quotes of CSV.
func appendCSVPiece(b, text []byte) []byte {
	for {
		at := bytes.IndexByte(text, '"')
		if at < 0 {
			return append(b, text...)
		}
		b = append(append(b, text[:at+1]...), '"')
		text = text[at+1:]
	}
}

// expiryText is a time of expiry as CSV has it.
func expiryText(expires int64) string {
	if expires == 0 {
		return ""
	}
	return strconv.FormatInt(expires, 10)
}

// appendSet writes the command that makes a record whose value is held.
func appendSet(b []byte, r record) []byte {
	args := [][]byte{[]byte("SET"), r.key, r.value}
	if r.expires != 0 {
		args = append(args, []byte("PXAT"), strconv.AppendInt(nil, r.expires, 10))
	}
	return client.AppendCommand(b, args...)
}

// setAround is the command that makes a record, around its long value.
func setAround(b []byte, r record) (head, tail []byte) {
	const size = "$0\r\n"
	r.value = nil
	whole := appendSet(nil, r)
	// The value is the third argument: behind the key.
	at := len(whole) - len("\r\n")
	if r.expires != 0 {
		at -= len(client.AppendCommand(nil, []byte("PXAT"), strconv.AppendInt(nil, r.expires, 10))) - len("*2\r\n")
	}
	head = append(b, whole[:at-len(size)]...)
	head = append(strconv.AppendInt(append(head, '$'), r.size, 10), '\r', '\n')
	return head, whole[at:]
}
