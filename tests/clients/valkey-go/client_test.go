// Package valkeygo has valkey-go, with its client-side caching on, talk to a
// kvstored: run.sh starts one and says where in KVSTORE_SOCKET.
package valkeygo

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/valkey-io/valkey-go"
)

const cached = time.Hour // what a client keeps, unless it is told to forget it

// connect returns a client; options change how.
func connect(t *testing.T, change func(*valkey.ClientOption)) valkey.Client {
	t.Helper()
	path := os.Getenv("KVSTORE_SOCKET")
	if path == "" {
		t.Fatal("KVSTORE_SOCKET is not set; fix: tests/clients/valkey-go/run.sh")
	}
	o, err := valkey.ParseURL("unix://" + path)
	if err != nil {
		t.Fatal(err)
	}
	o.ForceSingleClient = true
	if change != nil {
		change(&o)
	}
	c, err := valkey.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func do(t *testing.T, c valkey.Client, args ...string) valkey.ValkeyResult {
	t.Helper()
	r := c.Do(context.Background(), c.B().Arbitrary(args...).Build())
	if err := r.NonValkeyError(); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return r
}

// read is a cached read: the value, and whether it came from the cache.
func read(t *testing.T, c valkey.Client, key string) (string, bool) {
	t.Helper()
	r := c.DoCache(context.Background(), c.B().Get().Key(key).Cache(), cached)
	v, err := r.ToString()
	if err != nil && !valkey.IsValkeyNil(err) {
		t.Fatal(err)
	}
	return v, r.IsCacheHit()
}

// becomes reads until the value is there: the invalidation is on its way.
func becomes(t *testing.T, c valkey.Client, key, want string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		got, _ := read(t, c, key)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still %q in the cache, not %q", key, got, want)
		}
	}
}

// isCached reads a key twice: the second time from the cache.
func isCached(t *testing.T, c valkey.Client, key string) {
	t.Helper()
	read(t, c, key)
	if _, hit := read(t, c, key); !hit {
		t.Errorf("%s is not cached", key)
	}
}

// TestWritesOfOthersAreSeen: whatever changes a key, its cached value goes.
func TestWritesOfOthersAreSeen(t *testing.T) {
	c, other := connect(t, nil), connect(t, nil)
	do(t, other, "DEL", "k", "l")
	isCached(t, c, "k") // that there is nothing
	for _, step := range []struct {
		request []string
		want    string
	}{
		{[]string{"SET", "k", "one"}, "one"},
		{[]string{"APPEND", "k", "!"}, "one!"},
		{[]string{"GETDEL", "k"}, ""},
		{[]string{"MSET", "k", "1", "l", "2"}, "1"},
		{[]string{"INCR", "k"}, "2"},
		{[]string{"RENAME", "l", "k"}, "2"},
		{[]string{"SETRANGE", "k", "0", "x"}, "x"},
		{[]string{"SET", "k", "short", "PX", "50"}, "short"},
		{nil, ""}, // it expires
		{[]string{"SET", "k", "again"}, "again"},
		{[]string{"FLUSHALL"}, ""},
	} {
		if step.request != nil {
			do(t, other, step.request...)
		}
		becomes(t, c, "k", step.want)
		if step.want != "short" {
			isCached(t, c, "k")
		}
	}
}

// TestOwnWritesAreSeen: a client forgets what it has changed itself, inside a
// transaction, too.
func TestOwnWritesAreSeen(t *testing.T) {
	c := connect(t, nil)
	do(t, c, "SET", "own", "a")
	isCached(t, c, "own")
	do(t, c, "SET", "own", "b")
	becomes(t, c, "own", "b")
	isCached(t, c, "own")
	for _, r := range c.DoMulti(context.Background(), c.B().Multi().Build(), c.B().Set().Key("own").Value("c").Build(),
		c.B().Exec().Build()) {
		if err := r.Error(); err != nil {
			t.Fatal(err)
		}
	}
	becomes(t, c, "own", "c")
}

// TestSeveralAtOnce: MGET through the cache, and a change of one of them.
func TestSeveralAtOnce(t *testing.T) {
	c, other := connect(t, nil), connect(t, nil)
	var keys []string
	for i := range 50 {
		keys = append(keys, fmt.Sprint("m", i))
		do(t, other, "SET", keys[i], "old")
	}
	for range 2 {
		got, err := valkey.MGetCache(c, context.Background(), cached, keys)
		if err != nil || len(got) != len(keys) {
			t.Fatalf("%d values, %v", len(got), err)
		}
	}
	do(t, other, "SET", "m7", "new")
	becomes(t, c, "m7", "new")
	if v, hit := read(t, c, "m8"); v != "old" || !hit {
		t.Errorf("m8 is %q, from the cache: %v", v, hit)
	}
}

// TestPrefixes: a client in broadcasting mode is told of all keys with its
// prefix, whether it has read them or not.
func TestPrefixes(t *testing.T) {
	told := make(chan string, 100)
	c := connect(t, func(o *valkey.ClientOption) {
		o.ClientTrackingOptions = []string{"PREFIX", "user:", "BCAST"}
		o.OnInvalidations = func(messages []valkey.ValkeyMessage) {
			for _, m := range messages {
				key, _ := m.ToString()
				told <- key
			}
		}
	})
	other := connect(t, nil)
	do(t, c, "PING")
	do(t, other, "SET", "product:1", "v")
	do(t, other, "SET", "user:1", "v")
	select {
	case key := <-told:
		if key != "user:1" {
			t.Errorf("told of %s", key)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("told of nothing")
	}
}

// TestManyReadersAndWriters: when the writing has ended every cache comes to
// hold what was written last.
func TestManyReadersAndWriters(t *testing.T) {
	const keys, rounds = 20, 200
	readers := []valkey.Client{connect(t, nil), connect(t, nil), connect(t, nil)}
	writers := []valkey.Client{connect(t, nil), connect(t, nil)}
	var wait sync.WaitGroup
	for w, c := range writers {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := range rounds {
				for k := w; k < keys; k += len(writers) {
					c.Do(context.Background(), c.B().Set().Key(fmt.Sprint("many", k)).Value(fmt.Sprint(i)).Build())
				}
			}
		}()
	}
	for _, c := range readers {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := range rounds * keys {
				c.DoCache(context.Background(), c.B().Get().Key(fmt.Sprint("many", i%keys)).Cache(), cached)
			}
		}()
	}
	wait.Wait()
	for _, c := range readers {
		for k := range keys {
			becomes(t, c, fmt.Sprint("many", k), fmt.Sprint(rounds-1))
		}
	}
}

// TestPublishSubscribe: channels and patterns, in RESP3 and in RESP2.
func TestPublishSubscribe(t *testing.T) {
	for _, old := range []bool{false, true} {
		channel := fmt.Sprint("news", old)
		mode := func(o *valkey.ClientOption) { o.AlwaysRESP2, o.DisableCache = old, old }
		c, other := connect(t, mode), connect(t, mode)
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		got := make(chan valkey.PubSubMessage, 100)
		done := make(chan error, 2)
		go func() {
			done <- c.Receive(ctx, c.B().Subscribe().Channel(channel).Build(), func(m valkey.PubSubMessage) { got <- m })
		}()
		go func() {
			done <- c.Receive(ctx, c.B().Psubscribe().Pattern(channel[:4]+"?"+channel[5:]).Build(), func(m valkey.PubSubMessage) { got <- m })
		}()
		for { // until both have subscribed
			n, err := do(t, other, "PUBLISH", channel, "hello").AsInt64()
			if err != nil {
				t.Fatal(err)
			}
			if n == 2 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		patterns := 0
		for patterns == 0 {
			select {
			case m := <-got:
				if m.Channel != channel || m.Message != "hello" {
					t.Fatalf("got %+v", m)
				}
				if m.Pattern != "" {
					patterns++
				}
			case <-ctx.Done():
				t.Fatal("no message")
			}
		}
		stop()
		<-done
		<-done
	}
}

// TestCacheAcrossSwap: what was cached before the engine is exchanged is
// forgotten when it changes after that.
func TestCacheAcrossSwap(t *testing.T) {
	c, other := connect(t, nil), connect(t, nil)
	next := os.Getenv("KVSTORE_NEXT_ENGINE")
	if next == "" {
		t.Fatal("KVSTORE_NEXT_ENGINE is not set; fix: tests/clients/valkey-go/run.sh")
	}
	do(t, other, "SET", "swapped", "before")
	isCached(t, c, "swapped")
	if err := do(t, other, "ENGINE", "LOAD", next).Error(); err != nil {
		t.Fatal(err)
	}
	if v, hit := read(t, c, "swapped"); v != "before" || !hit {
		t.Errorf("%q, from the cache: %v", v, hit)
	}
	do(t, other, "SET", "swapped", "after")
	becomes(t, c, "swapped", "after")
}
