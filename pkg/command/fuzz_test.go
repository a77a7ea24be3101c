package command_test

import (
	"strings"
	"testing"

	"kvstored/pkg/resp"
)

// FuzzCommand: whatever the words, there is exactly one kind of answer and it
// is one reply of the protocol.
func FuzzCommand(f *testing.F) {
	for _, s := range []string{
		"SET k v EX 10 NX GET", "GETEX k PERSIST", "EXPIRE k -1 GT LT", "MSET a b c", "SCAN 0 MATCH [a- COUNT 5 TYPE string",
		"COPY a b DB 3 REPLACE", "HELLO 3 AUTH default x SETNAME y", "CLIENT LIST ID 1 2", "COMMAND GETKEYS MSET a b",
		"COMMAND LIST FILTERBY PATTERN *", "COMMAND DOCS get", "INCRBYFLOAT f 1e400", "GETRANGE k -9223372036854775808 -1", "CONFIG GET *",
		"ENGINE STATUS", "KEYS \"\\x00*\"", "nosuch \"\\r\\n\"", "RENAME k k", "BITCOUNT k", "CLIENT SETINFO lib-name x", "SELECT 15",
	} {
		f.Add(s)
	}
	b := newBench(f, "debug")
	f.Fuzz(func(t *testing.T, line string) {
		words, ok := resp.Split(nil, []byte(line))
		if !ok || len(words) == 0 || len(words) > 2 && strings.EqualFold(string(words[0]), "setrange") && len(words[2]) > 5 {
			return
		}
		b.texts.Reset()
		b.session.Closing = false
		var args []string
		for _, w := range words {
			args = append(args, string(w))
		}
		got := b.do(args...)
		kinds := 0
		for _, set := range []bool{b.reply.Fixed != nil, b.reply.Render != nil, b.reply.Step != nil} {
			if set {
				kinds++
			}
		}
		if kinds != 1 {
			t.Errorf("%q: %d kinds of answer", args, kinds)
		}
		if n, ok := replyEnd(got, 0); !b.reply.Pending && (!ok || n != len(got)) {
			t.Errorf("%q: not one reply: %.200q", args, got)
		}
	})
}

// replyEnd is where the reply that starts at i ends.
func replyEnd(s string, i int) (int, bool) {
	eol := strings.Index(s[i:], "\r\n")
	if eol < 1 {
		return 0, false
	}
	line := s[i : i+eol]
	i += eol + 2
	n := 0
	for _, c := range strings.TrimPrefix(line[1:], "-") {
		n = n*10 + int(c-'0')
	}
	switch {
	case strings.ContainsRune("+-:_#,", rune(line[0])):
		return i, true
	case strings.HasPrefix(line[1:], "-"):
		return i, true
	case line[0] == '$' || line[0] == '=':
		return i + n + 2, i+n+2 <= len(s) && s[i+n:i+n+2] == "\r\n"
	case line[0] == '%':
		n *= 2
	case line[0] != '*' && line[0] != '~':
		return 0, false
	}
	for range n {
		var ok bool
		if i, ok = replyEnd(s, i); !ok {
			return 0, false
		}
	}
	return i, true
}
