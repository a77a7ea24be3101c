package engine

import (
	"fmt"

	"kvstored/pkg/batch"
)

// follow has the new store repeat what operations [from, to) of b and the
// events from first on did to the old one. It never fails its caller: an error
// ends the copy. The lane is held.
func (c *copying) follow(b *batch.Batch, from, to int, now int64, first *batch.Event) {
	if err := c.followAll(b, from, to, now, first); err != nil {
		c.fail(err)
	}
}

func (c *copying) followAll(b *batch.Batch, from, to int, now int64, first *batch.Event) error {
	e := effects{c: c, now: now}
	defer e.end()
	for i := from; i < to; i++ {
		// What was written after that is read again, and put back by what follows.
		if op := b.Op(i); op.Code == batch.Clear && op.Status == batch.OK && c.keeps(op.Space) {
			if err := e.clear(op.Space); err != nil {
				return err
			}
		}
	}
	for ev := first; ev != nil; ev = ev.Following() {
		if err := e.touch(ev.Space, ev.KeyBytes()); err != nil {
			return err
		}
	}
	for i := from; i < to; i++ {
		op := b.Op(i)
		if op.Code != batch.Set && op.Code != batch.Delete && op.Code != batch.Update {
			continue
		}
		if err := e.touch(op.Space, op.KeyBytes()); err != nil {
			return err
		}
	}
	return e.carryOver()
}

// keeps tells whether the new engine has such a space at all: FLUSHALL empties
// every one of them.
func (c *copying) keeps(space uint32) bool { return space == 0 || c.next.lib.info.Has(CapSpaces) }

// effects are those of one batch on their way into the feed. The lane is held.
type effects struct {
	c    *copying
	j    *parcel // nil: none yet
	from int     // of j.reread: what is not carried over yet
	now  int64
}

// begin has a parcel to add to.
func (e *effects) begin() (err error) {
	if e.j != nil {
		return nil
	}
	e.c.giveBack()
	if e.j, err = e.c.feed.effects(); err == nil {
		e.j.now, e.from = e.now, e.j.reread.Len()
	}
	return err
}

// end gives the parcel to the feed.
func (e *effects) end() {
	if e.j != nil {
		e.c.feed.putBack()
		e.j = nil
	}
}

func (e *effects) clear(space uint32) error {
	if e.j != nil && e.j.put.Len() >= openMost {
		e.end()
	}
	if err := e.begin(); err != nil {
		return err
	}
	e.j.put.Clear(space)
	return nil
}

// touch has the key read again, now or with some more.
func (e *effects) touch(space uint32, key []byte) error {
	if err := e.begin(); err != nil {
		return err
	}
	e.j.reread.Get(space, e.j.reread.Scratch.Copy(key))
	if e.j.reread.Len()-e.from < followAtOnce {
		return nil
	}
	err := e.carryOver()
	e.end() // it may be full
	return err
}

// carryOver reads the touched keys from the old store and has the new one hold
// the same.
func (e *effects) carryOver() error {
	if e.j == nil {
		return nil
	}
	c, j := e.c, e.j
	from, n := e.from, j.reread.Len()
	if from == n {
		return nil
	}
	e.from = n
	if st := c.old.store.exec(j.reread.Seal(from, n, c.asOf(e.now))); st != batch.OK {
		return c.h.fatal(fmt.Errorf("engine %s failed to carry out a batch: %s", c.old.title(), st))
	}
	for i := from; i < n; i++ { // of all, also where one of them ends the copy
		if op := j.reread.Op(i); op.Status == batch.OK && op.Pin != 0 {
			j.pins = append(j.pins, op.Pin)
		}
	}
	for i := from; i < n; i++ {
		if err := c.repeat(j, j.reread.Op(i)); err != nil {
			return err
		}
	}
	return nil
}

// repeat has the new store hold what the old one answered.
func (c *copying) repeat(j *parcel, op *batch.Op) error {
	switch op.Status {
	case batch.OK:
		if err := c.fits(op.Space, op.KeyBytes(), op.ValueBytes(), op.ValueLen, op.Expiry, op.Tag); err != nil {
			return err
		}
		j.put.Set(op.Space, op.KeyBytes(), op.ValueBytes(), op.Expiry, op.Tag, 0)
		j.bytes += int(op.KeyLen + op.ValueLen)
	case batch.NotFound:
		j.put.Delete(op.Space, op.KeyBytes())
		j.bytes += int(op.KeyLen)
	case batch.Corrupt:
		return c.damaged(c.old, op.Space, op.KeyBytes())
	default:
		return fmt.Errorf("%s cannot read %s: %s", c.old.title(), keyName(op.Space, op.KeyBytes()), op.Status)
	}
	return nil
}

// unpin gives the pins of the values in b back to g. What guards the store is held.
func unpin(g *generation, b *batch.Batch) {
	var pins []uint64
	for i := range b.Len() {
		if op := b.Op(i); op.Code == batch.Get && op.Status == batch.OK && op.Pin != 0 {
			pins = append(pins, op.Pin)
		}
	}
	g.store.release(pins)
}
