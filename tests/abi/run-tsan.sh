#!/bin/sh
# Threads on each engine under ThreadSanitizer: no data race may be reported.
#
#   run-tsan.sh [DIR [ENGINE...]]    works in DIR (build); engines: folders of libkvstore/engines
#
# MILLISECONDS (environment) says how long for each engine.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
lib=$here/../../libkvstore
dir=${1:-$here/../../build}/abi-tsan
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- debug simple hash
flags="-std=c17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Wpedantic -Werror -I$lib -fsanitize=thread"
mkdir -p "$dir"
. "$here/engines.sh"
# shellcheck disable=SC2086
${CC:-gcc} $flags -pthread -o "$dir/tsan" "$here/tsan.c" "$here/host.c" -ldl
for engine; do
	two_copies "$engine"
	# Fixed addresses: the sanitizer cannot cope with much randomness in them.
	# shellcheck disable=SC2086
	TSAN_OPTIONS="halt_on_error=1 exitcode=66" setarch -R \
		"$dir/tsan" "$this" $other milliseconds="${MILLISECONDS:-2000}"
done
