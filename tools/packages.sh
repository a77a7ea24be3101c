#!/bin/bash
# packages.sh - the .deb and .rpm packages, from build/ into dist/.
#
# The same commit gives the same bytes: every time stamp is the commit's, and
# nothing tells where or by whom it was built.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/need.sh go git:git strip:binutils objdump:binutils gzip:gzip file:file

stage=build/stage
VERSION=$(cat VERSION)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export VERSION

# glibc_of FILE... - the newest glibc that any of these binaries asks for.
glibc_of() {
	objdump -T "$@" 2>/dev/null | sed -n 's/.*(\?GLIBC_\([0-9.]*\))\?.*/\1/p' | sort -Vu | tail -n 1
}

# check_manual_version - the changelog must begin with the version we build.
check_version() {
	head -n 1 packaging/changelog | grep -qF "($VERSION-1)" && return
	echo "packages: packaging/changelog does not begin with version $VERSION-1" >&2
	echo "  fix: write its entry, or correct VERSION" >&2
	exit 1
}

lay_out() {
	rm -rf $stage
	mkdir -p $stage/bin $stage/engines $stage/man $stage/completions dist
	strip --strip-unneeded -o $stage/bin/kvstored build/kvstored
	strip --strip-unneeded -o $stage/bin/kvctl build/kvctl
	for name in hash simple lmdb; do
		strip --strip-unneeded -o $stage/engines/$name.so build/engines/$name.so
	done
	for page in packaging/man/*.[158]; do
		gzip -9n <"$page" >"$stage/man/$(basename "$page").gz"
	done
	gzip -9n <packaging/changelog >$stage/changelog.Debian.gz
	sed "s/@VERSION@/$VERSION/" packaging/kvstored.pc.in >$stage/kvstored.pc
	cp packaging/completions/* $stage/completions/
}

# nfpm CONFIG PACKAGER ARCH
package() {
	ARCH=$3 go tool -modfile=tools/go.mod nfpm package --config "$1" --packager "$2" --target dist/
}

# machine DEB-OR-RPM - this machine's name in that world.
machine() {
	case $(uname -m) in
	x86_64) [ "$1" = deb ] && echo amd64 || echo x86_64 ;;
	aarch64) [ "$1" = deb ] && echo arm64 || echo aarch64 ;;
	*) uname -m ;;
	esac
}

check_version
lay_out
LIBC=$(glibc_of $stage/bin/* $stage/engines/*.so)
export LIBC
rm -f dist/*.deb dist/*.rpm
UNITS=/lib/systemd package nfpm.yaml deb "$(machine deb)"
UNITS=/usr/lib/systemd package nfpm.yaml rpm "$(machine rpm)"
package packaging/nfpm/kvstored-engine-lmdb.yaml deb "$(machine deb)"
package packaging/nfpm/kvstored-engine-lmdb.yaml rpm "$(machine rpm)"
package packaging/nfpm/kvstored-dev.yaml deb all
package packaging/nfpm/kvstored-dev.yaml rpm noarch
ls -l dist
