package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/reactor"
)

// TestTransactionInPiecesOfEverySize: what is queued outlives the tick that it
// came in.
func TestTransactionInPiecesOfEverySize(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	const text = "WATCH w\r\nMULTI\r\nSET name Rojalin\r\n*3\r\n$6\r\nAPPEND\r\n$4\r\nname\r\n$3\r\n!\r\n.\r\nRENAME name other\r\n" +
		"GET other\r\nGET name\r\nSELECT 3\r\nSET other x\r\nSELECT 0\r\nEXEC\r\nDEL other\r\nSELECT 3\r\nDEL other\r\n"
	const want = "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n" +
		"*8\r\n+OK\r\n:10\r\n+OK\r\n$10\r\nRojalin!\r\n\r\n$-1\r\n+OK\r\n+OK\r\n+OK\r\n:1\r\n+OK\r\n:1\r\n"
	for _, piece := range []int{1, 2, 3, 7, 64, 1 << 20} {
		talk(t, path, text, want, piece)
	}
}

// TestLargeTransactions: many requests, and values that are pinned, in one.
func TestLargeTransactions(t *testing.T) {
	for _, name := range []string{"hash", "debug", "simple"} {
		_, path := start(t, name, reactor.Limits{})
		const n = 100_000
		var text, want strings.Builder
		text.WriteString("MULTI\r\n")
		want.WriteString("+OK\r\n" + strings.Repeat("+QUEUED\r\n", n))
		fmt.Fprintf(&want, "*%d\r\n", n)
		for i := range n {
			text.WriteString("INCR n\r\n")
			fmt.Fprintf(&want, ":%d\r\n", i+1)
		}
		text.WriteString("EXEC\r\n")
		talk(t, path, text.String(), want.String(), 1<<20)
		v := strings.Repeat("v", 200_000)
		bulk := fmt.Sprintf("$%d\r\n%s\r\n", len(v), v)
		talk(t, path, "MULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n"+bulk+"GET k\r\nAPPEND k x\r\nGET k\r\nEXEC\r\nSTRLEN k\r\n",
			"+OK\r\n"+strings.Repeat("+QUEUED\r\n", 4)+"*4\r\n+OK\r\n"+bulk+":200001\r\n"+
				fmt.Sprintf("$%d\r\n%sx\r\n", len(v)+1, v)+":200001\r\n", 1<<20)
	}
}

// TestTooLargeTransaction: what is queued has a limit, and what was queued
// goes when it is met.
func TestTooLargeTransaction(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	const n = 500_000 // arguments of one request; two million are too many
	args := fmt.Sprintf("*%d\r\n$6\r\nEXISTS\r\n", n) + strings.Repeat("$1\r\nk\r\n", n-1)
	talk(t, path, "MULTI\r\n"+strings.Repeat(args, 5)+"EXEC\r\nPING\r\n", "+OK\r\n"+strings.Repeat("+QUEUED\r\n", 4)+
		"-ERR transaction is too large; why: it holds more than 1 GiB or two million arguments; fix: divide it\r\n"+
		"-EXECABORT Transaction discarded because of previous errors.\r\n+PONG\r\n", 1<<20)
}

// TestWatchersLeave: a connection that ends watches nothing any more, and
// without anyone who watches there is no table to look into.
func TestWatchersLeave(t *testing.T) {
	srv, path := start(t, "hash", reactor.Limits{})
	var conns []net.Conn
	for range 20 {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "WATCH a b c a\r\nMULTI\r\nSET a 1\r\n")
		r := bufio.NewReader(c)
		for range 3 {
			if _, err := r.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		conns = append(conns, c)
	}
	if n := watchedKeys(t, srv); n != 3 {
		t.Errorf("%d keys are watched, not 3", n)
	}
	for _, c := range conns {
		c.Close()
	}
	for deadline := time.Now().Add(20 * time.Second); watchedKeys(t, srv) != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d keys are still watched", watchedKeys(t, srv))
		}
	}
	talk(t, path, "SET a 2\r\nGET a\r\n", "+OK\r\n$1\r\n2\r\n", 100)
}

func watchedKeys(t *testing.T, s *Server) int {
	t.Helper()
	n := make(chan int, 1)
	if err := s.work.r.Post(func() { n <- len(s.work.watches.keys) }); err != nil {
		t.Fatal(err)
	}
	return <-n
}

// TestTimeOfATickIsItsOwn: half a request begins no tick, so that the other
// half does not meet a time long past.
func TestTimeOfATickIsItsOwn(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "SET k v PX 30\r\nGET")
	r := bufio.NewReader(c)
	if line, err := r.ReadString('\n'); line != "+OK\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	time.Sleep(60 * time.Millisecond)
	io.WriteString(c, " k\r\n")
	if line, err := r.ReadString('\n'); line != "$-1\r\n" {
		t.Errorf("a key that has expired is answered with %q, %v", line, err)
	}
}
