#!/bin/sh
# run.sh - the update functions under AddressSanitizer and UndefinedBehaviorSanitizer
set -eu
cd "$(dirname "$0")"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
${CC:-gcc} -std=c17 -O1 -g -Wall -Wextra -Wpedantic -Werror -fsanitize=address,undefined -fno-sanitize-recover=all \
	-I../../libkvstore -I../../pkg/engine update_test.c ../../pkg/engine/update*.c -lm -o "$out/update_test"
"$out/update_test"
