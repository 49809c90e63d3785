"""What a machine is and has, as one JSON object: read by the role before it changes anything. Changes nothing.

Arguments: one JSON object {packages: [..], ports: [..], network: name}. Standard library, Python 3.9 or newer (the refusal
of an old distribution has to run on it). A question that has no answer gives null.
"""

import json
import os
import shutil
import subprocess
import sys


def output(*argv):
    """The command's standard output, or None when it is missing, fails, or takes longer than 20 s."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def as_json(text):
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def os_release():
    values = {}
    try:
        with open("/etc/os-release", encoding="utf-8") as lines:
            for line in lines:
                key, _, value = line.strip().partition("=")
                values[key] = value.strip("\"'")
    except OSError:
        pass
    return values


def memory_mib():
    with open("/proc/meminfo", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("MemTotal:"):
                return int(line.split()[1]) // 1024
    return None


def free_gib(path):
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return round(shutil.disk_usage(path).free / 2**30, 1)


def missing_packages(names):
    """Those that dpkg does not call installed; None where there is no dpkg."""
    if not shutil.which("dpkg-query"):
        return None
    try:
        done = subprocess.run(
            ["dpkg-query", "--show", "--showformat", "${binary:Package} ${db:Status-Status}\n", *names],
            capture_output=True, text=True, timeout=20, check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    installed = {line.split()[0].split(":")[0] for line in done.stdout.splitlines() if line.endswith(" installed")}
    return [name for name in names if name not in installed]


def docker_state(network):
    info = as_json(output("docker", "info", "--format", "{{json .}}"))
    running = bool(info and info.get("ServerVersion"))
    found = as_json(output("docker", "network", "inspect", network)) if running else None
    swarm = (info or {}).get("Swarm") or {}
    return {
        "installed": bool(shutil.which("dockerd")),
        "running": running,
        "version": info.get("ServerVersion") if running else None,
        "root": info.get("DockerRootDir") if running else None,
        "rootless": any("rootless" in option for option in (info or {}).get("SecurityOptions") or []),
        "swarm": swarm.get("LocalNodeState") if running else None,
        "manager": bool(swarm.get("ControlAvailable")),
        "nodes": swarm.get("Nodes"),
        "network": {key: found[0].get(key) for key in ("Driver", "Attachable")} if found else None,
    }


def listeners():
    """{port: {inode, …}} of the TCP sockets that listen on any address."""
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as lines:
                rows = [line.split() for line in list(lines)[1:]]
        except OSError:
            continue
        for row in rows:
            if row[3] == "0A":
                found.setdefault(int(row[1].rpartition(":")[2], 16), set()).add(row[9])
    return found


def process_of(inodes):
    wanted = {"socket:[%s]" % inode for inode in inodes}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for fd in os.listdir("/proc/%s/fd" % pid):
                if os.readlink("/proc/%s/fd/%s" % (pid, fd)) in wanted:
                    with open("/proc/%s/comm" % pid, encoding="utf-8") as comm:
                        return "process %s (%s)" % (pid, comm.read().strip())
        except OSError:
            continue
    return "a process that cannot be seen from here"


def container_of(port):
    """(name, stack) of the container that publishes the port, or None."""
    form = '{{.Names}} {{.Label "com.docker.stack.namespace"}}'
    rows = (output("docker", "ps", "--filter", "publish=%d" % port, "--format", form) or "").split("\n")
    words = rows[0].split()
    return (words[0], words[1] if len(words) > 1 else words[0]) if words else None


def taken_ports(ports):
    """{port: {owner, by}}: owner is the stack or container that publishes it, by says who holds it for people."""
    taken = {}
    listening = listeners()
    for port in ports:
        if port in listening:
            container = container_of(port)
            by = "container %s" % container[0] if container else process_of(listening[port])
            taken[str(port)] = {"owner": container[1] if container else None, "by": by}
    return taken


def main():
    asked = json.loads(sys.argv[1])
    release = os_release()
    docker = docker_state(asked["network"])
    print(json.dumps({
        "uid": os.getuid(),
        "distribution": release.get("ID"),
        "version": release.get("VERSION_ID"),
        "pretty": release.get("PRETTY_NAME"),
        "machine": os.uname().machine,
        "memory_mib": memory_mib(),
        "disk_gib": free_gib(docker["root"] or "/var/lib/docker"),
        "systemd": os.path.isdir("/run/systemd/system"),
        "timezone": os.path.exists("/etc/timezone"),
        "localtime": os.path.exists("/etc/localtime"),
        "apt_module": os.path.exists("/usr/lib/python3/dist-packages/apt/__init__.py"),
        "missing": missing_packages(asked["packages"]),
        "docker": docker,
        "ports": taken_ports(asked["ports"]),
    }))


if __name__ == "__main__":
    main()
