package command

import (
	"slices"
	"strings"

	"kvstored/pkg/resp"
)

// Keys is the keys among the arguments of a request, the name included, whose
// number is right.
func (cmd *Command) Keys(args [][]byte) [][]byte {
	if cmd.NumKeys != 0 {
		n, ok := parseInt(args[cmd.NumKeys])
		if !ok || n < 0 || n > int64(len(args)-cmd.NumKeys-1) {
			return nil
		}
		return args[cmd.NumKeys+1:][:n]
	}
	if cmd.FirstKey == 0 {
		return nil
	}
	last := cmd.LastKey
	if last < 0 {
		last += len(args)
	}
	var keys [][]byte
	for i := cmd.FirstKey; i <= last; i += cmd.KeyStep {
		keys = append(keys, args[i])
	}
	return keys
}

// keySpec is where the keys of one use are: last is counted from the first one,
// or from the end where it is negative.
type keySpec struct {
	use         string // as in KeyUse
	first, last int
}

// keySpecs are the key specifications of a command without a number of keys
// among its arguments: of two, the first is for one key.
func (cmd *Command) keySpecs() []keySpec {
	if cmd.FirstKey == 0 {
		return nil
	}
	uses := strings.Split(cmd.KeyUse, "; ")
	specs := make([]keySpec, len(uses))
	for i, use := range uses {
		last := cmd.LastKey
		switch {
		case i < len(uses)-1:
			last = 0
		case last > 0:
			last -= cmd.FirstKey + i
		}
		specs[i] = keySpec{use, cmd.FirstKey + i, last}
	}
	return specs
}

// keyOf is a key among the arguments of a command, with what is done to it.
type keyOf struct {
	key   []byte
	flags string // as in KeyUse
}

// keysIn finds the keys of the request that follows in c's arguments; ok is
// false when the reply is an error.
func (c *Call) keysIn() (keys []keyOf, ok bool) {
	args := c.Args[2:]
	cmd := Lookup(args[0])
	if cmd != nil && cmd.Subcommands != nil && len(args) > 1 {
		cmd = cmd.subcommand(args[1])
	}
	switch {
	case cmd == nil:
		c.Fail("ERR Invalid command specified")
	case !cmd.hasKeys():
		c.Fail("ERR The command has no key arguments")
	case cmd.Arity > 0 && len(args) != cmd.Arity || len(args) < -cmd.Arity:
		c.Fail("ERR Invalid number of arguments specified for command")
	default:
		if keys = cmd.keysOf(args); len(keys) > 0 || cmd.Flags&NoMandatoryKeys != 0 {
			return keys, true
		}
		c.Fail("ERR Invalid arguments specified for command")
	}
	return nil, false
}

// hasKeys tells whether arguments are keys: channels are not.
func (cmd *Command) hasKeys() bool {
	return cmd.NumKeys != 0 || cmd.FirstKey != 0 && cmd.KeyUse != notKey
}

const notKey = "not_key" // the use of a channel

// keysOf is the keys of a request, whose number of arguments is right, and what
// is done to each; none where one of the specifications finds none, as in Redis.
func (cmd *Command) keysOf(args [][]byte) (keys []keyOf) {
	if cmd.NumKeys != 0 {
		return cmd.keysByNumber(args)
	}
	use := ""
	if cmd.Use != nil {
		use = cmd.Use(args)
	}
	for _, spec := range cmd.keySpecs() {
		last := spec.first + spec.last
		if spec.last < 0 {
			last = len(args) + spec.last
		}
		if spec.first > last || last >= len(args) {
			return nil
		}
		if use != "" {
			spec.use = use
		}
		for i := spec.first; i <= last; i += cmd.KeyStep {
			keys = append(keys, keyOf{args[i], spec.use})
		}
	}
	return keys
}

// keysByNumber: where the number is none, or not that of the keys, Redis looks
// again at the digits that it begins with, and knows no use then.
func (cmd *Command) keysByNumber(args [][]byte) (keys []keyOf) {
	rest := args[cmd.NumKeys+1:]
	use := cmd.KeyUse
	n, ok := parseInt(args[cmd.NumKeys])
	if !ok {
		n, use = leadingInt(args[cmd.NumKeys]), ""
	}
	if n < 1 || n > int64(len(rest)) {
		return nil
	}
	for _, key := range rest[:n] {
		keys = append(keys, keyOf{key, use})
	}
	return keys
}

// leadingInt is the number that b begins with, blanks left out, as C's atoi
// reads it; 0 without one, or for more than a request can have of anything.
func leadingInt(b []byte) (n int64) {
	b = []byte(strings.TrimLeft(string(b), " \t\n\v\f\r"))
	if len(b) > 0 && b[0] == '+' {
		b = b[1:]
	}
	for _, c := range b {
		if c < '0' || c > '9' || n > 1<<31 {
			break
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// useOfSet is what SET does to its key: it reads it only to return or to compare it.
func useOfSet(args [][]byte) string {
	if slices.ContainsFunc(args[3:], func(a []byte) bool { return option(a)&(optGet|optCompare) != 0 }) {
		return "RW access update"
	}
	return "OW update"
}

// useOfBitfield is what BITFIELD does to its key: what is not only GET writes,
// and so does what is no syntax, to be on the safe side.
func useOfBitfield(args [][]byte) string {
	for i := 2; i < len(args); i++ {
		left := len(args) - i - 1
		switch {
		case isWord(args[i], "get") && left >= 2:
			i += 2
		case isWord(args[i], "overflow") && left >= 1:
			i++
		default:
			return "RW access update"
		}
	}
	return "RO access"
}

func planCommandGetkeys(c *Call) {
	keys, ok := c.keysIn()
	if !ok {
		return
	}
	c.Answer(func(w *resp.Writer) {
		w.Array(len(keys))
		for _, k := range keys {
			w.Bulk(k.key)
		}
	})
}

func planCommandGetkeysandflags(c *Call) {
	keys, ok := c.keysIn()
	if !ok {
		return
	}
	c.Answer(func(w *resp.Writer) {
		w.Array(len(keys))
		for _, k := range keys {
			w.Array(2)
			w.Bulk(k.key)
			writeStatuses(w, strings.Fields(k.flags))
		}
	})
}
