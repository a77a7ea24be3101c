package torture

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kvstored/pkg/engine/enginetest"
	"kvstored/pkg/resp"
	"kvstored/tests/daemontest"
)

var (
	inputs = flag.Int("inputs", 200_000, "how many malformed inputs to send (make torture: 1,000,000)")
	seed   = flag.Uint64("seed", 20, "seed of the malformed inputs")
)

// lengths are what stands in the place of a number.
var lengths = []string{"0", "-1", "-2", "1", "00", "+1", "65536", "1048577", "536870913", "2147483648",
	"9223372036854775807", "9223372036854775808", "18446744073709551615", "1e3", " 1", "", "x"}

// mutate damages a request in place or returns another one.
func mutate(r *rand.Rand, b []byte, corpus [][]byte) []byte {
	b = bytes.Clone(b)
	for range 1 + r.IntN(3) {
		if len(b) == 0 {
			return b
		}
		i := r.IntN(len(b))
		j := i + r.IntN(min(len(b)-i, 12)) + 1
		switch r.IntN(9) {
		case 0: // another byte
			b[i] = byte(r.Uint32())
		case 1: // another bit
			b[i] ^= 1 << r.IntN(8)
		case 2: // something missing
			b = slices.Delete(b, i, j)
		case 3: // something twice
			b = slices.Insert(b, i, bytes.Clone(b[i:j])...)
		case 4: // no end
			b = b[:i]
		case 5: // no beginning
			b = b[i:]
		case 6: // another length
			b = number(r, b)
		case 7: // the end of another request
			other := corpus[r.IntN(len(corpus))]
			b = append(b[:i], other[r.IntN(len(other)):]...)
		case 8: // bytes of the protocol
			b = slices.Insert(b, i, []byte([]string{"\r\n", "\n", "\r", "*", "$", "\x00", "\"", "'", "\\x", "*1\r\n", "$1\r\n"}[r.IntN(11)])...)
		}
	}
	return b
}

// number puts another number in the place of one of b's.
func number(r *rand.Rand, b []byte) []byte {
	var at []int
	for i, c := range b {
		if c >= '0' && c <= '9' && (i == 0 || b[i-1] < '0' || b[i-1] > '9') {
			at = append(at, i)
		}
	}
	if at == nil {
		return b
	}
	i := at[r.IntN(len(at))]
	j := i
	for j < len(b) && b[j] >= '0' && b[j] <= '9' {
		j++
	}
	return slices.Replace(b, i, j, []byte(lengths[r.IntN(len(lengths))])...)
}

// next is what one connection sends: malformed inputs, some of them amid valid
// requests, up to the one after which nothing more is looked at. n is how many.
func next(r *rand.Rand, corpus [][]byte) (text []byte, n int) {
	var p resp.Parser
	if r.IntN(8) == 0 {
		text = append(text, "HELLO 3\r\n"...)
	}
	for at := 0; n < 64; {
		valid := r.IntN(3) == 0
		if valid {
			text = append(text, corpus[r.IntN(len(corpus))]...)
		}
		text = append(text, mutate(r, corpus[r.IntN(len(corpus))], corpus)...)
		if valid {
			text = append(text, corpus[r.IntN(len(corpus))]...)
		}
		n++
		for {
			size, err := p.Next(bytes.Clone(text[at:])) // a line is changed in place
			at += size
			if err == resp.ErrIncomplete && p.Need() < 4096 {
				break
			}
			if err != nil {
				return text, n
			}
		}
	}
	return text, n
}

// deliver sends the text over a connection of its own, in one piece or several,
// and reads until the daemon has closed it: only whole replies may come.
func deliver(r *rand.Rand, t *testing.T, path string, text []byte) error {
	p := dial(t, path)
	defer p.Close()
	go func(pieces [][]byte) {
		for _, piece := range pieces {
			if _, err := p.Write(piece); err != nil {
				return // closed after an error of protocol
			}
		}
		p.CloseWrite()
	}(cut(r, text))
	got, err := io.ReadAll(p)
	if os.IsTimeout(err) {
		return fmt.Errorf("not closed within a minute, after %.300q", got)
	}
	if _, rest, err := replies(got); err != nil || len(rest) > 0 {
		return fmt.Errorf("half a reply: %.300q: %w", rest, err)
	}
	return nil
}

// cut is the text in one piece, or in two or three.
func cut(r *rand.Rand, text []byte) (pieces [][]byte) {
	for range r.IntN(6) - 3 {
		i := r.IntN(len(text) + 1)
		pieces, text = append(pieces, text[:i]), text[i:]
	}
	return append(pieces, text)
}

// verifier is a client that knows what every answer must be.
type verifier struct {
	answers int
	err     error // after the end
	stop    atomic.Bool
	done    sync.WaitGroup
}

// verify runs one until the returned function is called, which tells how many
// answers were right, or fails the test.
func verify(t *testing.T, path string) func() int {
	v := &verifier{}
	p := dial(t, path)
	v.done.Go(func() {
		defer p.Close()
		for i := 1; !v.stop.Load() && v.err == nil; i++ {
			v.err = v.round(p, i)
		}
	})
	return func() int {
		t.Helper()
		v.stop.Store(true)
		v.done.Wait()
		if v.err != nil {
			t.Errorf("the client beside, after %d right answers: %v", v.answers, v.err)
		}
		return v.answers
	}
}

func (v *verifier) round(p *peer, i int) error {
	p.SetDeadline(time.Now().Add(time.Minute))
	value := strings.Repeat(strconv.Itoa(i), 1+i%50)
	const key, count = "the verifying client: value", "the verifying client: count"
	fmt.Fprintf(p, "SET '%s' %s\r\nGET '%s'\r\nINCR '%s'\r\nMGET none:%d '%s'\r\n", key, value, key, count, i, count)
	n := strconv.Itoa(i)
	want := fmt.Sprintf("+OK\r\n$%d\r\n%s\r\n:%s\r\n*2\r\n$-1\r\n$%d\r\n%s\r\n", len(value), value, n, len(n), n)
	got := make([]byte, len(want))
	if k, err := io.ReadFull(p, got); err != nil || string(got) != want {
		return fmt.Errorf("got %.200q, %v\nwant %.200q", got[:k], err, want)
	}
	v.answers += 4
	return nil
}

var regexpNumber = regexp.MustCompile(`[0-9]+`)

// usage is what the daemon holds.
type usage struct{ files, threads, clients, rss int }

func measure(t *testing.T, d *daemontest.Daemon) (u usage) {
	t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(d.PID()))
	files, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		t.Fatal(err)
	}
	u.files = len(files)
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		t.Fatal(err)
	}
	u.rss, u.threads = field(status, "VmRSS:"), field(status, "Threads:")
	u.clients = field(ask(t, d.Socket, "PING \""+first+"\"\r\n", []byte("INFO clients\r\n")), "connected_clients:")
	return u
}

// field is the number after a name in a text of lines; -1 without it.
func field(text []byte, name string) int {
	_, rest, _ := bytes.Cut(text, []byte(name))
	n, err := strconv.Atoi(string(regexpNumber.Find(rest)))
	if err != nil {
		return -1
	}
	return n
}

// settled waits until what the daemon holds is within limits, or a minute.
func settled(t *testing.T, d *daemontest.Daemon, limit usage) {
	t.Helper()
	var u usage
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		ask(t, d.Socket, "SELECT 0\r\nFLUSHALL\r\nSCRIPT FLUSH\r\nMEMORY PURGE\r\n")
		u = measure(t, d)
		if u.files <= limit.files && u.threads <= limit.threads && u.clients <= limit.clients && u.rss <= limit.rss {
			t.Logf("files, threads, clients, KiB: %v", u)
			return
		}
	}
	t.Errorf("the daemon holds %+v, more than %+v", u, limit)
}

// TestMalformedInputs: whatever comes in, nothing crashes, nothing leaks, and
// the client beside gets the right answers.
func TestMalformedInputs(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	var corpus [][]byte
	for _, c := range allCalls(t) {
		if !slices.Contains(shared, c.name) {
			corpus = append(corpus, c.array(), c.line())
		}
	}
	send(t, d, corpus, *inputs/10, *seed)
	settled(t, d, usage{1 << 20, 1 << 20, 1, 1 << 30})
	base := measure(t, d)
	send(t, d, corpus, *inputs-*inputs/10, *seed+1000)
	settled(t, d, usage{base.files, base.threads + 16, 1, base.rss + 32<<10})
}

// send delivers n malformed inputs from several connections at a time.
func send(t *testing.T, d *daemontest.Daemon, corpus [][]byte, n int, seed uint64) {
	t.Helper()
	end := verify(t, d.Socket)
	var sent, connections atomic.Int64
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for sent.Load() < int64(n) && !t.Failed() {
				text, k := next(r, corpus)
				if err := deliver(r, t, d.Socket, text); err != nil {
					t.Errorf("%v\nafter %q", err, text)
				}
				sent.Add(int64(k))
				connections.Add(1)
			}
		})
	}
	all.Wait()
	t.Logf("seed %d: %d malformed inputs over %d connections; %d right answers beside", seed, sent.Load(), connections.Load(), end())
}
