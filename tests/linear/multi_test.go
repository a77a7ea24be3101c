package linear

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"kvstored/pkg/client"
	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
)

// The clients below hold three counters equal, each in its own way; whoever
// sees two that differ has seen the middle of a transaction.

// check tells whether the elements of a transaction's reply are all the same.
func check(reply client.Reply, of int) (string, error) {
	if len(reply.Items) < of {
		return "", fmt.Errorf("%d replies of %d", len(reply.Items), of)
	}
	first := reply.Items[0].Text()
	for i := range of {
		if v := reply.Items[i].Text(); v != first {
			return "", fmt.Errorf("the middle of a transaction was seen: %q and %q", first, v)
		}
	}
	return first, nil
}

// all sends the requests one by one and returns the last reply.
func all(c *client.Conn, requests ...[]string) (reply client.Reply, err error) {
	for _, r := range requests {
		if reply, err = c.Do(r...); err != nil {
			return reply, fmt.Errorf("%v: %w", r, err)
		}
	}
	return reply, nil
}

func words(w ...string) []string { return w }

// add adds one to each counter; a request that is carried out in two steps
// stands in the middle.
func add(c *client.Conn) error {
	reply, err := all(c, words("MULTI"), words("INCR", "a"), words("INCR", "b"), words("COPY", "b", "c", "REPLACE"),
		words("GET", "c"), words("EXEC"))
	if err != nil {
		return err
	}
	reply.Items[2] = reply.Items[3]
	_, err = check(reply, 3)
	return err
}

// look reads all counters.
func look(c *client.Conn) error {
	reply, err := all(c, words("MULTI"), words("GET", "a"), words("GET", "b"), words("GET", "c"), words("EXEC"))
	if err != nil {
		return err
	}
	_, err = check(reply, 3)
	return err
}

// swap adds one by compare and set; done tells whether nobody was faster.
func swap(c *client.Conn) (done bool, err error) {
	got, err := all(c, words("WATCH", "b"), words("GET", "b"))
	if err != nil {
		return false, err
	}
	n, err := strconv.Atoi(got.Text())
	if err != nil {
		return false, err
	}
	next := strconv.Itoa(n + 1)
	reply, err := all(c, words("MULTI"), words("MSET", "a", next, "b", next), words("SET", "c", next), words("EXEC"))
	return err == nil && !reply.IsNil(), err
}

// TestTransactionsAreWhole has clients keep three counters equal, with and
// without WATCH, while the engine is exchanged.
func TestTransactionsAreWhole(t *testing.T) {
	engines := []string{enginetest.Build(t, "hash"), enginetest.Build(t, "debug")}
	d := daemontest.Start(t, engines[0])
	first, err := client.Dial(d.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := first.Do("MSET", "a", "0", "b", "0", "c", "0"); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	var added, swapped, lost, looks atomic.Int64
	for i := range clients {
		wg.Go(func() {
			c, err := client.Dial(d.Socket)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for !stop.Load() && err == nil {
				switch i % 3 {
				case 0:
					err = add(c)
					added.Add(1)
				case 1:
					err = look(c)
					looks.Add(1)
				default:
					var done bool
					if done, err = swap(c); done {
						swapped.Add(1)
					} else {
						lost.Add(1)
					}
				}
			}
			if err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	exchange(t, d.Socket, engines, 8)
	stop.Store(true)
	wg.Wait()
	reply, err := first.Do("GET", "b")
	if err != nil {
		t.Fatal(err)
	}
	if want := strconv.FormatInt(added.Load()+swapped.Load(), 10); !t.Failed() && reply.Text() != want {
		t.Errorf("the counters are %s, %s were added", reply.Text(), want)
	}
	t.Logf("%d added, %d by compare and set (%d lost), %d looks", added.Load(), swapped.Load(), lost.Load(), looks.Load())
	if !t.Failed() && min(added.Load(), swapped.Load(), lost.Load(), looks.Load()) == 0 {
		t.Error("one kind of client never got its turn")
	}
}
