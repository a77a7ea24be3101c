#!/bin/bash
# test.sh - `make test`: every part that needs neither root nor a container.
# Runs all parts whatever fails, then tells what ran, how long, and what failed.
set -uo pipefail
cd "$(dirname "$0")/.."
. tools/parts.sh

part build              make --no-print-directory build
part lint               tools/lint.sh
for script in tests/*/run*.sh libkvstore/engines/*/test/run*.sh; do
	part "${script%.sh}" "$script"
done
part go                 go test ./...
parts_end
