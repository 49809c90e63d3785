#!/bin/sh
# Runs Uptime Kuma, and once more after `sqlite_backup.sh restore` has ended it. Kuma holds its database open and its
# monitors in memory: another database that is put there while it runs is not seen, and may be spoiled.
set -eu

# The signal goes to Kuma, too (dumb-init sends it to all); this shell waits until Kuma has closed its database.
trap : TERM INT

held() {
    test -s /tmp/restoring && kill -0 "$(cat /tmp/restoring)" 2>/dev/null
}

while :; do
    node server/server.js &
    kuma=$!
    echo "$kuma" >/tmp/kuma.pid
    while kill -0 "$kuma" 2>/dev/null; do
        code=0
        wait "$kuma" || code=$?
    done
    held || exit "$code"
    while held; do sleep 0.2; done
done
