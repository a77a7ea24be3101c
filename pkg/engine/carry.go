package engine

import (
	"kvstored/pkg/batch"
)

// carryOut does what the feed has, until it ends.
func (c *copying) carryOut() {
	defer close(c.feed.gone)
	for parcels := c.feed.take(); parcels != nil; parcels = c.feed.take() {
		c.feed.finished(parcels, c.work(parcels))
	}
}

// work does one parcel, or some that write.
func (c *copying) work(parcels []*parcel) error {
	c.turn.Lock()
	defer c.turn.Unlock()
	if parcels[0].check != nil {
		return parcels[0].check(parcels[0])
	}
	put := parcels[0].put
	if len(parcels) > 1 {
		put = c.together(parcels)
	}
	return c.apply(put, parcels[len(parcels)-1].now)
}

// together has the operations of all parcels in one batch: what a batch costs is
// shared, and an engine can order them as it likes. turn is held.
func (c *copying) together(parcels []*parcel) *batch.Batch {
	b := c.merged
	b.Reset()
	for _, j := range parcels {
		for i := range j.put.Len() {
			op, at := j.put.Op(i), 0
			switch op.Code {
			case batch.Set:
				at = b.Set(op.Space, op.KeyBytes(), op.ValueBytes(), op.Expiry, op.Tag, 0)
			case batch.Delete:
				at = b.Delete(op.Space, op.KeyBytes())
			case batch.Clear:
				at = b.Clear(op.Space)
			}
			b.Op(at).Flags = op.Flags
		}
	}
	return b
}

// apply carries out what is in put and insists on success. turn is held.
func (c *copying) apply(put *batch.Batch, now int64) error {
	n := put.Len()
	if n == 0 {
		return nil
	}
	if st := c.next.store.exec(put.Seal(0, n, now)); st != batch.OK {
		return refuse(st.String(), "kvctl engine check "+c.next.image.Path,
			"%s: %s failed while it was filled", c.next.image.Path, c.next.title())
	}
	for i := range n {
		if err := c.applied(put.Op(i), now); err != nil {
			return err
		}
	}
	if c.next.dir == "" {
		return nil
	}
	made, st := c.next.store.commit(commitOnly, c.next.synced, 0)
	if st != batch.OK {
		return c.unkept(st)
	}
	c.next.committed = made.mark()
	return nil
}

// applied judges what became of one operation in the new store. turn is held.
func (c *copying) applied(op *batch.Op, now int64) error {
	switch {
	case op.Status == batch.OK:
		return nil
	case op.Code == batch.Clear:
		return refuse(op.Status.String(), "reload again while nobody empties a database",
			"%s: database %d was emptied, which %s cannot follow", c.next.image.Path, op.Space, c.next.title())
	case op.Code == batch.Delete && op.Status == batch.NotFound:
		return nil
	case op.Code == batch.Delete && op.Status == batch.Unsupported && c.absent(op, now):
		return nil
	case op.Code == batch.Delete:
		return refuse(op.Status.String(), "reload again while nothing is removed",
			"%s: %s was removed, which %s cannot follow", c.next.image.Path, keyName(op.Space, op.KeyBytes()), c.next.title())
	}
	return refuse(op.Status.String(), "give the new engine more room, or keep the old one",
		"%s: %s does not take %s", c.next.image.Path, c.next.title(), keyName(op.Space, op.KeyBytes()))
}

// absent tells whether the new store lacks op's key. turn is held.
func (c *copying) absent(op *batch.Op, now int64) bool {
	b := batch.New()
	defer b.Close()
	i := b.Meta(op.Space, op.KeyBytes())
	return c.next.store.exec(b.Seal(0, 1, now)) == batch.OK && b.Op(i).Status == batch.NotFound
}
