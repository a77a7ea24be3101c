#!/bin/sh
# run.sh - builds the engine and its model test, plain and with ASan and UBSan, and
# runs them.  Usage: run.sh [BUILD-DIRECTORY] [ROUNDS]; the directory is made if missing.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
engine=$(dirname "$here")
include=$(cd "$engine/../.." && pwd)
out=${1:-$(mktemp -d)}
rounds=${2:-1500}
mkdir -p "$out"
strict="-std=c17 -g -fPIC -Wall -Wextra -Wpedantic -Werror -fno-gnu-unique -I$include"

build() { # name, flags
	for copy in a b; do
		gcc $strict $2 -fvisibility=hidden -shared -Wl,-soname,libkvstore.so \
			-Wl,-z,relro,-z,now "$engine"/*.c -o "$out/$1-$copy.so"
	done
	gcc $strict $2 -D_GNU_SOURCE "$here"/main.c "$here"/world.c "$here"/ops.c "$here"/model.c \
		"$here"/verify.c "$engine"/*.c -ldl -o "$out/$1-model"
	gcc $strict $2 -D_GNU_SOURCE "$here"/big.c "$here"/verify.c "$engine"/*.c -o "$out/$1-big"
	gcc $strict $2 -D_GNU_SOURCE "$here"/evict.c "$here"/verify.c "$engine"/*.c -o "$out/$1-evict"
	gcc $strict $2 -D_GNU_SOURCE "$here"/huge.c "$here"/verify.c "$engine"/*.c -o "$out/$1-huge"
	gcc $strict $2 -D_GNU_SOURCE "$here"/stage.c "$here"/verify.c "$engine"/*.c -o "$out/$1-stage"
	gcc $strict $2 -D_GNU_SOURCE "$here"/offer.c "$engine"/*.c -o "$out/$1-offer"
}

run() { # name, seed, limit, poor
	"$out/$1-model" "$out/$1-a.so" "$out/$1-b.so" "$2" "$rounds" "$3" ${4:-}
}

build plain -O2
build asan "-O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined"
for name in plain asan; do
	run $name 1 0
	run $name 2 0 poor
	run $name 3 1500000
	run $name 4 1500000 poor
	"$out/$name-big"
	"$out/$name-evict"
	"$out/$name-offer"
	"$out/$name-huge"
	"$out/$name-stage"
done
"$out/plain-offer" limit
