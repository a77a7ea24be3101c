package cli

import (
	"slices"
	"testing"
)

func TestSplit(t *testing.T) {
	for line, want := range map[string][]string{
		``:                           nil,
		"  \t ":                      nil,
		`GET name`:                   {"GET", "name"},
		"  GET\tname  ":              {"GET", "name"},
		`SET a "b c"`:                {"SET", "a", "b c"},
		`SET a ""`:                   {"SET", "a", ""},
		`SET a 'b "c" \n'`:           {"SET", "a", `b "c" \n`},
		`SET a 'it\'s'`:              {"SET", "a", "it's"},
		`SET a "\n\r\t\b\a\\\"\q"`:   {"SET", "a", "\n\r\t\b\a\\\"q"},
		`SET a "\x00\xFf\xzz\x1"`:    {"SET", "a", "\x00\xffxzzx1"},
		`SET a pre"quoted"`:          {"SET", "a", "prequoted"},
		`SET größe "ü"`:              {"SET", "größe", "ü"},
		`SET json {"a":1}`:           nil,
		`SET a "b`:                   nil,
		`SET a 'b`:                   nil,
		`SET a "b"c`:                 nil,
		`SET a "b\"`:                 nil,
		`SET json '{"a": [1, "x"]}'`: {"SET", "json", `{"a": [1, "x"]}`},
	} {
		got, err := split(line)
		blank := line == "" || line == "  \t "
		if (err != nil) != (want == nil && !blank) || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", line, got, err, want)
		}
	}
}

// What a terminal shows of a value, typed back, gives the same value.
func FuzzQuote(f *testing.F) {
	for _, seed := range []string{"", "plain", "\x00\xff\"\\\n", "größe", "a\u2028b", "\x1b[2J", "\u200b", "\xc3"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		shown := quote(value)
		words, err := split(shown)
		if err != nil || len(words) != 1 || words[0] != string(value) {
			t.Errorf("%q is shown as %s, which is read as %q, %v", value, shown, words, err)
		}
	})
}
