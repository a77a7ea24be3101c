#!/bin/sh
# install.sh DESTDIR PREFIX - `make install`: copies what was built.  Users,
# sockets and daemon-reload are the business of packages, or of who runs this;
# the end says what is left to do.
set -eu
cd "$(dirname "$0")/.."
root=$1$2

put() { # put MODE FILE DIRECTORY
	install -d "$3"
	install -m "$1" "$2" "$3/"
}

# unit FILE DIRECTORY - with our prefix in the place of /usr
unit() {
	install -d "$2"
	sed "s|/usr/bin/kv|$prefix/bin/kv|g" "$1" >"$2/$(basename "$1")"
	chmod 644 "$2/$(basename "$1")"
}

prefix=$2
put 755 build/kvstored "$root/bin"
put 755 build/kvctl "$root/bin"
for name in hash simple lmdb; do
	put 644 build/engines/$name.so "$1/usr/lib/kvstored/engines"
done
for header in libkvstore/*.h; do
	put 644 "$header" "$root/include"
done
install -d "$root/share/pkgconfig"
sed -e "s/@VERSION@/$(cat VERSION)/" packaging/kvstored.pc.in >"$root/share/pkgconfig/kvstored.pc"
# Other prefixes than /usr are on no compiler's way.
[ "$prefix" = /usr ] || sed -i "s|^Cflags:.*|Cflags: -I$prefix/include|" "$root/share/pkgconfig/kvstored.pc"
for file in examples/engines/* libkvstore/engines/simple/simple.c; do
	put 644 "$file" "$root/share/doc/kvstored-dev/examples"
done
put 644 docs/engines.md "$root/share/doc/kvstored-dev"
for unit in packaging/systemd/*; do
	unit "$unit" "$root/lib/systemd/system"
done
for unit in packaging/systemd-user/*; do
	unit "$unit" "$root/lib/systemd/user"
done
put 644 packaging/sysusers/kvstored.conf "$root/lib/sysusers.d"
put 644 packaging/tmpfiles/kvstored.conf "$root/lib/tmpfiles.d"
put 644 packaging/catalog/kvstored.catalog "$root/lib/systemd/catalog"
for page in packaging/man/*.[158]; do
	put 644 "$page" "$root/share/man/man${page##*.}"
done
install -D -m 644 packaging/completions/kvctl.bash "$root/share/bash-completion/completions/kvctl"
put 644 packaging/completions/_kvctl "$root/share/zsh/site-functions"
put 644 packaging/completions/kvctl.fish "$root/share/fish/vendor_completions.d"
[ -e "$1/etc/kvstored/kvstored.conf" ] || put 644 packaging/config/kvstored.conf "$1/etc/kvstored"
link=$1/usr/lib/libkvstore.so
[ -e "$link" ] || [ -L "$link" ] || ln -s kvstored/engines/hash.so "$link"

cat <<END
installed below ${root:-/}.  What is left, as root:
  systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload
  systemctl enable --now kvstored.socket
END
