package server

import (
	"slices"

	"kvstored/pkg/command"
	"kvstored/pkg/resp"
)

// hub knows who is subscribed to what. It belongs to the host, not to an
// engine, so a swap does not touch it. Only the reactor's goroutine uses it.
type hub struct {
	w      *worker
	topics [command.SubKinds]map[string]*topic
	order  []*topic // of the patterns: as they were first subscribed to
}

// topic is a channel or a pattern that somebody is subscribed to.
type topic struct {
	name string
	subs map[*client]struct{}
}

// clientOf is the connection behind a session.
func clientOf(s *command.Session) *client { return s.Owner.(*client) }

// Subscribe adds s to the subscribers of a name.
func (h *hub) Subscribe(s *command.Session, k command.SubKind, name []byte) {
	cl := clientOf(s)
	if cl.gone || cl.topics[k][string(name)] != nil {
		return
	}
	t := h.topics[k][string(name)]
	if t == nil {
		t = &topic{name: string(name), subs: map[*client]struct{}{}}
		if h.topics[k] == nil {
			h.topics[k] = map[string]*topic{}
		}
		h.topics[k][t.name] = t
		if k == command.Patterns {
			h.order = append(h.order, t)
		}
	}
	if cl.topics[k] == nil {
		cl.topics[k] = map[string]*topic{}
	}
	t.subs[cl], cl.topics[k][t.name] = struct{}{}, t
	s.Subs[k]++
	s.Confine()
}

// Unsubscribe takes s from the subscribers of a name.
func (h *hub) Unsubscribe(s *command.Session, k command.SubKind, name []byte) {
	cl := clientOf(s)
	if t := cl.topics[k][string(name)]; t != nil {
		h.leave(cl, k, t)
		s.Confine()
	}
}

func (h *hub) leave(cl *client, k command.SubKind, t *topic) {
	delete(cl.topics[k], t.name)
	cl.Subs[k]--
	delete(t.subs, cl)
	if len(t.subs) > 0 {
		return
	}
	delete(h.topics[k], t.name)
	if k == command.Patterns {
		// A copy: a message may be on its way along the old one.
		h.order = slices.DeleteFunc(slices.Clone(h.order), func(o *topic) bool { return o == t })
	}
}

// Leave ends all subscriptions, the tracking and the monitoring of s.
func (h *hub) Leave(s *command.Session) {
	cl := clientOf(s)
	h.w.tracker.leave(cl)
	h.w.monitors.leave(cl)
	for k, topics := range cl.topics {
		for _, t := range topics {
			h.leave(cl, command.SubKind(k), t)
		}
		cl.topics[k] = nil
	}
	s.Confine()
}

// Subscriptions is what s is subscribed to, in order.
func (h *hub) Subscriptions(s *command.Session, k command.SubKind) []string {
	return names(clientOf(s).topics[k])
}

// Topics is what anybody is subscribed to, in order.
func (h *hub) Topics(k command.SubKind) []string { return names(h.topics[k]) }

func names(topics map[string]*topic) []string {
	all := make([]string, 0, len(topics))
	for name := range topics {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// Receivers is how many are subscribed to a name.
func (h *hub) Receivers(k command.SubKind, name []byte) int {
	if t := h.topics[k][string(name)]; t != nil {
		return len(t.subs)
	}
	return 0
}

// Publish sends a message to the subscribers of a channel, then to those of
// the patterns that match, and returns to how many.
func (h *hub) Publish(k command.SubKind, channel, message []byte) int {
	n := 0
	if t := h.topics[k][string(channel)]; t != nil {
		n = h.send(t, kindOfMessage[k], nil, channel, message)
	}
	if k != command.Channels {
		return n
	}
	for _, t := range h.order {
		if command.Match([]byte(t.name), channel, false) {
			n += h.send(t, "pmessage", []byte(t.name), channel, message)
		}
	}
	return n
}

var kindOfMessage = [command.SubKinds]string{"message", "pmessage", "smessage"}

// send gives one message to all subscribers of a topic.
func (h *hub) send(t *topic, kind string, pattern, channel, message []byte) int {
	n := len(t.subs)
	l := newMessage(kind, pattern, channel, message)
	for cl := range t.subs {
		h.w.deliver(cl, l)
	}
	return n
}

// newMessage makes the push of a message; pattern nil: without one.
func newMessage(kind string, pattern, channel, message []byte) *letter {
	w := resp.Writer{Buf: make([]byte, 0, 64+len(kind)+len(pattern)+len(channel)+len(message))}
	if pattern != nil {
		w.Push(4)
		w.BulkString(kind)
		w.Bulk(pattern)
	} else {
		w.Push(3)
		w.BulkString(kind)
	}
	w.Bulk(channel)
	w.Bulk(message)
	return &letter{push: true, body: w.Buf}
}
