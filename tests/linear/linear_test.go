// Package linear checks that what clients see of a key is what one copy of it,
// changed by one request at a time, would have shown them - while the engine
// is exchanged under them.
package linear

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"kvstored/pkg/client"
	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
)

var (
	seed  = flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of the random requests")
	swaps = flag.Int("swaps", 24, "how often the engine is exchanged")
)

const (
	clients = 8
	keys    = 12
	keepOut = 20 * time.Second // for the checker, which may take very long
)

func TestMain(m *testing.M) {
	code := m.Run()
	daemontest.Remove()
	os.Exit(code)
}

// request is what a client asked of one key.
type request struct {
	key  int
	verb string // GET SET DEL INCR SETNX APPEND GETSET
	arg  string
}

// model is one key: absent ("" with false) or a text.
type state struct {
	present bool
	value   string
}

var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := make([][]porcupine.Operation, keys)
		for _, op := range history {
			k := op.Input.(request).key
			byKey[k] = append(byKey[k], op)
		}
		return byKey
	},
	Init: func() any { return state{} },
	Step: func(before, input, output any) (bool, any) {
		want, after := step(before.(state), input.(request))
		return want == output.(string), after
	},
	DescribeOperation: func(input, output any) string {
		r := input.(request)
		return fmt.Sprintf("%s %d %s -> %s", r.verb, r.key, r.arg, output)
	},
}

// step is what a key answers and becomes.
func step(s state, r request) (answer string, after state) {
	old := "(nil)"
	if s.present {
		old = s.value
	}
	switch r.verb {
	case "GET":
		return old, s
	case "SET":
		return "OK", state{true, r.arg}
	case "GETSET":
		return old, state{true, r.arg}
	case "DEL":
		return strconv.Itoa(btoi(s.present)), state{}
	case "SETNX":
		if s.present {
			return "0", s
		}
		return "1", state{true, r.arg}
	case "APPEND":
		v := s.value + r.arg
		return strconv.Itoa(len(v)), state{true, v}
	case "INCR":
		return incr(s)
	}
	panic("no model of " + r.verb)
}

func incr(s state) (string, state) {
	n := int64(0)
	if s.present {
		var err error
		n, err = strconv.ParseInt(s.value, 10, 64)
		if err != nil || strconv.FormatInt(n, 10) != s.value { // "05" is no integer to Redis
			return "ERR value is not an integer or out of range", s
		}
	}
	text := strconv.FormatInt(n+1, 10)
	return text, state{true, text}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// recorder is the history of one client.
type recorder struct {
	id  int
	rnd *rand.Rand
	ops []porcupine.Operation
}

var verbs = []string{"GET", "GET", "GET", "SET", "INCR", "INCR", "DEL", "SETNX", "APPEND", "GETSET"}

func (r *recorder) next() request {
	q := request{key: r.rnd.IntN(keys), verb: verbs[r.rnd.IntN(len(verbs))]}
	switch q.verb {
	case "SET", "SETNX", "GETSET":
		q.arg = strconv.Itoa(r.rnd.IntN(1000))
	case "APPEND":
		q.arg = strconv.Itoa(r.rnd.IntN(10))
	}
	return q
}

func (r *recorder) run(socket string, start time.Time, stop *atomic.Bool) error {
	c, err := client.Dial(socket)
	if err != nil {
		return err
	}
	defer c.Close()
	for !stop.Load() {
		q := r.next()
		words := []string{q.verb, fmt.Sprintf("key:%d", q.key)}
		if q.arg != "" {
			words = append(words, q.arg)
		}
		call := time.Since(start)
		answer, err := do(c, words...)
		if err != nil {
			return fmt.Errorf("%v: %w", words, err)
		}
		r.ops = append(r.ops, porcupine.Operation{ClientId: r.id, Input: q, Call: int64(call),
			Output: answer, Return: int64(time.Since(start))})
		time.Sleep(time.Duration(r.rnd.IntN(2000)) * time.Microsecond)
	}
	return nil
}

// TestAcrossSwaps records eight clients while the engine is exchanged: within
// a format, and between formats.
func TestAcrossSwaps(t *testing.T) {
	engines := []string{
		enginetest.Build(t, "hash"),
		enginetest.Build(t, "hash", `KV_ENGINE_VERSION="0.1.1"`),
		enginetest.Build(t, "debug"),
		enginetest.Build(t, "lmdb"),
	}
	d := daemontest.Start(t, engines[0])
	t.Logf("seed %d", *seed)
	var stop atomic.Bool
	var wg sync.WaitGroup
	start := time.Now()
	all := make([]*recorder, clients)
	for i := range all {
		all[i] = &recorder{id: i, rnd: rand.New(rand.NewPCG(*seed, uint64(i)))}
		wg.Go(func() {
			if err := all[i].run(d.Socket, start, &stop); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	exchange(t, d.Socket, engines, *swaps)
	stop.Store(true)
	wg.Wait()
	var history []porcupine.Operation
	for _, r := range all {
		history = append(history, r.ops...)
	}
	verdict(t, history)
}

// exchange swaps the engine so many times.
func exchange(t *testing.T, socket string, engines []string, times int) {
	admin, err := client.Dial(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	for i := range times {
		path := engines[(i+1)%len(engines)]
		answer, err := do(admin, "ENGINE", "LOAD", path)
		if err != nil || strings.HasPrefix(answer, "ERR") {
			t.Fatalf("exchange %d: %v, %v", i, answer, err)
		}
		time.Sleep(30 * time.Millisecond)
	}
}

func verdict(t *testing.T, history []porcupine.Operation) {
	switch result, _ := porcupine.CheckOperationsVerbose(model, history, keepOut); result {
	case porcupine.Ok:
		t.Logf("%d requests of %d clients on %d keys across %d swaps are linearizable", len(history), clients, keys, *swaps)
	case porcupine.Illegal:
		t.Errorf("no order of the %d requests explains the answers (seed %d)", len(history), *seed)
	default:
		t.Errorf("the checker found no answer in %v for %d requests (seed %d)", keepOut, len(history), *seed)
	}
}

// TestModelFindsWhatIsWrong holds the checker to its job.
func TestModelFindsWhatIsWrong(t *testing.T) {
	set := porcupine.Operation{ClientId: 0, Input: request{0, "SET", "5"}, Call: 0, Output: "OK", Return: 10}
	stale := porcupine.Operation{ClientId: 1, Input: request{0, "GET", ""}, Call: 20, Output: "(nil)", Return: 30}
	if porcupine.CheckOperations(model, []porcupine.Operation{set, stale}) {
		t.Error("a lost key passes")
	}
	stale.Call = 5
	if !porcupine.CheckOperations(model, []porcupine.Operation{set, stale}) {
		t.Error("a read beside the write does not pass")
	}
}

// do sends one command and gives its answer as the model writes it; what the
// server answers as an error is an answer.
func do(c *client.Conn, words ...string) (string, error) {
	reply, err := c.Do(words...)
	var refused *client.ServerError
	switch {
	case errors.As(err, &refused):
		return refused.Code + " " + refused.Message, nil
	case err != nil:
		return "", err
	case reply.IsNil():
		return "(nil)", nil
	case reply.Kind == client.Integer:
		return strconv.FormatInt(reply.Int, 10), nil
	}
	return string(reply.Bytes), nil
}
