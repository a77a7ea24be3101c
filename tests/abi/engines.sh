# engines.sh - sourced by run-model.sh and run-tsan.sh, which set dir, lib and flags.

# two_copies ENGINE - builds a folder of libkvstore/engines twice with $flags and
# sets `this` and `other`, which is empty for an engine without hand-over.
two_copies() {
	for copy in a b; do
		# shellcheck disable=SC2086
		${CC:-gcc} $flags -fPIC -fvisibility=hidden -fno-gnu-unique -shared \
			-Wl,-soname,libkvstore.so -o "$dir/$1-$copy.so" "$lib/engines/$1"/*.c \
			$(cat "$lib/engines/$1/libs" 2>/dev/null)
	done
	this=$dir/$1-a.so
	other=$dir/$1-b.so
	case $1 in simple | lmdb) other= ;; esac # they do not hand over
}
