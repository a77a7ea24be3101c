#!/bin/sh
# need.sh WHAT... - sees to it that this machine has what a make target needs.
#
# WHAT is `go` (a Go toolchain new enough for go.mod), `root` (we must be
# root) or THING:PACKAGE: a command, or the absolute path of a file, and the
# Debian package that brings it.  What is missing is installed with apt-get,
# through sudo when we are not root; what cannot be had ends with the way out.
set -eu
cd "$(dirname "$0")/.."

fail() { # fail WHAT WHY FIX
	printf 'make: %s\n  why: %s\n  fix: %s\n' "$1" "$2" "$3" >&2
	exit 1
}

have() { # have COMMAND-OR-PATH
	case $1 in
	/*) [ -e "$1" ] ;;
	*) command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ] ;;
	esac
}

need_go() {
	want=$(sed -n 's/^go //p' go.mod)
	have go || fail "cannot find go" "no Go toolchain on this machine" \
		"sudo apt-get install golang-go    # the README tells more"
	got=$(go env GOVERSION 2>&1) || fail "cannot run go" "it says: $(printf '%s\n' "$got" | tail -n 1)" \
		"mend that, or install Go $want or newer by hand"
	got=$(printf '%s\n' "$got" | tail -n 1) # before it there may be a line about a download
	got=${got#go}
	[ "$(printf '%s\n%s\n' "$want" "$got" | sort -V | head -n 1)" = "$want" ] ||
		fail "go is too old" "go.mod wants $want; $(command -v go) is $got" \
			"install Go $want or newer; from Go 1.21 on it comes by itself: GOTOOLCHAIN=auto make"
}

missing= things=
for what; do
	case $what in
	go) need_go ;;
	root) [ "$(id -u)" = 0 ] || fail "not permitted" "containers need root; you are $(id -un)" \
		"sudo --preserve-env=PATH make test-system" ;;
	*) have "${what%%:*}" || { missing="$missing ${what#*:}" things="$things ${what%%:*}"; } ;;
	esac
done
[ -n "$missing" ] || exit 0

have apt-get || fail "missing:$things" "this is no Debian, so they cannot be installed from here" \
	"install them with your distribution's packages (Debian calls these:$missing)"
sudo=
if [ "$(id -u)" != 0 ]; then
	have sudo || fail "missing:$things" "you are $(id -un), and there is no sudo" \
		"as root: apt-get install$missing"
	sudo=sudo
fi
echo "make: installing$missing (missing here:$things)"
install() {
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
}
install 2>/dev/null || { $sudo apt-get update -qq && install; } ||
	fail "cannot install$missing" "apt-get said why, above" "sudo apt-get update && sudo apt-get install$missing"
