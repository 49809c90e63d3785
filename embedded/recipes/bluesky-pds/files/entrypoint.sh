#!/bin/sh
# The server takes its secrets from the environment alone. It is a child of this script, not the container's first
# process: so a restore can stop it, and have it started again on other data, while its hook goes on in the container.
set -eu

PDS_ADMIN_PASSWORD=$(cat /run/secrets/pds_admin_password)
PDS_JWT_SECRET=$(cat /run/secrets/pds_jwt_secret)
PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX=$(cat /run/secrets/pds_plc_rotation_key)
export PDS_ADMIN_PASSWORD PDS_JWT_SECRET PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX

due="$PDS_DATA_DIRECTORY/backup/restore-due"
stopping=
server=
trap 'stopping=yes; test -z "$server" || kill -TERM "$server" || true' TERM INT

while :; do
    test ! -e "$due" || node /pds_backup.mjs swap
    "$@" &
    server=$!
    echo "$server" >/tmp/pds.pid
    ended=0
    wait "$server" || ended=$?
    # A signal to this script ends the waiting, too.
    while kill -0 "$server" 2>/dev/null; do
        ended=0
        wait "$server" || ended=$?
    done
    if test "$stopping" || test ! -e "$due"; then
        exit "$ended"
    fi
done
