package client

import (
	"fmt"
	"strconv"
	"strings"
)

// Kind says what a reply is, in either version of the protocol.
type Kind byte

// The kinds of replies.  A nil bulk string and a nil array of RESP2 are Nil too.
const (
	Nil       Kind = '_'
	Simple    Kind = '+'
	Error     Kind = '-'
	Integer   Kind = ':'
	Bulk      Kind = '$'
	Array     Kind = '*'
	Double    Kind = ','
	Boolean   Kind = '#'
	BlobError Kind = '!'
	Verbatim  Kind = '='
	BigNumber Kind = '('
	Map       Kind = '%'
	Set       Kind = '~'
	Push      Kind = '>'
	attribute Kind = '|'
)

// kindNames holds the words that String answers.
var kindNames = map[Kind]string{
	Nil: "nil", Simple: "status", Error: "error", Integer: "integer", Bulk: "string", Array: "array",
	Double: "double", Boolean: "boolean", BlobError: "error", Verbatim: "text", BigNumber: "big number",
	Map: "map", Set: "set", Push: "push", attribute: "attribute",
}

// String names the kind in one word.
func (k Kind) String() string {
	if name, ok := kindNames[k]; ok {
		return name
	}
	return fmt.Sprintf("kind %q", byte(k))
}

// aggregate reports whether elements follow.
func (k Kind) aggregate() bool {
	return k == Array || k == Set || k == Push || k == Map
}

// sized reports whether a body of bytes follows.
func (k Kind) sized() bool {
	return k == Bulk || k == BlobError || k == Verbatim
}

// Reply is one whole answer of the server.
type Reply struct {
	Kind  Kind
	Bytes []byte  // Simple, Error, Bulk, BlobError, Verbatim, BigNumber; Double as it was sent
	Int   int64   // Integer; Boolean as 0 or 1
	Items []Reply // Array, Set, Push; a Map's keys and values by turns
}

// IsNil reports whether the server answered "no such thing".
func (r Reply) IsNil() bool { return r.Kind == Nil }

// Text is the reply as a string; numbers are written out, aggregates are empty.
func (r Reply) Text() string {
	switch r.Kind {
	case Integer:
		return strconv.FormatInt(r.Int, 10)
	case Boolean:
		return strconv.FormatBool(r.Int != 0)
	}
	return string(r.Bytes)
}

// Float is the value of a Double.
func (r Reply) Float() (float64, error) {
	f, err := strconv.ParseFloat(string(r.Bytes), 64)
	if err != nil {
		return 0, fmt.Errorf("reading a %s as a number: %w", r.Kind, err)
	}
	return f, nil
}

// Err is the *ServerError of an error reply, else nil.
func (r Reply) Err() error {
	if r.Kind != Error && r.Kind != BlobError {
		return nil
	}
	return newServerError(string(r.Bytes))
}

// Fields reads a map, or a flat array of names and values as RESP2 has it,
// in the order in which the server sent it.
func (r Reply) Fields() ([]Field, error) {
	if r.Kind != Map && r.Kind != Array || len(r.Items)%2 != 0 {
		return nil, fmt.Errorf("the answer is a %s of %d elements, not names and values", r.Kind, len(r.Items))
	}
	fields := make([]Field, 0, len(r.Items)/2)
	for i := 0; i < len(r.Items); i += 2 {
		fields = append(fields, Field{Name: r.Items[i].Text(), Value: r.Items[i+1]})
	}
	return fields, nil
}

// Field is one name and value of Fields.
type Field struct {
	Name  string
	Value Reply
}

// ServerError is an error that the server answered.
type ServerError struct {
	Code    string // the first word, where it is a code: ERR, WRONGTYPE, NOPERM
	Message string // the rest
	Why     string // the server's own reason, where it gives one
	Fix     string // the server's own way out, where it gives one
}

// Error is the line as the server sent it, without reason and way out.
func (e *ServerError) Error() string {
	if e.Code == "" {
		return e.Message
	}
	return e.Code + " " + e.Message
}

// newServerError takes an error line apart:
// CODE what happened[; why: reason][; fix: way out].
func newServerError(line string) *ServerError {
	e := &ServerError{Message: line}
	if code, rest, ok := strings.Cut(line, " "); ok && isCode(code) {
		e.Code, e.Message = code, rest
	} else if isCode(line) {
		e.Code, e.Message = line, ""
	}
	if head, fix, ok := strings.Cut(e.Message, "; fix: "); ok {
		e.Message, e.Fix = head, fix
	}
	if head, why, ok := strings.Cut(e.Message, "; why: "); ok {
		e.Message, e.Why = head, why
	}
	return e
}

// isCode reports whether word looks like an error code: capitals and digits.
func isCode(word string) bool {
	if word == "" {
		return false
	}
	for _, c := range word {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}
