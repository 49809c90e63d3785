#!/bin/sh
# (b) The same life as somebody would write it in a CI file: abra's own commands and waits, curl, and cleaning at the end.
# It looks at return codes, at one marker file and at one page; no browser, no identity, no diagnosis.
set -eu
recipe=custom-html
from=1.10.0+1.22.1
domain=bench-shell.ci.test
stack=bench-shell_ci_test
repository=$1
export ABRA_DIR
ABRA_DIR=$(mktemp -d)
ca=$2
marker=$(date +%s%N)
finish() {
    abra app undeploy "$domain" -n -o >/dev/null 2>&1 || true
    i=0
    while [ -n "$(docker ps -aq --filter "label=com.docker.stack.namespace=$stack")" ] && [ $i -lt 60 ]; do
        i=$((i + 1))
        sleep 1
    done
    abra app volume remove "$domain" -f -n >/dev/null 2>&1 || true
    abra app secret remove "$domain" --all -n -o -C >/dev/null 2>&1 || true
    docker volume ls -q | grep "^${stack}_" | xargs -r docker volume rm >/dev/null
    rm -rf "$ABRA_DIR"
}
trap finish EXIT
page() {
    i=0
    until curl -fsS --cacert "$ca" --resolve "$domain:443:127.0.0.1" "https://$domain/" >/dev/null; do
        i=$((i + 1))
        [ $i -lt 60 ]
        sleep 1
    done
}
in_app() { docker exec -i "$(docker ps -q --filter "label=com.docker.swarm.service.name=${stack}_app" --filter health=healthy | head -n 1)" "$@"; }

mkdir -p "$ABRA_DIR/servers/default" "$ABRA_DIR/recipes"
git clone -q "$repository" "$ABRA_DIR/recipes/$recipe"
cd "$ABRA_DIR/recipes/$recipe"
git fetch -q origin refs/pull/1/head:pr-1
overlay() { # without IPVS in the kernel, service addresses do not work
    printf 'version: "3.8"\nservices:\n  app:\n    deploy:\n      endpoint_mode: dnsrr\n' >compose.dnsrr.yml
}
git checkout -q "$from"
overlay
abra app new "$recipe" -C -n -o --server default --domain "$domain" >/dev/null
sed -i "s/^DOMAIN=.*/DOMAIN=$domain/; s/^COMPOSE_FILE=.*/COMPOSE_FILE=compose.yml:compose.dnsrr.yml/; s/^LETS_ENCRYPT_ENV=.*/LETS_ENCRYPT_ENV=/" \
    "$ABRA_DIR/servers/default/$domain.env"
abra app deploy "$domain" -n -o -D -C >/dev/null
page
echo "$marker" | in_app sh -c 'cat >/usr/share/nginx/html/marker.txt'
git checkout -q --force pr-1
abra app deploy "$domain" -n -o -D -C -f >/dev/null
page
[ "$(in_app cat /usr/share/nginx/html/marker.txt)" = "$marker" ]
script -qec "abra app backup create $domain -n -o -C" /dev/null >/dev/null
in_app rm /usr/share/nginx/html/marker.txt
script -qec "abra app restore $domain -n -o -C" /dev/null >/dev/null
[ "$(in_app cat /usr/share/nginx/html/marker.txt)" = "$marker" ]
page
