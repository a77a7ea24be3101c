package engine

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/batch"
	"kvstored/pkg/engine/enginetest"
)

func policy(t *testing.T, name string) Policy {
	t.Helper()
	p, ok := ParsePolicy(name)
	if !ok {
		t.Fatalf("no policy %s", name)
	}
	return p
}

func TestParsePolicy(t *testing.T) {
	for name, want := range map[string]string{
		"noeviction": "noeviction", "allkeys-lru": "allkeys-s3fifo", "allkeys-lfu": "allkeys-s3fifo",
		"allkeys-s3fifo": "allkeys-s3fifo", "volatile-lru": "volatile-s3fifo", "volatile-ttl": "volatile-ttl",
		"allkeys-random": "allkeys-random",
	} {
		if got := policy(t, name).String(); got != want {
			t.Errorf("%s stands for %s", name, got)
		}
	}
	if _, ok := ParsePolicy("allkeys-ttl"); ok {
		t.Error("allkeys-ttl is not a policy")
	}
}

// fillUp sets n keys of a kilobyte and gives what became of each.
func fillUp(t *testing.T, h *Host, n int) (ok, refused int, evicted map[string]bool) {
	t.Helper()
	b := batch.New()
	defer b.Close()
	evicted = map[string]bool{}
	value := bytes.Repeat([]byte("v"), 1000)
	for from := 0; from < n; from += 100 {
		b.Reset()
		for i := from; i < from+100; i++ {
			b.Set(0, b.Scratch.Copy([]byte(fmt.Sprint("key", i))), b.Scratch.Copy(value), 0, 0, 0)
		}
		h.Lock()
		if err := h.Exec(b, 0, b.Len(), time.Now().UnixMilli()); err != nil {
			t.Fatal(err)
		}
		h.Unlock()
		for i := range b.Len() {
			switch st := b.Op(i).Status; st {
			case batch.OK:
				ok++
			case batch.OutOfMemory:
				refused++
			default:
				t.Fatal(st)
			}
		}
		for ev := b.Events(); ev != nil; ev = ev.Following() {
			if ev.Reason != batch.Evicted {
				t.Fatalf("reason %d", ev.Reason)
			}
			evicted[string(ev.KeyBytes())] = true
		}
	}
	return ok, refused, evicted
}

func entries(t *testing.T, h *Host) batch.Stat {
	t.Helper()
	h.Lock()
	defer h.Unlock()
	st, err := h.Stat(batch.SpaceAll)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// The limit holds, what goes is told, and it holds across a hand-over.
func TestLimitEvicts(t *testing.T) {
	const most = 8 << 20
	h := openHost(t, enginetest.Build(t, "hash"), func(o *Options) {
		o.Limit = Limit{most, policy(t, "allkeys-lru")}
	})
	ok, refused, evicted := fillUp(t, h, 20_000)
	st := entries(t, h)
	if ok != 20_000 || refused != 0 || len(evicted) == 0 || st.ReservedMemory > most || int(st.Entries)+len(evicted) != 20_000 {
		t.Errorf("%d ok, %d refused, %d evicted, %+v", ok, refused, len(evicted), st)
	}
	if st.Payload < most/2 {
		t.Errorf("of %d bytes it uses %d", most, st.Payload)
	}
	mustSwap(t, h, enginetest.Build(t, "hash", `KV_ENGINE_VERSION="9"`))
	if _, refused, evicted := fillUp(t, h, 20_000); refused != 0 || len(evicted) == 0 || entries(t, h).ReservedMemory > most {
		t.Errorf("after a swap: %d refused, %d evicted, %+v", refused, len(evicted), entries(t, h))
	}
}

// noeviction works with any engine that gives figures; a policy that evicts
// needs one that can, and is refused by name.
func TestLimitOfOthers(t *testing.T) {
	h := openHost(t, enginetest.Build(t, "debug"))
	if h.Full() {
		t.Fatal("full without a limit")
	}
	if err := h.SetLimit(Limit{1 << 20, policy(t, "noeviction")}); err != nil {
		t.Fatal(err)
	}
	fillUp(t, h, 3000)
	if !h.Full() {
		t.Errorf("not full with %+v", entries(t, h))
	}
	err := h.SetLimit(Limit{1 << 30, policy(t, "allkeys-random")})
	if err == nil || !strings.Contains(err.Error(), "debug") {
		t.Errorf("got %v", err)
	}
	if l := h.Limit(); l.MaxMemory != 1<<20 || !h.Full() {
		t.Errorf("a refusal changed the limit: %+v", l)
	}
	if err := h.SetLimit(Limit{Policy: policy(t, "allkeys-random")}); err != nil || h.Full() {
		t.Errorf("no limit: %v, full %v", err, h.Full())
	}
}

// A swap to an engine that cannot keep to the limit is refused; with a limit
// that it can keep to, it is not.
func TestLimitAndSwap(t *testing.T) {
	h := openHost(t, enginetest.Build(t, "hash"), func(o *Options) {
		o.Limit = Limit{32 << 20, policy(t, "volatile-ttl")}
	})
	fillUp(t, h, 1000)
	mustRefuse(t, h, enginetest.Build(t, "debug"), "cannot remove keys to stay below a limit of memory")
	other := Limit{64 << 20, policy(t, "noeviction")}
	if _, err := h.Swap(Request{Path: enginetest.Build(t, "debug"), Limit: &other}); err != nil {
		t.Fatal(err)
	}
	if h.Limit() != other || entries(t, h).Entries != 1000 {
		t.Errorf("%+v, %+v", h.Limit(), entries(t, h))
	}
	small := Limit{4 << 20, policy(t, "allkeys-lfu")}
	if _, err := h.Swap(Request{Path: enginetest.Build(t, "hash"), Limit: &small}); err != nil {
		t.Fatal(err)
	}
	if _, refused, evicted := fillUp(t, h, 10_000); refused != 0 || len(evicted) == 0 || entries(t, h).ReservedMemory > 4<<20 {
		t.Errorf("%d refused, %d evicted, %+v", refused, len(evicted), entries(t, h))
	}
}
