package server

import (
	"bytes"
	"time"

	"kvstored/pkg/command"
	"kvstored/pkg/resp"
)

// sliced is a request that is carried out in slices between the ticks. It is
// counted when it ends, with the time of all slices and not of what came between.
type sliced struct {
	w     *worker
	cl    *client
	r     command.Reply // with the request's own text; Took: so far
	out   *resp.Writer
	slice func(x *command.Exec) bool
}

// goOn has a request carried out in slices between the ticks; see [command.Exec].
func (w *worker) goOn(cl *client, r *command.Reply, slice func(x *command.Exec) bool) {
	r.Pending = true
	s := &sliced{w: w, cl: cl, r: *r, out: &resp.Writer{Proto: r.Proto}, slice: slice}
	s.r.Raw = bytes.Clone(r.Raw) // what was read is gone by then
	w.sliced = s
	_ = w.r.Post(s.next) // ended: there is nobody left to answer
}

// next makes one slice.
func (s *sliced) next() {
	w := s.w
	if s.cl.gone {
		s.count()
		return
	}
	e := w.s.o.Engine
	e.Lock()
	from := time.Now()
	w.now = from.UnixMilli()
	w.exec.Start(w.now, s.out)
	done := s.slice(&w.exec)
	s.r.Took += int64(time.Since(from))
	e.Unlock()
	if !done {
		_ = w.r.Post(s.next) // not ended: this is its goroutine
		return
	}
	s.count()
	w.answerLater(s.cl, s.out, s.r.Muted)
}

// count counts the request, and notes it where it was slow.
func (s *sliced) count() {
	w := s.w
	w.stats.tally(&s.r, w.batch, s.out.Buf)
	if cost := uint64(s.r.Took); cost >= w.slowFrom() {
		w.slow(&s.r, cost)
	}
}
