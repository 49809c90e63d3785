#!/bin/sh
# Run by backup-bot in the container of Uptime Kuma: sqlite_backup.sh backup | tidy | restore
set -eu

live=/app/data/kuma.db
copy=/app/data/backup.db
holds=/tmp/restoring  # as long as this names a living process, entrypoint.sh does not start Kuma

fail() {
    echo "sqlite_backup.sh: $1" >&2
    exit 1
}

whole() {
    test "$(sqlite3 "$1" 'PRAGMA integrity_check')" = ok
}

case "${1:-}" in
backup)
    # Kuma goes on writing, and what is new is not in this file but beside it: SQLite itself must make the copy.
    # Written aside first: a copy that is there is whole.
    rm -f "$copy.part"
    sqlite3 -cmd '.timeout 60000' "$live" "VACUUM INTO '$copy.part'"
    whole "$copy.part" || fail "the copy of $live is not whole"
    mv "$copy.part" "$copy"
    ;;
tidy)
    rm -f "$copy" "$copy.part"
    ;;
restore)
    test -s "$copy" || fail "$copy is missing or empty, nothing to restore"
    whole "$copy" || fail "$copy is damaged, nothing was changed"
    echo $$ >"$holds"
    trap 'rm -f "$holds"' EXIT
    # Not asked to stop: what it would still write belongs to the database that goes away.
    kuma=$(cat /tmp/kuma.pid)
    kill -KILL "$kuma"
    tries=0
    while kill -0 "$kuma" 2>/dev/null; do
        tries=$((tries + 1))
        test "$tries" -le 50 || fail "Kuma ($kuma) did not end within 10 s"
        sleep 0.2
    done
    # The old database's journal must never meet the new database.
    rm -f "$live-wal" "$live-shm"
    mv "$copy" "$live"
    rm -f "$holds"
    tries=0
    until curl -fsS --max-time 5 --output /dev/null http://127.0.0.1:3001/api/entry-page 2>/dev/null; do
        tries=$((tries + 1))
        test "$tries" -le 120 || fail "Kuma did not answer within 120 s after the restore"
        sleep 1
    done
    ;;
*)
    echo "usage: sqlite_backup.sh backup | tidy | restore" >&2
    exit 2
    ;;
esac
