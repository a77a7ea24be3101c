package resp

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestRequests(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for _, c := range []struct{ in, want string }{
		{"PING\r\n", `["PING"]`},
		{"PING\n", `["PING"]`},
		{"  set  k\tv \r\n", `["set" "k" "v"]`},
		{"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", `["GET" "k"]`},
		{"*1\r\n$0\r\n\r\n", `[""]`},
		{"*0\r\n", `[]`},
		{"*-1\r\n", `[]`},
		{"\r\n", `[]`},
		{"SET k \"a b\\n\\x41\\\"\\q\"\r\n", `["SET" "k" "a b\nA\"q"]`},
		{"SET k 'a \\n \\' b'\r\n", `["SET" "k" "a \\n ' b"]`},
		{"SET \"\" ''\r\n", `["SET" "" ""]`},
		{"a\"b c\" d\r\n", `["ab c" "d"]`},
		{"*1\r\n$100000\r\n" + long + "\r\n", fmt.Sprintf("[%q]", long)},
		{"*1\r\n$4\r\nPINGxy", `["PING"]`}, // as in Redis the end is not looked at
	} {
		var p Parser
		n, err := p.Next([]byte(c.in))
		if got := fmt.Sprintf("%q", p.Args); err != nil || n != len(c.in) || got != c.want {
			t.Errorf("%.60q: %d of %d bytes, %.80s, %v", c.in, n, len(c.in), got, err)
		}
	}
}

func TestProtocolErrors(t *testing.T) {
	long := strings.Repeat("1", MaxInline+10)
	for _, c := range []struct{ in, want string }{
		{"*x\r\n", "invalid multibulk length"},
		{"*01\r\n", "invalid multibulk length"},
		{"*99999999999999999999\r\n", "invalid multibulk length"},
		{"*1\r\nx", "expected '$', got 'x'"},
		{"*1\r\n\xff", "expected '$', got '\xff'"},
		{"*1\r\n$x\r\n", "invalid bulk length"},
		{"*1\r\n$-1\r\n", "invalid bulk length"},
		{"*1\r\n$536870913\r\n", "invalid bulk length"},
		{"SET k \"v\r\n", "unbalanced quotes in request"},
		{"SET k \"v\"x\r\n", "unbalanced quotes in request"},
		{long, "too big inline request"},
		{long + "\r\n", "too big inline request"},
		{"*" + long, "too big mbulk count string"},
		{"*" + long + "\r\n", "too big mbulk count string"},
		{"*1\r\n$" + long, "too big bulk count string"},
	} {
		var p Parser
		n, err := p.Next([]byte(c.in))
		var e ProtocolError
		if n != 0 || !errors.As(err, &e) || string(e) != c.want {
			t.Errorf("%.60q: %d, %v; want %s", c.in, n, err, c.want)
		}
	}
}

// TestKeepsItsPlace: a large request is looked at once, and the bytes may move.
func TestKeepsItsPlace(t *testing.T) {
	var p Parser
	text := "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$70000\r\n" + strings.Repeat("v", 70000) + "\r\n"
	if _, err := p.Next([]byte(text[:40])); err != ErrIncomplete || p.Need() != len(text) || p.Idle() {
		t.Fatalf("%v, needs %d of %d", err, p.Need(), len(text))
	}
	if n, err := p.Next([]byte(text + "PING\r\n")); err != nil || n != len(text) || len(p.Args) != 3 || !p.Idle() {
		t.Fatalf("%d of %d, %v", n, len(text), err)
	}
}

func TestReplies(t *testing.T) {
	write := func(w *Writer) {
		w.Status("OK")
		w.Error("ERR a\r\nb")
		w.Int(-1)
		w.Int(1234)
		w.BulkString("")
		w.Null()
		w.NullArray()
		w.Array(0)
		w.Set(1)
		w.Map(2)
		w.Bool(true)
		w.Double(0.1)
		w.Verbatim("hi")
	}
	for proto, want := range map[int]string{
		2: "+OK\r\n-ERR a  b\r\n:-1\r\n:1234\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n*1\r\n*4\r\n:1\r\n$3\r\n0.1\r\n$2\r\nhi\r\n",
		3: "+OK\r\n-ERR a  b\r\n:-1\r\n:1234\r\n$0\r\n\r\n_\r\n_\r\n*0\r\n~1\r\n%2\r\n#t\r\n,0.1\r\n=6\r\ntxt:hi\r\n",
	} {
		w := Writer{Proto: proto}
		write(&w)
		if string(w.Buf) != want {
			t.Errorf("RESP%d: %q\nwant %q", proto, w.Buf, want)
		}
	}
}

func TestLargeValuesAreReferredTo(t *testing.T) {
	var w Writer
	small, large := make([]byte, RefLength-1), make([]byte, RefLength)
	w.Value(small, 0)
	w.Value(large, 0)
	w.Value(small[:3], 7)
	if len(w.Refs) != 2 || &w.Refs[0].Data[0] != &large[0] || w.Refs[1].Pin != 7 {
		t.Fatalf("refs: %d", len(w.Refs))
	}
	if want := len("$16383\r\n\r\n$16384\r\n\r\n$3\r\n\r\n") + len(small) + len(large) + 3; w.Len() != want {
		t.Errorf("length %d, want %d", w.Len(), want)
	}
}
