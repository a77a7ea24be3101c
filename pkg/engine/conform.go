package engine

import (
	"kvstored/pkg/batch"
	"kvstored/pkg/engine/conformance"
)

// conformable is a loaded library as the conformance suite sees it. A hand-over
// goes to another load of the same library when there is one.
func conformable(lib, other *library) conformance.Engine {
	if other == nil {
		other = lib
	}
	return conformance.Engine{
		Name:         lib.info.Name,
		Capabilities: lib.info.Capabilities,
		MaxKey:       lib.info.MaxKey,
		MaxValue:     lib.info.MaxValue,
		Pins:         !lib.info.missing.release,
		Maintains:    !lib.info.missing.maintain,
		Open: func(with conformance.Settings) (conformance.Store, error) {
			st, err := lib.open(conformSettings(with))
			if err != nil {
				return nil, err
			}
			return &conformStore{st: st, next: other}, nil
		},
	}
}

func conformSettings(with conformance.Settings) settings {
	return settings{maxMemory: with.MaxMemory, now: with.Now, seed: with.Seed, logFD: -1}
}

// conformStore is an open store under test.
type conformStore struct {
	st    *store
	next  *library // where a hand-over goes
	execs int
}

// Exec has several operations lie further apart every other time: an engine
// steps through them with kv_op_at().
func (c *conformStore) Exec(b *batch.Batch, from, to int, now int64) batch.Status {
	if to-from > 1 {
		c.execs++
	}
	if c.execs%2 == 1 {
		return c.st.execWide(b.Seal(from, to, now))
	}
	return c.st.exec(b.Seal(from, to, now))
}

func (c *conformStore) Scan(s *batch.Scan) batch.Status               { return c.st.scan(s.Prepare()) }
func (c *conformStore) Maintain(m *batch.MaintainHeader) batch.Status { return c.st.maintain(m) }
func (c *conformStore) Release(pins []uint64)                         { c.st.release(pins) }
func (c *conformStore) Close()                                        { c.st.close(false) }

func (c *conformStore) Stat(space uint32) (batch.Stat, batch.Status) {
	st := batch.Stat{Size: statSize, Space: space}
	status := c.st.stat(&st)
	return st, status
}

func (c *conformStore) TakeBack() error {
	if status := c.st.takeBack(); status != batch.OK {
		return &storeFailure{status: status}
	}
	return nil
}

func (c *conformStore) HandOver(with conformance.Settings) (conformance.Store, error) {
	st, _, err := c.st.handOver(c.next, conformSettings(with))
	if err != nil {
		return nil, err
	}
	before := c.st.lib
	c.st.close(true)
	return &conformStore{st: st, next: before}, nil
}
