#!/bin/sh
# express with its sessions in kvstored (connect-redis), at the versions of the lock file.
exec "$(dirname "$0")/../npm.sh" "$(dirname "$0")" "$1"
