package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"kvstored/pkg/client"
)

// record is one key as files of export have it.
type record struct {
	key, value []byte
	expires    int64 // milliseconds since 1970; 0: never
}

// sum adds up records, in any order.
type sum struct {
	keys  int64
	total uint64
}

// add counts a record; the checksum of all is the sum of each one's.
func (s *sum) add(r record) {
	var head [16]byte
	binary.LittleEndian.PutUint64(head[:8], uint64(len(r.key)))
	binary.LittleEndian.PutUint64(head[8:], uint64(r.expires))
	h := sha256.New()
	h.Write(head[:])
	h.Write(r.key)
	h.Write(r.value)
	var digest [sha256.Size]byte
	s.total += binary.LittleEndian.Uint64(h.Sum(digest[:0]))
	s.keys++
}

// String is the checksum as files have it.
func (s sum) String() string { return fmt.Sprintf("%016x", s.total) }

// Formats of files.
const (
	formatJSON = "jsonl"
	formatRESP = "resp"
	formatCSV  = "csv"
)

// formats are the names that --format takes.
var formats = []string{formatJSON, formatRESP, formatCSV}

// formatOf is the format that a file's name tells; empty if it does not.
func formatOf(path string) string {
	switch {
	case strings.HasSuffix(path, ".jsonl"), strings.HasSuffix(path, ".ndjson"), strings.HasSuffix(path, ".json"):
		return formatJSON
	case strings.HasSuffix(path, ".resp"), strings.HasSuffix(path, ".txt"), strings.HasSuffix(path, ".aof"):
		return formatRESP
	case strings.HasSuffix(path, ".csv"):
		return formatCSV
	}
	return ""
}

// jsonRecord is a line of a JSON file.
type jsonRecord struct {
	Key         *string     `json:"key,omitempty"`
	KeyEncoding string      `json:"key_encoding,omitempty"`
	Value       *string     `json:"value,omitempty"`
	Encoding    string      `json:"encoding,omitempty"`
	Expires     int64       `json:"expires,omitempty"`
	End         *jsonTotals `json:"end,omitempty"`
}

// jsonTotals is the last line of a JSON file.
type jsonTotals struct {
	Keys     int64  `json:"keys"`
	Checksum string `json:"checksum"`
}

// textOf writes bytes as a string and how it is encoded.
func textOf(b []byte) (text, encoding string) {
	if utf8.Valid(b) {
		return string(b), ""
	}
	return base64.StdEncoding.EncodeToString(b), "base64"
}

// bytesOf reads a string that textOf wrote.
func bytesOf(text, encoding string) ([]byte, error) {
	switch encoding {
	case "", "utf-8":
		return []byte(text), nil
	case "base64":
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, errors.New("not base64: " + shorten(text))
		}
		return b, nil
	}
	return nil, errors.New("an unknown encoding: " + encoding)
}

// shorten cuts a long text for a message.
func shorten(text string) string {
	if len(text) > 40 {
		return string(wholeRunes([]byte(text[:40]))) + "…"
	}
	return text
}

// encoder appends records to the bytes of a file.
type encoder struct{ format string }

// head is how a file begins.
func (e encoder) head() []byte {
	if e.format == formatCSV {
		return []byte("key,value,expires,encoding\n")
	}
	return nil
}

// append writes one record.
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
	if r.expires != 0 {
		b = strconv.AppendInt(append(b, `,"expires":`...), r.expires, 10)
	}
	return append(b, '}', '\n')
}

// tail is how a file ends.
func (e encoder) tail(s sum) []byte {
	if e.format != formatJSON {
		return nil
	}
	return fmt.Appendf(nil, `{"end":{"keys":%d,"checksum":"%s"}}`+"\n", s.keys, s)
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

// plainJSON reports whether text stands in JSON as it is.
func plainJSON(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// appendCSV writes one line. What readers of CSV would change (line ends) and
// what is not UTF-8 is base64.
func appendCSV(b []byte, r record) []byte {
	encoding := ""
	key, value := string(r.key), string(r.value)
	if !utf8.Valid(r.key) || !utf8.Valid(r.value) || strings.ContainsAny(key+value, "\r\x00") {
		encoding = "base64"
		key, value = base64.StdEncoding.EncodeToString(r.key), base64.StdEncoding.EncodeToString(r.value)
	}
	expires := ""
	if r.expires != 0 {
		expires = strconv.FormatInt(r.expires, 10)
	}
	var line bytes.Buffer
	w := csv.NewWriter(&line)
	_ = w.Write([]string{key, value, expires, encoding})
	w.Flush()
	return append(b, line.Bytes()...)
}

// appendSet writes the command that makes the record.
func appendSet(b []byte, r record) []byte {
	args := [][]byte{[]byte("SET"), r.key, r.value}
	if r.expires != 0 {
		args = append(args, []byte("PXAT"), strconv.AppendInt(nil, r.expires, 10))
	}
	return client.AppendCommand(b, args...)
}

// source gives what is to be loaded, piece by piece.
type source interface {
	// next appends commands in their wire form: n of them, and where in the
	// file the last one ends. io.EOF is the end.
	next(b []byte) (wire []byte, n int64, err error)
	// place is how many bytes of the file were used, and lines or commands.
	place() (offset, lines int64)
	// began is the line, or the number of the command, where the last one that
	// was given begins.
	began() int64
	// records are those that the last next gave, where the source knows.
	records() []record
	// totals are what was counted, and what the file says it holds.
	totals() (got sum, want *jsonTotals)
}

// badInput is a mistake in a file.
type badInput struct {
	place string
	what  string
}

// Error names the place.
func (e badInput) Error() string { return e.place + ": " + e.what }

// reading is what all sources keep.
type reading struct {
	in     *bufio.Reader
	offset int64
	lines  int64
	begins int64 // the line of the last command; 0: the last line
	sum    sum
	want   *jsonTotals
	given  []record
}

// idle reports whether nothing is left that was read ahead.
func (c *reading) idle() bool { return c.in != nil && c.in.Buffered() == 0 }

func (c *reading) records() []record { return c.given }

// give counts a record and hands it out.
func (c *reading) give(b []byte, r record) ([]byte, int64, error) {
	c.sum.add(r)
	c.given = append(c.given[:0], r)
	return appendSet(b, r), 1, nil
}

func (c *reading) place() (int64, int64) { return c.offset, c.lines }

func (c *reading) began() int64 { return cmp.Or(c.begins, c.lines) }

func (c *reading) totals() (sum, *jsonTotals) { return c.sum, c.want }

// bad is a mistake in the present line.
func (c *reading) bad(what string) error {
	return badInput{"line " + strconv.FormatInt(c.lines, 10), what}
}

// jsonSource reads JSON lines.
type jsonSource struct{ reading }

func (s *jsonSource) next(b []byte) ([]byte, int64, error) {
	for {
		line, err := readLine(s.in)
		if len(line) == 0 {
			s.given = s.given[:0]
			return b, 0, err
		}
		s.offset += int64(len(line))
		s.lines++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if s.want != nil {
			return b, 0, s.bad("more follows behind the line that ends the file")
		}
		r, ok, err := s.parse(line)
		if err != nil {
			return b, 0, err
		}
		if !ok {
			continue
		}
		return s.give(b, r)
	}
}

// readLine reads a line of any length with its end; at the end of the input
// what is left.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if err != bufio.ErrBufferFull {
		return line, err
	}
	whole := append([]byte{}, line...)
	rest, err := in.ReadBytes('\n')
	return append(whole, rest...), err
}

// parse reads one line; ok says that it is a record.
func (s *jsonSource) parse(line []byte) (r record, ok bool, err error) {
	var j jsonRecord
	if !utf8.Valid(line) {
		return r, false, s.bad("bytes that are not UTF-8; write them as base64")
	}
	if err := json.Unmarshal(line, &j); err != nil {
		return r, false, s.bad("not JSON: " + shorten(strings.TrimSpace(string(line))))
	}
	if j.End != nil {
		s.want = j.End
		return r, false, nil
	}
	if j.Key == nil || j.Value == nil {
		return r, false, s.bad(`"key" or "value" is missing`)
	}
	if r.key, err = bytesOf(*j.Key, j.KeyEncoding); err != nil {
		return r, false, s.bad(err.Error())
	}
	if r.value, err = bytesOf(*j.Value, j.Encoding); err != nil {
		return r, false, s.bad(err.Error())
	}
	if j.Expires < 0 {
		return r, false, s.bad("a negative time of expiry")
	}
	r.expires = j.Expires
	return r, true, nil
}

// csvSource reads CSV: key, value and, if there, expires and encoding.
type csvSource struct {
	reading
	csv     *csv.Reader
	base    int64 // where the reader began
	first   int64 // lines before that
	columns map[string]int
}

func newCSVSource(from reading, columns map[string]int) *csvSource {
	s := &csvSource{reading: from, csv: csv.NewReader(from.in), base: from.offset, first: from.lines, columns: columns}
	s.csv.FieldsPerRecord = -1
	s.csv.ReuseRecord = true
	return s
}

func (s *csvSource) next(b []byte) ([]byte, int64, error) {
	fields, err := s.csv.Read()
	s.given = s.given[:0]
	if err == io.EOF {
		return b, 0, io.EOF
	}
	var wrong *csv.ParseError
	if errors.As(err, &wrong) {
		s.lines = s.first + int64(wrong.StartLine)
		return b, 0, s.bad(wrong.Err.Error())
	} else if err != nil {
		return b, 0, err
	}
	line, _ := s.csv.FieldPos(0)
	s.lines = s.first + int64(line)
	s.offset = s.base + s.csv.InputOffset()
	if s.columns == nil {
		s.columns = map[string]int{"key": 0, "value": 1, "expires": 2, "encoding": 3}
		if fields[0] == "key" && len(fields) > 1 {
			s.columns = map[string]int{}
			for i, name := range fields {
				s.columns[strings.TrimSpace(name)] = i
			}
			return b, 0, nil
		}
	}
	r, err := s.record(fields)
	if err != nil {
		return b, 0, err
	}
	s.begins = s.lines
	for _, field := range fields {
		s.lines += int64(strings.Count(field, "\n"))
	}
	return s.give(b, r)
}

// record reads the fields of a line.
func (s *csvSource) record(fields []string) (r record, err error) {
	get := func(name string) string {
		if i, ok := s.columns[name]; ok && i < len(fields) {
			return fields[i]
		}
		return ""
	}
	if i, ok := s.columns["value"]; !ok || i >= len(fields) {
		return r, s.bad("a key without a value")
	}
	if r.key, err = bytesOf(get("key"), get("encoding")); err != nil {
		return r, s.bad(err.Error())
	}
	if r.value, err = bytesOf(get("value"), get("encoding")); err != nil {
		return r, s.bad(err.Error())
	}
	if text := get("expires"); text != "" {
		if r.expires, err = strconv.ParseInt(text, 10, 64); err != nil || r.expires <= 0 {
			return r, s.bad("not a time in milliseconds since 1970: " + shorten(text))
		}
	}
	return r, nil
}
