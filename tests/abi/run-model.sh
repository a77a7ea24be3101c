#!/bin/sh
# Random operations on each engine, compared with a model, under ASan and UBSan.
#
#   run-model.sh DIR [ENGINE...]    works in DIR; engines: folders of libkvstore/engines
#
# STEPS and SEED (environment) choose how many steps and which.
set -eu

if [ $# -lt 1 ]; then
	echo "run-model.sh: where to build is missing; usage: run-model.sh DIR [ENGINE...]" >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
lib=$here/../../libkvstore
dir=$1/abi-asan
shift
[ $# -gt 0 ] || set -- debug simple hash
flags="-std=c17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Wpedantic -Werror -I$lib
	-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
mkdir -p "$dir"
# shellcheck disable=SC2086
${CC:-gcc} $flags -o "$dir/model" "$here/model.c" "$here/host.c" -ldl
for engine; do
	for copy in a b; do
		# shellcheck disable=SC2086
		${CC:-gcc} $flags -fPIC -fvisibility=hidden -fno-gnu-unique -shared \
			-Wl,-soname,libkvstore.so -o "$dir/$engine-$copy.so" "$lib/engines/$engine"/*.c
	done
	other=$dir/$engine-b.so
	[ "$engine" = simple ] && other=
	# shellcheck disable=SC2086
	"$dir/model" "$dir/$engine-a.so" $other seed="${SEED:-1}" steps="${STEPS:-20000}"
done
