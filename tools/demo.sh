#!/bin/bash
# demo.sh - `make demo`: the main job of kvstored, before one's eyes.
#
# Needs no root and touches nothing of the system: the socket lies in a new
# directory under /tmp, everything else in build/demo.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=$(mktemp -d /tmp/kvstored-demo.XXXXXX)
sock=$dir/kvstored.sock
library=$PWD/build/demo/libkvstore.so
log=$PWD/build/demo/log
export KVSTORE_SOCKET=$sock
PATH=$PWD/build:$PATH
bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$'\e[1m' plain=$'\e[0m'
fi

say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
show() { # show COMMAND... - as if typed
	printf '  $ %s\n' "$*"
	"$@" 2>&1 | sed 's/^/  /'
}
give_up() {
	printf '\ndemo: %s\n  why: its messages are in %s\n  fix: %s\n' "$1" "$log" "read them: tail $log" >&2
	exit 1
}

daemon= counter=
finish() {
	touch "$dir/stop"
	[ -z "$counter" ] || wait "$counter" 2>/dev/null || :
	[ -z "$daemon" ] || kill "$daemon" 2>/dev/null || :
	[ -z "$daemon" ] || wait "$daemon" 2>/dev/null || :
	rm -rf "$dir"
}
trap finish EXIT

put() { # put ENGINE-FILE - as an upgrade does it: a new file in the place of the old
	install -m 644 "$1" "$library"
}

version() { kvctl engine status | sed -n 's/^version=//p'; }

mkdir -p build/demo
put build/engines/hash.so

say "1. A socket is there, no daemon yet: systemd-socket-activate listens, as systemd would"
systemd-socket-activate --fdname=kvstored --listen="$sock" \
	"$PWD/build/kvstored" --engine "$library" 2>"$log" &
daemon=$!
while [ ! -S "$sock" ]; do
	kill -0 $daemon 2>/dev/null || give_up "the socket did not appear"
	sleep 0.05
done
printf '  %s\n' "$(ls -l "$sock")"

say "2. The first command starts the daemon"
show kvctl SET name Rojalin || give_up "kvstored did not start"
show kvctl GET name

say "3. One client counts without pause, on one connection"
while [ ! -e "$dir/stop" ]; do
	printf 'INCR visits\n%.0s' {1..20}
	sleep 0.002
done | kvctl >"$dir/counted" 2>"$dir/counter-says" &
counter=$!
while [ ! -s "$dir/counted" ]; do
	kill -0 $counter 2>/dev/null || give_up "the counting client stopped: $(cat "$dir/counter-says")"
	sleep 0.05
done
printf '  $ yes "INCR visits" | kvctl    # has counted to %s\n' "$(kvctl GET visits)"

say "4. Meanwhile the library is exchanged, ten times, between two releases"
for round in 1 2 3 4 5; do
	for engine in build/test/hash-next.so build/engines/hash.so; do
		put "$engine"
		kvctl engine reload >"$dir/reload" 2>&1 || give_up "reload: $(cat "$dir/reload")"
		printf '  %s; visits: %s\n' "$(cat "$dir/reload")" "$(kvctl GET visits)"
	done
done

say "5. A bad library is refused, and nothing happens"
put README.md
printf '  $ install README.md libkvstore.so && kvctl engine reload\n'
if kvctl engine reload 2>&1 | sed 's/^/  /'; then
	give_up "a text file was taken for a library"
fi
put build/engines/hash.so

say "6. Was anything lost?"
touch "$dir/stop"
wait $counter || give_up "the counting client failed: $(cat "$dir/counter-says")"
counter=
lines=$(wc -l <"$dir/counted")
gaps=$(awk '$1 != NR' "$dir/counted" | wc -l)
printf '  the client sent INCR %d times on one connection; answers out of order or missing: %d\n' "$lines" "$gaps"
printf '  visits is now %s, name is %s\n' "$(kvctl GET visits)" "$(kvctl GET name)"
kvctl engine status | sed -n 's/^lane_held_max_us=\(.*\)/  the longest that all clients waited for an exchange: \1 microseconds/p'
[ "$gaps" = 0 ] && [ "$(kvctl GET visits)" = "$lines" ] || give_up "something was lost"

cat <<'END'

What to try next
  make packages && sudo apt install ./dist/kvstored_*.deb
                            install it: then `kvctl SET name Rojalin` just works
  libkvstore/engines/simple/simple.c
                            an engine in thirty lines of C; change it, then
                            build/kvctl engine check build/engines/simple.so
  docs/architecture.md      how it works, in ten minutes
  make test                 prove it
END
