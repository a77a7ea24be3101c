package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	ownKeys    = 500 // keys that only one client touches
	sharedKeys = 4   // counters that all clients increment
)

// errClosed says that the server closed the connection or did not take it.
var errClosed = errors.New("connection closed")

// A client is one connection and what it knows of the store. Only sinceMark
// is touched by other goroutines.
type client struct {
	options
	number int
	run    string // this run's part of key names: an earlier one's data may be there
	conn   net.Conn
	in     *bufio.Reader
	out    []byte
	random *rand.Rand

	want   []string          // the answers to what is in out; see ask
	values map[string]string // own keys that are there
	// touched are the keys that the last request may have changed; with -restarts only.
	touched map[string]bool
	count   int64 // own counter

	commands, increments, reconnects int64
	times                            histogram
	sinceMark                        atomic.Int64 // longest request since the last mark, ns
}

func newClient(o options, run string, number int) *client {
	return &client{options: o, number: number, run: run, values: map[string]string{}, touched: map[string]bool{},
		random: rand.New(rand.NewPCG(uint64(number), 1))}
}

func (c *client) connect() error {
	conn, err := net.Dial("unix", c.socket)
	if err != nil {
		return err
	}
	c.conn, c.in = conn, bufio.NewReaderSize(conn, 64<<10)
	return nil
}

// Answers that ask takes besides the text itself.
const (
	missing = "\x00missing" // no such key
	number  = "\x00number"  // any integer
)

// ask adds a command to the next request, with the answer it must get.
func (c *client) ask(want string, args ...string) {
	c.out = fmt.Appendf(c.out, "*%d\r\n", len(args))
	for _, a := range args {
		c.out = fmt.Appendf(c.out, "$%d\r\n%s\r\n", len(a), a)
	}
	c.want = append(c.want, want)
}

// exchange sends the request and compares its answers.
func (c *client) exchange() error {
	defer func() { c.out, c.want = c.out[:0], c.want[:0] }()
	start := time.Now()
	if _, err := c.conn.Write(c.out); err != nil {
		return fmt.Errorf("%w: %v", errClosed, err)
	}
	for i, want := range c.want {
		got, err := c.answer()
		if err != nil {
			return fmt.Errorf("answer %d of %d: %w", i+1, len(c.want), err)
		}
		if !matches(got, want) {
			return fmt.Errorf("answer %d of %d is %.80q, must be %.80q; the request was %.300q", i+1, len(c.want), got, want, c.out)
		}
	}
	took := time.Since(start)
	c.commands += int64(len(c.want))
	c.times.record(took)
	for old := c.sinceMark.Load(); int64(took) > old && !c.sinceMark.CompareAndSwap(old, int64(took)); {
		old = c.sinceMark.Load()
	}
	return nil
}

func matches(got, want string) bool {
	if want == number {
		_, err := strconv.ParseInt(got, 10, 64)
		return err == nil
	}
	return got == want
}

// answer reads one answer; an error answer is an error.
func (c *client) answer() (string, error) {
	line, err := c.in.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("%w: %v", errClosed, err)
	}
	line = strings.TrimSuffix(line, "\r\n")
	switch {
	case line == "$-1":
		return missing, nil
	case strings.HasPrefix(line, "+"), strings.HasPrefix(line, ":"):
		return line[1:], nil
	case strings.HasPrefix(line, "$"):
		n, err := strconv.Atoi(line[1:])
		if err != nil || n < 0 {
			return "", fmt.Errorf("a length that cannot be: %q", line)
		}
		body := make([]byte, n+2)
		if _, err := io.ReadFull(c.in, body); err != nil {
			return "", fmt.Errorf("%w: %v", errClosed, err)
		}
		return string(body[:n]), nil
	default:
		return "", fmt.Errorf("the server says %q", line)
	}
}

// hammer sends request after request until told to stop.
func (c *client) hammer(stop *atomic.Bool) error {
	for !stop.Load() {
		before := c.snapshot()
		for range 1 + c.random.IntN(16) {
			c.one()
		}
		err := c.exchange()
		for err != nil && c.restarts && errors.Is(err, errClosed) {
			err = c.reconnect(before)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// one adds one command of a random kind.
func (c *client) one() {
	key := c.own(c.random.IntN(ownKeys))
	old, there := c.values[key]
	if !there {
		old = missing
	}
	kind := c.random.IntN(8)
	if c.restarts && (kind < 2 || kind == 3 || kind == 6) {
		c.touched[key] = true
	}
	switch kind {
	case 0, 1:
		c.values[key] = c.value()
		c.ask("OK", "SET", key, c.values[key])
	case 2:
		c.ask(old, "GET", key)
	case 3:
		delete(c.values, key)
		c.ask(map[bool]string{true: "1", false: "0"}[there], "DEL", key)
	case 4:
		c.count++
		c.ask(strconv.FormatInt(c.count, 10), "INCR", c.counter())
	case 5:
		c.increments++
		c.ask(number, "INCR", c.sharedKey(c.random.IntN(sharedKeys)))
	case 6:
		c.append(key)
	case 7:
		c.filled(key, old)
	}
}

// append adds an APPEND, as long as the value stays below the limit.
func (c *client) append(key string) {
	if len(c.values[key]) > c.options.values {
		c.ask(c.values[key], "GET", key)
		return
	}
	c.values[key] += "+more"
	c.ask(strconv.Itoa(len(c.values[key])), "APPEND", key, "+more")
}

// filled reads a key of an earlier -fill, or one of our own without it.
func (c *client) filled(key, old string) {
	if c.keys == 0 {
		c.ask(old, "GET", key)
		return
	}
	i := c.random.IntN(c.keys)
	c.ask(fillValue(i), "GET", fillKey(i))
}

func (c *client) own(i int) string       { return fmt.Sprintf("own:%s:%d:%d", c.run, c.number, i) }
func (c *client) sharedKey(i int) string { return fmt.Sprintf("shared:%s:%d", c.run, i) }
func (c *client) counter() string        { return fmt.Sprintf("count:%s:%d", c.run, c.number) }

// value makes a value that no other SET has.
func (c *client) value() string {
	return fmt.Sprintf("%d-%d-%s", c.number, c.commands+int64(len(c.want)),
		strings.Repeat("v", c.random.IntN(c.options.values)))
}

// known is what had been answered before a request.
type known struct {
	increments, count int64
	values            map[string]string // with -restarts only
}

// snapshot is what reconnect needs to judge what the server kept.
func (c *client) snapshot() known {
	k := known{increments: c.increments, count: c.count}
	if c.restarts {
		k.values = maps.Clone(c.values)
		clear(c.touched)
	}
	return k
}

// reconnect goes on after the server was restarted: all that was answered must
// be there. What became of the request that was not is taken as it is found.
func (c *client) reconnect(before known) error {
	c.conn.Close()
	c.reconnects++
	c.increments = before.increments
	if err := c.connect(); err != nil {
		return fmt.Errorf("connecting again: %w", err)
	}
	for i := range ownKeys {
		key := c.own(i)
		got, err := c.read(key)
		if err != nil {
			return err
		}
		want, there := before.values[key]
		if !there {
			want = missing
		}
		if got != want && !c.touched[key] {
			return fmt.Errorf("after a restart %s is %.80q, must be %.80q", key, got, want)
		}
		delete(c.values, key)
		if got != missing {
			c.values[key] = got
		}
	}
	return c.recount(before.count)
}

// recount takes the counter as it is, between what was answered and asked for.
func (c *client) recount(answered int64) error {
	got, err := c.read(c.counter())
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(got, 10, 64)
	if got == missing {
		n, err = 0, nil
	}
	if err != nil || n < answered || n > c.count {
		return fmt.Errorf("after a restart %s is %q, must be from %d to %d", c.counter(), got, answered, c.count)
	}
	c.count = n
	return nil
}

// read is the value of a key now.
func (c *client) read(key string) (string, error) {
	c.ask("", "GET", key)
	_, err := c.conn.Write(c.out)
	c.out, c.want = c.out[:0], c.want[:0]
	if err != nil {
		return "", fmt.Errorf("%w: %v", errClosed, err)
	}
	return c.answer()
}

// readBack compares everything that this client owns with what it knows, and
// the first client the filled keys as well.
func (c *client) readBack() (checked int64, err error) {
	for i := range ownKeys {
		key := c.own(i)
		want, there := c.values[key]
		if !there {
			want = missing
		}
		c.ask(want, "GET", key)
	}
	if c.count > 0 {
		c.ask(strconv.FormatInt(c.count, 10), "GET", c.counter())
	}
	checked = int64(len(c.want))
	if err := c.exchange(); err != nil || c.number != 0 {
		return checked, err
	}
	for from := 0; from < c.keys; from += 1000 {
		for i := from; i < min(from+1000, c.keys); i++ {
			c.ask(fillValue(i), "GET", fillKey(i))
			if c.expires(i) {
				c.ask(fillExpiry(i), "PEXPIRETIME", fillKey(i))
			} else if c.expiring {
				c.ask("-1", "PEXPIRETIME", fillKey(i))
			}
		}
		checked += int64(len(c.want))
		if err := c.exchange(); err != nil {
			return checked, err
		}
	}
	return checked, nil
}

// shared adds up the counters that all clients incremented.
func (c *client) shared() (sum int64, err error) {
	for i := range sharedKeys {
		key := c.sharedKey(i)
		c.ask(number, "INCRBY", key, "0")
		c.conn.Write(c.out)
		c.out, c.want = c.out[:0], c.want[:0]
		text, err := c.answer()
		if err != nil {
			return 0, fmt.Errorf("reading %s: %w", key, err)
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s holds %q", key, text)
		}
		sum += n
	}
	return sum, nil
}
