package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/client"
	"kvstored/pkg/client/clienttest"
)

// terminal runs a command as if standard output were a terminal.
func terminal(t *testing.T, change func(*app), args ...string) string {
	t.Helper()
	s := &clienttest.Server{RESP3: true}
	if err := s.Start(filepath.Join(t.TempDir(), "s.sock")); err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	var out bytes.Buffer
	a := &app{out: bufio.NewWriter(&out), err: &out, outTTY: true, color: "never"}
	if change != nil {
		change(a)
	}
	c, err := client.DialOptions(context.Background(), s.Path, client.Options{RESP3: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.Send(args...)
	_ = c.Flush()
	_, err = a.receive(c, args, true)
	_ = a.out.Flush()
	if err != nil {
		a.report(explainServer(err, args))
	}
	return out.String()
}

func TestTerminal(t *testing.T) {
	for _, test := range []struct{ wire, want string }{
		{`+OK\n`, "OK\n"},
		{`:-5\n`, "(integer) -5\n"},
		{`_\n`, "(nil)\n"},
		{`#f\n`, "(boolean) false\n"},
		{`,1.5\n`, "(double) 1.5\n"},
		{`$7\nRojalin\n`, "\"Rojalin\"\n"},
		{`$6\n\"` + "\x1b\x00ü" + `\n`, "\"\\\\\\\"\\x1b\\x00ü\"\n"},
		{`$0\n\n`, "\"\"\n"},
		{`*0\n`, "(empty array)\n"},
		{`%0\n`, "(empty map)\n"},
		{`*3\n$1\na\n_\n:7\n`, "1) \"a\"\n2) (nil)\n3) (integer) 7\n"},
		{`*2\n*2\n+a\n+b\n:1\n`, "1) 1) a\n   2) b\n2) (integer) 1\n"},
		{`%2\n$1\na\n:1\n+b\n*2\n:1\n:2\n`, "\"a\" => (integer) 1\nb => 1) (integer) 1\n  2) (integer) 2\n"},
		{`=10\ntxt:a` + "\x1b" + `b\nc\n`, "a?b\nc\n"},
	} {
		if got := terminal(t, nil, "RAW", test.wire); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", test.wire, got, test.want)
		}
	}
}

func TestTerminalCutsLongValues(t *testing.T) {
	got := terminal(t, nil, "BIG", "314572800")
	if len(got) > 1200 || !strings.Contains(got, "(300 MiB; 1 KiB shown, all of it: kvctl --no-newline COMMAND > FILE)") {
		t.Errorf("%d bytes: …%s", len(got), got[max(0, len(got)-200):])
	}
}

func TestColour(t *testing.T) {
	got := terminal(t, func(a *app) { a.color = "always" }, "RAW", `_\n`)
	if got != "\x1b[2m(nil)\x1b[0m\n" {
		t.Errorf("%q", got)
	}
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	a := &app{color: "auto"}
	if !a.colored(true) || a.colored(false) {
		t.Error("auto is colour on a terminal, and only there")
	}
	t.Setenv("NO_COLOR", "1")
	if a.colored(true) {
		t.Error("NO_COLOR is not heeded")
	}
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "dumb")
	if a.colored(true) {
		t.Error("TERM=dumb is not heeded")
	}
}

// Whatever the reply is, --json prints valid JSON, pretty on a terminal too.
func TestJSONIsValid(t *testing.T) {
	for _, wire := range []string{
		`+OK\n`, `:1\n`, `_\n`, `#t\n`, `,nan\n`, `,1e300\n`, `$3\n` + "\xff\x00\"" + `\n`, `(123456789012345678901234567890\n`,
		`*3\n$1\n` + "\xff" + `\n*0\n%1\n$1\n` + "\xff" + `\n_\n`, `*1\n-ERR "x"\n`, `%1\n:1\n~1\n+a\n`, `=7\ntxt:a` + "\t" + `b\n`,
	} {
		for _, tty := range []bool{true, false} {
			got := terminal(t, func(a *app) { a.json, a.outTTY = true, tty }, "RAW", wire)
			got, _, _ = strings.Cut(got, "kvctl: ")
			var v map[string]any
			if err := json.Unmarshal([]byte(got), &v); err != nil {
				t.Errorf("%s: %v in\n%s", wire, err, got)
			}
			if _, ok := v["value"]; !ok {
				t.Errorf("%s: no value in %s", wire, got)
			}
		}
	}
}

func TestStatusPage(t *testing.T) {
	var out bytes.Buffer
	a := &app{out: bufio.NewWriter(&out), outTTY: true, color: "never"}
	var fields []client.Field
	for _, pair := range [][2]string{
		{"state", "serving"}, {"engine", "hash"}, {"version", "0.1.0"}, {"generation", "3"}, {"loaded_at", "2026-11-23T18:00:00Z"},
		{"disk", "changed"}, {"keys", "1234567"}, {"memory", "123456789"}, {"swaps", "2"}, {"refused", "1"},
		{"last_error", "x.so: no symbol kvstore_engine"}, {"last_error_why", "not a kvstored engine"}, {"last_error_fix", "kvctl engine check x.so"},
		{"lane_held_max_us", "1234"}, {"lane_held_last_us", "56"}, {"news", "of a later release"},
	} {
		fields = append(fields, client.Field{Name: pair[0], Value: client.Reply{Kind: client.Bulk, Bytes: []byte(pair[1])}})
	}
	a.statusRows(fields, time.Date(2026, 11, 23, 20, 5, 0, 0, time.UTC), 80)
	_ = a.out.Flush()
	for _, want := range []string{
		"engine hash 0.1.0 (generation 3)\n", "(2 h 5 min ago)\n", "another one; it serves after: kvctl engine reload\n",
		"holds 1,234,567 keys in 117.7 MiB\n", "2 done, 1 refused\n", "1.2 ms, of the last exchange 56 µs\n",
		"last refusal x.so: no symbol kvstore_engine\n", "why not a kvstored engine\n", "news of a later release\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}
