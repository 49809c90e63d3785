"""What a machine is and has, as one JSON object: read by the role before it changes anything. Changes nothing.

Argument: one JSON object {packages: [..], ports: [..], network: name}. Standard library, Python 3.9 or newer (an old
distribution has to be refused by it, not to break it). A question that has no answer gives null.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

PROC = Path("/proc")


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


def lines(path):
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def os_release():
    pairs = (line.partition("=") for line in lines("/etc/os-release"))
    return {key: value.strip("\"'") for key, _, value in pairs}


def memory_mib():
    found = [int(line.split()[1]) for line in lines("/proc/meminfo") if line.startswith("MemTotal:")]
    return found[0] // 1024 if found else None


def free_gib(path):
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    return round(shutil.disk_usage(existing).free / 2**30, 1)


def missing_packages(names):
    """Those that dpkg does not call installed; None where there is no dpkg. (Its return code only says "not all".)"""
    form = "${binary:Package} ${db:Status-Status}\n"
    command = ["dpkg-query", "--show", "--showformat", form, *names]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    installed = {line.split()[0].split(":")[0] for line in done.stdout.splitlines() if line.endswith(" installed")}
    return [name for name in names if name not in installed]


def docker_state(network):
    info = as_json(output("docker", "info", "--format", "{{json .}}")) or {}
    running = bool(info.get("ServerVersion"))
    found = as_json(output("docker", "network", "inspect", network)) if running else None
    swarm = info.get("Swarm") or {}
    return {
        "installed": bool(shutil.which("dockerd")),
        "running": running,
        "version": info.get("ServerVersion"),
        "root": info.get("DockerRootDir"),
        "rootless": any("rootless" in option for option in info.get("SecurityOptions") or []),
        "swarm": swarm.get("LocalNodeState") if running else None,
        "manager": bool(swarm.get("ControlAvailable")),
        "nodes": swarm.get("Nodes"),
        "network": {key: found[0].get(key) for key in ("Driver", "Attachable")} if found else None,
    }


def listeners():
    """{port: {inode, …}} of the TCP sockets that listen on any address."""
    found = {}
    for row in lines("/proc/net/tcp")[1:] + lines("/proc/net/tcp6")[1:]:
        cells = row.split()
        if cells[3] == "0A":
            found.setdefault(int(cells[1].rpartition(":")[2], 16), set()).add(cells[9])
    return found


def process_of(inodes):
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for folder in PROC.glob("[0-9]*"):
        try:
            if any(str(fd.readlink()) in wanted for fd in (folder / "fd").iterdir()):
                return f"process {folder.name} ({(folder / 'comm').read_text().strip()})"
        except OSError:
            continue  # it ended meanwhile
    return "a process that cannot be seen from here"


def container_of(port):
    """(name, stack or name) of the container that publishes the port, or None."""
    form = '{{.Names}} {{.Label "com.docker.stack.namespace"}}'
    words = (output("docker", "ps", "--filter", f"publish={port}", "--format", form) or "").split("\n")[0].split()
    return (words[0], words[-1]) if words else None


def taken_ports(ports):
    """{port: {owner, by}}: owner is the stack or container that publishes it, by says who holds it for people."""
    taken = {}
    listening = listeners()
    for port in ports:
        if port in listening:
            container = container_of(port)
            by = f"container {container[0]}" if container else process_of(listening[port])
            taken[str(port)] = {"owner": container[1] if container else None, "by": by}
    return taken


def main():
    asked = json.loads(sys.argv[1])
    release = os_release()
    docker = docker_state(asked["network"])
    seen = {
        "uid": os.getuid(),
        "distribution": release.get("ID"),
        "version": release.get("VERSION_ID"),
        "pretty": release.get("PRETTY_NAME"),
        "memory_mib": memory_mib(),
        "disk_gib": free_gib(Path(docker["root"] or "/var/lib/docker")),
        "systemd": Path("/run/systemd/system").is_dir(),
        "timezone": Path("/etc/timezone").exists(),
        "localtime": Path("/etc/localtime").exists(),
        "apt_module": Path("/usr/lib/python3/dist-packages/apt/__init__.py").exists(),
        "missing": missing_packages(asked["packages"]),
        "docker": docker,
        "ports": taken_ports(asked["ports"]),
    }
    sys.stdout.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    main()
