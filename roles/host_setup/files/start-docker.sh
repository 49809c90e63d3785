#!/bin/sh
# Starts Docker on a machine without systemd and waits for its socket: start-docker.sh SECONDS
# Debian's init script wants to raise `ulimit -n` to 1048576; where that is not permitted it gives up, and the engine is
# started by itself. Says what it did; on failure, the end of the engine's log.
set -u
limit=$1
log=/var/log/docker.log

up() { docker info --format '{{.ServerVersion}}' 2>/dev/null | grep -q .; }

wait_up() {
    end=$(($(date +%s) + $1))
    while [ "$(date +%s)" -lt "$end" ]; do
        if up; then return 0; fi
        sleep 1
    done
    return 1
}

up && exit 0
if [ -x /etc/init.d/docker ] && /etc/init.d/docker start >/dev/null 2>&1 && wait_up 20; then
    echo "started by its init script"
    exit 0
fi
# A pid file of an engine that died (or of another boot) keeps the new one from starting.
pid=$(cat /var/run/docker.pid 2>/dev/null || true)
if ! grep -qs dockerd "/proc/${pid:-none}/comm"; then
    rm -f /var/run/docker.pid
    setsid "$(command -v dockerd)" >>"$log" 2>&1 </dev/null &
fi
if wait_up "$limit"; then
    echo "started directly; it logs to $log"
    exit 0
fi
echo "Docker did not answer on its socket within $limit s. The end of $log:" >&2
tail -n 20 "$log" >&2
exit 1
