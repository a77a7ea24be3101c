package engine

import (
	"bytes"
	"fmt"
	"strconv"

	"kvstored/pkg/batch"
)

// compareItems has the entries of a slice of the old store read from the new one,
// where they must be the same. The lane is held.
func (c *copying) compareItems(j *parcel) (used bool, err error) {
	if err := c.tooMany(j); err != nil {
		return false, err
	}
	j.scan.Items(func(it *batch.Item) bool {
		j.put.Get(it.Space, it.KeyBytes())
		j.bytes += int(it.KeyLen + it.ValueLen)
		return true
	})
	j.check = c.areSame
	c.s.progress("comparing with %s: %d entries copied", c.next.title(), c.s.copied)
	return true, nil
}

// areSame compares what the new store holds with a slice of the old one. turn is held.
func (c *copying) areSame(j *parcel) error {
	if err := c.ask(c.next, j.put, j.now); err != nil {
		return err
	}
	defer unpin(c.next, j.put)
	var wrong error
	i := 0
	j.scan.Items(func(it *batch.Item) bool {
		wrong = c.compare(it, j.put.Op(i))
		i++
		return wrong == nil
	})
	return wrong
}

// ask carries out a batch of reads of one of the stores.
func (c *copying) ask(g *generation, b *batch.Batch, now int64) error {
	if st := g.store.exec(b.Seal(0, b.Len(), c.asOf(now))); st != batch.OK {
		return c.unlike(fmt.Sprintf("%s failed to carry out a batch: %s", g.title(), st))
	}
	return nil
}

// unlike refuses a copy that is not the same.
func (c *copying) unlike(why string) error {
	return refuse(why, "keep the old engine, and report this to the author of the new one",
		"%s: the copy in %s is not what %s holds", c.next.image.Path, c.next.title(), c.old.title())
}

// compare judges what the new store has for an entry of the old one.
func (c *copying) compare(it *batch.Item, got *batch.Op) error {
	if got.Status == batch.OK && it.Expiry == got.Expiry && it.Tag == got.Tag && bytes.Equal(it.ValueBytes(), got.ValueBytes()) {
		return nil
	}
	key := keyName(it.Space, it.KeyBytes())
	switch {
	case got.Status == batch.NotFound:
		return c.unlike(key + " is missing")
	case got.Status != batch.OK:
		return c.unlike(fmt.Sprintf("%s cannot be read: %s", key, got.Status))
	case !bytes.Equal(it.ValueBytes(), got.ValueBytes()):
		return c.unlike(fmt.Sprintf("%s has another value (%d bytes, not %d)", key, got.ValueLen, it.ValueLen))
	case it.Expiry != got.Expiry:
		return c.unlike(fmt.Sprintf("%s has another expiry time (%d, not %d)", key, got.Expiry, it.Expiry))
	}
	return c.unlike(fmt.Sprintf("%s has another tag (%d, not %d)", key, got.Tag, it.Tag))
}

// findExtras insists that the old store has every entry of a slice of the new
// one. What it lacks may have gone since the slice was read: then the new one must
// lack it, too, when it has come so far. The lane is held.
func (c *copying) findExtras(j *parcel) (used bool, err error) {
	if err := c.tooMany(j); err != nil {
		return false, err
	}
	b := j.reread
	j.scan.Items(func(it *batch.Item) bool {
		b.Meta(it.Space, it.KeyBytes())
		return true
	})
	if err := c.ask(c.old, b, j.now); err != nil {
		return false, err
	}
	for i := range b.Len() {
		switch op := b.Op(i); op.Status {
		case batch.OK:
		case batch.NotFound:
			j.put.Meta(op.Space, op.KeyBytes())
		case batch.Corrupt:
			return false, c.damaged(c.old, op.Space, op.KeyBytes())
		default:
			return false, c.unlike(fmt.Sprintf("%s cannot be read: %s", keyName(op.Space, op.KeyBytes()), op.Status))
		}
	}
	j.check = c.areAbsent
	return j.put.Len() > 0, nil
}

// areAbsent insists that the new store lacks what the old one lacked. turn is held.
func (c *copying) areAbsent(j *parcel) error {
	if err := c.ask(c.next, j.put, j.now); err != nil {
		return err
	}
	for i := range j.put.Len() {
		if op := j.put.Op(i); op.Status != batch.NotFound {
			return c.unlike(keyName(op.Space, op.KeyBytes()) + " should not be there")
		}
	}
	return nil
}

// damagedAt refuses the copy because of the entry where the walk over g stands:
// one that fails its checks. What guards the store is held.
func (c *copying) damagedAt(g *generation, j *parcel, now int64) error {
	b, space := j.reread, c.space
	c.aim(j, 0, 1, now)
	if g.store.scan(j.scan.Prepare()) == batch.OK {
		j.scan.Items(func(it *batch.Item) bool {
			b.Get(it.Space, it.KeyBytes())
			return true
		})
	}
	if b.Len() > 0 && g.store.exec(b.Seal(0, b.Len(), c.asOf(now))) == batch.OK {
		defer unpin(g, b)
		for i := range b.Len() {
			if op := b.Op(i); op.Status == batch.Corrupt {
				return c.damaged(g, op.Space, op.KeyBytes())
			}
		}
	}
	option := databaseOption(space)
	return refuse("its key is damaged, too", "FLUSHDB and put the data back from a backup, or move what is whole: kvctl"+option+" export FILE, kvctl"+
		option+" FLUSHDB, kvctl"+option+" import FILE; then reload again",
		"%s: %s cannot read an entry of database %d", c.next.image.Path, g.title(), space)
}

// damaged refuses the copy because of an entry that fails its checks.
func (c *copying) damaged(g *generation, space uint32, key []byte) error {
	return refuse("its entry is damaged", "put the data back from a backup, or remove that key: kvctl"+databaseOption(space)+" DEL KEY; then reload again",
		"%s: %s cannot read %s", c.next.image.Path, g.title(), keyName(space, key))
}

// databaseOption has kvctl use a database.
func databaseOption(space uint32) string {
	if space == 0 {
		return ""
	}
	return fmt.Sprint(" -n ", space)
}

// keyName names a key in a message: `key "name"`, with the database unless
// that is 0.
func keyName(space uint32, key []byte) string {
	const most = 64
	text := strconv.Quote(string(key[:min(len(key), most)]))
	if len(key) > most {
		text += "…"
	}
	if space != 0 {
		return fmt.Sprintf("key %s of database %d", text, space)
	}
	return "key " + text
}

// lacks are the capabilities and limits that the old engine's data may need
// and the new engine does not have.
func (c *copying) lacks() bool {
	old, next := &c.old.lib.info, &c.next.lib.info
	const needed = CapExpiry | CapSpaces | CapTags | CapBinary
	return old.Capabilities&needed&^next.Capabilities != 0 ||
		tighter(next.MaxKey, old.MaxKey) || tighter(next.MaxValue, old.MaxValue)
}

// tighter tells whether limit a allows less than b; 0 is none.
func tighter(a, b uint64) bool { return a != 0 && (b == 0 || a < b) }

// checkFit walks over everything once before the copy when there may be
// entries that the new engine cannot hold.
func (c *copying) checkFit() error {
	if !c.lacks() || !c.old.lib.info.Has(CapScan) {
		return nil
	}
	var flags uint32
	if !c.next.lib.info.Has(CapBinary) {
		flags = batch.ScanValues
	}
	return c.walk(c.old, flags, func(j *parcel) (used bool, wrong error) {
		j.scan.Items(func(it *batch.Item) bool {
			wrong = c.fits(it.Space, it.KeyBytes(), it.ValueBytes(), it.ValueLen, it.Expiry, it.Tag)
			return wrong == nil
		})
		return false, wrong
	})
}

// fits refuses an entry that the new engine cannot hold.
func (c *copying) fits(space uint32, key, value []byte, valueLen uint64, expiry int64, tag uint32) error {
	info := &c.next.lib.info
	var why, fix string
	switch {
	case space != 0 && !info.Has(CapSpaces):
		why, fix = "it keeps one database only", "move what is in the others, or FLUSHDB them"
	case expiry != 0 && !info.Has(CapExpiry):
		why, fix = "it keeps no expiry times", "PERSIST or DEL the keys that have one"
	case tag != 0 && !info.Has(CapTags):
		why, fix = "it keeps strings only", "DEL the keys of other types"
	case info.MaxKey != 0 && uint64(len(key)) > info.MaxKey:
		why, fix = fmt.Sprintf("its keys have at most %d bytes, this one has %d", info.MaxKey, len(key)), "DEL or RENAME it"
	case info.MaxValue != 0 && valueLen > info.MaxValue:
		why, fix = fmt.Sprintf("its values have at most %d bytes, this one has %d", info.MaxValue, valueLen), "DEL it"
	case !info.Has(CapBinary) && (bytes.IndexByte(key, 0) >= 0 || bytes.IndexByte(value, 0) >= 0):
		why, fix = "it keeps text without NUL bytes only", "DEL it"
	default:
		return nil
	}
	return refuse(why, fix+", then reload again", "%s: %s cannot hold %s", c.next.image.Path, c.next.title(), keyName(space, key))
}
