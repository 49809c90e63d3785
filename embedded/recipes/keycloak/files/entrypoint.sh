#!/bin/bash
# Keycloak reads passwords from its environment only; they come from the secrets, and are in no service's settings.
set -euo pipefail

KC_DB_PASSWORD=$(</run/secrets/db_password)
KC_BOOTSTRAP_ADMIN_PASSWORD=$(</run/secrets/admin_password)
export KC_DB_PASSWORD KC_BOOTSTRAP_ADMIN_PASSWORD

exec /opt/keycloak/bin/kc.sh "$@"
