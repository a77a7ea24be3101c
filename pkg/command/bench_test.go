package command

import (
	"testing"

	"kvstored/pkg/batch"
	"kvstored/pkg/resp"
)

// What it costs to look up, plan and render a command, without the engine:
// the results are put into the batch by hand.
func benchmark(b *testing.B, status batch.Status, words ...string) {
	bt := batch.New()
	defer bt.Close()
	texts := batch.NewSink()
	var args [][]byte
	for _, s := range words {
		args = append(args, texts.Copy([]byte(s)))
	}
	value := texts.Copy([]byte("0123456789abcdef"))
	session := &Session{Proto: 2}
	replies := make([]Reply, 64)
	c := &Call{Args: args, Session: session, Batch: bt, Now: 1_800_000_000_000}
	var w resp.Writer
	b.ReportAllocs()
	for b.Loop() {
		bt.Reset()
		w.Reset()
		for i := range replies {
			c.Reply = &replies[i]
			Dispatch(c)
		}
		for i := range bt.Len() {
			o := bt.Op(i)
			o.Status, o.Value, o.ValueLen = status, batch.Addr(value), uint64(len(value))
		}
		for i := range replies {
			r := &replies[i]
			if r.Fixed != nil {
				w.Raw(r.Fixed)
				continue
			}
			r.Render(&w, bt, r)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/command")
}

func BenchmarkGet(b *testing.B)     { benchmark(b, batch.OK, "GET", "key:000000012345") }
func BenchmarkMissing(b *testing.B) { benchmark(b, batch.NotFound, "GET", "key:000000012345") }
func BenchmarkSet(b *testing.B) {
	benchmark(b, batch.OK, "SET", "key:000000012345", "0123456789abcdef")
}
func BenchmarkSetEx(b *testing.B) {
	benchmark(b, batch.OK, "SET", "key:000000012345", "0123456789abcdef", "EX", "100")
}
func BenchmarkDel(b *testing.B)  { benchmark(b, batch.OK, "DEL", "key:000000012345") }
func BenchmarkPing(b *testing.B) { benchmark(b, batch.OK, "PING") }
func BenchmarkMget(b *testing.B) {
	benchmark(b, batch.OK, "MGET", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9", "k10")
}
