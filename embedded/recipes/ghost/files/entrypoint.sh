#!/bin/sh
# Ghost takes the password from its environment only.
set -eu
database__connection__password=$(cat /run/secrets/db_password)
export database__connection__password
exec docker-entrypoint.sh "$@"
