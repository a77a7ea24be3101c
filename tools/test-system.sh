#!/bin/bash
# test-system.sh - `make test-system`: the packages, as users get them, on real
# systemds.  Runs as root.
set -uo pipefail
cd "$(dirname "$0")/.."
. tools/parts.sh

# The same tree, in another directory, gives the same bytes.
rebuild_is_identical() {
	local elsewhere
	elsewhere=$(mktemp -d /tmp/kvstored-rebuild.XXXXXX)
	git ls-files -z --cached --others --exclude-standard | tar -c --null -T - | tar -x -C "$elsewhere"
	SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) make --no-print-directory -C "$elsewhere" packages >/dev/null &&
		diff -rs "$elsewhere/dist" dist
	local code=$?
	rm -rf "$elsewhere"
	return $code
}

# Neither errors nor warnings; packaging/lintian has the reasons for what it need not say.
lintian_clean() {
	lintian --fail-on error,warning --tag-display-limit 0 dist/*.deb
}

units_verify() {
	local out
	out=$(systemd-analyze verify --man=no packaging/systemd/kvstored.socket packaging/systemd/kvstored.service 2>&1 |
		grep -v 'Command /usr/bin/kv.* is not executable: No such file')
	[ -z "$out" ] || { echo "$out"; return 1; }
	for unit in packaging/systemd/*.service; do
		systemd-analyze security --offline=true --no-pager --threshold=5 "$unit" | tail -n 1 || return 1
	done
}

part packages           make --no-print-directory packages build/test/lmdb-next.so
part identical          rebuild_is_identical
part lintian            lintian_clean
part units              units_verify
part systemd            go test -tags system -count=1 -v -timeout 45m ${RUN:+-run "$RUN"} ./tests/system
parts_end
