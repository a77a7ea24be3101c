#!/bin/sh
# run-crash.sh - what the engine keeps when something breaks: power cuts, damaged bytes,
# kills, calls that fail, spoilt images; built with ASan and UBSan, most of the cuts and kills also plain.
# Usage: run-crash.sh [TIMES]; TIMES multiplies all of it (make crash N=TIMES).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
engine=$(dirname "$here")
include=$(cd "$engine/../.." && pwd)
n=${1:-1}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
strict="-std=c17 -g -Wall -Wextra -Wpedantic -Werror -D_GNU_SOURCE -I$include -I$engine"

gcc $strict -O2 "$here"/crash*.c "$here"/shop.c "$here"/power.c "$here"/verify.c "$engine"/*.c -o "$out/plain"
gcc $strict -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	"$here"/crash*.c "$here"/shop.c "$here"/power.c "$here"/verify.c "$engine"/*.c -o "$out/asan"

i=0
while [ $i -lt "$n" ]; do
	"$out/plain" power $((i * 10 + 1)) 9000
	"$out/asan" power $((i * 10 + 2)) 1200
	"$out/asan" flip $((i * 10 + 1))
	"$out/plain" image $((i * 10 + 1)) 1
	"$out/asan" image $((i * 10 + 2)) 251
	"$out/plain" kill $((i * 10 + 1)) 400
	"$out/asan" kill $((i * 10 + 2)) 120
	"$out/plain" fault $((i * 10 + 1)) 200
	"$out/asan" fault $((i * 10 + 2)) 60
	"$out/asan" clock $((i * 10 + 2))
	i=$((i + 1))
done
