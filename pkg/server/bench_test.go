package server

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"kvstored/pkg/batch"
	"kvstored/pkg/command"
	"kvstored/pkg/engine"
	"kvstored/pkg/engine/enginetest"
	"kvstored/pkg/reactor"
)

// What a request costs from its bytes to the bytes of its reply: all but the
// system calls. The same requests come again and again from some connections.
func benchTick(b *testing.B, request func(i int) string) {
	const conns, pipeline, keys = 16, 64, 100_000
	host, err := engine.Open(enginetest.Build(b, "hash"), engine.Options{Trust: engine.Trust{AllowOwnUID: true}})
	if err != nil {
		b.Fatal(err)
	}
	defer host.Close()
	srv, err := New(Options{Engine: Hosted{host}, Limits: reactor.Limits{}, Version: "0.0.0",
		Thresholds: Thresholds{SlowlogSlowerThan: 10_000}})
	if err != nil {
		b.Fatal(err)
	}
	w := srv.work
	input := func(n int, text func(i int) string) []byte {
		var all strings.Builder
		for i := range n {
			all.WriteString(text(i))
		}
		off, err := batch.Map(all.Len())
		if err != nil {
			b.Fatal(err)
		}
		copy(off, all.String())
		return off
	}
	tick := func(clients []*reactor.Conn, inputs [][]byte) {
		for i, c := range clients {
			if n, _, _ := w.Parse(c, inputs[i]); n != len(inputs[i]) {
				b.Fatalf("%d of %d bytes taken", n, len(inputs[i]))
			}
		}
		w.Execute()
		for _, c := range clients {
			cl := c.Data.(*client)
			w.out.Reset()
			w.render(cl)
			cl.to = cl.from
		}
		w.Done()
	}
	var clients []*reactor.Conn
	var inputs [][]byte
	for i := range conns {
		c := &reactor.Conn{FD: -1}
		c.Data = &client{conn: c, Session: command.Session{ID: uint64(i), Proto: 2}}
		clients = append(clients, c)
		inputs = append(inputs, input(pipeline, func(k int) string { return request((i*pipeline + k) * 7919 % keys) }))
	}
	for from := 0; from < keys; from += 1000 {
		fill := input(1000, func(k int) string { return bulks("SET", fmt.Sprintf("key:%012d", from+k), "0123456789abcdef") })
		tick(clients[:1], [][]byte{fill})
		batch.Unmap(fill)
	}
	runtime.GC()
	for b.Loop() {
		tick(clients, inputs)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/conns/pipeline, "ns/request")
}

func bulks(words ...string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&s, "$%d\r\n%s\r\n", len(w), w)
	}
	return s.String()
}

func BenchmarkTickGet(b *testing.B) {
	benchTick(b, func(i int) string { return bulks("GET", fmt.Sprintf("key:%012d", i)) })
}

func BenchmarkTickSet(b *testing.B) {
	benchTick(b, func(i int) string { return bulks("SET", fmt.Sprintf("key:%012d", i), "0123456789abcdef") })
}

func BenchmarkTickMixed(b *testing.B) {
	benchTick(b, func(i int) string {
		key := fmt.Sprintf("key:%012d", i)
		return [...]string{bulks("GET", key), bulks("SET", key, "12"), bulks("INCR", key+"n"), bulks("EXISTS", key), bulks("GET", key)}[i%5]
	})
}
