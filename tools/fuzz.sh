#!/bin/bash
# fuzz.sh TIME - every fuzzer of the tree, one after another, for TIME each.
set -uo pipefail
cd "$(dirname "$0")/.."
. tools/parts.sh

while IFS=: read -r file name; do
	part "$name in $(dirname "$file")" go test -run '^$' -fuzz "^$name\$" -fuzztime "$1" "./$(dirname "$file")"
done < <(grep -ro --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' cmd pkg tests | sed 's/func //')
parts_end
