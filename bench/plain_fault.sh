#!/bin/sh
# The plain way to meet a fault: abra deploys on this node and waits as long as the recipe's TIMEOUT says; then somebody
# looks at `docker service ps`. Prints one line `seconds return-code`, then what was to be read.
#
#   plain_fault.sh REPOSITORY PULL-REQUEST BASE SERVICES      BASE: the version that is deployed before, or `none`
set -eu
repository=$1
number=$2
base=$3
services=$4
domain=bench-fault-$number.ci.test
stack=$(echo "$domain" | tr . _)
export ABRA_DIR
ABRA_DIR=$(mktemp -d)
finish() {
    abra app undeploy "$domain" -n -o >/dev/null 2>&1 || true
    i=0
    while [ -n "$(docker ps -aq --filter "label=com.docker.stack.namespace=$stack")" ] && [ $i -lt 60 ]; do
        i=$((i + 1))
        sleep 1
    done
    docker volume ls -q | grep "^${stack}_" | xargs -r docker volume rm >/dev/null 2>&1 || true
    rm -rf "$ABRA_DIR"
}
trap finish EXIT

mkdir -p "$ABRA_DIR/servers/default" "$ABRA_DIR/recipes"
git clone -q "$repository" "$ABRA_DIR/recipes/faultbox"
cd "$ABRA_DIR/recipes/faultbox"
git fetch -q origin "refs/pull/$number/head:pr"
overlay() { # without IPVS in the kernel, service addresses do not work
    printf 'version: "3.8"\nservices:\n' >compose.dnsrr.yml
    for service in $services; do
        printf '  %s: {deploy: {endpoint_mode: dnsrr}}\n' "$service" >>compose.dnsrr.yml
    done
}
deploy() {
    began=$(date +%s.%N)
    rc=0
    abra app deploy "$domain" -n -o -D -C "$@" >"$ABRA_DIR/said" 2>&1 || rc=$?
    ended=$(date +%s.%N)
}
git checkout -q "$([ "$base" = none ] && echo pr || echo "$base")"
overlay
abra app new faultbox -C -n -o --server default --domain "$domain" >/dev/null
sed -i 's/^\(COMPOSE_FILE=".*\)"$/\1:compose.dnsrr.yml"/; s/^LETS_ENCRYPT_ENV=.*/LETS_ENCRYPT_ENV=/' \
    "$ABRA_DIR/servers/default/$domain.env"
if [ "$base" != none ]; then
    deploy
    [ "$rc" = 0 ]
    git checkout -q --force pr
    deploy -f
else
    deploy
fi
echo "$(echo "$ended - $began" | awk '{print $1 - $3}') $rc"
tail -n 3 "$ABRA_DIR/said"
docker stack services -q "$stack" | xargs -r docker service ps --no-trunc --format '{{.Name}} {{.CurrentState}} {{.Error}}'
