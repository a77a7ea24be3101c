package engine

import (
	"slices"

	"go.uber.org/zap"

	"kvstored/pkg/batch"
)

// Policy says what goes when the data reaches its limit. The zero value
// refuses instead.
type Policy struct {
	name  string // "": noeviction
	how   uint32 // enum kv_policy
	flags uint32 // KV_LIMIT_ flags
}

// enum kv_policy and the KV_LIMIT_ flags of kvstore.h.
const (
	evictUse     = 10
	evictRandom  = 20
	evictSoonest = 30

	limitVolatile = 1 << 0
)

// policies are all of them. An alias is a name of Redis for the policy that
// does here what that name is chosen for.
var policies = []struct {
	Policy
	aliases []string
}{
	{Policy{}, []string{"noeviction"}},
	{Policy{"allkeys-s3fifo", evictUse, 0}, []string{"allkeys-lru", "allkeys-lfu"}},
	{Policy{"allkeys-random", evictRandom, 0}, nil},
	{Policy{"volatile-s3fifo", evictUse, limitVolatile}, []string{"volatile-lru", "volatile-lfu"}},
	{Policy{"volatile-random", evictRandom, limitVolatile}, nil},
	{Policy{"volatile-ttl", evictSoonest, limitVolatile}, nil},
}

// ParsePolicy finds a policy by its name or an alias.
func ParsePolicy(name string) (p Policy, ok bool) {
	for _, p := range policies {
		if p.String() == name || slices.Contains(p.aliases, name) {
			return p.Policy, true
		}
	}
	return Policy{}, false
}

// String is the policy's own name.
func (p Policy) String() string {
	if p.name == "" {
		return "noeviction"
	}
	return p.name
}

// Ranks tells whether the policy goes by how keys are used.
func (p Policy) Ranks() bool { return p.how == evictUse }

// Evicts tells whether the policy removes entries.
func (p Policy) Evicts() bool { return p.how != 0 }

func (p Policy) forEngine() (policy, flags uint32) { return p.how, p.flags }

// Limit is how much memory the data may take, and what goes when it does.
type Limit struct {
	MaxMemory uint64 // bytes; 0: no limit
	Policy    Policy
}

// evicts tells whether entries may have to go under the limit.
func (l Limit) evicts() bool { return l.MaxMemory != 0 && l.Policy.Evicts() }

// Limit is the one in force.
func (h *Host) Limit() Limit { return *h.limit.Load() }

// SetLimit changes the limit. A refusal says that the serving engine cannot
// keep to it, and the old one stays. Not in the lane.
func (h *Host) SetLimit(l Limit) error {
	h.Lock()
	defer h.Unlock()
	return h.SetLimitInLane(l)
}

// SetLimitInLane is SetLimit for those who hold the lane.
func (h *Host) SetLimitInLane(l Limit) error {
	if h.failed != nil || h.cur == nil {
		return h.failed
	}
	if err := h.cur.canKeep(l); err != nil {
		return err
	}
	if err := h.cur.applyLimit(l); err != nil {
		return err
	}
	h.limit.Store(&l)
	h.weigh()
	return nil
}

// Full tells whether the data is above a limit under which nothing goes by
// itself: what takes memory is refused then. It may be a batch behind.
func (h *Host) Full() bool { return h.full.Load() }

// canKeep refuses a limit that the engine cannot keep to.
func (g *generation) canKeep(l Limit) error {
	i := &g.lib.info
	switch {
	case l.MaxMemory == 0:
		return nil
	case l.evicts() && !i.Has(CapLimit):
		return refuse("MaxMemoryPolicy="+l.Policy.String()+" needs an engine with the capability limit",
			"set MaxMemoryPolicy=noeviction or MaxMemory=0, or use an engine that evicts, such as hash",
			"the engine %s cannot remove keys to stay below a limit of memory", g.title())
	case !i.Has(CapLimit) && i.missing.stat:
		return refuse("it does not tell how much memory it uses", "set MaxMemory=0, or use another engine, such as hash",
			"the engine %s cannot be kept below a limit of memory", g.title())
	}
	return nil
}

// applyLimit tells the engine, where it wants to know. The lane is held, or
// the store is not in use yet.
func (g *generation) applyLimit(l Limit) error {
	if !g.lib.info.Has(CapLimit) {
		return nil
	}
	if st := g.store.limit(l); st != batch.OK {
		return refuse("it answered: "+st.String(), "choose another MaxMemoryPolicy=",
			"the engine %s does not keep to MaxMemoryPolicy=%s", g.title(), l.Policy)
	}
	return nil
}

// keepTo makes l the limit of the generation that serves from now on, which
// was asked before whether it can. The lane is held.
func (h *Host) keepTo(l Limit) {
	if err := h.cur.applyLimit(l); err != nil {
		h.opts.Log.Warn("the limit of memory is kept by refusing what needs more", zap.Error(err))
		l.Policy = Policy{}
	}
	h.limit.Store(&l)
	h.weigh()
}

// weigh notes whether the data is above its limit. The lane is held.
func (h *Host) weigh() {
	l := h.limit.Load()
	if l.MaxMemory == 0 || l.Policy.Evicts() {
		if h.full.Load() {
			h.full.Store(false)
		}
		return
	}
	st := batch.Stat{Size: statSize, Space: batch.SpaceAll}
	h.full.Store(h.cur.store.stat(&st) == batch.OK && st.Memory > l.MaxMemory)
}

// Reserved is the bytes that the serving store holds from the system. Not in
// the lane.
func (h *Host) Reserved() uint64 {
	h.Lock()
	defer h.Unlock()
	if h.failed != nil || h.cur == nil {
		return 0
	}
	st := batch.Stat{Size: statSize, Space: batch.SpaceAll}
	if h.cur.store.stat(&st) != batch.OK {
		return 0
	}
	return st.ReservedMemory
}
