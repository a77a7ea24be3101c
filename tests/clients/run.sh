#!/bin/bash
# run.sh - programs written for Redis, from Debian and the registries, against
# kvstored: each folder beside this file has a script that gets the socket.
#
#   tests/clients/run.sh            all of them
#   tests/clients/run.sh hiredis    one
set -uo pipefail
cd "$(dirname "$0")/../.."
tools/need.sh go gcc:gcc redis-cli:redis-tools redis-benchmark:redis-tools node:nodejs npm:npm /usr/bin/python3:python3 \
	/usr/lib/python3/dist-packages/redis/__init__.py:python3-redis /usr/include/hiredis/hiredis.h:libhiredis-dev || exit 1
[ -x build/kvstored ] && [ -e build/engines/hash.so ] || make --no-print-directory build || exit 1

dir=$(mktemp -d)
mkdir -p build/clients
: >"$dir/kvstored.conf"
build/kvstored --listen "$dir/s" --engine build/engines/hash.so --config "$dir/kvstored.conf" >"$dir/log" 2>&1 &
daemon=$!
trap 'kill $daemon 2>/dev/null; wait $daemon 2>/dev/null; rm -rf "$dir"' EXIT
for ((i = 0; i < 600; i++)); do
	[ -S "$dir/s" ] && break
	sleep 0.05
done

failed=0
for script in tests/clients/${1:-*}/run.sh; do
	name=$(basename "$(dirname "$script")")
	if timeout 300 "$script" "$dir/s" >"$dir/out" 2>&1; then
		echo "$name: ok"
	else
		echo "$name: FAILED"
		sed 's/^/    /' "$dir/out"
		failed=1
	fi
	redis-cli -s "$dir/s" flushall >/dev/null
done
kill -0 $daemon 2>/dev/null || { echo "kvstored has died:"; cat "$dir/log"; failed=1; }
exit $failed
