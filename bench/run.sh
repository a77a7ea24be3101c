#!/bin/sh
# run.sh [FLAGS] - what `make bench` runs; see bench/README.md.
set -eu
cd "$(dirname "$0")/.."
memcached=$(command -v memcached || true)
exec go run ./bench -kvstored build/kvstored -engine build/libkvstore.so -next build/test/hash-next.so \
	-other build/test/hash-other.so -lmdb build/engines/lmdb.so -kvctl build/kvctl -memcached "$memcached" -out build/bench "$@"
