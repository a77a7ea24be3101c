#!/bin/sh
# run.sh - kvstored beside redis-server: 200,000 random commands and more, with
# what they covered, and as many in and out of transactions; then the same across
# swaps of the engine.
#
#   SEED=7 COMMANDS=1000000 tests/differential/run.sh
set -eu
cd "$(dirname "$0")/../.."
seed=${SEED:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}
go test ./tests/differential -count=1 -timeout 6h -v -run 'TestAgainstRedis|TestAcrossSwaps|TestTransactions' \
	-seed "$seed" -commands "${COMMANDS:-200000}"
