#!/bin/bash
# Run by backup-bot in the container of n8n: sqlite_backup.sh backup | tidy | restore
set -euo pipefail

LIMIT=200 # seconds for n8n to stop and to start again

cd /home/node/.n8n
dump=backup.sqlite

whole() {
    [ "$(sqlite3 "$1" 'PRAGMA integrity_check')" = ok ]
}

# What the restored database goes by must not be asked of the n8n that is about to end.
started_again() {
    [ ! -e restored.sqlite ] && curl -fs --max-time 5 -o /dev/null http://127.0.0.1:5678/healthz/readiness
}

case "${1:-}" in
backup)
    # One moment of the database, while n8n goes on writing. Written aside first: a copy that is there is whole.
    rm -f "$dump" "$dump.part"
    sqlite3 -readonly -cmd '.timeout 30000' database.sqlite ".backup '$dump.part'"
    # One file, without the two that n8n's way to write needs beside it.
    sqlite3 "$dump.part" 'PRAGMA journal_mode = DELETE' >/dev/null
    whole "$dump.part"
    mv "$dump.part" "$dump"
    # Folders that n8n makes when it needs them; the backup wants to find them.
    mkdir -p binaryData git nodes ssh
    ;;
tidy)
    rm -f "$dump" "$dump.part"
    ;;
restore)
    test -s "$dump" || { echo "sqlite_backup.sh: $dump is missing or empty, nothing to restore" >&2; exit 1; }
    whole "$dump" || { echo "sqlite_backup.sh: $dump is damaged" >&2; exit 1; }
    # n8n holds the database open, and much of it in memory. So the entrypoint stops it, puts this one in the place of the
    # old one, and starts it again.
    mv -f "$dump" restored.sqlite
    kill -USR1 1
    until started_again; do
        [ "$SECONDS" -lt "$LIMIT" ] || { echo "sqlite_backup.sh: n8n is not up again after $LIMIT s" >&2; exit 1; }
        sleep 1
    done
    ;;
*)
    echo "usage: sqlite_backup.sh backup | tidy | restore" >&2
    exit 2
    ;;
esac
