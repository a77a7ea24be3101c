package crash

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kvstored/pkg/client"
)

const (
	cacheLimit  = 8 << 20
	cacheWindow = 8000 // newest keys of a client that are looked at
	cacheNewest = 120  // keys of all clients that cannot have been evicted
)

// cache is a client of a store that evicts. Its keys are numbered as they are made; each has
// versions.
type cache struct {
	socket string
	number int
	ttl    bool

	order *atomic.Int64 // how many keys all clients have made
	born  int64         // how many, when this life of the daemon began
	made  map[int]int64 // which of them a key is
	next  int
	has   map[int]int // the version that was acknowledged last
	may   map[int]int // one whose outcome is unknown
	gone  map[int]bool
}

func (c *cache) key(i int) string { return fmt.Sprintf("cache:%d:%d", c.number, i) }

var filler = strings.Repeat("f", 900)

// set writes a version of a key. The later a key was made, the later it expires.
func (c *cache) set(conn *client.Conn, i, version int) error {
	args := []string{"SET", c.key(i), fmt.Sprintf("%d %d %s", i, version, filler)}
	if c.made[i] == 0 {
		c.made[i] = c.order.Add(1)
	}
	if c.ttl {
		args = append(args, "PX", strconv.FormatInt(3_600_000+1000*c.made[i], 10))
	}
	reply, err := conn.Do(args...)
	if err == nil {
		err = reply.Err()
	}
	if err != nil {
		c.may[i] = version
		if isError(err) && !isUnknown(err) {
			return err
		}
		return errBroken
	}
	c.has[i] = version
	delete(c.may, i)
	delete(c.gone, i)
	return nil
}

// look reads a key: what was evicted stays away, what is there is the newest.
func (c *cache) look(conn *client.Conn, i int) (there bool, err error) {
	reply, err := conn.Do("GET", c.key(i))
	if err != nil {
		return false, errBroken
	}
	if err := reply.Err(); err != nil {
		return false, err
	}
	pending, isPending := c.may[i]
	if reply.IsNil() {
		c.gone[i] = !isPending
		return false, nil
	}
	var number, version int
	fmt.Sscanf(reply.Text(), "%d %d", &number, &version)
	switch {
	case number != i || !strings.HasSuffix(reply.Text(), filler):
		return true, fmt.Errorf("%s is %.40q", c.key(i), reply.Text())
	case isPending && version == pending:
	case c.gone[i]:
		return true, fmt.Errorf("%s was evicted, and came back with version %d", c.key(i), version)
	case version != c.has[i]:
		return true, fmt.Errorf("%s has version %d; %d was acknowledged", c.key(i), version, c.has[i])
	}
	return true, nil
}

// step does one request.
func (c *cache) step(conn *client.Conn) error {
	i := c.next - 1 - rand.IntN(min(c.next, cacheWindow)+1)
	switch at := rand.IntN(10); {
	case at < 6 || i < 0:
		c.next++
		return c.set(conn, c.next-1, 1)
	case at < 8:
		return c.set(conn, i, max(c.has[i], c.may[i])+1)
	}
	_, err := c.look(conn, i)
	return err
}

// settle looks at everything after a start: how many of the newest are lost.
func (c *cache) settle() (lost int, err error) {
	conn, err := client.Dial(c.socket)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	for i := c.next - 1; i >= max(0, c.next-cacheWindow); i-- {
		known := c.gone[i]
		there, err := c.look(conn, i)
		if err != nil {
			return lost, err
		}
		newest := c.order.Load()-c.made[i] < cacheNewest && c.made[i] > c.born
		if _, acknowledged := c.has[i]; acknowledged && newest && !there && !known {
			lost++
		}
	}
	return lost, nil
}

// settleAll looks at everything after a start. Of the newest keys of the life before it, which were far
// from going then, only those are lost that it has evicted since: it may not know any more which are
// the newest, and so a life in which few keys were made has evicted newer ones of those before.
func (h *house) settleAll(all []*cache) {
	h.t.Helper()
	sum := 0
	for _, c := range all {
		lost, err := c.settle()
		if err != nil {
			h.t.Fatalf("%v\n%s", err, h.log)
		}
		sum += lost
	}
	if evicted := h.figure("evicted_keys"); sum > evicted {
		h.t.Fatalf("of the newest keys %d are lost, and %d were evicted\n%s", sum, evicted, h.log)
	}
}

// runCaches has them work at the same time until told, and waits for their end: each ends
// its last request, for which the daemon must be there.
func runCaches(all []*cache) (told *atomic.Bool, end func() error) {
	told = new(atomic.Bool)
	var wait sync.WaitGroup
	errs := make(chan error, len(all))
	for _, c := range all {
		c.born = c.order.Load()
		wait.Add(1)
		go func() {
			defer wait.Done()
			for !told.Load() {
				conn, err := client.Dial(c.socket)
				for err == nil && !told.Load() {
					err = c.step(conn)
				}
				if conn != nil {
					conn.Close()
				}
				if err != nil && isError(err) || err != nil && conn != nil && err != errBroken {
					errs <- err
					return
				}
			}
		}()
	}
	return told, func() error {
		told.Store(true)
		wait.Wait()
		select {
		case err := <-errs:
			return err
		default:
			return nil
		}
	}
}

// figure is a field of INFO.
func (h *house) figure(name string) int {
	h.t.Helper()
	c, err := client.Dial(h.path("s"))
	if err != nil {
		h.t.Fatal(err)
	}
	defer c.Close()
	reply, err := c.Do("INFO", "everything")
	if err != nil {
		h.t.Fatal(err)
	}
	for line := range strings.Lines(reply.Text()) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(value))
			return n
		}
	}
	h.t.Fatalf("INFO has no %s", name)
	return 0
}

// size is how many keys there are.
func (h *house) size() int {
	h.t.Helper()
	c, err := client.Dial(h.path("s"))
	if err != nil {
		h.t.Fatal(err)
	}
	defer c.Close()
	reply, err := c.Do("DBSIZE")
	if err != nil {
		h.t.Fatal(err)
	}
	n, _ := strconv.Atoi(reply.Text())
	return n
}

// within waits until the data is below the limit, but for a few pages that are partly used.
func (h *house) within(limit int) {
	h.t.Helper()
	limit += limit / 16
	for end := time.Now().Add(20 * time.Second); h.figure("reserved_memory") > limit; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			before := h.figure("evicted_keys")
			time.Sleep(time.Second)
			h.t.Fatalf("the data takes %d bytes, the limit is %d; %d keys of %d bytes, %d, then %d evicted\n%s", h.figure("reserved_memory"), limit,
				h.size(), h.figure("used_memory_dataset"), before, h.figure("evicted_keys"), h.log)
		}
	}
}

// TestKilledWhileItEvicts: what was evicted does not come back, what is there is
// the newest, the newest keys are there, and the limit holds after the start, a smaller one, too.
func TestKilledWhileItEvicts(t *testing.T) {
	for _, policy := range []string{"allkeys-s3fifo", "volatile-ttl"} {
		for _, mode := range []string{"always", "interval"} {
			t.Run(policy+" "+mode, func(t *testing.T) {
				t.Parallel()
				h := newHouse(t, "hash", "Sync="+mode, fmt.Sprint("MaxMemory=", cacheLimit), "MaxMemoryPolicy="+policy)
				h.start()
				h.answers()
				var all []*cache
				order := new(atomic.Int64)
				for i := range 4 {
					all = append(all, &cache{socket: h.path("s"), number: i, ttl: policy == "volatile-ttl",
						order: order, made: map[int]int64{}, has: map[int]int{}, may: map[int]int{}, gone: map[int]bool{}})
				}
				h.fillCaches(all)
				evicted := h.killCaches(all, *kills/5)
				t.Logf("killed %d times with %s and Sync=%s; %d keys were evicted, %d are there", *kills/5, policy, mode, evicted, h.size())
				h.shrink(all, mode, policy)
			})
		}
	}
}

// fillCaches writes until keys go.
func (h *house) fillCaches(all []*cache) {
	h.t.Helper()
	_, end := runCaches(all)
	for began := time.Now(); h.figure("evicted_keys") < 500; time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > 2*time.Minute {
			h.t.Fatal("nothing is evicted")
		}
	}
	if err := end(); err != nil {
		h.t.Fatal(err)
	}
}

// killCaches kills the daemon under them so often; how many keys were evicted at least.
func (h *house) killCaches(all []*cache, times int) (evicted int) {
	h.t.Helper()
	for range times {
		told, end := runCaches(all)
		time.Sleep(time.Duration(rand.IntN(250)) * time.Millisecond)
		before := h.size()
		evicted += h.figure("evicted_keys")
		time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
		told.Store(true)
		h.end(unix.SIGKILL)
		h.start()
		if err := end(); err != nil {
			h.t.Fatalf("%v\n%s", err, h.log)
		}
		h.answers()
		h.within(cacheLimit)
		h.settleAll(all)
		if after := h.size(); after < before*3/4 {
			h.t.Fatalf("%d keys were there, %d are after a kill", before, after)
		}
	}
	return evicted
}

// shrink starts it with less memory than the data takes.
func (h *house) shrink(all []*cache, mode, policy string) {
	h.t.Helper()
	h.end(unix.SIGKILL)
	h.configure("Sync="+mode, fmt.Sprint("MaxMemory=", cacheLimit/2), "MaxMemoryPolicy="+policy)
	h.start()
	h.answers()
	h.within(cacheLimit / 2)
	h.settleAll(all)
	left := h.size()
	h.end(unix.SIGKILL)
	h.configure("Sync="+mode, fmt.Sprint("MaxMemory=", cacheLimit/4), "MaxMemoryPolicy=noeviction")
	h.start()
	h.answers()
	if err := ask(h.path("s"), "SET", "one more", filler); err == nil || !strings.Contains(err.Error(), "OOM") {
		h.t.Errorf("a write above the limit: %v", err)
	}
	if now := h.size(); now != left {
		h.t.Errorf("%d keys were there, %d are with noeviction", left, now)
	}
	h.settleAll(all)
}
