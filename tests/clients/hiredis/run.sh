#!/bin/sh
# hiredis, the C client: replies of each kind, pipelines, binary values.
set -eu
here=$(dirname "$0")
program=$(mktemp)
trap 'rm -f "$program"' EXIT
gcc -std=c17 -Wall -Wextra -Werror -I/usr/include/hiredis "$here/client.c" -o "$program" -lhiredis
"$program" "$1"
