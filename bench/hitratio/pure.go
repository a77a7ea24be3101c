package main

import "container/list"

// cache is an algorithm in its pure form: ask tells whether the key is there,
// and has it there from then on.
type cache interface{ ask(key uint64) bool }

// lru evicts what was not used for longest.
type lru struct {
	room  int
	order *list.List // the latest first
	at    map[uint64]*list.Element
}

func newLRU(room int) cache { return &lru{room, list.New(), map[uint64]*list.Element{}} }

func (c *lru) ask(key uint64) bool {
	if e := c.at[key]; e != nil {
		c.order.MoveToFront(e)
		return true
	}
	if c.order.Len() >= c.room {
		last := c.order.Back()
		delete(c.at, c.order.Remove(last).(uint64))
	}
	c.at[key] = c.order.PushFront(key)
	return false
}

// sieve (Zhang, Yang, Yue, Vinayak, NSDI 2024) has a hand that goes from the
// oldest to the newest and takes the first that was not used since it passed.
type sieve struct {
	room  int
	order *list.List // the newest first
	hand  *list.Element
	at    map[uint64]*list.Element
}

type sieved struct {
	key  uint64
	used bool
}

func newSieve(room int) cache {
	return &sieve{room: room, order: list.New(), at: map[uint64]*list.Element{}}
}

func (c *sieve) ask(key uint64) bool {
	if e := c.at[key]; e != nil {
		e.Value.(*sieved).used = true
		return true
	}
	if c.order.Len() >= c.room {
		c.evict()
	}
	c.at[key] = c.order.PushFront(&sieved{key: key})
	return false
}

func (c *sieve) evict() {
	e := c.hand
	for {
		if e == nil {
			e = c.order.Back()
		}
		if s := e.Value.(*sieved); !s.used {
			break
		} else {
			s.used = false
		}
		e = e.Prev()
	}
	c.hand = e.Prev()
	delete(c.at, c.order.Remove(e).(*sieved).key)
}
