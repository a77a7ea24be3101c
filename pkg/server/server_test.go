package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"kvstored/pkg/command"
	"kvstored/pkg/engine"
	"kvstored/pkg/engine/enginetest"
	"kvstored/pkg/reactor"
)

// start serves the engine `name` on a socket of its own until the test ends.
func start(t testing.TB, name string, limits reactor.Limits) (*Server, string) {
	t.Helper()
	return startWith(t, name, limits, nil)
}

func startWith(t testing.TB, name string, limits reactor.Limits, log *zap.Logger) (*Server, string) {
	t.Helper()
	host, err := engine.Open(enginetest.Build(t, name), engine.Options{Trust: engine.Trust{AllowOwnUID: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Close) // after the server's end
	return serveWith(t, Hosted{host}, limits, log)
}

func serve(t testing.TB, host Engine, limits reactor.Limits) (*Server, string) {
	t.Helper()
	return serveWith(t, host, limits, nil)
}

func serveWith(t testing.TB, host Engine, limits reactor.Limits, log *zap.Logger) (*Server, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	srv, err := New(Options{Engine: host, Limits: limits, Log: log, Socket: path, Version: "0.0.0",
		Settings: func() []command.Pair { return []command.Pair{{Name: "maxclients", Value: "10"}} },
		Reload:   func(path string, done func(string, error)) { go done("loaded "+path, nil) },
		Check:    func(path string, done func(string, error)) { go done("", fmt.Errorf("cannot check %s", path)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Listen(int(file.Fd())); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { srv.Run(); close(done) }()
	t.Cleanup(func() {
		_ = srv.Stop(time.Second)
		<-done
		file.Close()
		l.Close()
	})
	return srv, path
}

// talk sends text in pieces of the given size and expects exactly the replies.
func talk(t *testing.T, path, text, want string, piece int) {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		for len(text) > 0 {
			n := min(piece, len(text))
			io.WriteString(c, text[:n])
			text = text[n:]
			if piece < 100 {
				time.Sleep(50 * time.Microsecond)
			}
		}
	}()
	got := make([]byte, len(want))
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := io.ReadFull(c, got); err != nil {
		t.Fatalf("after %.200q: %v", got[:n], err)
	}
	if string(got) != want {
		t.Errorf("got  %.300q\nwant %.300q", got, want)
	}
}

const session = "SET name Rojalin\r\nGET name\r\n" +
	"*3\r\n$3\r\nSET\r\n$1\r\nn\r\n$2\r\n41\r\n*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n" +
	"rename n m\r\nGET m\r\nGET n\r\nselect 3\r\nget name\r\nset name \"other one\"\r\nDBSIZE\r\n" +
	"SELECT 0\r\nMGET name m nosuch\r\nDEL name m\r\nPING\r\n"

const answers = "+OK\r\n$7\r\nRojalin\r\n+OK\r\n:42\r\n+OK\r\n$2\r\n42\r\n$-1\r\n+OK\r\n$-1\r\n+OK\r\n:1\r\n" +
	"+OK\r\n*3\r\n$7\r\nRojalin\r\n$2\r\n42\r\n$-1\r\n:2\r\n+PONG\r\n"

func TestSessionInPiecesOfEverySize(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	for _, piece := range []int{1, 2, 3, 7, 64, 1 << 20} {
		talk(t, path, session, answers, piece)
		talk(t, path, "SELECT 3\r\nDEL name\r\n", "+OK\r\n:1\r\n", 100)
	}
}

func TestLargeValues(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	for _, size := range []int{16 << 10, 64 << 10, 65 << 10, 1 << 20, 40 << 20} {
		v := strings.Repeat("v", size)
		bulk := fmt.Sprintf("$%d\r\n%s\r\n", size, v)
		talk(t, path, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n"+bulk+"GET k\r\nSTRLEN k\r\nGET k\r\nDEL k\r\n",
			"+OK\r\n"+bulk+fmt.Sprintf(":%d\r\n", size)+bulk+":1\r\n", 1<<20)
	}
}

// TestOverwrittenWhileBeingSent: a pinned value is what it was when it was read.
func TestOverwrittenWhileBeingSent(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const size = 8 << 20
	fmt.Fprintf(c, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s\r\nGET k\r\n", size, strings.Repeat("a", size))
	time.Sleep(20 * time.Millisecond)
	talk(t, path, "APPEND k b\r\nSETRANGE k 5 zzz\r\nGETRANGE k 4 8\r\nDEL k\r\nSET other "+strings.Repeat("c", 60000)+"\r\n",
		fmt.Sprintf(":%d\r\n:%d\r\n$5\r\nazzza\r\n:1\r\n+OK\r\n", size+1, size+1), 1<<20)
	r := bufio.NewReader(c)
	want := fmt.Sprintf("+OK\r\n$%d\r\n%s\r\n", size, strings.Repeat("a", size))
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Errorf("%v; the value has changed while it was sent", err)
	}
}

func TestManyArguments(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	const n = 50_000
	var set, get, want strings.Builder
	fmt.Fprintf(&set, "*%d\r\n$4\r\nMSET\r\n", 2*n+1)
	fmt.Fprintf(&get, "*%d\r\n$4\r\nMGET\r\n", n+1)
	fmt.Fprintf(&want, "+OK\r\n*%d\r\n", n)
	for i := range n {
		fmt.Fprintf(&set, "$9\r\nkey:%05d\r\n$5\r\n%05d\r\n", i, i)
		fmt.Fprintf(&get, "$9\r\nkey:%05d\r\n", i)
		fmt.Fprintf(&want, "$5\r\n%05d\r\n", i)
	}
	talk(t, path, set.String()+get.String(), want.String(), 1<<20)
}

func TestDeepPipeline(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	const n = 100_000
	var text, want strings.Builder
	for i := range n {
		text.WriteString("INCR counter\r\n")
		fmt.Fprintf(&want, ":%d\r\n", i+1)
	}
	talk(t, path, text.String(), want.String(), 1<<20)
}

func TestProtocolErrorClosesAfterEarlierReplies(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "PING\r\n*2\r\n!bad\r\nPING\r\n")
	text, _ := io.ReadAll(c) // a reset is as good as an end: input was left unread
	if want := "+PONG\r\n-ERR Protocol error: expected '$', got '!'\r\n"; string(text) != want {
		t.Errorf("got %q, want %q", text, want)
	}
}

// TestLoadIsAnsweredInOrder: what follows ENGINE LOAD waits for its answer.
func TestLoadIsAnsweredInOrder(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	talk(t, path, "PING\r\nENGINE LOAD /x\r\nPING\r\nENGINE CHECK /y\r\nECHO z\r\n",
		"+PONG\r\n+loaded /x\r\n+PONG\r\n-ERR cannot check /y\r\n$1\r\nz\r\n", 1<<20)
}

func TestPing(t *testing.T) {
	srv, path := start(t, "hash", reactor.Limits{})
	talk(t, path, "SET a b\r\n", "+OK\r\n", 100)
	f, err := srv.Ping(context.Background())
	if err != nil || f.Keys != 1 {
		t.Errorf("got %+v, %v", f, err)
	}
}

func TestQuit(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "QUIT\r\nPING\r\n")
	if text, _ := io.ReadAll(c); string(text) != "+OK\r\n" {
		t.Errorf("got %q", text)
	}
}

// TestExpiredEntriesGoByThemselves: nobody asks for them again.
func TestExpiredEntriesGoByThemselves(t *testing.T) {
	srv, path := start(t, "hash", reactor.Limits{})
	talk(t, path, "SET a b PX 20\r\nSET c d\r\n", "+OK\r\n+OK\r\n", 100)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		f, err := srv.Ping(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if f.Keys == 1 {
			if n := srv.figures.expired.Load(); n != 1 {
				t.Errorf("%d are counted as expired", n)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d keys", f.Keys)
		}
	}
}

// TestManyLargeRepliesToAReader: a client that reads is not cut off because it
// asked for more than MaxOutput= at once.
func TestManyLargeRepliesToAReader(t *testing.T) {
	for _, size := range []int{20_000, 1 << 20} {
		_, path := start(t, "hash", reactor.Limits{Clients: 10, Input: 1 << 30, Output: 16 << 20, Pause: 4 << 20})
		value := strings.Repeat("v", size)
		n := 100 << 20 / size
		bulk := fmt.Sprintf("$%d\r\n%s\r\n", size, value)
		talk(t, path, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n"+bulk+strings.Repeat("GET k\r\n", n),
			"+OK\r\n"+strings.Repeat(bulk, n), 1<<20)
	}
}

// TestFarExpiryDoesNotStopHousekeeping: what is written after the engine said
// that nothing is due for an hour is looked after all the same.
func TestFarExpiryDoesNotStopHousekeeping(t *testing.T) {
	srv, path := start(t, "hash", reactor.Limits{})
	talk(t, path, "SET far v EX 3600\r\n", "+OK\r\n", 100)
	for srv.figures.maintains.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	talk(t, path, "SET near v PX 20\r\n", "+OK\r\n", 100)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		f, err := srv.Ping(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if f.Keys == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d keys", f.Keys)
		}
	}
}

// TestUnreadRepliesAreLookedAfter: without a write, too, somebody comes and
// sees that a client has not read for a minute.
func TestUnreadRepliesAreLookedAfter(t *testing.T) {
	srv, path := start(t, "hash", reactor.Limits{})
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "ECHO %s\r\n", strings.Repeat("x", 10))
	c.Read(make([]byte, 100))
	for range 100 { // nothing of it is read
		fmt.Fprintf(c, "*2\r\n$4\r\nECHO\r\n$50000\r\n%050000d\r\n", 0)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		srv.keeperMu.Lock()
		armed := !srv.keeperAt.IsZero()
		srv.keeperMu.Unlock()
		if armed {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody will come")
		}
	}
}

func TestRefusalsDoNotFillTheLog(t *testing.T) {
	var s sparing
	now := time.Unix(1000, 0)
	for range 3 {
		said := 0
		for range 1000 {
			if _, say := s.next(now); say {
				said++
			}
		}
		if said != 1 {
			t.Errorf("said %d times", said)
		}
		now = now.Add(2 * sparingEvery)
	}
	if unsaid, say := s.next(now); !say || unsaid != 999 {
		t.Errorf("%d were not said", unsaid)
	}
}

// TestRequestTooLargeIsRefusedInOrder: after the answers to what came before.
func TestRequestTooLargeIsRefusedInOrder(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{Clients: 10, Input: 1 << 20, Output: 1 << 20, Pause: 1 << 20})
	talk(t, path, "PING\r\nGET nosuch\r\n*2\r\n$3\r\nGET\r\n$2000000\r\n",
		"+PONG\r\n$-1\r\n-ERR Protocol error: request larger than MaxInput=\r\n", 1<<20)
}

// behindEngine has always more to be kept, and notes how much is done at once.
type behindEngine struct {
	Hosted
	budgets sync.Map // of the slices
}

func (e *behindEngine) Maintain(now int64, budget uint64) (bool, int64) {
	e.budgets.Store(budget, true)
	e.Hosted.Maintain(now, budget)
	return true, now
}

// TestWritesDoTheirPartOfHousekeeping: with a million writes a second, each
// gone a second later, slices between ticks alone let millions pile up.
func TestWritesDoTheirPartOfHousekeeping(t *testing.T) {
	host, err := engine.Open(enginetest.Build(t, "hash"), engine.Options{Trust: engine.Trust{AllowOwnUID: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Close)
	e := &behindEngine{Hosted: Hosted{host}}
	srv, path := serve(t, e, reactor.Limits{})
	talk(t, path, "SET a b\r\n", "+OK\r\n", 100)
	for srv.figures.maintains.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	talk(t, path, strings.Repeat("SET a b\r\n", 7), strings.Repeat("+OK\r\n", 7), 1000)
	if _, ok := e.budgets.Load(uint64(7 * keepUpPerWrite)); !ok {
		t.Error("a tick of seven writes did not do its part")
	}
}
