package client

import (
	"errors"
	"io"
)

// Body is a string that is read while it arrives. What is left unread of it is
// passed over by the next call on its connection.
type Body struct {
	N    int64 // its length
	conn *Conn
	in   *Stream
	args []string
}

// ReceiveUpTo reads the reply to the oldest command like Receive, unless that
// is a string of more than limit bytes: then the Reply is empty, and the string
// is to be read from the Body.
func (c *Conn) ReceiveUpTo(limit int64) (Reply, *Body, error) {
	if len(c.queue) == 0 {
		return Reply{}, nil, errors.New("client: ReceiveUpTo without a command")
	}
	for {
		r, long, err := c.readUpTo(limit)
		if err == nil {
			if long != nil {
				long.args = c.queue[0].args
			}
			c.answered(r.Kind)
			return r, long, r.Err()
		}
		if err := c.recover(err); err != nil {
			return Reply{}, nil, err
		}
	}
}

// readUpTo reads one reply, or the head of a string that is longer.
func (c *Conn) readUpTo(limit int64) (Reply, *Body, error) {
	if err := c.preamble(); err != nil {
		return Reply{}, nil, err
	}
	c.in.begin()
	head, err := c.in.Next()
	if err != nil {
		return Reply{}, nil, err
	}
	if head.Kind == Bulk && head.N > limit {
		return Reply{Kind: Bulk}, &Body{N: head.N, conn: c, in: &c.in}, nil
	}
	r, err := c.in.rest(head, 0)
	return r, nil, err
}

// Read gives the bytes, and io.EOF behind the last one. When the connection
// breaks the string is not asked for again: the error is a *LostError.
func (b *Body) Read(p []byte) (int, error) {
	n, err := b.in.Read(p)
	if err == io.EOF {
		if end := b.in.skipBody(); end != nil {
			err = end
		}
	}
	if err != nil && err != io.EOF && isLoss(err) {
		b.conn.fail()
		err = &LostError{Args: b.args, Midway: true, Err: err, path: b.conn.path}
	}
	return n, err
}
