#!/bin/bash
# lint.sh - gofmt, go vet, and the rules of the house that a machine can see.
set -uo pipefail
cd "$(dirname "$0")/.."
bad=0

complain() { # complain TITLE TEXT - notes a breach when TEXT is not empty
	[ -z "$2" ] && return
	printf 'lint: %s:\n%s\n' "$1" "$2" >&2
	bad=1
}

complain "not gofmt'ed" "$(gofmt -l cmd pkg tests libkvstore packaging bench 2>/dev/null)"
go vet ./... || bad=1
go vet -tags system ./tests/system/... || bad=1
complain 'only pkg/engine may import "C"' \
	"$(grep -rl --include='*.go' '^import "C"' . | grep -v '^\./pkg/engine/')"
complain "notes to oneself belong in an issue" \
	"$(git grep -nE '\b(TODO|FIXME|XXX)\b' -- '*.go' '*.c' '*.h' '*.sh' '*.md' Makefile | grep -v '^tools/lint.sh:')"
# kvstore.h is the manual of the interface, in one piece; so are its frozen copies.
complain "longer than 600 lines" \
	"$(git ls-files '*.go' '*.c' '*.h' '*.sh' | xargs wc -l |
		awk '$1 > ($2 ~ /^(libkvstore|tests\/abi\/frozen\/[0-9]+)\/kvstore\.h$/ ? 900 : 600) && $2 != "total" { print $2 ": " $1 }')"
for script in $(git ls-files '*.sh') .ci/run; do
	head -n 1 "$script" | grep -q bash && shell=bash || shell=sh
	$shell -n "$script" || bad=1
done
[ $bad = 0 ] && echo "lint: clean"
exit $bad
