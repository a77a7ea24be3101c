#!/bin/sh
# redlock and rate-limiter-flexible, at the versions of the lock file.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
place=$here/../../../build/clients/locks-node
mkdir -p "$place"
if ! cmp -s "$here/package-lock.json" "$place/installed"; then
	cp "$here/package.json" "$here/package-lock.json" "$place/"
	(cd "$place" && npm ci --silent --no-audit --no-fund)
	cp "$here/package-lock.json" "$place/installed"
fi
NODE_PATH=$place/node_modules exec node "$here/client.js" "$1"
