#!/bin/bash
# server_control.sh run: the container's entrypoint. backup | tidy | restore: run in the container by backup-bot.
#
# The server keeps in memory what is in its database, so a restore has to stop it. It must not end the container,
# though, in which its own hook runs: so the server is a child, and is started again when the restore is over.
set -euo pipefail

database=/data/mumble-server.sqlite
dump=/data/backup.sqlite
stopped=/tmp/stopped-for-restore
pid=/tmp/server.pid

run() {
    local server code=0 ending=
    rm -f "$stopped"
    trap 'ending=1; kill -TERM "$server" 2>/dev/null' TERM INT
    while :; do
        /entrypoint.sh &
        server=$!
        echo "$server" >"$pid"
        code=0
        wait "$server" || code=$?
        if [ "$ending" ]; then
            wait "$server" || true
            exit 0
        fi
        [ -e "$stopped" ] || exit "$code"
        while [ -e "$stopped" ]; do sleep 0.1; done
    done
}

stop_server() {
    local server tries
    server=$(<"$pid")
    touch "$stopped"
    trap 'rm -f "$stopped"' EXIT
    kill -TERM "$server"
    for ((tries = 0; tries < 100; tries++)); do
        [ -d "/proc/$server" ] || return 0
        sleep 0.1
    done
    echo "server_control.sh: the server did not stop within 10 s" >&2
    exit 1
}

case "${1:-}" in
run)
    run
    ;;
backup)
    # SQLite's own way to copy a database that is in use. Written aside first: a dump that is there is whole.
    rm -f "$dump.part"
    sqlite3 "$database" ".timeout 10000" ".backup $dump.part"
    test "$(sqlite3 "$dump.part" "PRAGMA integrity_check")" = ok
    mv "$dump.part" "$dump"
    ;;
tidy)
    rm -f "$dump" "$dump.part"
    ;;
restore)
    test -s "$dump" || { echo "server_control.sh: $dump is missing or empty, nothing to restore" >&2; exit 1; }
    stop_server
    sqlite3 "$database" ".timeout 10000" ".restore $dump"
    rm -f "$dump"
    ;;
*)
    echo "usage: server_control.sh run | backup | tidy | restore" >&2
    exit 2
    ;;
esac
