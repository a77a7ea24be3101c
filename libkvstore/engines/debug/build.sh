#!/bin/sh
# Builds the debug engine's bad libraries, for tests.
#
#   build.sh DIR [FAULT...]    DIR/debug-FAULT.so for each, all by default;
#                              "keys" is the plain engine with the magic keys
#
# CFLAGS is added to the compiler's flags, for example -DDEBUG_AFTER=5000.
set -eu

if [ $# -lt 1 ]; then
	echo "build.sh: where to build is missing; usage: build.sh DIR [FAULT...]" >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
dir=$1
shift
if [ $# -eq 0 ]; then
	set -- keys $(sed -n 's/^#define FAULT_\([a-z_]*\) [0-9]*$/\1/p' "$here/fault.h" | grep -v '^none$')
fi
mkdir -p "$dir"
for fault; do
	name=$(printf %s "$fault" | tr _ -)
	case $name in
	keys) define=-DDEBUG_KEYS ;;
	*) define=-DDEBUG_FAULT=$(printf %s "$fault" | tr - _) ;;
	esac
	${CC:-gcc} -std=c17 -O2 -g -fPIC -fvisibility=hidden -Wall -Wextra -Wpedantic \
		-Werror -fno-gnu-unique -I"$here/../.." "$define" ${CFLAGS:-} -shared \
		-Wl,-soname,libkvstore.so -Wl,-z,relro,-z,now,-z,defs \
		-o "$dir/debug-$name.so" "$here"/*.c
done
