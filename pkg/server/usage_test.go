package server

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/engine"
	"kvstored/pkg/engine/enginetest"
)

// TestFrequency: OBJECT FREQ tells of keys used often while the policy goes by
// use, does not count what a connection with NO-TOUCH does, and forgets.
func TestFrequency(t *testing.T) {
	data, err := engine.Open(enginetest.Build(t, "hash"), engine.Options{Trust: engine.Trust{AllowOwnUID: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(data.Close)
	srv, path := serve(t, Hosted{data}, DefaultLimits)
	c, quiet := call(t, path), call(t, path)
	for _, key := range []string{"hot", "warm", "cold", "quiet", "inside"} {
		c.ask("SET %s value", key)
	}
	const lru, lfu = "-ERR An LFU maxmemory policy is not selected, ", "-ERR An LFU maxmemory policy is selected, "
	if got := c.ask("OBJECT FREQ hot"); !strings.HasPrefix(got, lru) {
		t.Errorf("FREQ without a policy: %s", got)
	}
	if got := c.ask("OBJECT IDLETIME hot"); !strings.HasPrefix(got, "-ERR idle time is not tracked here") {
		t.Errorf("IDLETIME without a policy: %s", got)
	}
	policy, _ := engine.ParsePolicy("allkeys-lfu")
	if err := data.SetLimit(engine.Limit{Policy: policy}); err != nil {
		t.Fatal(err)
	}
	if got := c.ask("OBJECT IDLETIME hot"); !strings.HasPrefix(got, lfu) {
		t.Errorf("IDLETIME with an LFU policy: %s", got)
	}
	for _, sub := range []string{"FREQ", "IDLETIME"} {
		if got := c.ask("OBJECT %s nosuch", sub); got != "$-1" {
			t.Errorf("%s of no key: %s", sub, got)
		}
	}
	quiet.ask("CLIENT NO-TOUCH ON")
	for start := time.Now(); time.Since(start) < 400*time.Millisecond; {
		for range 4 {
			c.ask("SET hot value")
		}
		c.ask("SET warm value")
		c.ask("EVAL 'return redis.call(\"INCRBY\", KEYS[1], 1) * 0' 1 inside%d", time.Now().UnixMilli()%2)
		quiet.ask("SET quiet value")
		quiet.ask("EVAL 'return redis.call(\"SET\", KEYS[1], 1)' 1 quiet")
	}
	freq := func(key string) int {
		t.Helper()
		n, err := strconv.Atoi(strings.TrimPrefix(c.ask("OBJECT FREQ %s", key), ":"))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if hot, warm, inside := freq("hot"), freq("warm"), freq("inside0"); hot <= warm || warm < frequencyFirst || inside < frequencyFirst || hot > frequencyMost {
		t.Errorf("hot %d, warm %d, in a script %d", hot, warm, inside)
	}
	if cold, quiet := freq("cold"), freq("quiet"); cold != 0 || quiet != 0 {
		t.Errorf("cold %d, quiet %d", cold, quiet)
	}
	done := make(chan int, 1)
	_ = srv.work.r.Post(func() {
		srv.work.now = time.Now().UnixMilli() + 3*minute
		n, _ := host{srv.work}.Frequency(0, []byte("hot"))
		done <- int(n)
	})
	later := <-done
	if hot := freq("hot"); later != max(0, hot-3) {
		t.Errorf("%d, three minutes later %d", hot, later)
	}
}

// TestUsageIsBounded: many keys do not take more memory, and what is used most
// of them is still known.
func TestUsageIsBounded(t *testing.T) {
	var u usage
	for i := range 50 * usageKeys {
		u.note(usedKey{0, strconv.Itoa(i)}, 1, int64(i))
		u.note(usedKey{0, "hot"}, 10, int64(i))
	}
	if len(u.keys) > usageKeys || u.keys[usedKey{0, "hot"}].level != frequencyMost {
		t.Errorf("%d keys, hot is %v", len(u.keys), u.keys[usedKey{0, "hot"}])
	}
	for uses, want := range map[int]float64{1: 5, 100: 9, 1000: 19, 100_000: 146, 1_000_000: 255} {
		if got := more(0, uses); got < want || got > want+1 {
			t.Errorf("%d uses are %.1f, about %.0f in Redis", uses, got, want)
		}
	}
}
