#!/bin/bash
# asan.sh - the engines built with ASan and UBSan: against a model, and through
# the conformance suite that every library meets before it serves.
set -uo pipefail
cd "$(dirname "$0")/.."
. tools/parts.sh

dir=build/asan
flags='-std=c17 -O1 -g -fPIC -fvisibility=hidden -Wall -Wextra -Wpedantic -Werror -fno-gnu-unique
	-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'

# conforms ENGINE - the whole suite, in a process that has the sanitizers from its start.
# Leaks are not looked for there: the process is Go's, and ends with exec'ed children.
conforms() {
	mkdir -p $dir &&
		gcc $flags -Ilibkvstore -shared -Wl,-soname,libkvstore.so libkvstore/engines/"$1"/*.c \
			$(cat libkvstore/engines/"$1"/libs 2>/dev/null) -o $dir/"$1".so &&
		LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
			ASAN_OPTIONS=detect_leaks=0:handle_segv=0 build/kvstored check-engine --full "$PWD/$dir/$1.so"
}

# evictions - the hash engine under a limit of memory, with all of its policies.
evictions() {
	mkdir -p $dir &&
		gcc $flags -D_GNU_SOURCE -Ilibkvstore libkvstore/engines/hash/test/evict.c \
			libkvstore/engines/hash/test/verify.c libkvstore/engines/hash/*.c -o $dir/evict &&
		$dir/evict 1 450
}

part eviction           evictions
part model              tests/abi/run-model.sh
for engine in libkvstore/engines/*/; do
	part "conformance of $(basename "$engine")" conforms "$(basename "$engine")"
done
parts_end
