package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"kvstored/pkg/client"
)

// besideName is the case that -only can choose.
const besideName = "64 MiB beside small ones"

// Beside is what small requests see of large ones, and how long those take.
type Beside struct {
	Peer    string    `json:"peer"`
	Without Quantiles `json:"without"` // of all windows together
	With    Quantiles `json:"with"`
	Set     Spread    `json:"large_set_ms"`
	Get     Spread    `json:"large_get_ms"`
}

// Quantiles are latencies in microseconds.
type Quantiles struct {
	P50  float64 `json:"p50_us"`
	P99  float64 `json:"p99_us"`
	P999 float64 `json:"p999_us"`
	Max  float64 `json:"max_us"`
}

func (h histogram) quantiles() Quantiles {
	return Quantiles{h.quantile(0.5), h.quantile(0.99), h.quantile(0.999), h.quantile(1)}
}

// The large value, how often it is set and got, and the small requests a
// second.
const (
	besideSize  = 64 << 20
	besideEvery = 250 * time.Millisecond
	besideRate  = 2000
)

// beside measures small requests at a fixed rate with and without a client
// that sets and gets a value of 64 MiB, the servers turn and turn about.
func (b *bench) beside(ctx context.Context, r *Report) error {
	rounds, lasts := 3, 2*time.Second
	if b.o.quick {
		rounds, lasts = 2, time.Second
	}
	peers, err := startAll(ctx, b.dir, b.speaking())
	defer stopAll(peers)
	if err != nil {
		return err
	}
	c := Case{Connections: b.o.conns, Pipeline: 1, Get: 50, Rate: besideRate, Keys: b.o.keys, Value: b.o.value}
	if err := b.fill(ctx, peers, 0, c); err != nil {
		return err
	}
	fmt.Fprintf(b.progress, "%-26s", besideName)
	with, without := make([]histogram, len(peers)), make([]histogram, len(peers))
	took := make([]largeTimes, len(peers))
	for round := range rounds {
		for k, p := range peers {
			if round == 0 {
				with[k], without[k] = histogram{}, histogram{}
			}
			w := window{b: b, p: p, c: c, seed: round + 1}
			if err := w.measure(ctx, without[k], func() error { return sleep(ctx, lasts) }); err != nil {
				return err
			}
			if err := w.measure(ctx, with[k], func() error { return took[k].trade(ctx, p, lasts) }); err != nil {
				return fmt.Errorf("%s, %s: %w; its log: %s", besideName, p.name, err, p.lastWords())
			}
		}
		fmt.Fprint(b.progress, ".")
	}
	for k, p := range peers {
		e := Beside{Peer: p.name, Without: without[k].quantiles(), With: with[k].quantiles(), Set: spread(took[k].set), Get: spread(took[k].get)}
		r.Beside = append(r.Beside, e)
		fmt.Fprintf(b.progress, " %s p99.9 %s µs for %s without,", p.name, figure(e.With.P999), figure(e.Without.P999))
	}
	fmt.Fprintln(b.progress)
	return nil
}

// largeTimes are milliseconds.
type largeTimes struct{ set, get []float64 }

// trade sets and gets a large value in turn, each at its time, for as long as
// given, at least once, and looks at the answers.
func (t *largeTimes) trade(ctx context.Context, p *peer, lasts time.Duration) error {
	c, err := client.Dial(p.socket)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Do("PING"); err != nil {
		return err
	}
	set := client.AppendCommand(nil, []byte("SET"), []byte("large"), bytes.Repeat([]byte("x"), besideSize))
	get := client.AppendCommand(nil, []byte("GET"), []byte("large"))
	end, next := time.Now().Add(lasts), time.Now()
	for {
		if err := exchangeLarge(c, set, client.Simple, 0, &t.set); err != nil {
			return err
		}
		if err := exchangeLarge(c, get, client.Bulk, besideSize, &t.get); err != nil {
			return err
		}
		if time.Now().After(end) {
			return nil
		}
		next = next.Add(besideEvery)
		if err := sleep(ctx, time.Until(next)); err != nil {
			return err
		}
	}
}

// exchangeLarge sends one command, reads all of its answer, which must be of a
// kind and length, and notes how long that took.
func exchangeLarge(c *client.Conn, wire []byte, kind client.Kind, size int64, took *[]float64) error {
	var wrong error
	began := time.Now()
	err := c.Exchange(wire, 1, func(_ int, head client.Token) {
		if head.Kind != kind || kind == client.Bulk && head.N != size {
			wrong = fmt.Errorf("a large value was answered with %c%d %s", head.Kind, head.N, head.Text)
		}
	})
	*took = append(*took, float64(time.Since(began).Microseconds())/1000)
	return errors.Join(err, wrong)
}

// besideTable has the small requests' latencies.
func (r *Report) besideTable(b *strings.Builder) {
	if len(r.Beside) == 0 {
		return
	}
	fmt.Fprintf(b, "\n| %d small requests/s | p50 µs | p99 µs | p99.9 µs | max µs | SET 64 MiB, ms | GET 64 MiB, ms |\n|---|---|---|---|---|---|---|\n", besideRate)
	for i := range r.Beside {
		e := &r.Beside[i]
		line := func(what string, q Quantiles, set, get string) {
			fmt.Fprintf(b, "| %s, %s | %s | %s | %s | %s | %s | %s |\n", r.name(e.Peer), what, figure(q.P50), figure(q.P99), figure(q.P999), figure(q.Max), set, get)
		}
		line("by themselves", e.Without, "", "")
		line("beside 64 MiB", e.With, e.Set.String(), e.Get.String())
	}
}
