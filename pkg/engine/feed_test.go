package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/batch"
)

// within fails when do has not ended in time.
func within(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan bool)
	go func() {
		do()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: nothing comes", what)
	}
}

// waits tells whether do waits; it ends when the caller lets it.
func waits(do func()) (still bool, done chan bool) {
	done = make(chan bool)
	go func() {
		do()
		close(done)
	}()
	select {
	case <-done:
		return false, done
	case <-time.After(50 * time.Millisecond):
		return true, done
	}
}

// emptyFeed is one that nobody carries out.
func emptyFeed(t *testing.T) *feed {
	f := newFeed()
	t.Cleanup(func() {
		close(f.gone)
		f.end()
	})
	return f
}

// names are the keys of what parcels have for the new store, in their order.
func names(parcels []*parcel) (all string) {
	for _, j := range parcels {
		for i := range j.put.Len() {
			all += string(j.put.Op(i).KeyBytes())
		}
	}
	return all
}

func (j *parcel) add(key string) { j.put.Delete(0, j.put.Scratch.Copy([]byte(key))) }

// What is read is carried out in the order of the lane: effects come after the
// slice before them and before the slice after them, and share a parcel otherwise.
func TestFeedKeepsTheOrder(t *testing.T) {
	f := emptyFeed(t)
	slice := func(key string) {
		j := f.blank(true)
		j.add(key)
		f.push(j)
	}
	effect := func(key string) {
		j, err := f.effects()
		if err != nil {
			t.Fatal(err)
		}
		j.add(key)
		f.putBack()
	}
	slice("a")
	effect("b")
	effect("c")
	slice("d")
	effect("e")
	first := f.take()
	if got := names(first); got != "abcd" || len(first) != 3 {
		t.Errorf("%q in %d parcels, want abcd in 3", got, len(first))
	}
	effect("f")
	still, done := waits(func() { _ = f.settled() })
	if !still {
		t.Error("all is in the new store, but nothing was carried out")
	}
	f.finished(first, nil)
	second := f.take()
	if got := names(second); got != "ef" {
		t.Errorf("%q, want ef", got)
	}
	f.finished(second, nil)
	within(t, "settled", func() { <-done })
	if f.ops != 0 || f.bytes != 0 || f.slices != 0 {
		t.Errorf("nothing waits, but %d operations, %d bytes, %d slices are counted", f.ops, f.bytes, f.slices)
	}
	check := f.blank(true)
	check.check = func(*parcel) error { return nil }
	slice("g")
	f.push(check)
	slice("h")
	for _, want := range []int{1, 1, 1} {
		parcels := f.take()
		if len(parcels) != want {
			t.Errorf("%d parcels beside one that checks", len(parcels))
		}
		f.finished(parcels, nil)
	}
}

// Slices wait when some do already, clients only when far too much is on its way.
func TestFeedIsBounded(t *testing.T) {
	f := emptyFeed(t)
	for range slicesAhead {
		f.push(f.blank(true))
	}
	still, done := waits(func() { f.giveBack(f.blank(true)) })
	if !still {
		t.Error("a slice does not wait for those before it")
	}
	for i := 0; i < feedMost; i += openMost {
		j, _ := f.effects()
		for k := range openMost {
			j.add(fmt.Sprint(k))
		}
		f.putBack()
	}
	stopped, free := waits(func() {
		_, _ = f.effects()
		f.putBack()
	})
	if !stopped {
		t.Error("clients do not wait, whatever is on its way")
	}
	within(t, "the feed", func() {
		for left := feedMost; left > 0; {
			parcels := f.take()
			for _, j := range parcels {
				left -= j.put.Len()
			}
			f.finished(parcels, nil)
		}
		<-done
		<-free
	})
}

// Whoever has paused the feed waits for the lane: who holds it must not wait for the feed.
func TestNobodyWaitsForAPausedFeed(t *testing.T) {
	f := emptyFeed(t)
	for i := 0; i < feedMost; i += openMost {
		j, _ := f.effects()
		for k := range openMost {
			j.add(fmt.Sprint(k))
		}
		f.putBack()
	}
	stopped, done := waits(func() {
		_, _ = f.effects()
		f.putBack()
	})
	if !stopped {
		t.Error("clients do not wait, whatever is on its way")
	}
	f.pause()
	within(t, "a client", func() { <-done })
}

// What is done in one hold of the lane comes to the new store in one piece, all or
// nothing, however much it is, and not before all of it is known.
func TestEffectsOfOneHoldStayTogether(t *testing.T) {
	f := emptyFeed(t)
	effects := func(n int, key string) {
		for range n {
			j, err := f.effects()
			if err != nil {
				t.Fatal(err)
			}
			j.add(key)
			f.putBack()
		}
	}
	effects(3, "a")
	f.tieAll()
	effects(3*openMost, "b") // as a script does: one command after another
	if got := names(f.rest()); got != "" {
		t.Errorf("%d operations are carried out before the lane is free", len(got))
	}
	f.publish()
	effects(2, "c")
	f.publish()
	c := copying{merged: batch.New()}
	defer c.merged.Close()
	all := ""
	for parcels := f.rest(); parcels != nil; parcels = f.rest() {
		b, here := c.together(parcels), names(parcels)
		for i := range b.Len() {
			tied, want := b.Op(i).Flags == batch.WithNext, here[i] != 'a' && i+1 < len(here) && here[i] == here[i+1]
			if tied != want {
				t.Fatalf("operation %d of %d, %c: tied to the next: %v, want %v", i, b.Len(), here[i], tied, want)
			}
		}
		all += here + " "
		f.finished(parcels, nil)
	}
	if want := "aaa" + strings.Repeat("b", 3*openMost) + "cc "; strings.ReplaceAll(all, "b cc", "bcc") != want {
		t.Errorf("%d operations, want %d in their order, all of b at once", len(all), len(want))
	}
	if f.ops != 0 || f.bytes != 0 {
		t.Errorf("nothing waits, but %d operations, %d bytes are counted", f.ops, f.bytes)
	}
}

// After an error nobody waits, and everybody is told.
func TestFeedFails(t *testing.T) {
	f := emptyFeed(t)
	f.push(f.blank(true))
	parcels := f.take()
	_, settled := waits(func() { _ = f.settled() })
	f.finished(parcels, errors.New("no room"))
	within(t, "settled", func() { <-settled })
	if _, err := f.effects(); err == nil || f.failure() == nil || f.settled() == nil {
		t.Error("the error is not told")
	}
	for range 2 * slicesAhead {
		within(t, "a slice", func() { f.push(f.blank(true)) })
	}
}
