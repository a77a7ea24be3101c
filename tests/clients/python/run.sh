#!/bin/sh
# Debian's python3-redis.
exec /usr/bin/python3 -B "$(dirname "$0")/client.py" "$1"
