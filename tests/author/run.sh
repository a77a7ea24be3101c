#!/bin/sh
# run.sh - docs/engines.md as its reader does it, from what `make install` puts into place:
# write an engine, build it, check it, ship it, and have a daemon serve it.  Then the
# examples in C, C++ (with g++) and Rust (with rustc).  Usage: run.sh [BUILD]
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${1:-$top/build}
work=$(mktemp -d)
daemon=
clean() {
	[ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
	rm -rf "$work"
}
trap clean EXIT
for what in kvstored kvctl engines/simple.so engines/hash.so engines/lmdb.so; do
	[ -e "$build/$what" ] || { echo "author: $build/$what is not built; fix: make" >&2; exit 1; }
done
[ "$build" = "$top/build" ] || { echo "author: make install takes $top/build only" >&2; exit 1; }

root=$work/root
make -s --no-print-directory -C "$top" install DESTDIR="$root" >/dev/null
PATH=$root/usr/bin:$PATH
CPATH=$root/usr/include
export PATH CPATH

# What pkg-config says, with or without pkg-config on this machine.
pc=$root/usr/share/pkgconfig/kvstored.pc
flags=$(sed -n 's/^engine_flags=//p' "$pc")
[ "$(sed -n 's/^engine_dir=//p' "$pc")" = /usr/lib/kvstored/engines ]

# snippet NAME - the block of the guide that begins after a line `<!-- NAME -->`.
snippet() {
	awk -v name="<!-- $1 -->" '$0 == name { on = 1; next } on && /^    / { print substr($0, 5); seen = 1; next }
		on && /^$/ && seen { print; next } on && seen { exit }' "$top/docs/engines.md"
}

mkdir "$work/mine"
cd "$work/mine"
snippet mine.c >mine.c
grep -q KVSTORE_SIMPLE_ENGINE mine.c || { echo "author: no mine.c in docs/engines.md" >&2; exit 1; }
# shellcheck disable=SC2086
${CC:-gcc} -O2 -Wall -Wextra -Werror $flags -o mine.so mine.c
kvctl engine check --full ./mine.so >report
grep -q '^  result *ok$' report
install -D -m 644 mine.so "$root/usr/lib/kvstored/engines/mine.so"

kvstored --listen "$work/socket" --state-dir "$work" \
	--engine "$root/usr/lib/kvstored/engines/mine.so" 2>"$work/log" &
daemon=$!
for _ in $(seq 600); do
	[ "$(kvctl --socket "$work/socket" PING 2>/dev/null)" = PONG ] && break
	kill -0 "$daemon" || { cat "$work/log" >&2; exit 1; }
	sleep 0.1
done
kvctl --socket "$work/socket" SET name Rojalin >/dev/null
[ "$(kvctl --socket "$work/socket" GET name)" = Rojalin ]
kvctl --socket "$work/socket" engine status | grep -qx engine=mine
# Exchanged for another one while it serves: nothing is lost.
kvctl --socket "$work/socket" engine reload "$root/usr/lib/kvstored/engines/hash.so" >/dev/null
[ "$(kvctl --socket "$work/socket" GET name)" = Rojalin ]
kill "$daemon"
wait "$daemon" || true
daemon=
echo "author: an engine written, built, checked, shipped and served"

examples="simple.so"
if command -v "${CXX:-g++}" >/dev/null; then examples="$examples simple-cxx.so"; else
	echo "author: no g++: the example in C++ was not tried"
fi
if command -v rustc >/dev/null; then examples="$examples simple-rs.so"; else
	echo "author: no rustc: the example in Rust was not tried"
fi
cp -r "$root/usr/share/doc/kvstored-dev/examples" "$work/examples"
cd "$work/examples"
# shellcheck disable=SC2086
make -s $examples FLAGS="$flags" WARN='-Wall -Wextra -Werror'
for engine in $examples; do
	kvctl engine check --full "./$engine" >report || { cat report >&2; exit 1; }
	grep -q 'unloading: ok' report || { cat report >&2; exit 1; }
done
echo "author: examples checked: $examples"
