package engine

/*
#include "host.h"
#include "update.h"
*/
import "C"

import (
	"unsafe"

	"kvstored/pkg/batch"
)

// layout is one place in a structure that Go and C both describe.
type layout struct {
	what string
	inGo uintptr
	inC  uintptr
}

// layouts lists sizes and offsets of all mirrored structures; a test compares.
func layouts() []layout {
	var all []layout
	for _, part := range [][]layout{opLayout(), batchLayout(), scanLayout(), figuresLayout(), argLayout()} {
		all = append(all, part...)
	}
	return all
}

func opLayout() []layout {
	var g batch.Op
	var c C.struct_kv_op
	return []layout{
		{"op", unsafe.Sizeof(g), unsafe.Sizeof(c)},
		{"op.code", unsafe.Offsetof(g.Code), unsafe.Offsetof(c.code)},
		{"op.flags", unsafe.Offsetof(g.Flags), unsafe.Offsetof(c.flags)},
		{"op.status", unsafe.Offsetof(g.Status), unsafe.Offsetof(c.status)},
		{"op.space", unsafe.Offsetof(g.Space), unsafe.Offsetof(c.space)},
		{"op.tag", unsafe.Offsetof(g.Tag), unsafe.Offsetof(c.tag)},
		{"op.key", unsafe.Offsetof(g.Key), unsafe.Offsetof(c.key)},
		{"op.key_len", unsafe.Offsetof(g.KeyLen), unsafe.Offsetof(c.key_len)},
		{"op.value", unsafe.Offsetof(g.Value), unsafe.Offsetof(c.value)},
		{"op.value_len", unsafe.Offsetof(g.ValueLen), unsafe.Offsetof(c.value_len)},
		{"op.expiry", unsafe.Offsetof(g.Expiry), unsafe.Offsetof(c.expiry)},
		{"op.offset", unsafe.Offsetof(g.Offset), unsafe.Offsetof(c.offset)},
		{"op.length", unsafe.Offsetof(g.Length), unsafe.Offsetof(c.length)},
		{"op.update", unsafe.Offsetof(g.Update), unsafe.Offsetof(c.update)},
		{"op.arg", unsafe.Offsetof(g.Arg), unsafe.Offsetof(c.arg)},
		{"op.pin", unsafe.Offsetof(g.Pin), unsafe.Offsetof(c.pin)},
	}
}

func batchLayout() []layout {
	var h batch.Header
	var b C.struct_kv_batch
	var s batch.Sink
	var k C.struct_kv_sink
	var es batch.Events
	var ces C.struct_kv_events
	var e batch.Event
	var ce C.struct_kv_event
	return []layout{
		{"batch", unsafe.Sizeof(h), unsafe.Sizeof(b)},
		{"batch.size", unsafe.Offsetof(h.Size), unsafe.Offsetof(b.size)},
		{"batch.op_size", unsafe.Offsetof(h.OpSize), unsafe.Offsetof(b.op_size)},
		{"batch.flags", unsafe.Offsetof(h.Flags), unsafe.Offsetof(b.flags)},
		{"batch.count", unsafe.Offsetof(h.Count), unsafe.Offsetof(b.count)},
		{"batch.ops", unsafe.Offsetof(h.Ops), unsafe.Offsetof(b.ops)},
		{"batch.now", unsafe.Offsetof(h.Now), unsafe.Offsetof(b.now)},
		{"batch.reply", unsafe.Offsetof(h.Reply), unsafe.Offsetof(b.reply)},
		{"batch.events", unsafe.Offsetof(h.Events), unsafe.Offsetof(b.events)},
		{"sink", unsafe.Sizeof(s), unsafe.Sizeof(k)},
		{"sink.next", unsafe.Offsetof(s.Next), unsafe.Offsetof(k.next)},
		{"sink.end", unsafe.Offsetof(s.End), unsafe.Offsetof(k.end)},
		{"sink.more", unsafe.Offsetof(s.More), unsafe.Offsetof(k.more)},
		{"sink.host", unsafe.Offsetof(s.Host), unsafe.Offsetof(k.host)},
		{"events", unsafe.Sizeof(es), unsafe.Sizeof(ces)},
		{"events.sink", unsafe.Offsetof(es.Sink), unsafe.Offsetof(ces.sink)},
		{"events.first", unsafe.Offsetof(es.First), unsafe.Offsetof(ces.first)},
		{"events.last", unsafe.Offsetof(es.Last), unsafe.Offsetof(ces.last)},
		{"events.count", unsafe.Offsetof(es.Count), unsafe.Offsetof(ces.count)},
		{"event", unsafe.Sizeof(e), unsafe.Sizeof(ce)},
		{"event.next", unsafe.Offsetof(e.Next), unsafe.Offsetof(ce.next)},
		{"event.reason", unsafe.Offsetof(e.Reason), unsafe.Offsetof(ce.reason)},
		{"event.space", unsafe.Offsetof(e.Space), unsafe.Offsetof(ce.space)},
		{"event.key", unsafe.Offsetof(e.Key), unsafe.Offsetof(ce.key)},
		{"event.key_len", unsafe.Offsetof(e.KeyLen), unsafe.Offsetof(ce.key_len)},
	}
}

func scanLayout() []layout {
	var s batch.ScanHeader
	var c C.struct_kv_scan
	var i batch.Item
	var ci C.struct_kv_item
	return []layout{
		{"scan", unsafe.Sizeof(s), unsafe.Sizeof(c)},
		{"scan.size", unsafe.Offsetof(s.Size), unsafe.Offsetof(c.size)},
		{"scan.flags", unsafe.Offsetof(s.Flags), unsafe.Offsetof(c.flags)},
		{"scan.space", unsafe.Offsetof(s.Space), unsafe.Offsetof(c.space)},
		{"scan.cursor", unsafe.Offsetof(s.Cursor), unsafe.Offsetof(c.cursor)},
		{"scan.budget", unsafe.Offsetof(s.Budget), unsafe.Offsetof(c.budget)},
		{"scan.budget_bytes", unsafe.Offsetof(s.BudgetBytes), unsafe.Offsetof(c.budget_bytes)},
		{"scan.seed", unsafe.Offsetof(s.Seed), unsafe.Offsetof(c.seed)},
		{"scan.now", unsafe.Offsetof(s.Now), unsafe.Offsetof(c.now)},
		{"scan.sink", unsafe.Offsetof(s.Sink), unsafe.Offsetof(c.sink)},
		{"scan.first", unsafe.Offsetof(s.First), unsafe.Offsetof(c.first)},
		{"scan.last", unsafe.Offsetof(s.Last), unsafe.Offsetof(c.last)},
		{"scan.count", unsafe.Offsetof(s.Count), unsafe.Offsetof(c.count)},
		{"item", unsafe.Sizeof(i), unsafe.Sizeof(ci)},
		{"item.next", unsafe.Offsetof(i.Next), unsafe.Offsetof(ci.next)},
		{"item.key", unsafe.Offsetof(i.Key), unsafe.Offsetof(ci.key)},
		{"item.key_len", unsafe.Offsetof(i.KeyLen), unsafe.Offsetof(ci.key_len)},
		{"item.value", unsafe.Offsetof(i.Value), unsafe.Offsetof(ci.value)},
		{"item.value_len", unsafe.Offsetof(i.ValueLen), unsafe.Offsetof(ci.value_len)},
		{"item.expiry", unsafe.Offsetof(i.Expiry), unsafe.Offsetof(ci.expiry)},
		{"item.tag", unsafe.Offsetof(i.Tag), unsafe.Offsetof(ci.tag)},
		{"item.space", unsafe.Offsetof(i.Space), unsafe.Offsetof(ci.space)},
	}
}

func figuresLayout() []layout {
	var s batch.Stat
	var c C.struct_kv_stat
	var m batch.MaintainHeader
	var cm C.struct_kv_maintain
	return []layout{
		{"stat", unsafe.Sizeof(s), unsafe.Sizeof(c)},
		{"stat.size", unsafe.Offsetof(s.Size), unsafe.Offsetof(c.size)},
		{"stat.space", unsafe.Offsetof(s.Space), unsafe.Offsetof(c.space)},
		{"stat.entries", unsafe.Offsetof(s.Entries), unsafe.Offsetof(c.entries)},
		{"stat.expiring", unsafe.Offsetof(s.Expiring), unsafe.Offsetof(c.expiring)},
		{"stat.payload", unsafe.Offsetof(s.Payload), unsafe.Offsetof(c.payload)},
		{"stat.memory", unsafe.Offsetof(s.Memory), unsafe.Offsetof(c.memory)},
		{"stat.reserved_memory", unsafe.Offsetof(s.ReservedMemory), unsafe.Offsetof(c.reserved_memory)},
		{"stat.pins", unsafe.Offsetof(s.Pins), unsafe.Offsetof(c.pins)},
		{"stat.next_space", unsafe.Offsetof(s.NextSpace), unsafe.Offsetof(c.next_space)},
		{"maintain", unsafe.Sizeof(m), unsafe.Sizeof(cm)},
		{"maintain.size", unsafe.Offsetof(m.Size), unsafe.Offsetof(cm.size)},
		{"maintain.more", unsafe.Offsetof(m.More), unsafe.Offsetof(cm.more)},
		{"maintain.budget", unsafe.Offsetof(m.Budget), unsafe.Offsetof(cm.budget)},
		{"maintain.used", unsafe.Offsetof(m.Used), unsafe.Offsetof(cm.used)},
		{"maintain.now", unsafe.Offsetof(m.Now), unsafe.Offsetof(cm.now)},
		{"maintain.next", unsafe.Offsetof(m.Next), unsafe.Offsetof(cm.next)},
		{"maintain.events", unsafe.Offsetof(m.Events), unsafe.Offsetof(cm.events)},
	}
}

func argLayout() []layout {
	var a batch.Arg
	var c C.struct_kvh_arg
	return []layout{
		{"arg", unsafe.Sizeof(a), unsafe.Sizeof(c)},
		{"arg.number", unsafe.Offsetof(a.Number), unsafe.Offsetof(c.number)},
		{"arg.flags", unsafe.Offsetof(a.Flags), unsafe.Offsetof(c.flags)},
		{"arg.expiry", unsafe.Offsetof(a.Expiry), unsafe.Offsetof(c.expiry)},
		{"arg.now", unsafe.Offsetof(a.Now), unsafe.Offsetof(c.now)},
		{"arg.value", unsafe.Offsetof(a.Value), unsafe.Offsetof(c.value)},
		{"arg.value_len", unsafe.Offsetof(a.ValueLen), unsafe.Offsetof(c.value_len)},
		{"arg.offset", unsafe.Offsetof(a.Offset), unsafe.Offsetof(c.offset)},
		{"arg.limit", unsafe.Offsetof(a.Limit), unsafe.Offsetof(c.limit)},
		{"arg.result", unsafe.Offsetof(a.Result), unsafe.Offsetof(c.result)},
		{"arg.outcome", unsafe.Offsetof(a.Outcome), unsafe.Offsetof(c.outcome)},
		{"arg.existed", unsafe.Offsetof(a.Existed), unsafe.Offsetof(c.existed)},
		{"arg.old", unsafe.Offsetof(a.Old), unsafe.Offsetof(c.old)},
		{"arg.old_len", unsafe.Offsetof(a.OldLen), unsafe.Offsetof(c.old_len)},
		{"arg.old_tag", unsafe.Offsetof(a.OldTag), unsafe.Offsetof(c.old_tag)},
		{"arg.answer", unsafe.Offsetof(a.Answer), unsafe.Offsetof(c.answer)},
		{"arg.reply", unsafe.Offsetof(a.Reply), unsafe.Offsetof(c.reply)},
		{"arg.function", unsafe.Offsetof(a.Function), unsafe.Offsetof(c.function)},
		{"arg.got", unsafe.Offsetof(a.Got), unsafe.Offsetof(c.got)},
	}
}
