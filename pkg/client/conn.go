package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	inlineWrite = 32 << 10 // a flush up to this size is written by the caller itself
	keepBuffer  = 1 << 20  // a write buffer above this size is not kept
	maxSends    = 3        // a command that lost this many connections is not sent again
)

// Options says how to connect.  The zero value is a plain connection.
type Options struct {
	From   Source        // what named the path, for the text of errors
	DB     int           // the numbered database to select
	RESP3  bool          // ask for the newer protocol; a server without it is spoken to in the older
	Retry  time.Duration // how long to try again when a connection broke; 0 means 2 s, below 0 not at all
	OnPush func(Reply)   // takes what the server sends unasked; nil drops it

	// Dialer opens the connection in place of the socket at the path; its
	// errors are returned as they are.
	Dialer func(ctx context.Context) (net.Conn, error)
	// OnReconnect is told when a new connection has taken the place of a lost one.
	OnReconnect func()
}

// Conn is a connection to the daemon.
type Conn struct {
	path string
	opt  Options

	nc net.Conn // nil between a loss and the next command
	// live is nc for Interrupt, which another goroutine may call.
	live atomic.Pointer[net.Conn]
	in   Stream
	buf  []byte // commands not yet flushed

	queue []request // commands sent or buffered whose replies are not yet read
	hello bool      // the answer to HELLO is still to come
	multi bool      // MULTI was answered, what ends it was not
	bound bool      // the connection has state (MULTI, WATCH, SUBSCRIBE) that a new one would lack

	writing chan error // non-nil while a flush runs in the background; gives its error
	broken  error      // why writing failed; the replies that came before are still read
	flushed int64      // bytes handed to the socket of nc; the writer's while writing is non-nil
	queued  int64      // bytes ever put into buf for nc
}

// request is a command whose reply is awaited.
type request struct {
	args []string
	end  int64 // the value of queued behind it: sent in full when flushed has reached it
	sent int   // how many connections it went through before
}

// Dial connects to the daemon at path; the empty path means the socket that
// Locate finds.
func Dial(path string) (*Conn, error) {
	return DialOptions(context.Background(), path, Options{})
}

// DialOptions connects as opt says.  ctx bounds connecting, nothing later.
func DialOptions(ctx context.Context, path string, opt Options) (*Conn, error) {
	if path == "" {
		path, opt.From = Locate("")
	}
	c := &Conn{path: path, opt: opt}
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Path is the path of the socket.
func (c *Conn) Path() string { return c.path }

// Close closes the connection.  Replies not yet read are lost.
func (c *Conn) Close() error {
	c.fail()
	return nil
}

// SetDeadline bounds all reading and writing of the present connection.
func (c *Conn) SetDeadline(t time.Time) error {
	if c.nc == nil {
		return nil
	}
	return c.nc.SetDeadline(t)
}

// connect opens the socket and restores what belongs to the connection.
func (c *Conn) connect(ctx context.Context) error {
	nc, err := c.open(ctx)
	if err != nil {
		return err
	}
	c.nc, c.buf = nc, c.buf[:0]
	c.live.Store(&nc)
	c.in = Stream{r: bufio.NewReaderSize(nc, readBuffer)}
	c.broken, c.multi, c.bound, c.flushed, c.queued = nil, false, false, 0, 0
	if c.opt.RESP3 {
		c.put([]string{"HELLO", "3"})
		c.hello = true
	}
	if c.opt.DB == 0 {
		return nil
	}
	if err := c.selectDB(); err != nil {
		c.drop()
		return err
	}
	return nil
}

// open opens the socket.
func (c *Conn) open(ctx context.Context) (net.Conn, error) {
	if c.opt.Dialer != nil {
		return c.opt.Dialer(ctx)
	}
	nc, err := dialSocket(ctx, c.path)
	if err != nil {
		return nil, newConnectError(c.path, c.opt.From, err)
	}
	return nc, nil
}

// Interrupt ends whatever waits for the server now, with a time-out.  It may
// be called from any goroutine.
func (c *Conn) Interrupt() {
	if nc := c.live.Load(); nc != nil {
		_ = (*nc).SetDeadline(time.Unix(1, 0))
	}
}

// Connected reports whether there is a connection; after a loss there is none
// until the next command.
func (c *Conn) Connected() bool { return c.nc != nil }

// selectDB chooses the database before any command follows: pipelined behind a
// SELECT that fails, a command would reach the wrong one.
func (c *Conn) selectDB() error {
	c.put([]string{"SELECT", strconv.Itoa(c.opt.DB)})
	if err := c.Flush(); err != nil {
		return newConnectError(c.path, c.opt.From, err)
	}
	r, err := c.read()
	if err != nil {
		return newConnectError(c.path, c.opt.From, err)
	}
	return r.Err()
}

// Do sends one command and returns its reply.  An error of the server is both
// the reply and a *ServerError.
func (c *Conn) Do(args ...string) (Reply, error) {
	if len(c.queue) > 0 {
		return Reply{}, errors.New("client: Do while replies are outstanding")
	}
	if err := c.Send(args...); err != nil {
		return Reply{}, err
	}
	if err := c.Flush(); err != nil {
		return Reply{}, err
	}
	return c.Receive()
}

// Send puts a command into the buffer.  The strings are kept until its reply is read.
func (c *Conn) Send(args ...string) error {
	if len(args) == 0 {
		return errors.New("client: an empty command")
	}
	if c.nc == nil {
		if err := c.connect(context.Background()); err != nil {
			return err
		}
		c.reconnected()
	}
	c.put(args)
	c.queue = append(c.queue, request{args: args, end: c.queued})
	return nil
}

// put appends the wire form of a command.
func (c *Conn) put(args []string) {
	before := len(c.buf)
	c.buf = appendArgs(c.buf, args)
	c.queued += int64(len(c.buf) - before)
}

// Flush sends what Send has gathered.  While replies are outstanding, or much
// is to be sent, it is written in the background: a server that waits for its
// replies to be read would otherwise wait for us and we for it.  A failure
// shows in Receive, behind the replies that came before it.
func (c *Conn) Flush() error {
	c.await()
	if len(c.buf) == 0 || c.nc == nil || c.broken != nil {
		c.buf = c.buf[:0]
		return nil
	}
	buf, nc := c.buf, c.nc
	idle := len(c.queue) == 0 || c.queue[0].end > c.flushed
	if len(c.queue) <= 1 || idle && len(buf) <= inlineWrite {
		n, err := nc.Write(buf)
		c.flushed += int64(n)
		c.broken = err
		c.buf = recycle(buf)
		return nil
	}
	c.buf = nil
	done := make(chan error, 1)
	c.writing = done
	go func() {
		n, err := nc.Write(buf)
		c.flushed += int64(n) // read only after await
		done <- err
	}()
	return nil
}

// recycle returns buf empty, unless it is too big to keep.
func recycle(buf []byte) []byte {
	if cap(buf) > keepBuffer {
		return nil
	}
	return buf[:0]
}

// await waits for the background writer.
func (c *Conn) await() {
	if c.writing == nil {
		return
	}
	if err := <-c.writing; err != nil && c.broken == nil {
		c.broken = err
	}
	c.writing = nil
}

// drop closes the connection; the writer, if any, ends with it.
func (c *Conn) drop() {
	if c.nc == nil {
		return
	}
	_ = c.nc.Close()
	c.await()
	c.nc, c.hello = nil, false
}

// Receive reads the reply to the oldest command sent.
func (c *Conn) Receive() (Reply, error) {
	if len(c.queue) == 0 {
		return Reply{}, errors.New("client: Receive without a command")
	}
	for {
		r, err := c.read()
		if err == nil {
			c.answered(r.Kind)
			return r, r.Err()
		}
		if err := c.recover(err); err != nil {
			return Reply{}, err
		}
	}
}

// ReceiveStream begins to read the reply to the oldest command and hands it to
// walk, which need not read all of it.  An error of the server is an Error
// token like any other.  When the connection breaks inside walk the reply is
// not begun anew: walk's error is returned.
func (c *Conn) ReceiveStream(walk func(*Stream) error) error {
	if len(c.queue) == 0 {
		return errors.New("client: ReceiveStream without a command")
	}
	for {
		err := c.preamble()
		if err == nil {
			break
		}
		if err := c.recover(err); err != nil {
			return err
		}
	}
	head, _ := c.in.r.Peek(1)
	c.in.begin()
	lost := c.queue[0].args
	c.answered(Kind(head[0]))
	err := walk(&c.in)
	if err == nil {
		err = c.in.skip()
	}
	if err != nil && isLoss(err) {
		c.fail()
		return &LostError{Args: lost, Midway: true, Err: err, path: c.path}
	}
	return err
}

// Abandon closes the connection in place of reading the rest of a long reply.
// The next command connects anew.
func (c *Conn) Abandon() { c.fail() }

// read gives the next reply that answers a command.
func (c *Conn) read() (Reply, error) {
	if err := c.preamble(); err != nil {
		return Reply{}, err
	}
	c.in.begin()
	return c.in.reply(0)
}

// preamble takes away what stands before the next reply - the answer to HELLO,
// pushes - and waits for its first byte.
func (c *Conn) preamble() error {
	if c.nc == nil {
		return net.ErrClosed
	}
	if err := c.in.skipBody(); err != nil { // what nobody read of a Body
		return err
	}
	for {
		head, err := c.in.r.Peek(1)
		if err != nil {
			return noEOF(err)
		}
		push := Kind(head[0]) == Push
		if !push && !c.hello {
			return nil
		}
		c.in.begin()
		r, err := c.in.reply(0)
		if err != nil {
			return err
		}
		if push && c.opt.OnPush != nil {
			c.opt.OnPush(r)
		} else if !push {
			c.hello = false // refused or not: the reply says which protocol it is in
		}
	}
}

// answered takes the oldest request off the queue and notes what its success
// did to the connection.
func (c *Conn) answered(k Kind) {
	args := c.queue[0].args
	c.queue[0] = request{}
	c.queue = c.queue[1:]
	refused := k == Error || k == BlobError
	switch name := verb(args); {
	case name == "EXEC" && c.multi: // refused (EXECABORT) it ends MULTI, too
		c.multi, c.bound = false, false
	case refused || c.multi && name != "DISCARD" && name != "RESET": // or queued
	case name == "EXEC", name == "DISCARD", name == "UNWATCH", name == "RESET":
		c.multi, c.bound = false, false
	case name == "MULTI":
		c.multi, c.bound = true, true
	case name == "WATCH", name == "SUBSCRIBE", name == "PSUBSCRIBE", name == "MONITOR":
		c.bound = true
	case name == "SELECT":
		if n, err := strconv.Atoi(args[len(args)-1]); err == nil {
			c.opt.DB = n
		}
	}
}

// recover is called when the connection broke while commands wait for replies.
// Where all of them may be repeated it connects anew and sends them again;
// else it gives them up and names the first whose outcome is unknown.
func (c *Conn) recover(cause error) error {
	var protocol *ProtocolError
	if errors.As(cause, &protocol) || !isLoss(cause) {
		c.fail()
		return cause
	}
	queue, bound, multi := c.queue, c.bound, c.multi
	c.drop()
	// A Unix socket is reset only when its other end closed it without reading
	// all that we had sent: the last command at least was not read to its end.
	reset := errors.Is(cause, syscall.ECONNRESET)
	var lost *LostError
	for i, q := range queue {
		unread := q.end > c.flushed || reset && i == len(queue)-1
		if !bound && q.sent < maxSends && (unread || Repeatable(q.args)) {
			continue
		}
		if lost == nil {
			lost = &LostError{Args: q.args, Index: i, Bound: bound, Queued: multi, Err: cause, path: c.path}
		} else {
			lost.Others++
		}
		lost.Queued = lost.Queued && verb(q.args) != "EXEC"
	}
	c.queue = nil
	if lost != nil {
		return lost
	}
	if err := c.reconnect(); err != nil {
		return err
	}
	for _, q := range queue {
		if err := c.Send(q.args...); err != nil {
			return err
		}
		c.queue[len(c.queue)-1].sent = q.sent + 1
	}
	return c.Flush()
}

// reconnect tries again for a while: a daemon that restarts without systemd
// holding its socket is away for a moment.
func (c *Conn) reconnect() error {
	limit := c.opt.Retry
	if limit == 0 {
		limit = 2 * time.Second
	}
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		err := c.connect(context.Background())
		if err == nil {
			c.reconnected()
			return nil
		}
		if time.Now().After(end) {
			return err
		}
		var refused *ConnectError
		if !errors.As(err, &refused) || refused.Reason != Missing && refused.Reason != Refused {
			return err
		}
	}
}

// reconnected tells that a lost connection was replaced.
func (c *Conn) reconnected() {
	if c.opt.OnReconnect != nil {
		c.opt.OnReconnect()
	}
}

// fail gives up the connection and all that waits on it.
func (c *Conn) fail() {
	c.drop()
	c.queue, c.buf = nil, c.buf[:0]
}

// isLoss reports whether err means that the connection is gone, rather than
// that a deadline passed or the bytes made no sense.
func isLoss(err error) bool {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return false
	}
	var op *net.OpError
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &op)
}

// LostError says that the connection broke while a command was under way that
// may have been carried out, so that it was not repeated.
type LostError struct {
	Args   []string // the command
	Index  int      // how many commands before it had no reply yet; they only read
	Others int      // how many commands behind it have an unknown outcome too
	Bound  bool     // it belonged to a MULTI, WATCH or subscription, which the new connection would not have
	Queued bool     // it was for the queue of a MULTI whose EXEC was not sent: nothing was carried out
	Midway bool     // its reply had begun
	Err    error

	path string
}

// Error names the command and its key, never its values.
func (e *LostError) Error() string {
	if e.Midway {
		return fmt.Sprintf("connection lost in the middle of the reply to %s", e.Command())
	}
	if e.Others > 0 {
		return fmt.Sprintf("connection lost while %s and %d more were in flight", e.Command(), e.Others)
	}
	return fmt.Sprintf("connection lost while %s was in flight", e.Command())
}

// Unwrap is the error of the connection.
func (e *LostError) Unwrap() error { return e.Err }
