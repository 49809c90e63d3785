#!/bin/bash
# Starts n8n with its key, and once more when a restored database lies ready (see sqlite_backup.sh).
set -uo pipefail

N8N_ENCRYPTION_KEY=$(<"$N8N_ENCRYPTION_KEY_FILE") || exit 1
export N8N_ENCRYPTION_KEY
unset N8N_ENCRYPTION_KEY_FILE
cd /home/node/.n8n || exit 1

n8n=
again=
stop() {
    [ -z "$n8n" ] || kill -TERM "$n8n" 2>/dev/null
}
trap 'again=; stopped=yes; stop' TERM INT
trap 'again=yes; stop' USR1

stopped=
while [ -z "$stopped" ]; do
    again=
    # Nobody has the database open now. What belongs to the old one would spoil the new one.
    if [ -e restored.sqlite ]; then
        rm -f database.sqlite-wal database.sqlite-shm database.sqlite-journal
        mv -f restored.sqlite database.sqlite || exit 1
    fi
    "$@" &
    n8n=$!
    # Asked in the meantime, before there was anything to stop.
    [ -z "$again$stopped" ] || stop
    # A signal ends the wait, not n8n.
    while kill -0 "$n8n" 2>/dev/null; do
        wait "$n8n"
        code=$?
    done
    [ -n "$again" ] || exit "$code"
done
