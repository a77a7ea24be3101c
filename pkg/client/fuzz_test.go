package client

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"
)

// Whatever a server sends, reading it as a whole, and skipping it piece by
// piece, end; where the whole is good they consume the same bytes.
func FuzzStream(f *testing.F) {
	for _, seed := range []string{
		"+OK\r\n", "-ERR x\r\n", ":1\r\n", "$3\r\nabc\r\n", "$-1\r\n", "*2\r\n:1\r\n$0\r\n\r\n", "%1\r\n+a\r\n_\r\n",
		"|1\r\n+k\r\n+v\r\n:1\r\n", "=7\r\ntxt:abc\r\n", "#t\r\n", ",1.5\r\n", "(1\r\n", "*-1\r\n", ">1\r\n+a\r\n", "$9999999999\r\nab",
		"*1000000000000\r\n", "|9\r\n", "!2\r\nno\r\n", "~0\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		whole := Stream{r: bufio.NewReaderSize(bytes.NewReader(wire), 16)}
		whole.begin()
		_, err := whole.reply(0)
		pieces := Stream{r: bufio.NewReaderSize(bytes.NewReader(wire), 16)}
		pieces.begin()
		skipErr := pieces.skip()
		if errors.Is(err, io.EOF) || errors.Is(skipErr, io.EOF) {
			t.Fatal("the end of the connection is taken for the end of a reply")
		}
		if err != nil {
			return
		}
		a, _ := io.ReadAll(whole.r)
		b, _ := io.ReadAll(pieces.r)
		if skipErr != nil || !bytes.Equal(a, b) {
			t.Errorf("%q: skipping leaves %q, %v; reading leaves %q", wire, b, skipErr, a)
		}
	})
}
