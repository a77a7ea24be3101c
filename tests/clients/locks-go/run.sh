#!/bin/sh
# redsync and redis_rate, in a module of their own.
set -eu
cd "$(dirname "$0")"
exec go run . "$1"
