#!/bin/sh
# run.sh [FLAGS] - what `make bench` runs; see bench/README.md.
set -eu
cd "$(dirname "$0")/.."
exec go run ./bench -kvstored build/kvstored -engine build/libkvstore.so -out build/bench "$@"
