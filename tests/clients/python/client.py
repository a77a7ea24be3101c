"""python3-redis against kvstored: commands, pipelines, transactions, publish
and subscribe, locks without scripts, errors."""

import sys
import threading

import redis

path = sys.argv[1]
r = redis.Redis(unix_socket_path=path, decode_responses=True)


def same(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


same(r.ping(), True)
same(r.set("name", "Rojalin"), True)
same(r.get("name"), "Rojalin")
same(r.set("name", "x", nx=True), None)
same(r.set("name", "y", get=True), "Rojalin")
same(r.mset({"a": 1, "b": 2}), True)
same(r.mget("a", "none", "b"), ["1", None, "2"])
same(r.incrby("a", 41), 42)
same(r.incrbyfloat("f", 1.5), 1.5)
same(r.setex("t", 100, "v"), True)
assert 0 < r.ttl("t") <= 100
same(r.expire("a", 50), True)
same(r.persist("a"), True)
same(r.getex("b", ex=10), "2")
same(r.setbit("bits", 7, 1), 0)
same(r.bitcount("bits"), 1)
same(r.bitop("NOT", "not", "bits"), 1)
same(r.pfadd("hll", 1, 2, 3), 1)
same(r.pfcount("hll"), 3)
same(sorted(r.scan_iter(match="b*")), ["b", "bits"])
same(r.type("a"), "string")
same(r.exists("a", "none"), 1)
same(r.delete("a", "b"), 2)
same(r.rename("name", "other"), True)

with r.pipeline(transaction=True) as p:
    same(p.set("x", 1).incr("x").get("x").execute(), [True, 2, "2"])
with r.pipeline() as p:  # WATCH notices a change
    p.watch("x")
    r.set("x", 10)
    p.multi()
    p.incr("x")
    try:
        p.execute()
        raise AssertionError("the transaction went through")
    except redis.WatchError:
        pass
same(r.transaction(lambda p: (p.multi(), p.incr("x")), "x"), [11])

sub = r.pubsub(ignore_subscribe_messages=True)
sub.subscribe("news")
sub.get_message(timeout=10)
for _ in range(1000):
    if r.publish("news", "hello") == 1:
        break
for message in sub.listen():
    same(message["data"], "hello")
    break
sub.close()

try:
    r.incr("other")
    raise AssertionError("no error")
except redis.ResponseError as e:
    same(str(e), "value is not an integer or out of range")
try:
    r.lpush("list", 1)
    raise AssertionError("no error")
except redis.ResponseError as e:
    assert "there are no lists here" in str(e), e

# What the client takes apart.
info = r.info()
same(info["redis_mode"], "standalone")
same(info["db0"]["keys"], r.dbsize())
assert r.info("commandstats")["cmdstat_set"]["calls"] > 0
assert r.config_get("max*")["maxclients"]
same(r.config_set("slowlog-max-len", 100), True)
same(r.client_setname("me"), True)
same(r.client_getname(), "me")
assert any(c["name"] == "me" for c in r.client_list())
assert r.client_kill_filter(_id=redis.Redis(unix_socket_path=path).client_id()) in (0, 1)
same(r.client_pause(1), True)
assert r.command_count() > 100
assert r.command()["get"]["arity"] == 2
same(r.command_getkeys("MSET", "a", 1, "b", 2), ["a", "b"])
assert r.memory_stats()["keys.count"] > 0
assert isinstance(r.slowlog_get(), list)
same(r.slowlog_reset(), True)
same(r.role()[0], "master")
assert r.time()[0] > 1_600_000_000
assert r.debug_object("other")["refcount"] == 1
same(r.object("encoding", "x"), "int")
assert redis.Redis(unix_socket_path=path).restore("copy", 0, redis.Redis(unix_socket_path=path).dump("other"))
same(r.get("copy"), r.get("other"))

# Many threads on one pool.
def work():
    for _ in range(200):
        r.incr("together")


threads = [threading.Thread(target=work) for _ in range(8)]
for t in threads:
    t.start()
for t in threads:
    t.join()
same(r.get("together"), "1600")
