#!/bin/sh
# run.sh - lmdb on disk: kept, grown, full, failing, killed, cut off from its power, damaged, larger
# than memory.  Usage: run.sh [DIR [CUTS [KILLS [STEP [FAILS]]]]]; DIR (build/lmdb) is on a disk.
#
# 10,000 cuts, 500 kills, every byte damaged, every call failing: run.sh build/lmdb 10000 500 1 1
set -eu
here=$(cd "$(dirname "$0")" && pwd)
engine=$(dirname "$here")
include=$(cd "$engine/../.." && pwd)
out=${1:-$include/../build/lmdb}
cuts=${2:-1200}
kills=${3:-150}
step=${4:-23}
fails=${5:-2}
mkdir -p "$out"
work=$(mktemp -d "$out/work.XXXXXX")
group=
clean() {
	rm -rf "$work"
	[ -z "$group" ] || rmdir "$group" || true
}
trap clean EXIT

build() { # NAME FLAGS PROGRAM...
	flags="-std=c17 -g -Wall -Wextra -Wpedantic -Werror -I$include $2 -DLMDB_FIRST_MAP=65536 -DCHURN_LEAST=262144ull -DNOTED_MOST=20000ull"
	# shellcheck disable=SC2086
	${CC:-gcc} $flags -fPIC -shared -Wl,-soname,"$1-engine.so" "$engine"/*.c \
		"$here/kit.c" "$here/fault.c" -llmdb -o "$out/$1-engine.so"
	name=$1
	shift 2
	for program; do
		# shellcheck disable=SC2086
		${CC:-gcc} $flags "$here/$program.c" "$out/$name-engine.so" -llmdb \
			-Wl,-rpath,'$ORIGIN' -o "$out/$name-$program"
	done
}

fresh() { # makes an empty directory
	rm -rf "$work/store"
	mkdir "$work/store"
}

# limit BYTES - a memory group of our own, in $group; false: not to be had here.
limit() {
	[ "$(id -u)" = 0 ] || return 1
	for top in "/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)" \
		"/sys/fs/cgroup/memory$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup)" /sys/fs/cgroup/memory; do
		group=$top/kvstored-lmdb-$$
		mkdir "$group" 2>/dev/null || continue
		for file in memory.max memory.limit_in_bytes; do
			if [ -e "$group/$file" ] && echo "$1" >"$group/$file" 2>/dev/null; then
				return 0
			fi
		done
		rmdir "$group"
	done
	group=
	return 1
}

# pushed - whether the kernel had to take pages back to keep the group below its limit.
pushed() {
	for file in memory.failcnt memory.events; do
		[ -e "$group/$file" ] || continue
		sed -n 's/^\([1-9][0-9]*\)$/\1/p; s/^max \([1-9][0-9]*\)$/\1/p' "$group/$file" | grep -q . && return 0
	done
	return 1
}

large() { # as `large 192`, with 64 MiB of memory
	case $(stat -f -c %T "$work") in
	tmpfs | ramfs) echo "large: not run: $work is in memory"; return ;;
	esac
	limit $((64 << 20)) || { echo "large: not run: it takes root and a memory group"; return; }
	fresh
	(
		echo "$(exec sh -c 'echo $PPID')" >"$group/cgroup.procs"
		exec "$out/plain-large" "$work/store" 192
	)
	pushed || { echo "large: the limit of memory was never reached: nothing was shown" >&2; exit 1; }
}

build plain -O1 disk power large flip damage together fail
sanitizers="-O1 -fsanitize=address,undefined -fno-sanitize-recover=all"
build asan "$sanitizers -DSORT_LEAST=1u" disk power damage together

# Against the model, with so few hashes that many keys share each, a map that grows, and
# reads put in order.
abi=$include/../tests/abi
# shellcheck disable=SC2086
${CC:-gcc} -std=c17 -g -D_GNU_SOURCE $sanitizers -I"$include" "$abi/model.c" "$abi/host.c" -ldl -o "$out/model"
# shellcheck disable=SC2086
${CC:-gcc} -std=c17 -g $sanitizers -I"$include" -DLMDB_HASH_MASK=0xf000000000000030 -DLMDB_FIRST_MAP=65536 \
	-DSORT_LEAST=2u -fPIC -shared \
	-Wl,-soname,libkvstore.so "$engine"/*.c -llmdb -o "$out/weak.so"
"$out/model" "$out/weak.so" seed=4 steps=2000

run() { # PROGRAM ARGUMENTS
	fresh
	program=$1
	shift
	"$out/$program" "$work/store" "$@"
}
run plain-disk "$kills"
run plain-power "$cuts" 1
run plain-flip "$step"
run plain-damage
run plain-together
run plain-fail "$fails"
run asan-disk 5
run asan-power 50 2
run asan-damage
run asan-together 40
large
