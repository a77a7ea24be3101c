#!/bin/sh
# node-redis and ioredis, at the versions of the lock file.
exec "$(dirname "$0")/../npm.sh" "$(dirname "$0")" "$1"
