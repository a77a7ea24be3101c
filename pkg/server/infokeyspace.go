package server

import (
	"fmt"
	"strings"

	"kvstored/pkg/batch"
	"kvstored/pkg/command"
)

const (
	ttlSlice  = 1024 // entries looked at by one INFO keyspace in each database
	ttlEnough = 64   // times to live that make a figure of their own
	ttlMost   = 256  // how much earlier ones count where there are fewer
)

// meanTTL is what is known of the times to live of one database: exact where
// it has no more entries than one slice, else a sample, each INFO looking at
// the next slice of a walk. Where hardly any entry has one, earlier slices
// count too: what is kept is when entries go, not how long they still have.
type meanTTL struct {
	cursor uint64
	expiry float64 // milliseconds since 1970, on average
	weight float64 // how many times to live the average stands for
}

// look does the next slice and returns the average in milliseconds. The lane
// is held.
func (m *meanTTL) look(e Engine, s *batch.Scan, db uint32, now int64) int64 {
	s.Flags, s.Space, s.Now, s.Seed = 0, db, now, 0
	s.Budget, s.BudgetBytes, s.Cursor = ttlSlice, 0, m.cursor
	if e.Scan(s) != nil {
		return 0 // an engine that cannot walk
	}
	whole := m.cursor == 0 && s.Cursor == 0
	m.cursor = s.Cursor
	var n, left float64
	s.Items(func(it *batch.Item) bool {
		if it.Expiry != 0 {
			n++
			left += float64(it.Expiry - now)
		}
		return true
	})
	if whole || n >= ttlEnough || m.expiry <= float64(now) {
		m.weight = 0
	}
	if n > 0 {
		left += m.weight * (m.expiry - float64(now))
		m.weight += n
		m.expiry = float64(now) + left/m.weight
		m.weight = min(m.weight, ttlMost)
	}
	if m.weight == 0 {
		return 0
	}
	return int64(m.expiry - float64(now))
}

func infoKeyspace(w *worker, b *strings.Builder) {
	for db := range uint32(command.Databases) {
		st, err := w.s.o.Engine.Stat(db)
		if err != nil {
			return // an engine without figures
		}
		ttl := int64(0)
		if st.Expiring > 0 {
			ttl = w.ttls[db].look(w.s.o.Engine, w.scan, db, w.now)
		} else {
			w.ttls[db] = meanTTL{}
		}
		if st.Entries > 0 {
			fmt.Fprintf(b, "db%d:keys=%d,expires=%d,avg_ttl=%d\r\n", db, st.Entries, st.Expiring, ttl)
		}
	}
}
