package client

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"time"
)

// pipeBuffer is what Pipe gathers before it writes.
const pipeBuffer = 64 << 10

// Pipe sends commands in their wire form as fast as the socket takes them,
// while another goroutine reads the replies. It is for bulk loading: nothing
// is sent twice.
type Pipe struct {
	conn *Conn
	nc   net.Conn
	out  *bufio.Writer
	sent int64
	part bool // a command was begun that is not whole

	answered atomic.Int64
	goal     atomic.Int64 // how many replies are to come in all; -1: not known yet
	onError  func(n int64, err *ServerError)
	done     chan error
}

// NewPipe takes over the connection until Finish. onError is told of each
// command that the server refused, by its number from 0; it runs on the
// goroutine that reads.
func (c *Conn) NewPipe(onError func(n int64, err *ServerError)) (*Pipe, error) {
	if _, err := c.Do("PING"); err != nil { // takes the answer to HELLO away
		var refused *ServerError
		if !errors.As(err, &refused) {
			return nil, err
		}
	}
	p := &Pipe{conn: c, nc: c.nc, onError: onError, done: make(chan error, 1)}
	p.out = bufio.NewWriterSize(c.nc, pipeBuffer)
	p.goal.Store(-1)
	go func() { p.done <- p.read() }()
	return p, nil
}

// Send writes n commands that stand whole in wire.
func (p *Pipe) Send(wire []byte, n int64) error {
	p.sent += n
	_, err := p.out.Write(wire)
	p.part = p.part && err != nil
	return err
}

// Part begins a command that is too long to be held: write puts out the
// beginning of its wire form, and Send, with the rest, makes it whole. After a
// command that is not made whole there can only be Finish.
func (p *Pipe) Part(write func(io.Writer) error) error {
	p.part = true
	return write(p.out)
}

// SendCommand writes one command.
func (p *Pipe) SendCommand(args ...[]byte) error {
	return p.Send(AppendCommand(p.out.AvailableBuffer(), args...), 1)
}

// Flush writes what was gathered.
func (p *Pipe) Flush() error { return p.out.Flush() }

// Sent is how many commands were handed to Send.
func (p *Pipe) Sent() int64 { return p.sent }

// Answered is how many replies came; it may be asked from any goroutine.
func (p *Pipe) Answered() int64 { return p.answered.Load() }

// Finish sends the rest, waits for all replies and closes the connection. A
// command that is not whole is given up: the server forgets it.
func (p *Pipe) Finish() error {
	if p.part {
		return p.giveUp()
	}
	p.goal.Store(p.sent + 1)
	err := p.Send([]byte("*1\r\n$4\r\nPING\r\n"), 1) // ends the reader's waiting
	if err == nil {
		err = p.out.Flush()
	}
	if err != nil {
		_ = p.nc.Close()
	}
	if cause := <-p.done; cause != nil {
		err = cause
	}
	p.conn.fail()
	if err != nil && p.answered.Load() < p.sent {
		p.sent--
		return &PipeError{Sent: p.sent, Answered: min(p.answered.Load(), p.sent), Err: err}
	}
	p.sent--
	return nil
}

// withheld is how long no reply comes until a server that waits for the rest of
// a command is told that there is none.
const withheld = 200 * time.Millisecond

// giveUp waits for the replies to what was sent whole.
func (p *Pipe) giveUp() error {
	err := p.out.Flush()
	last, since := p.answered.Load(), time.Now()
	for err == nil && p.answered.Load() < p.sent {
		select {
		case err = <-p.done:
			p.done <- err
		case <-time.After(time.Millisecond):
		}
		if n := p.answered.Load(); n != last {
			last, since = n, time.Now()
		} else if half, ok := p.nc.(interface{ CloseWrite() error }); ok && time.Since(since) > withheld {
			_ = half.CloseWrite() // the connection may be gone, as the reader will see
		}
	}
	_ = p.nc.Close()
	<-p.done
	p.conn.fail()
	if n := p.answered.Load(); n < p.sent {
		return &PipeError{Sent: p.sent, Answered: n, Err: err}
	}
	return nil
}

// read takes the replies.
func (p *Pipe) read() error {
	in := &p.conn.in
	for {
		in.begin()
		head, err := in.Next()
		if err != nil {
			return p.stop(err)
		}
		switch head.Kind {
		case Push:
			if err := in.skip(); err != nil {
				return p.stop(err)
			}
			continue
		case Error, BlobError:
			text := string(head.Text)
			if head.Kind == BlobError {
				whole, err := in.all()
				if err != nil {
					return p.stop(err)
				}
				text = string(whole)
			}
			p.onError(p.answered.Load(), newServerError(text))
		}
		if err := in.skip(); err != nil {
			return p.stop(err)
		}
		if n := p.answered.Add(1); n == p.goal.Load() {
			return nil
		}
	}
}

// stop ends the writer, too.
func (p *Pipe) stop(err error) error {
	_ = p.nc.Close()
	return err
}

// PipeError says that a bulk load broke off.
type PipeError struct {
	Sent, Answered int64
	Err            error
}

// Error says how far it came.
func (e *PipeError) Error() string {
	return fmt.Sprintf("connection lost after %d commands were answered", e.Answered)
}

// Unwrap is the error of the connection.
func (e *PipeError) Unwrap() error { return e.Err }

// AppendCommand appends the wire form of a command.
func AppendCommand(b []byte, args ...[]byte) []byte { return appendArgs(b, args) }

// appendArgs appends args as an array of bulk strings.
func appendArgs[T string | []byte](b []byte, args []T) []byte {
	b = appendHead(b, '*', len(args))
	for _, a := range args {
		b = appendHead(b, '$', len(a))
		b = append(b, a...)
		b = append(b, '\r', '\n')
	}
	return b
}

// appendHead appends a kind and a length.
func appendHead(b []byte, kind byte, n int) []byte {
	b = append(b, kind)
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, '\r', '\n')
}

// Exchange writes commands in their wire form and reads their n replies; each
// is told of every head. It is for measuring: nothing is sent twice, and no
// value is kept.
func (c *Conn) Exchange(wire []byte, n int, each func(i int, head Token)) error {
	if c.nc == nil || c.hello || len(c.queue) > 0 {
		return errors.New("client: Exchange on a connection that is not at rest")
	}
	if _, err := c.nc.Write(wire); err != nil {
		return err
	}
	for i := 0; i < n; {
		c.in.begin()
		head, err := c.in.Next()
		if err != nil {
			return err
		}
		if head.Kind != Push {
			each(i, head)
			i++
		}
		if err := c.in.skip(); err != nil {
			return err
		}
	}
	return nil
}

// Raw writes a command without awaiting its reply; Next gives that like all
// else that comes. It is for connections that listen: subscriptions, MONITOR,
// tracking. A lost connection shows as an error and is not replaced.
func (c *Conn) Raw(args ...string) error {
	if c.hello {
		if _, err := c.Do("PING"); err != nil { // takes the answer to HELLO away
			return err
		}
	}
	if c.nc == nil {
		return net.ErrClosed
	}
	_, err := c.nc.Write(appendArgs(nil, args))
	return err
}

// Next reads whatever comes next: a reply or a push.
func (c *Conn) Next() (Reply, error) {
	if c.nc == nil {
		return Reply{}, net.ErrClosed
	}
	c.in.begin()
	return c.in.reply(0)
}

// IsLoss reports whether err means that a connection is gone.
func IsLoss(err error) bool { return err != nil && isLoss(err) }
