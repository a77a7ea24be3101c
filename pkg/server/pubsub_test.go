package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"kvstored/pkg/reactor"
)

// caller is a connection that a test talks over.
type caller struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func call(t *testing.T, path string) *caller {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return &caller{c, t, bufio.NewReaderSize(c, 1<<16)}
}

// say sends requests and expects exactly this back.
func (c *caller) say(text, want string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
	c.hear(want)
}

func (c *caller) hear(want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c.r, got)
	if err != nil || string(got) != want {
		c.t.Fatalf("%v\ngot  %.300q\nwant %.300q", err, got[:n], want)
	}
}

func message(channel, text string) string {
	return fmt.Sprintf("*3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(channel), channel, len(text), text)
}

const subscribedToX = "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n"

// TestMessagesInOrder: whatever the sizes, to a subscriber that reads while
// they come, and to one that starts late; many go out on the way.
func TestMessagesInOrder(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	a, late, pub := call(t, path), call(t, path), call(t, path)
	a.say("SUBSCRIBE x\r\n", subscribedToX)
	late.say("SUBSCRIBE x\r\n", subscribedToX)
	var text, want, replies strings.Builder
	for i := range 20_000 {
		m := fmt.Sprint(i)
		if i%500 == 0 {
			m = strings.Repeat(m, 5000)
		}
		fmt.Fprintf(&text, "*3\r\n$7\r\nPUBLISH\r\n$1\r\nx\r\n$%d\r\n%s\r\n", len(m), m)
		want.WriteString(message("x", m))
		replies.WriteString(":2\r\n")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		got := make([]byte, want.Len())
		if _, err := io.ReadFull(a.r, got); err != nil || string(got) != want.String() {
			t.Errorf("%v: the messages differ", err)
		}
	}()
	go io.WriteString(pub, text.String())
	pub.hear(replies.String())
	<-done
	late.hear(want.String())
}

// TestSlowSubscriberIsCut: it alone, with a line in the log, and the publisher
// goes on.
func TestSlowSubscriberIsCut(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	_, path := startWith(t, "hash", reactor.Limits{Clients: 100, Input: 1 << 20, Output: 1 << 30, Pause: 1 << 30, Push: 1 << 20}, zap.New(core))
	slow, quick, pub := call(t, path), call(t, path), call(t, path)
	slow.say("SUBSCRIBE x\r\n", subscribedToX)
	quick.say("SUBSCRIBE x\r\n", subscribedToX)
	m := strings.Repeat("m", 10_000)
	cut := false
	for i := 0; i < 1000 && !cut; i++ {
		fmt.Fprintf(pub, "PUBLISH x %s\r\n", m)
		quick.hear(message("x", m))
		line, err := pub.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		cut = line == ":1\r\n"
	}
	if !cut {
		t.Fatal("a subscriber that reads nothing was left alone")
	}
	if n := logs.FilterMessageSnippet("MaxSubscriberOutput=").Len(); n != 1 {
		t.Errorf("%d lines about it: %v", n, logs.All())
	}
	pub.say("PUBSUB NUMSUB x\r\n", "*2\r\n$1\r\nx\r\n:1\r\n")
}

// TestRepliesDoNotCountAsMessages: a client with much to read is not closed
// for a small message.
func TestRepliesDoNotCountAsMessages(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{Clients: 100, Input: 1 << 30, Output: 1 << 30, Pause: 1 << 30, Push: 64 << 10})
	sub, pub := call(t, path), call(t, path)
	sub.say("HELLO 3\r\nSUBSCRIBE x\r\nPING\r\n", "")
	for {
		line, err := sub.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "+PONG\r\n" {
			break
		}
	}
	big := strings.Repeat("v", 60_000)
	text := fmt.Sprintf("*2\r\n$4\r\nECHO\r\n$%d\r\n%s\r\n", len(big), big)
	go io.WriteString(sub, strings.Repeat(text, 200))
	time.Sleep(50 * time.Millisecond)
	for range 100 {
		pub.say("PUBLISH x hello\r\n", ":1\r\n")
	}
	echoes, messages := 0, 0
	for echoes < 200 || messages < 100 {
		line, err := sub.r.ReadString('\n')
		if err != nil {
			t.Fatalf("after %d replies and %d messages: %v", echoes, messages, err)
		}
		switch {
		case len(line) > 50_000:
			echoes++
		case line == "hello\r\n":
			messages++
		}
	}
}

// TestSubscribersComeAndGo: closed in the same tick as they subscribe, as they
// are published to, with requests unanswered; nothing of them stays.
func TestSubscribersComeAndGo(t *testing.T) {
	srv, path := start(t, "hash", reactor.Limits{})
	pub := call(t, path)
	for i := range 300 {
		c := call(t, path)
		switch i % 3 {
		case 0:
			io.WriteString(c, "SUBSCRIBE x y z\r\nPSUBSCRIBE *\r\nPING\r\n")
		case 1:
			c.say("SUBSCRIBE x\r\n", subscribedToX)
		case 2:
			io.WriteString(c, "SUBSCRIBE x\r\nQUIT\r\nPING\r\n")
		}
		fmt.Fprint(pub, "PUBLISH x hello\r\n")
		c.Close()
		if _, err := pub.r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		pub.say("PUBSUB NUMPAT\r\n", ":")
		line, _ := pub.r.ReadString('\n')
		if line == "0\r\n" && srv.figures.clients.Load() == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s patterns are left", line)
		}
	}
	pub.say("PUBSUB CHANNELS\r\nPUBLISH x y\r\n", "*0\r\n:0\r\n")
}

// TestMessageWhileAnotherIsPaused: a connection that waits for the answer of
// ENGINE LOAD gets its messages, before that answer.
func TestMessageWhileAnotherIsPaused(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	sub, pub := call(t, path), call(t, path)
	sub.say("HELLO 3\r\n", "%7\r\n")
	io.WriteString(sub, "SUBSCRIBE x\r\nPING\r\n")
	for line := ""; line != "+PONG\r\n"; {
		var err error
		if line, err = sub.r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	for range 50 {
		io.WriteString(sub, "ENGINE LOAD /x\r\n")
		pub.say("PUBLISH x hello\r\n", ":1\r\n")
		got := ""
		for !strings.Contains(got, "hello\r\n") || !strings.Contains(got, "+loaded /x\r\n") {
			line, err := sub.r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			got += line
		}
	}
}
