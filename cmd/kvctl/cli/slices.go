package cli

import (
	"errors"

	"kvstored/pkg/client"
)

// atOnce is how many bytes of values are asked for at once: however large they
// are, a step of SCAN is never held whole.
const atOnce = 4 << 20

// slicer parts keys so that the values of each part are at most atOnce bytes,
// or one long value: a Redis gathers all replies that were asked for.
type slicer struct {
	keys    []client.Reply
	lengths []int64 // of the values, as they were
}

// newSlicer asks for the lengths of the values. Keys of other types, which only
// a Redis has, are left out and counted.
func newSlicer(c *client.Conn, keys []client.Reply) (s slicer, others int64, err error) {
	for _, key := range keys {
		if err := c.Send("STRLEN", string(key.Bytes)); err != nil {
			return s, 0, err
		}
	}
	if err := c.Flush(); err != nil {
		return s, 0, err
	}
	for _, key := range keys {
		length, err := c.Receive()
		var refused *client.ServerError
		if errors.As(err, &refused) && refused.Code == "WRONGTYPE" {
			others++
			continue
		} else if err != nil {
			return s, 0, err
		}
		s.keys, s.lengths = append(s.keys, key), append(s.lengths, length.Int)
	}
	return s, others, nil
}

// next takes the next part; empty at the end. large says that it is one key
// whose value is too long to be held.
func (s *slicer) next() (part []client.Reply, large bool) {
	if len(s.keys) > 0 && s.lengths[0] > longValue {
		part, s.keys, s.lengths = s.keys[:1], s.keys[1:], s.lengths[1:]
		return part, true
	}
	n, bytes := 0, int64(0)
	for n < len(s.keys) && s.lengths[n] <= longValue && bytes+s.lengths[n] <= atOnce {
		bytes += s.lengths[n]
		n++
	}
	part, s.keys, s.lengths = s.keys[:n], s.keys[n:], s.lengths[n:]
	return part, false
}
