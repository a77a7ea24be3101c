// go-redis against kvstored.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

var ctx = context.Background()

// want ends the program unless got is want.
func want(what string, got, want any, err error) {
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		fmt.Fprintf(os.Stderr, "%s: got %v (%v), want %v\n", what, got, err, want)
		os.Exit(1)
	}
}

func main() {
	for proto := 2; proto <= 3; proto++ {
		run(redis.NewClient(&redis.Options{Network: "unix", Addr: os.Args[1], Protocol: proto, ClientName: "go"}))
	}
}

func run(r *redis.Client) {
	defer r.Close()
	want("FLUSHALL", r.FlushAll(ctx).Val(), "OK", nil)
	strs(r)
	keyspace(r)
	transactions(r)
	pubsub(r)
	server(r)
}

func strs(r *redis.Client) {
	s, err := r.Set(ctx, "k", "v", time.Minute).Result()
	want("SET", s, "OK", err)
	s, err = r.Get(ctx, "k").Result()
	want("GET", s, "v", err)
	if _, err := r.Get(ctx, "none").Result(); !errors.Is(err, redis.Nil) {
		want("GET of nothing", err, redis.Nil, nil)
	}
	n, err := r.IncrBy(ctx, "n", 7).Result()
	want("INCRBY", n, 7, err)
	f, err := r.IncrByFloat(ctx, "f", 0.5).Result()
	want("INCRBYFLOAT", f, 0.5, err)
	b, err := r.SetNX(ctx, "k", "w", 0).Result()
	want("SETNX", b, false, err)
	v, err := r.MGet(ctx, "k", "none").Result()
	want("MGET", v, "[v <nil>]", err)
	n, err = r.BitCount(ctx, "k", nil).Result()
	want("BITCOUNT", n, 5, err)
	bits, err := r.BitField(ctx, "bf", "INCRBY", "u8", 0, 200, "GET", "u8", 0).Result()
	want("BITFIELD", bits, "[200 200]", err)
	n, err = r.PFAdd(ctx, "hll", "a", "b").Result()
	want("PFADD", n, 1, err)
}

func keyspace(r *redis.Client) {
	d, err := r.TTL(ctx, "k").Result()
	want("TTL", d > 50*time.Second && d <= time.Minute, true, err)
	found := map[string]bool{}
	it := r.Scan(ctx, 0, "*", 2).Iterator()
	for it.Next(ctx) {
		found[it.Val()] = true
	}
	want("SCAN", len(found), r.DBSize(ctx).Val(), it.Err())
	n, err := r.Copy(ctx, "k", "copy", 0, true).Result()
	want("COPY", n, 1, err)
	dump, err := r.Dump(ctx, "k").Result()
	want("DUMP", dump != "", true, err)
	s, err := r.RestoreReplace(ctx, "again", 0, dump).Result()
	want("RESTORE", s, "OK", err)
	want("what was restored", r.Get(ctx, "again").Val(), "v", nil)
	s, err = r.ObjectEncoding(ctx, "n").Result()
	want("OBJECT ENCODING", s, "int", err)
}

func transactions(r *redis.Client) {
	var wait sync.WaitGroup
	add := func() error {
		return r.Watch(ctx, func(tx *redis.Tx) error {
			n, err := tx.Get(ctx, "sum").Int()
			if err != nil && !errors.Is(err, redis.Nil) {
				return err
			}
			_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error { return p.Set(ctx, "sum", n+1, 0).Err() })
			return err
		}, "sum")
	}
	for range 4 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for done := 0; done < 50; {
				if err := add(); err == nil {
					done++
				} else if !errors.Is(err, redis.TxFailedErr) {
					want("WATCH and EXEC", err, nil, nil)
				}
			}
		}()
	}
	wait.Wait()
	want("200 optimistic additions", r.Get(ctx, "sum").Val(), "200", nil)
}

func pubsub(r *redis.Client) {
	sub := r.PSubscribe(ctx, "news.*")
	defer sub.Close()
	if _, err := sub.Receive(ctx); err != nil {
		want("PSUBSCRIBE", err, nil, nil)
	}
	n, err := r.Publish(ctx, "news.one", "hello").Result()
	want("PUBLISH", n, 1, err)
	m, err := sub.ReceiveMessage(ctx)
	want("the message", m.Channel+" "+m.Payload, "news.one hello", err)
}

func server(r *redis.Client) {
	info, err := r.Info(ctx, "all").Result()
	want("INFO", strings.Contains(info, "cmdstat_get:calls="), true, err)
	cmds, err := r.Command(ctx).Result()
	want("COMMAND", cmds["get"] != nil && cmds["get"].ReadOnly, true, err)
	name, err := r.ClientGetName(ctx).Result()
	want("CLIENT GETNAME", name, "go", err)
	conf, err := r.ConfigGet(ctx, "max*").Result()
	want("CONFIG GET", conf["maxclients"] != "", true, err)
	_, err = r.SlowLogGet(ctx, 5).Result()
	want("SLOWLOG GET", err, nil, nil)
	keys, err := r.CommandGetKeysAndFlags(ctx, "set", "a", "b").Result()
	want("COMMAND GETKEYSANDFLAGS", len(keys), 1, err)
	if err := r.LPush(ctx, "l", 1).Err(); err == nil || !strings.Contains(err.Error(), "there are no lists here") {
		want("LPUSH", err, "there are no lists here", nil)
	}
}
