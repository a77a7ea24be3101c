package command_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestCompareAndSet(t *testing.T) {
	for _, name := range engines {
		b := newBench(t, name)
		const syntax = "-ERR syntax error\r\n"
		b.want("$-1\r\n", "SET", "k", "1", "IFEQ", "x") // not there: not set
		b.want("$-1\r\n", "GET", "k")
		b.want("+OK\r\n", "SET", "k", "1", "ifne", "x") // not there: different
		b.want("$-1\r\n", "SET", "k", "2", "IFNE", "1")
		b.want("$-1\r\n", "SET", "k", "2", "IFEQ", "11")
		b.want("$-1\r\n", "SET", "k", "2", "IFEQ", "")
		b.want("+OK\r\n", "SET", "k", "2", "IFEQ", "1")
		b.want("$1\r\n2\r\n", "SET", "k", "3", "IFEQ", "2", "GET")
		b.want("$1\r\n3\r\n", "SET", "k", "4", "GET", "IFEQ", "2")
		b.want("$1\r\n3\r\n", "GET", "k")
		b.want("$-1\r\n", "SET", "no", "4", "IFEQ", "2", "GET")
		b.want("+OK\r\n", "SET", "k", "", "IFEQ", "3")
		b.want("+OK\r\n", "SET", "k", "v", "IFEQ", "")
		for _, wrong := range []string{"IFEQ", "IFEQ v NX", "XX IFEQ v", "IFEQ v IFEQ v", "IFEQ v IFNE w", "IFEQ v EX", "IFDEQ",
			"IFDEQ 0123456789abcdef IFDNE 0123456789abcdef", "NX IFDEQ 0123456789abcdef"} {
			b.want(syntax, append([]string{"SET", "k", "w"}, strings.Fields(wrong)...)...)
		}
		b.want(syntax, "GETEX", "k", "IFEQ", "v")
		b.want(":0\r\n", "DELIFEQ", "k", "w")
		b.want(":0\r\n", "DELIFEQ", "nosuch", "")
		b.want(":1\r\n", "EXISTS", "k")
		if name == "simple" {
			b.want(":1\r\n", "DELIFEQ", "k", "v")
			continue // it keeps no expiry times
		}
		b.want("+OK\r\n", "SET", "k", "w", "IFEQ", "v", "PX", "5000")
		b.want("+OK\r\n", "SET", "k", "v", "IFEQ", "w", "KEEPTTL")
		b.want(":5000\r\n", "PTTL", "k")
		b.want(":1\r\n", "DELIFEQ", "k", "v")
		b.want(":0\r\n", "EXISTS", "k")
		b.want("+OK\r\n", "SET", "k", "v")
		b.want(":0\r\n", "DELEX", "k", "IFNE", "v")
		b.want(":0\r\n", "DELEX", "k", "ifeq", "w")
		b.want(":1\r\n", "DELEX", "k", "IFNE", "w")
		b.want(":0\r\n", "DELEX", "k", "IFNE", "w")
		b.want(":0\r\n", "DELEX", "k")
		b.want("+OK\r\n", "SET", "k", "v")
		b.want(":1\r\n", "DELEX", "k")
		b.want("-ERR wrong number of arguments for 'delex' command\r\n", "DELEX", "k", "IFEQ")
		b.want(":0\r\n", "DELEX", "k", "IFGT", "v")
		b.want("+OK\r\n", "SET", "k", "v")
		b.want("-ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE\r\n", "DELEX", "k", "IFGT", "v")
	}
}

// digests are those that Redis 8.4 and Dragonfly show for these values.
var digests = map[string]string{
	"Hello world": "b6acb9d84a38ff74", "test": "9ec9f7918d7dfc40", "hello": "9555e8555c62dcfd", "Hello, Dragonfly!": "063b4909128e92b7",
	"v8lf0c11xh8ymlqztfd3eeq16kfn4sspw7fqmnuuq3k3t75em5wdizgcdw7uc26nnf961u2jkfzkjytls2kwlj7626sd": "00006c38adf31777",
}

func TestDigests(t *testing.T) {
	for _, name := range engines {
		b := newBench(t, name)
		for value, digest := range digests {
			upper := strings.ToUpper(digest)
			b.want("+OK\r\n", "SET", "k", value)
			b.want("$16\r\n"+digest+"\r\n", "DIGEST", "k")
			b.want("$-1\r\n", "SET", "k", "new", "IFDEQ", "0"+digest[:15])
			b.want("$-1\r\n", "SET", "k", "new", "IFDNE", upper)
			b.want(fmt.Sprintf("$%d\r\n%s\r\n", len(value), value), "SET", "k", "new", "IFDEQ", "no digest at all", "GET")
			b.want("+OK\r\n", "SET", "k", "new", "ifdeq", upper)
			b.want("+OK\r\n", "SET", "k", value, "IFDNE", digest)
			b.want(":0\r\n", "DELEX", "k", "IFDNE", digest)
			b.want(":0\r\n", "DELEX", "k", "ifdeq", "0"+digest[:15])
			b.want(":1\r\n", "DELEX", "k", "ifdeq", upper)
		}
		b.want("$-1\r\n", "DIGEST", "k")
		b.want("$-1\r\n", "SET", "k", "v", "IFDEQ", "0123456789abcdef")
		b.want(":0\r\n", "DELEX", "k", "IFDNE", "0123456789abcdef")
		b.want("+OK\r\n", "SET", "k", "v", "IFDNE", "0123456789abcdef")
		b.want(":1\r\n", "DELEX", "k", "IFDNE", "no digest at all")
		const wrong = "-ERR must be exactly 16 hexadecimal characters\r\n"
		// Where there is no key nothing is compared.
		b.want("$-1\r\n", "SET", "k", "v", "IFDEQ", "123456789abcdef")
		b.want("$-1\r\n", "SET", "k", "v", "IFDEQ", "", "GET")
		for _, condition := range []string{"IFDEQ", "IFDNE", "FOO"} {
			b.want(":0\r\n", "DELEX", "k", condition, "short")
		}
		b.want("+OK\r\n", "SET", "k", "v", "IFDNE", "short")
		b.want("$-1\r\n", "SET", "absent", "w", "GET", "IFDNE", "short")
		b.want("$1\r\nw\r\n", "GET", "absent")
		b.want(wrong, "SET", "k", "w", "IFDNE", "short")
		b.want(wrong, "SET", "k", "w", "IFDNE", "short", "GET")
		b.want(wrong, "SET", "k", "w", "IFDEQ", "123456789abcdef")
		b.want(wrong, "DELEX", "k", "IFDNE", "00123456789abcdef")
		b.want(wrong, "DELEX", "k", "IFDEQ", "")
		b.want("$1\r\nv\r\n", "GET", "k")
	}
}

// TestDigestsOfAllLengths: DIGEST and the conditions compute them each in their
// own way.
func TestDigestsOfAllLengths(t *testing.T) {
	b := newBench(t, "hash")
	value := strings.Repeat("The quick brown fox jumps over the lazy dog. 0123456789.", 3000)
	for n := 0; n <= len(value); n += 1 + n/300 {
		b.want("+OK\r\n", "SET", "k", value[:n])
		digest := strings.Split(b.do("DIGEST", "k"), "\r\n")[1]
		b.want("$-1\r\n", "SET", "k", "other", "IFDNE", digest)
		b.want(":1\r\n", "DELEX", "k", "IFDEQ", digest)
	}
}
