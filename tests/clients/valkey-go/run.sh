#!/bin/sh
# run.sh - valkey-go with client-side caching against a kvstored of its own, which
# it exchanges the engine of.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$here/../../../build" && pwd) || { echo "valkey-go: nothing is built; fix: make" >&2; exit 1; }
work=$(mktemp -d)
daemon=
clean() {
	[ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
	rm -rf "$work"
}
trap clean EXIT
: >"$work/kvstored.conf"
"$build/kvstored" --listen "$work/socket" --engine "$build/libkvstore.so" --config "$work/kvstored.conf" 2>"$work/log" &
daemon=$!
for _ in $(seq 600); do
	[ "$("$build/kvctl" --socket "$work/socket" PING 2>/dev/null)" = PONG ] && break
	kill -0 "$daemon" || { cat "$work/log" >&2; exit 1; }
	sleep 0.1
done
cd "$here"
KVSTORE_SOCKET=$work/socket KVSTORE_NEXT_ENGINE=$build/test/hash-next.so go test -count=1 -timeout 300s . || {
	cat "$work/log" >&2
	exit 1
}
kill -0 "$daemon" # it serves still
