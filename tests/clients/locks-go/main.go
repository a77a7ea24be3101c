// A lock library (redsync) and a rate limiter (redis_rate) against kvstored.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
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
	r := redis.NewClient(&redis.Options{Network: "unix", Addr: os.Args[1]})
	defer r.Close()
	locks := redsync.New(goredis.NewPool(r))
	contention(r, locks)
	owner(r, locks)
	expiry(r, locks)
	limiter(r)
}

// contention: several holders add to a number in two steps; without mutual
// exclusion some additions are lost.
func contention(r *redis.Client, locks *redsync.Redsync) {
	var inside atomic.Int32
	var wait sync.WaitGroup
	for range 4 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			m := locks.NewMutex("lock:sum", redsync.WithExpiry(time.Minute), redsync.WithTries(100000),
				redsync.WithRetryDelay(time.Millisecond))
			for range 10 {
				want("Lock", m.Lock(), nil, nil)
				want("holders besides this one", inside.Add(1)-1, 0, nil)
				n, err := r.Get(ctx, "sum").Int()
				if err != nil && !errors.Is(err, redis.Nil) {
					want("GET", err, nil, nil)
				}
				want("SET", r.Set(ctx, "sum", n+1, 0).Err(), nil, nil)
				inside.Add(-1)
				ok, err := m.Unlock()
				want("Unlock", ok, true, err)
			}
		}()
	}
	wait.Wait()
	want("40 additions under a lock", r.Get(ctx, "sum").Val(), "40", nil)
}

// owner: nobody but the holder extends or releases. The scripts are forgotten
// in between, so that EVALSHA meets NOSCRIPT.
func owner(r *redis.Client, locks *redsync.Redsync) {
	holder := locks.NewMutex("lock:own", redsync.WithExpiry(time.Minute))
	other := locks.NewMutex("lock:own", redsync.WithTries(1), redsync.WithValue("stranger"))
	want("Lock", holder.Lock(), nil, nil)
	want("Lock of what is held fails", other.Lock() != nil, true, nil)
	ok, _ := other.Unlock()
	want("Unlock by a stranger", ok, false, nil)
	ok, _ = other.Extend()
	want("Extend by a stranger", ok, false, nil)
	want("the lock after that", r.Get(ctx, "lock:own").Val(), holder.Value(), nil)

	want("SCRIPT FLUSH", r.ScriptFlush(ctx).Val(), "OK", nil)
	want("PEXPIRE", r.PExpire(ctx, "lock:own", 30*time.Second).Val(), true, nil)
	ok, err := holder.Extend()
	want("Extend", ok, true, err)
	want("what is left after Extend", r.PTTL(ctx, "lock:own").Val() > 30*time.Second, true, nil)
	want("SCRIPT FLUSH", r.ScriptFlush(ctx).Val(), "OK", nil)
	ok, err = holder.Unlock()
	want("Unlock", ok, true, err)
	want("EXISTS after Unlock", r.Exists(ctx, "lock:own").Val(), 0, nil)
}

// expiry: a lock whose holder is gone can be had again, and the old holder
// cannot release it any more.
func expiry(r *redis.Client, locks *redsync.Redsync) {
	gone := locks.NewMutex("lock:gone", redsync.WithExpiry(50*time.Millisecond), redsync.WithTries(1000))
	want("Lock", gone.Lock(), nil, nil)
	next := locks.NewMutex("lock:gone", redsync.WithExpiry(time.Minute), redsync.WithTries(10000),
		redsync.WithRetryDelay(5*time.Millisecond))
	want("Lock after expiry", next.Lock(), nil, nil)
	ok, _ := gone.Unlock()
	want("Unlock of what has expired", ok, false, nil)
	want("the lock's holder", r.Get(ctx, "lock:gone").Val(), next.Value(), nil)
	ok, err := next.Unlock()
	want("Unlock", ok, true, err)
}

// limiter: of many that ask at once exactly as many pass as are allowed.
func limiter(r *redis.Client) {
	l := redis_rate.NewLimiter(r)
	rate := redis_rate.PerHour(10)
	var passed atomic.Int32
	var wait sync.WaitGroup
	for range 30 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			res, err := l.Allow(ctx, "user", rate)
			want("Allow", err, nil, nil)
			passed.Add(int32(res.Allowed))
		}()
	}
	wait.Wait()
	want("10 an hour, 30 asked", passed.Load(), 10, nil)
	want("SCRIPT FLUSH", r.ScriptFlush(ctx).Val(), "OK", nil)
	res, err := l.Allow(ctx, "user", rate)
	want("Allow after all are used", res.Allowed, 0, err)
	want("RetryAfter says when", res.RetryAfter > 0, true, nil)
	res, err = l.AllowAtMost(ctx, "batch", rate, 15)
	want("AllowAtMost", res.Allowed, 10, err)
	want("Reset", l.Reset(ctx, "user"), nil, nil)
	res, err = l.AllowN(ctx, "user", rate, 10)
	want("AllowN after Reset", res.Allowed, 10, err)
}
