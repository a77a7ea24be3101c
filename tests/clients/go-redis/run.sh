#!/bin/sh
# go-redis, in a module of its own.
set -eu
cd "$(dirname "$0")"
exec go run . "$1"
