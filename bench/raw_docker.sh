#!/bin/sh
# (a) The floor: the Docker operations of a custom-html life and nothing else. No abra, no backup, no assertion.
# Prints "<step> <seconds>" lines. Needs the embedded platform on this machine.
set -eu
stack=bench-raw
folder=$(mktemp -d)
trap 'docker stack rm "$stack" >/dev/null 2>&1 || true; rm -rf "$folder"' EXIT

compose() {
    cat >"$folder/compose.yml" <<YAML
version: "3.8"
services:
  app:
    image: 127.0.0.1:5000/ccci/nginx:$1
    volumes: ["content:/usr/share/nginx/html"]
    networks: [proxy]
    healthcheck: {test: [CMD, curl, -fsS, "http://localhost/"], interval: 2s, timeout: 5s, retries: 3, start_period: 5s}
    deploy:
      endpoint_mode: dnsrr
      update_config: {order: start-first, failure_action: rollback}
volumes: {content: }
networks: {proxy: {external: true}}
YAML
}

timed() { # timed STEP COMMAND…
    step=$1
    shift
    began=$(date +%s.%N)
    "$@" >/dev/null 2>&1
    awk "BEGIN {print \"$step\", $(date +%s.%N) - $began}"
}

running_image() { docker ps -q --filter "label=com.docker.stack.namespace=$stack" --filter health=healthy | xargs -r docker inspect -f '{{.Config.Image}}'; }

wait_for() { # wait until exactly one healthy task runs image $1, at most 120 s
    i=0
    while [ $i -lt 600 ]; do
        case "$(running_image)" in *":$1@"* | *":$1") [ "$(docker ps -q --filter "label=com.docker.stack.namespace=$stack" | wc -l)" = 1 ] && return 0 ;; esac
        i=$((i + 1))
        sleep 0.2
    done
    echo "bench: $stack did not get healthy with nginx $1 within 120 s" >&2
    return 1
}

deploy() { docker stack deploy -c "$folder/compose.yml" "$stack" && wait_for "$1"; }

remove() {
    docker stack rm "$stack"
    i=0
    while [ -n "$(docker ps -aq --filter "label=com.docker.stack.namespace=$stack")" ] && [ $i -lt 300 ]; do
        i=$((i + 1))
        sleep 0.2
    done
    until docker volume rm "${stack}_content"; do
        i=$((i + 1))
        [ $i -lt 600 ]
        sleep 0.2
    done
}

compose 1.22.1
timed deploy deploy 1.22.1
compose 1.26.3
timed upgrade deploy 1.26.3
timed removal remove
