package conformance

import (
	"kvstored/pkg/batch"
)

// limit is the longest string that the host makes by APPEND and SETRANGE.
func (t *trial) limit() uint64 {
	const most = 512 << 20
	if t.MaxValue != 0 {
		return min(t.MaxValue, most)
	}
	return most
}

// update calls a function of the host on an entry; it must be carried out.
func (t *trial) update(space uint32, key string, fn batch.Func, fill func(a *batch.Arg)) *batch.Arg {
	op := t.one(func(b *batch.Batch) int {
		i, a := b.Update(space, t.in([]byte(key)), fn)
		a.Now, a.Limit = t.now, t.limit()
		if fill != nil {
			fill(a)
		}
		return i
	})
	t.expect("UPDATE", op, batch.OK)
	return op.Args()
}

// checkUpdate tries each answer that an update function can give.
func checkUpdate(t *trial) {
	t.open()
	number := func(n int64) func(*batch.Arg) { return func(a *batch.Arg) { a.Number = n } }
	text := func(s string) func(*batch.Arg) { return func(a *batch.Arg) { a.SetValue(t.in([]byte(s))) } }

	for i := int64(1); i <= 3; i++ { // replace, absent and present
		if a := t.update(0, "count", batch.FuncIncr, number(5)); a.Result != 5*i {
			t.failf("adding 5 for the %dth time gives %d", i, a.Result)
		}
	}
	t.want(0, "count", []byte("15"))
	if a := t.update(0, "count", batch.FuncIncr, number(9223372036854775807)); a.Outcome != batch.Overflow {
		t.failf("adding beyond 64 bits: outcome %d", a.Outcome) // keep
	}
	t.want(0, "count", []byte("15"))

	t.update(0, "text", batch.FuncAppend, text("abc")) // patch, absent
	a := t.update(0, "text", batch.FuncAppend, text("defgh"))
	if a.Result != 8 {
		t.failf("appending 5 bytes to 3 gives a length of %d", a.Result)
	}
	t.want(0, "text", []byte("abcdefgh"))
	t.update(0, "text", batch.FuncSetRange, func(a *batch.Arg) { // patch inside
		a.Offset = 2
		a.SetValue(t.in([]byte("XY")))
	})
	t.want(0, "text", []byte("abXYefgh"))
	if t.has(capBinary) {
		t.update(0, "text", batch.FuncSetRange, func(a *batch.Arg) { // patch behind a gap
			a.Offset = 12
			a.SetValue(t.in([]byte("Z")))
		})
		t.want(0, "text", []byte("abXYefgh\x00\x00\x00\x00Z"))
	}
	checkUpdateConditions(t)
}

// checkUpdateConditions goes on with keep, remove and functions that see an
// absent entry.
func checkUpdateConditions(t *trial) {
	set := func(key, value string, flags uint64) *batch.Arg {
		return t.update(0, key, batch.FuncSet, func(a *batch.Arg) {
			a.Flags = flags
			a.SetValue(t.in([]byte(value)))
		})
	}
	if a := set("cond", "1", batch.IfPresent); a.Outcome != batch.NotDone || a.Existed != 0 {
		t.failf("a change of an absent entry was made although it had to be present")
	}
	t.wantNone(0, "cond", "an update kept it absent")
	set("cond", "1", batch.IfAbsent)
	if a := set("cond", "2", batch.IfAbsent); a.Outcome != batch.NotDone || a.Existed != 1 {
		t.failf("an update did not see the entry that is there")
	}
	t.want(0, "cond", []byte("1"))
	if a := set("cond", "3", batch.WantOld); string(a.OldBytes()) != "1" {
		t.failf("an update saw %s, want \"1\"", brief(a.OldBytes()))
	}
	if !t.has(capDelete) {
		return
	}
	if a := t.update(0, "cond", batch.FuncGetDel, nil); string(a.OldBytes()) != "3" {
		t.failf("an update that removes saw %s, want \"3\"", brief(a.OldBytes()))
	}
	t.wantNone(0, "cond", "an update removed it")
	if a := t.update(0, "cond", batch.FuncGetDel, nil); a.Outcome != batch.Absent {
		t.failf("an update saw an entry that it had removed")
	}
}

// checkExpiry tries the boundary: an entry is gone when expiry < now.
func checkExpiry(t *trial) {
	t.open()
	value := []byte("value")
	t.set(0, "key", value, t.now+10, 0)
	t.set(0, "ever", value, 0, 0)
	if g := t.get(0, "key"); g == nil || g.expiry != t.now+10 {
		t.failf("GET does not give the expiry time that was set")
	}
	t.now += 10
	t.want(0, "key", value)
	op := t.one(func(b *batch.Batch) int {
		return b.Set(0, t.in([]byte("key")), t.in([]byte("new")), 0, 0, batch.KeepExpiry)
	})
	t.expect("SET that keeps the expiry time", op, batch.OK)
	if g := t.get(0, "key"); g == nil || g.expiry != t.now || string(g.value) != "new" {
		t.failf("SET that keeps the expiry time lost it")
	}
	t.now++
	t.wantNone(0, "key", "its time has passed")
	t.want(0, "ever", value)
	checkAfterExpiry(t)
}

// checkAfterExpiry goes on with a key whose time has passed.
func checkAfterExpiry(t *trial) {
	a := t.update(0, "key", batch.FuncIncr, func(a *batch.Arg) { a.Number = 1 })
	if a.Existed != 0 || a.Result != 1 {
		t.failf("an update saw an entry whose time has passed")
	}
	if g := t.get(0, "key"); g == nil || g.expiry != 0 {
		t.failf("an entry made anew has the expiry time of the one before")
	}
	t.update(0, "key", batch.FuncExpire, func(a *batch.Arg) { a.Expiry = t.now + 5 })
	t.update(0, "key", batch.FuncIncr, func(a *batch.Arg) { a.Number = 1 })
	if g := t.get(0, "key"); g == nil || g.expiry != t.now+5 || string(g.value) != "2" {
		t.failf("a change of the expiry time alone did not last, or changed the value")
	}
	t.update(0, "key", batch.FuncPersist, nil)
	t.now += 100
	t.want(0, "key", []byte("2"))
	t.set(0, "past", []byte("value"), t.now-1, 0)
	t.wantNone(0, "past", "it was set with a time that has passed")
	op := t.one(func(b *batch.Batch) int {
		return b.Set(0, t.in([]byte("past")), t.in([]byte("new")), 0, 0, batch.KeepExpiry)
	})
	t.expect("SET over an entry whose time has passed", op, batch.OK)
	if g := t.get(0, "past"); g == nil || g.expiry != 0 {
		t.failf("SET kept the expiry time of an entry that is gone")
	}
	if t.has(capDelete) {
		t.set(0, "past", []byte("value"), t.now-1, 0)
		op := t.one(func(b *batch.Batch) int { return b.Delete(0, t.in([]byte("past"))) })
		t.expect("DELETE of an entry whose time has passed", op, batch.NotFound)
	}
}

// checkEvents has every expired entry reported exactly once.
func checkEvents(t *trial) {
	t.open()
	n := t.times(1000)
	reported := map[string]int{}
	note := func(events []event) {
		for _, e := range events {
			if e.reason != batch.Expired || e.space != 0 {
				t.failf("an expired entry is reported with reason %d in space %d", e.reason, e.space)
			}
			reported[e.key]++
		}
	}
	for i := range n {
		t.set(0, t.key(i), []byte("value"), t.now+int64(i%3)*10+1, 0)
		note(t.events())
	}
	t.set(0, "stays", []byte("value"), 0, 0)
	for range 4 {
		t.now += 10
		for i := 0; i < n; i += 7 {
			t.get(0, t.key(i))
			note(t.events())
		}
		note(t.maintainAll(13))
	}
	if !t.Maintains {
		return
	}
	t.now += second
	note(t.maintainAll(13))
	for i := range n {
		if c := reported[t.key(i)]; c != 1 {
			t.failf("an entry that expired was reported %d times", c)
		}
	}
	if len(reported) != n {
		t.failf("%d entries expired, but %d were reported", n, len(reported))
	}
	if st := t.stat(0); st.Entries != 1 || st.Expiring != 0 {
		t.failf("after all expired stat counts %d entries, %d of them expiring; want 1 and 0",
			st.Entries, st.Expiring)
	}
}

func checkSpaces(t *trial) {
	t.open()
	spaces := []uint32{0, 1, 15, 1 << 20, batch.SpaceAll - 1}
	for i, s := range spaces {
		t.set(s, "key", []byte(itoa(i)), 0, 0)
	}
	for i, s := range spaces {
		t.want(s, "key", []byte(itoa(i)))
		t.wantNone(s, "other", "nobody set it")
	}
	t.wantNone(2, "key", "it was set in other spaces only")
	if t.has(capScan) {
		next := t.stat(batch.SpaceAll).NextSpace
		for _, s := range spaces {
			if next != s {
				t.failf("stat names %d as the next space with entries, want %d", next, s)
			}
			if next = t.stat(s).NextSpace; t.stat(s).Entries != 1 {
				t.failf("stat counts %d entries in space %d, want 1", t.stat(s).Entries, s)
			}
		}
		if next != batch.SpaceAll {
			t.failf("stat names space %d after the last one with entries", next)
		}
	}
	if t.has(capDelete) {
		op := t.one(func(b *batch.Batch) int { return b.Delete(1, t.in([]byte("key"))) })
		t.expect("DELETE in space 1", op, batch.OK)
		t.wantNone(1, "key", "it was deleted")
		t.want(0, "key", []byte("0"))
	}
}

func checkClear(t *trial) {
	t.open()
	n := t.times(2000)
	for i := range n {
		t.set(0, t.key(i), []byte("value"), 0, 0)
	}
	if t.has(capSpaces) {
		t.set(3, "key", []byte("value"), 0, 0)
	}
	for range 3 {
		t.b.Reset()
		key := t.in([]byte(t.key(1)))
		i := t.b.Clear(0)
		gone := t.b.Get(0, key)
		t.b.Set(0, key, key, 0, 0, 0)
		back := t.b.Get(0, key)
		t.run()
		t.expect("CLEAR", t.b.Op(i), batch.OK)
		t.expect("GET after CLEAR", t.b.Op(gone), batch.NotFound)
		t.expect("GET after SET after CLEAR", t.b.Op(back), batch.OK)
		if events := t.events(); len(events) > 0 {
			t.failf("CLEAR reports %d events; it was asked for", len(events))
		}
		t.wantNone(0, t.key(0), "the space was cleared")
		if st := t.stat(0); st.Entries != 1 {
			t.failf("stat counts %d entries after CLEAR and one SET", st.Entries)
		}
		if all := t.walk(0, 0, 100, nil); len(all) != 1 {
			t.failf("a walk after CLEAR and one SET meets %d entries", len(all))
		}
	}
	if events := t.maintainAll(100); len(events) > 0 {
		t.failf("maintain reports %d events of entries that were cleared", len(events))
	}
	if t.has(capSpaces) {
		t.want(3, "key", []byte("value"))
	}
}
