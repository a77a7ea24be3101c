# parts.sh - sourced by bash: runs the parts of a test run, each timed, and sums up.
passed=() failed=()

# part NAME COMMAND... - runs COMMAND, prints how it ended; never skips.
part() {
	local name=$1 start=$SECONDS
	shift
	printf '\n=== %s: %s\n' "$name" "$*"
	if "$@"; then
		passed+=("$name ($((SECONDS - start))s)")
		printf -- '--- %s passed in %ds\n' "$name" $((SECONDS - start))
	else
		failed+=("$name ($((SECONDS - start))s)")
		printf -- '--- %s FAILED after %ds\n' "$name" $((SECONDS - start))
	fi
}

# parts_end - what ran; fails when a part did.
parts_end() {
	printf '\nwhat ran, in %ds:\n' "$SECONDS"
	printf '  passed  %s\n' "${passed[@]}"
	[ ${#failed[@]} = 0 ] || printf '  FAILED  %s\n' "${failed[@]}"
	printf '\nparts: %d passed, %d failed\n' ${#passed[@]} ${#failed[@]}
	[ ${#failed[@]} = 0 ]
}
