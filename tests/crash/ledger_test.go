package crash

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kvstored/pkg/client"
)

// missing stands for the value of a key that is not there.
const missing = "\x00missing"

// ledger is a client that knows for each of its keys which values it may have:
// the one that was acknowledged last, and those after it whose outcome nobody knows.
type ledger struct {
	socket string
	number int
	pad    string // what values end with
	may    map[string][]string

	writes, refused, unknown, reads int
}

const ledgerKeys = 40

// step does one request. An error is an answer that must not be.
func (l *ledger) step(c *client.Conn, n int) error {
	key := fmt.Sprintf("ledger:%d:%d", l.number, rand.IntN(ledgerKeys))
	if l.may[key] == nil {
		l.may[key] = []string{missing}
	}
	switch rand.IntN(10) {
	case 0, 1:
		return l.get(c, key)
	case 2:
		return l.write(c, key, missing, "DEL", key)
	}
	value := fmt.Sprintf("%d:%d:%s", l.number, n, l.pad)
	return l.write(c, key, value, "SET", key, value)
}

// write changes a key, and notes what it may have from now on.
func (l *ledger) write(c *client.Conn, key, value string, args ...string) error {
	reply, err := c.Do(args...)
	if err == nil {
		err = reply.Err()
	}
	switch {
	case err == nil:
		l.writes++
		l.may[key] = []string{value}
	case isRefusal(err):
		l.refused++
		time.Sleep(time.Millisecond)
	case isUnknown(err):
		l.unknown++
		l.may[key] = append(l.may[key], value)
	case isError(err):
		return fmt.Errorf("%s: %w", args[0], err)
	default: // the connection broke
		l.may[key] = append(l.may[key], value)
		return errBroken
	}
	return nil
}

// get reads a key and compares.
func (l *ledger) get(c *client.Conn, key string) error {
	reply, err := c.Do("GET", key)
	if err == nil {
		err = reply.Err()
	}
	switch {
	case err != nil && isUnknown(err):
		return nil
	case err != nil && isError(err):
		return readRefused{err}
	case err != nil:
		return errBroken
	}
	l.reads++
	value := reply.Text()
	if reply.IsNil() {
		value = missing
	}
	if !slices.Contains(l.may[key], value) {
		return fmt.Errorf("%s is %.60q, it may be %.200q", key, value, l.may[key])
	}
	return nil
}

// readRefused is an error that the daemon answered to a GET.
type readRefused struct{ err error }

func (e readRefused) Error() string { return "GET: " + e.err.Error() }
func (e readRefused) Unwrap() error { return e.err }

func isReadRefused(err error) bool {
	var e readRefused
	return errors.As(err, &e)
}

// settle reads all keys of a store that nobody writes to: they are what they are.
func (l *ledger) settle() error {
	c, err := client.Dial(l.socket)
	if err != nil {
		return err
	}
	defer c.Close()
	for key := range l.may {
		reply, err := c.Do("GET", key)
		if err != nil {
			return err
		}
		value := reply.Text()
		if reply.IsNil() {
			value = missing
		}
		if !slices.Contains(l.may[key], value) {
			return fmt.Errorf("%s is %.60q, it may be %.200q", key, value, l.may[key])
		}
		l.may[key] = []string{value}
	}
	return nil
}

var errBroken = errors.New("the connection broke")

func isError(err error) bool {
	var e *client.ServerError
	return errors.As(err, &e)
}

// isRefusal tells whether a write was not done since the disk cannot keep it.
func isRefusal(err error) bool {
	return isError(err) && (strings.HasPrefix(err.Error(), "MISCONF") || strings.HasPrefix(err.Error(), "READONLY") || strings.HasPrefix(err.Error(), "ERR input/output error in the engine"))
}

func isUnknown(err error) bool {
	return isError(err) && strings.Contains(err.Error(), "outcome unknown")
}

// ledgers are several that work at the same time.
type ledgers struct {
	all  []*ledger
	told atomic.Bool
	wait sync.WaitGroup
	lock sync.Mutex
	errs []error // guarded by lock
}

func newLedgers(socket string, n, pad int) *ledgers {
	ls := &ledgers{}
	for i := range n {
		ls.all = append(ls.all, &ledger{socket: socket, number: i, pad: strings.Repeat("p", pad), may: map[string][]string{}})
	}
	return ls
}

// begin has them work, through restarts, until end.
func (ls *ledgers) begin() {
	ls.told.Store(false)
	for _, l := range ls.all {
		ls.wait.Add(1)
		go func() {
			defer ls.wait.Done()
			for n := 0; !ls.told.Load(); time.Sleep(2 * time.Millisecond) {
				c, err := client.Dial(l.socket)
				if err != nil {
					continue
				}
				for err = nil; err == nil && !ls.told.Load(); n++ {
					err = l.step(c, n)
				}
				c.Close()
				if err != nil && err != errBroken {
					ls.lock.Lock()
					ls.errs = append(ls.errs, err)
					ls.lock.Unlock()
					return
				}
			}
		}()
	}
}

// end has them stop; the error is the first answer that must not have been.
func (ls *ledgers) end() error {
	ls.told.Store(true)
	ls.wait.Wait()
	ls.lock.Lock()
	defer ls.lock.Unlock()
	errs := ls.errs
	ls.errs = nil
	if len(errs) > 0 {
		return errs[0]
	}
	return nil
}

// settle reads everything.
func (ls *ledgers) settle() error {
	for _, l := range ls.all {
		if err := l.settle(); err != nil {
			return err
		}
	}
	return nil
}

func (ls *ledgers) String() string {
	var sum ledger
	for _, l := range ls.all {
		sum.writes += l.writes
		sum.refused += l.refused
		sum.unknown += l.unknown
		sum.reads += l.reads
	}
	return fmt.Sprintf("%d writes acknowledged, %d refused, %d of unknown outcome, %d reads", sum.writes, sum.refused, sum.unknown, sum.reads)
}
