package engine

import (
	"errors"
	"fmt"
	"testing"
	"time"
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
		f.putBack(j)
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
		f.putBack(j)
	}
	stopped, free := waits(func() {
		j, _ := f.effects()
		f.putBack(j)
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
