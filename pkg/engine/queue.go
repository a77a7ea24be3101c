package engine

import "sync"

// Request asks for a swap.
type Request struct {
	// Path of the library.
	Path string
	// Rule of the configuration that chose it, for the status.
	Rule string
	// Trust, where the configuration changed; nil: as before.
	Trust *Trust
	// Limit of memory, where the configuration changed; nil: as before.
	Limit *Limit
	// MemoryOnly: the store keeps nothing on disk, whatever its engine can.
	MemoryOnly bool
}

// same tells whether one run answers both requests.
func (r *Request) same(other *Request) bool {
	if r.Path != other.Path || r.Rule != other.Rule || r.MemoryOnly != other.MemoryOnly || (r.Trust == nil) != (other.Trust == nil) {
		return false
	}
	if (r.Limit == nil) != (other.Limit == nil) || r.Limit != nil && *r.Limit != *other.Limit {
		return false
	}
	return r.Trust == nil || *r.Trust == *other.Trust
}

// queue holds swaps that were asked for. One runs at a time; requests for the
// same that wait are answered by one run, which began after all of them.
type queue struct {
	mu      sync.Mutex
	waiting []*job // guarded by mu
	running bool   // guarded by mu
	ended   bool   // guarded by mu; takes nothing more
	idle    *sync.Cond
}

// job is a run to be, and who waits for it.
type job struct {
	Request
	done    chan struct{}
	outcome Outcome // valid after done
	err     error   // valid after done
}

// add returns the job that will answer r. first: the caller must run it and
// all that follow.
func (q *queue) add(r Request) (j *job, first, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended {
		return nil, false, false
	}
	for _, j := range q.waiting {
		if j.same(&r) {
			return j, false, true
		}
	}
	j = &job{Request: r, done: make(chan struct{})}
	q.waiting = append(q.waiting, j)
	first = !q.running
	q.running = true
	return j, first, true
}

// next takes the oldest job out; nil: the runner may go.
func (q *queue) next() *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.running = false
		if q.idle != nil {
			q.idle.Broadcast()
		}
		return nil
	}
	j := q.waiting[0]
	q.waiting = q.waiting[1:]
	return j
}

// more tells whether another job waits.
func (q *queue) more() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) > 0
}

// end takes no more jobs and waits until those there are were run.
func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.idle = sync.NewCond(&q.mu)
	for q.running {
		q.idle.Wait()
	}
}
