#!/bin/sh
# Random operations on each engine, compared with a model, under ASan and UBSan.
#
#   run-model.sh [DIR [ENGINE...]]    works in DIR (build); engines: folders of libkvstore/engines
#
# STEPS and SEED (environment) choose how many steps and which.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
lib=$here/../../libkvstore
dir=${1:-$here/../../build}/abi-asan
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- debug simple hash lmdb
flags="-std=c17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Wpedantic -Werror -I$lib
	-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
mkdir -p "$dir"
. "$here/engines.sh"
# shellcheck disable=SC2086
${CC:-gcc} $flags -o "$dir/model" "$here/model.c" "$here/host.c" -ldl
for engine; do
	two_copies "$engine"
	# shellcheck disable=SC2086
	"$dir/model" "$this" $other seed="${SEED:-1}" steps="${STEPS:-6000}"
done
