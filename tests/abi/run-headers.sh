#!/bin/sh
# The headers as authors meet them: alone, in C and in C++, with every warning;
# and an engine by a C++ author against the model.
#
#   run-headers.sh [DIR]    works in DIR (build)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
lib=$here/../../libkvstore
dir=${1:-$here/../../build}/abi-headers
warnings="-Wall -Wextra -Wpedantic -Werror -I$lib"
mkdir -p "$dir"

for standard in c11 c17 gnu2x; do
	# shellcheck disable=SC2086
	echo '#include <kvstore.h>' | ${CC:-gcc} -std=$standard $warnings -fsyntax-only -xc -
	# shellcheck disable=SC2086
	${CC:-gcc} -std=$standard $warnings -fsyntax-only "$lib"/engines/simple/simple.c
done
echo "headers: clean in C"

if ! command -v "${CXX:-g++}" >/dev/null; then
	echo "headers: not tried in C++: no g++ (apt install g++)"
	exit 0
fi
for standard in c++11 c++17 c++20; do
	# shellcheck disable=SC2086
	echo '#include <kvstore.h>' | ${CXX:-g++} -std=$standard $warnings -fsyntax-only -xc++ -
done
# shellcheck disable=SC2086
${CXX:-g++} -std=c++20 $warnings -fPIC -fvisibility=hidden -fno-gnu-unique -shared \
	-o "$dir/cxx.so" "$here/cxx.cc"
${CC:-gcc} -std=c17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Wpedantic -Werror -I"$lib" \
	-o "$dir/model" "$here/model.c" "$here/host.c" -ldl
"$dir/model" "$dir/cxx.so" steps=2000
echo "headers: clean in C++"
