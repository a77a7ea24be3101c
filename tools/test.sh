#!/bin/bash
# test.sh - `make test`: every part that needs neither root nor a container.
# Runs all parts whatever fails, then tells what ran, how long, and what failed.
set -uo pipefail
cd "$(dirname "$0")/.."
. tools/parts.sh

# proofs ARGUMENTS... - go test, of which it is shown what was done how often.
proofs() {
	go test "$@" | grep -vE '^ *(=== |--- PASS)'
}

part build              make --no-print-directory build
part lint               tools/lint.sh
for script in tests/*/run*.sh libkvstore/engines/*/test/run*.sh; do
	part "${script%.sh}" "$script"
done
part crash              proofs -v -timeout 40m ./tests/crash ./tests/migrate
part go                 go test $(go list ./... | grep -vxE 'kvstored/tests/(crash|migrate)')
parts_end
