package large

import "testing"

// TestSharedValues: a large value under another key is no copy.
func TestSharedValues(t *testing.T) {
	w, v := start(t), value(large)
	w.c.do("+OK", "SET", "k", v)
	for _, step := range []struct {
		want  string
		words []any
	}{
		{":1", []any{"COPY", "k", "copy"}},
		{"+OK", []any{"RENAME", "k", "another name, and longer"}},
		{":1", []any{"COPY", "copy", "k", "DB", 1, "REPLACE"}},
		{":1", []any{"MOVE", "another name, and longer", 1}},
		{"+OK", []any{"SWAPDB", 0, 1}},
		{":1", []any{"RENAMENX", "k", "r"}},
		{":1", []any{"EXPIRE", "r", 1000}},
		{":1", []any{"PERSIST", "r"}},
		{"+OK", []any{"SWAPDB", 0, 1}},
	} {
		w.mayGrow(slack, step.words[0].(string), func() { w.c.do(step.want, step.words...) })
	}
	w.c.send("GET", "copy")
	w.c.bulk(v)
	w.c.do(":1", "DEL", "copy")
	w.c.do("+OK", "SELECT", 1)
	w.c.send("GET", "r")
	w.c.bulk(v)
	w.mayGrow(slack, "APPEND", func() {
		w.c.do(":1", "DEL", "another name, and longer")
		w.c.do(":67108865", "APPEND", "r", "+")
	})
	w.c.send("GET", "r")
	w.c.bulk(append(v, '+'))
}
