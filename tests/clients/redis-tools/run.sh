#!/bin/bash
# redis-cli with its own modes, and redis-benchmark over the commands there are.
set -euo pipefail
cli() { redis-cli -s "$socket" "$@"; }
want() { # want WHAT EXPECTED GOT
	[ "$2" = "$3" ] || { echo "$1: want $2, got $3"; exit 1; }
}
socket=$1

want ping PONG "$(cli ping)"
for i in $(seq 1000); do printf 'SET key:%d value-%d\r\n' "$i" "$i"; done | cli --pipe | grep >/dev/null 'errors: 0, replies: 1000'
cli set big "$(head -c 5000 /dev/zero | tr '\0' x)" >/dev/null
want --scan 1001 "$(cli --scan | sort -u | wc -l)"
want "--scan --pattern" 112 "$(cli --scan --pattern 'key:1*' | grep -c .)"
cli --bigkeys | grep 'Biggest string found .*big.* has 5000 bytes' >/dev/null
cli --memkeys | grep -E 'Biggest string found .*big.* has 5[0-9]{3} bytes' >/dev/null
cli config set maxmemory-policy allkeys-lfu >/dev/null
redis-benchmark -s "$socket" -q -n 5000 get key:1 >/dev/null
cli --hotkeys | grep -E 'hot key found with counter: [0-9]+.*key:1"$' >/dev/null
cli config set maxmemory-policy noeviction >/dev/null
want "--intset of -n" 1 "$(cli -n 3 set a b >/dev/null; cli -n 3 dbsize)"
want --eval-less "value-7" "$(cli get key:7)"
want "-x" OK "$(printf hello | cli -x set stdin)"
want "--csv" '"hello","value-1"' "$(cli --csv mget stdin key:1)"
want "-3" PONG "$(cli -3 ping)"
want "--json" '"value-1"' "$(cli --json get key:1)"
# These run until they are ended.
timeout 3 stdbuf -oL redis-cli -s "$socket" --stat -i 0.1 >"$socket.stat" || [ $? = 124 ]
grep -q '^1003 ' "$socket.stat" || { echo "--stat:"; cat "$socket.stat"; exit 1; }
timeout 3 stdbuf -oL redis-cli -s "$socket" --latency --raw -i 1 >"$socket.latency" || [ $? = 124 ]
grep -Eq '^[0-9]+ [0-9]+ [0-9.]+ [0-9]+' "$socket.latency" || { echo "--latency:"; cat "$socket.latency"; exit 1; }
timeout 3 stdbuf -oL redis-cli -s "$socket" --latency-dist -i 0.5 >"$socket.dist" || [ $? = 124 ]
# INFO, COMMAND DOCS and CONFIG as redis-cli itself uses them.
cli info everything | grep >/dev/null '^cmdstat_set:calls='
cli command docs set | grep complexity >/dev/null
want "config get" 10000 "$(cli config get maxclients | tail -n 1)"

redis-benchmark -s "$socket" -q -n 2000 -c 10 -P 4 -r 100 -t ping,set,get,incr,mset >"$socket.bench"
want "redis-benchmark lines" 6 "$(tr '\r' '\n' <"$socket.bench" | grep -c 'requests per second')"
redis-benchmark -s "$socket" -q -n 500 -c 5 -3 append log: x >/dev/null
redis-benchmark -s "$socket" -q -n 500 -c 5 -r 1000 setbit bits 7 1 >/dev/null
rm -f "$socket".*
