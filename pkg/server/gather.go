package server

import "time"

// gathering is the pause between two syncs under SyncAlways. Who was answered
// when a sync ended asks again at once, as a rule. A sync that begins with the
// first of them covers few clients, and the next one those who came meanwhile;
// one that waits for them covers all, so that the disk has half as much to do.
// Only the reactor's goroutine touches it.
type gathering struct {
	want  int       // connections whose answers wait when all are back; 0: no pause
	from  int       // that waited when the pause began
	until time.Time // the pause ends at the latest
	timer *time.Timer
	skip  int       // so many pauses are left out, since the last was for nothing
	began time.Time // of the running sync
}

// gatherFor is how long a pause may be after a sync that took so long.
var gatherFor = func(took time.Duration) time.Duration { return min(took, 5*time.Millisecond) }

// gatherSkip is how many syncs follow without a pause after one in which fewer
// than half of those who were answered came back.
const gatherSkip = 8

// gather has the next sync begin once as many connections wait as did before
// the last one let some of them go.
func (w *worker) gather(before int) {
	g := &w.sync.gathering
	g.from = w.r.Held()
	switch {
	case g.skip > 0:
		g.skip--
		w.syncNow()
		return
	case g.from >= before:
		w.syncNow()
		return
	}
	now := time.Now()
	most := gatherFor(now.Sub(g.began))
	g.want, g.until = before, now.Add(most)
	if g.timer == nil {
		g.timer = time.AfterFunc(most, func() { _ = w.r.Post(w.gathered) }) // ended: nobody waits
	} else {
		g.timer.Reset(most)
	}
}

// gathered ends the pause when all are back or its time is over.
func (w *worker) gathered() {
	g := &w.sync.gathering
	held := w.r.Held()
	if g.want == 0 || held < g.want && time.Now().Before(g.until) {
		return
	}
	if (held-g.from)*2 < g.want-g.from {
		g.skip = gatherSkip
	}
	w.syncNow()
}

// end ends the pause, if there is one: a sync begins.
func (g *gathering) end() {
	if g.want != 0 {
		g.want = 0
		g.timer.Stop()
	}
}
