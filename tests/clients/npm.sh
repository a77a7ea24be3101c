#!/bin/sh
# npm.sh FOLDER SOCKET - FOLDER's client.js against the socket, with packages at
# the versions of its lock file. They are installed once for each lock file.
set -eu
here=$(cd "$1" && pwd)
place=$(cd "$(dirname "$0")/../.." && pwd)/build/clients/$(basename "$here")
mkdir -p "$place"
if ! cmp -s "$here/package-lock.json" "$place/installed"; then
	cp "$here/package.json" "$here/package-lock.json" "$place/"
	(cd "$place" && npm ci --silent --no-audit --no-fund)
	cp "$here/package-lock.json" "$place/installed"
fi
NODE_PATH=$place/node_modules exec node "$here/client.js" "$2"
