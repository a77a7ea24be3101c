package conformance

import (
	"bytes"
	"strconv"
	"strings"

	"kvstored/pkg/batch"
)

func itoa(i int) string     { return strconv.Itoa(i) }
func quote(v []byte) string { return strconv.Quote(string(v)) }

func checkOpenClose(t *trial) {
	for range 3 {
		t.open()
		t.wantNone(0, "name", "the store was just opened")
		t.b.Reset()
		t.run() // a batch of nothing
		t.close()
	}
}

func checkSetGet(t *trial) {
	t.open()
	t.set(0, "name", []byte("Rojalin"), 0, 0)
	t.want(0, "name", []byte("Rojalin"))
	t.set(0, "name", []byte("another, longer name"), 0, 0)
	t.want(0, "name", []byte("another, longer name"))
	t.set(0, "name", []byte("x"), 0, 0)
	t.want(0, "name", []byte("x"))
	t.wantNone(0, "nam", "only a longer key was set")
	t.wantNone(0, "name2", "only a shorter key was set")
	t.set(0, "empty", nil, 0, 0)
	t.want(0, "empty", []byte{})
	op := t.one(func(b *batch.Batch) int { return b.Meta(0, t.in([]byte("empty"))) })
	t.expect("META of an empty value", op, batch.OK)
	if op.ValueLen != 0 {
		t.failf("META says that an empty value is %d bytes long", op.ValueLen)
	}
	for i := range t.times(2000) {
		t.set(0, t.key(i), []byte(itoa(i)), 0, 0)
	}
	for i := range t.times(2000) {
		t.want(0, t.key(i), []byte(itoa(i)))
	}
}

// checkOrder has each operation see what the earlier ones of its batch did.
func checkOrder(t *trial) {
	t.open()
	t.b.Reset()
	key := t.in([]byte("key"))
	first := t.b.Get(0, key)
	var gets []int
	for i := range 20 {
		t.b.Set(0, key, t.in([]byte(strings.Repeat("v", i))), 0, 0, 0)
		gets = append(gets, t.b.Get(0, key))
	}
	t.run()
	t.expect("GET before the first SET of a batch", t.b.Op(first), batch.NotFound)
	for i, g := range gets {
		t.expect("GET after SET in one batch", t.b.Op(g), batch.OK)
		if got := t.taken(t.b.Op(g)); len(got) != i {
			t.failf("GET %d of a batch gives %s, want the value set just before", i, brief(got))
		}
	}
}

func checkRange(t *trial) {
	t.open()
	value := t.value(1000)
	n := uint64(len(value))
	t.set(0, "key", value, 0, 0)
	for _, r := range [][2]uint64{
		{0, batch.ToEnd}, {0, 0}, {0, 1}, {10, 20}, {999, 1}, {999, batch.ToEnd}, {1000, 1},
		{5000, 1}, {batch.ToEnd, batch.ToEnd}, {990, 100}, {1, batch.ToEnd},
	} {
		op := t.one(func(b *batch.Batch) int { return b.GetRange(0, t.in([]byte("key")), r[0], r[1]) })
		t.expect("GET of a part", op, batch.OK)
		from := min(r[0], n)
		want := value[from : from+min(r[1], n-from)]
		if got := t.taken(op); !bytes.Equal(got, want) {
			t.failf("GET from byte %d, at most %d: %s, want %s", r[0], r[1], brief(got), brief(want))
		}
	}
	op := t.one(func(b *batch.Batch) int { return b.Meta(0, t.in([]byte("key"))) })
	if op.Status != batch.OK || op.ValueLen != n {
		t.failf("META: %q, %d bytes, want %d", op.Status, op.ValueLen, n)
	}
}

func checkBinary(t *trial) {
	t.open()
	longest := 300
	if t.MaxKey != 0 {
		longest = int(min(t.MaxKey, 300))
	}
	keys := []string{"", "\x00", "\x00\x00", "a\x00", "a", "a\x00b", "\xff", "\r\n", strings.Repeat("\x00", longest)}
	for i, key := range keys {
		t.set(0, key, append([]byte{0, byte(i), 0xff}, key...), 0, 0)
	}
	for i, key := range keys {
		t.want(0, key, append([]byte{0, byte(i), 0xff}, key...))
	}
	for n := range min(70, longest+1) { // around every alignment
		value := t.value(n)
		t.set(0, strings.Repeat("k", n), value, 0, 0)
		t.want(0, strings.Repeat("k", n), value)
	}
}

func checkLimits(t *trial) {
	t.open()
	long := 70_000
	if t.MaxKey != 0 {
		long = int(min(t.MaxKey, 1<<20))
	}
	key := strings.Repeat("k", long)
	t.set(0, key, []byte("long"), 0, 0)
	t.want(0, key, []byte("long"))
	if t.MaxKey != 0 && t.MaxKey < 1<<20 {
		op := t.one(func(b *batch.Batch) int { return b.Set(0, t.in([]byte(key+"k")), nil, 0, 0, 0) })
		t.expect("SET of a key longer than max_key", op, batch.TooLarge)
		t.wantNone(0, key+"k", "it is longer than max_key")
	}
	if t.MaxValue != 0 && t.MaxValue < 64<<20 {
		value := bytes.Repeat([]byte("v"), int(t.MaxValue)+1)
		op := t.one(func(b *batch.Batch) int { return b.Set(0, t.in([]byte("key")), t.in(value), 0, 0, 0) })
		t.expect("SET of a value longer than max_value", op, batch.TooLarge)
		t.wantNone(0, "key", "its value is longer than max_value")
	}
}

// checkUnknown has what nobody defined refused without an effect.
func checkUnknown(t *trial) {
	t.open()
	t.set(0, "key", []byte("value"), 0, 0)
	for _, code := range []uint16{0, 1, 11, 999, 65535} {
		op := t.one(func(b *batch.Batch) int {
			i := b.Meta(0, t.in([]byte("key")))
			b.Op(i).Code = code
			return i
		})
		t.expect("an operation with code "+itoa(int(code)), op, batch.Unsupported)
	}
	op := t.one(func(b *batch.Batch) int {
		return b.Set(0, t.in([]byte("key")), t.in([]byte("other")), 0, 0, 1<<15)
	})
	t.expect("SET with an unknown flag", op, batch.Unsupported)
	op = t.one(func(b *batch.Batch) int {
		return b.Set(0, t.in([]byte("key")), t.in([]byte("value")), 0, 0, batch.WithNext)
	})
	t.expect("SET together with the next operation", op, batch.OK)
	t.want(0, "key", []byte("value"))
}

// checkCannot has what needs a missing capability refused without an effect.
func checkCannot(t *trial) {
	t.open()
	t.set(0, "key", []byte("value"), 0, 0)
	refused := func(what string, caps uint64, add func(b *batch.Batch) int) {
		if !t.has(caps) {
			t.expect(what, t.one(add), batch.Unsupported)
			t.want(0, "key", []byte("value"))
		}
	}
	key, other := func() []byte { return t.in([]byte("key")) }, func() []byte { return t.in([]byte("other")) }
	refused("SET with an expiry time", capExpiry, func(b *batch.Batch) int {
		return b.Set(0, key(), other(), t.now+1000, 0, 0)
	})
	refused("SET with a tag", capTags, func(b *batch.Batch) int { return b.Set(0, key(), other(), 0, 7, 0) })
	refused("SET in another space", capSpaces, func(b *batch.Batch) int {
		return b.Set(1, key(), other(), 0, 0, 0)
	})
	refused("DELETE", capDelete, func(b *batch.Batch) int { return b.Delete(0, key()) })
	refused("CLEAR", capDelete, func(b *batch.Batch) int { return b.Clear(0) })
	refused("EXPIRE", capExpiry, func(b *batch.Batch) int {
		i, a := b.Update(0, key(), batch.FuncExpire)
		a.Now, a.Expiry = t.now, t.now+1000
		return i
	})
	refused("GETDEL", capDelete, func(b *batch.Batch) int {
		i, _ := b.Update(0, key(), batch.FuncGetDel)
		return i
	})
}

func checkDelete(t *trial) {
	t.open()
	del := func(key string) *batch.Op {
		return t.one(func(b *batch.Batch) int { return b.Delete(0, t.in([]byte(key))) })
	}
	t.expect("DELETE of a key that is not there", del("key"), batch.NotFound)
	n := t.times(1000)
	for i := range n {
		t.set(0, t.key(i), []byte("value"), 0, 0)
	}
	for i := 0; i < n; i += 2 {
		t.expect("DELETE", del(t.key(i)), batch.OK)
		t.wantNone(0, t.key(i), "it was deleted")
		t.expect("DELETE again", del(t.key(i)), batch.NotFound)
	}
	for i := range n {
		if i%2 == 1 {
			t.want(0, t.key(i), []byte("value"))
		} else {
			t.wantNone(0, t.key(i), "it was deleted")
		}
	}
	t.set(0, t.key(0), []byte("again"), 0, 0)
	t.want(0, t.key(0), []byte("again"))
}

func checkTags(t *trial) {
	t.open()
	for i, tag := range []uint32{0, 1, 0x80000000, 0xffffffff} {
		t.set(0, t.key(i), []byte("value"), 0, tag)
		if g := t.get(0, t.key(i)); g == nil || g.tag != tag {
			t.failf("GET gives tag %d, want %d", g.tag, tag)
		}
		op := t.one(func(b *batch.Batch) int { return b.Meta(0, t.in([]byte(t.key(i)))) })
		if op.Tag != tag {
			t.failf("META gives tag %d, want %d", op.Tag, tag)
		}
	}
	t.update(0, t.key(1), batch.FuncAppend, func(a *batch.Arg) { a.SetValue(t.in([]byte("+"))) })
	if g := t.get(0, t.key(1)); g == nil || g.tag != 1 {
		t.failf("an update that leaves the tag alone changed it")
	}
	t.set(0, t.key(1), []byte("value"), 0, 0)
	if g := t.get(0, t.key(1)); g == nil || g.tag != 0 {
		t.failf("SET with tag 0 leaves the old tag")
	}
}
