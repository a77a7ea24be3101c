package command

import (
	"strings"
	"testing"
)

func TestLookupFindsEveryNameInAnyCase(t *testing.T) {
	for _, cmd := range Table() {
		for _, name := range []string{cmd.Name, strings.ToUpper(cmd.Name), strings.ToUpper(cmd.Name[:1]) + cmd.Name[1:]} {
			if got := Lookup([]byte(name)); got != cmd {
				t.Errorf("Lookup(%q) = %v", name, got)
			}
		}
	}
}

// TestLookupIsExact: only letters have a case; all other bits count.
func TestLookupIsExact(t *testing.T) {
	for _, cmd := range Table() {
		for i := range cmd.Name {
			for bit := range 8 {
				b := []byte(cmd.Name)
				b[i] ^= 1 << bit
				want := named(b)
				if got := Lookup(b); got != want || got == cmd && !strings.EqualFold(string(b), cmd.Name) {
					t.Errorf("Lookup(%q) found %v", b, got)
				}
			}
		}
		for _, name := range []string{cmd.Name[1:], cmd.Name + "x", cmd.Name + "\x00", " " + cmd.Name} {
			if got := Lookup([]byte(name)); got != nil && got.Name != name {
				t.Errorf("Lookup(%q) = %s", name, got.Name)
			}
		}
	}
	if Lookup(nil) != nil || Lookup([]byte(strings.Repeat("x", 1000))) != nil {
		t.Error("Lookup found what is no name")
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	name := []byte("IncrByFloat")
	if n := testing.AllocsPerRun(100, func() { Lookup(name) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLookup(b *testing.B) {
	names := [][]byte{[]byte("GET"), []byte("SET"), []byte("incr"), []byte("EXPIREAT"), []byte("incrbyfloat")}
	for i := 0; b.Loop(); i++ {
		if Lookup(names[i%len(names)]) == nil {
			b.Fatal("not found")
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"*", "x", true}, {"*", "", false}, {"", "", true}, {"", "x", false}, {"**", "abc", true},
		{"a*c", "abc", true}, {"a*c", "ac", true}, {"a*c", "abcd", false}, {"*b*", "abc", true}, {"a?c", "abc", true},
		{"a?c", "ac", false}, {"?", "", false}, {"[abc]x", "bx", true}, {"[^abc]x", "bx", false}, {"[^abc]x", "dx", true},
		{"[a-c]", "b", true}, {"[c-a]", "b", true}, {"[a-c]", "d", false}, {"[a\\-c]", "b", false}, {"[a\\-c]", "-", true},
		{"\\*", "*", true}, {"\\*", "x", false}, {"a\\", "a\\", true}, {"[", "[", false}, {"[^", "x", true}, {"[a", "a", true},
		{"[a-", "-", true}, {"[]a]", "a]", false}, {"a*", "a", true}, {"a**", "a", true}, {"*a", "ba", true}, {"*ab", "aab", true},
		{"*[ab]*[cd]", "xxbyyd", true}, {"A", "a", false}, {"[\x01-\xff]", "a", false}, {"x[\x01-\xff]", "x\x00", true},
	} {
		if got := Match([]byte(c.pattern), []byte(c.text), false); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.pattern, c.text, got)
		}
	}
	if !Match([]byte("MAX[A-Z]em*"), []byte("maxmEMory"), true) {
		t.Error("case is not ignored")
	}
}

// TestMatchTakesItsTime: many stars do not make the time explode.
func TestMatchTakesItsTime(t *testing.T) {
	pattern := []byte(strings.Repeat("a*", 200) + "b")
	if Match(pattern, []byte(strings.Repeat("a", 5000)), false) {
		t.Error("matched")
	}
}

func TestNumbers(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "-1": -1, "9223372036854775807": 1<<63 - 1, "-9223372036854775808": -1 << 63} {
		if got, ok := parseInt([]byte(text)); !ok || got != want {
			t.Errorf("parseInt(%q) = %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "-", "+1", "01", "-0", " 1", "1 ", "9223372036854775808", "-9223372036854775809", "1x",
		"18446744073709551616", "123456789012345678901"} {
		if got, ok := parseInt([]byte(text)); ok {
			t.Errorf("parseInt(%q) = %d", text, got)
		}
	}
	for text, want := range map[string]uint64{"": 0, "7": 7, "+7": 7, "-1": 1<<64 - 1, "18446744073709551615": 1<<64 - 1, "5\x00x": 5} {
		if got, ok := parseCursor([]byte(text)); !ok || got != want {
			t.Errorf("parseCursor(%q) = %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"x", "-", "+", " 1", "1x", "18446744073709551616"} {
		if got, ok := parseCursor([]byte(text)); ok {
			t.Errorf("parseCursor(%q) = %d", text, got)
		}
	}
}
