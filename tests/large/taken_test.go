package large

import "testing"

// TestTakenValues: who reads a large value and changes or removes its entry at
// once gets it from where it lies.
func TestTakenValues(t *testing.T) {
	w, v := start(t), value(large)
	for _, words := range [][]any{
		{"GETDEL", "k"}, {"GETEX", "k", "EX", 1000}, {"GETEX", "k", "PERSIST"}, {"GETSET", "k", "small"},
		{"SET", "k", "small", "GET"}, {"SET", "k", "small", "XX", "GET", "EX", 1000}, {"SET", "k", "small", "NX", "GET"},
		{"SET", "k", "small", "IFEQ", "other", "GET"},
	} {
		w.c.do("+OK", "SET", "k", v, "EX", 500)
		w.mayGrow(slack, words[0].(string), func() {
			w.c.send(words...)
			w.c.bulk(v)
		})
	}
}

// TestTakenWhileItIsRead: the value outlives its entry until all of it was read,
// and its memory is then used again: what comes in needs as much beside it.
func TestTakenWhileItIsRead(t *testing.T) {
	w, v := start(t), value(large)
	w.c.do("+OK", "SET", "k", v)
	w.c.send("GETDEL", "k") // its reply does not fit into the socket
	other := dial(t, w.d.Socket)
	other.do(":0", "EXISTS", "k")
	other.do("+OK", "SET", "k", "new")
	w.c.bulk(v)
	w.c.do("+OK", "SET", "k", v)
	w.mayGrow(large+slack, "GETDEL and SET in turn", func() {
		for range 3 {
			w.c.send("GETDEL", "k")
			w.c.bulk(v)
			w.c.do("+OK", "SET", "k", v)
		}
	})
}

// TestTakenInATransaction: EXEC refers to the values, too, in its place among small ones.
func TestTakenInATransaction(t *testing.T) {
	w, v := start(t), value(large)
	w.c.do("+OK", "SET", "k", v)
	w.c.do("+OK", "SET", "small", "s")
	w.mayGrow(slack, "EXEC", func() {
		w.c.do("+OK", "MULTI")
		for _, words := range [][]any{{"GET", "small"}, {"GET", "k"}, {"RENAME", "k", "r"}, {"GETDEL", "r"}, {"EXISTS", "k", "r"}} {
			w.c.do("+QUEUED", words...)
		}
		w.c.send("EXEC")
		if head := w.c.line(); head != "*5" {
			t.Fatal(head)
		}
		w.c.bulk([]byte("s"))
		w.c.bulk(v)
		if renamed := w.c.line(); renamed != "+OK" {
			t.Error(renamed)
		}
		w.c.bulk(v)
		if left := w.c.line(); left != ":0" {
			t.Error(left)
		}
	})
}
