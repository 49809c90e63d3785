#!/usr/bin/env python3
"""Does on the node, at the right moment, what somebody else's hand would do. Standard library only.

    agent.py hold-volume STACK SECONDS    a foreign container keeps STACK_data until SECONDS after the app went
    agent.py miss-volume STACK TIMES      while a backup begins, the service `side` is being replaced; TIMES backups
    agent.py stop-booting STACK TIMES     the service `side` is told to stop a second after its start; TIMES starts
    agent.py kill-started STACK TIMES     the service `db` is killed as soon as it was started; TIMES starts

What it did is one JSON line each on stdout: {"at", "did"}. It ends with its standard input.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

HOLDER = "ccci-faults-holder"
IMAGE = "127.0.0.1:5000/ccci/faultbox:1.1.0"
SERVICE = "com.docker.swarm.service.name"

over = threading.Event()


def tell(text):
    sys.stdout.write(json.dumps({"at": time.time(), "did": text}) + "\n")
    sys.stdout.flush()


def docker(*words):
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    tell(f"docker {' '.join(words)}: {done.returncode} {done.stderr.strip()[:200]}")
    return done.stdout.strip()


def events():
    """Docker's events as they come, as dicts."""
    stream = subprocess.Popen(["docker", "events", "--format", "{{json .}}"], stdout=subprocess.PIPE, text=True)
    threading.Thread(target=lambda: (sys.stdin.read(), over.set(), stream.kill()), daemon=True).start()
    tell("listening")
    for line in stream.stdout:
        yield json.loads(line)


def hold_volume(stack, seconds):
    held = False
    for event in events():
        what, attributes = (event["Type"], event["Action"]), event["Actor"]["Attributes"]
        if not held and what == ("container", "start") and attributes.get(SERVICE) == f"{stack}_app":
            docker("run", "--detach", "--name", HOLDER, f"--volume={stack}_data:/held", IMAGE, "do", "wait 600")
            held = True
        elif held and what == ("service", "remove") and attributes.get("name") == f"{stack}_app":
            over.wait(float(seconds))
            docker("rm", "--force", HOLDER)
            return


def miss_volume(stack, times):
    left = int(times)
    for event in events():
        action, _, command = event["Action"].partition(": ")
        if left and action == "exec_create" and command.endswith("backup -- create"):
            left -= 1
            pid = process_of(r"backup(.py)? -- create$")
            os.kill(pid, signal.SIGSTOP)  # before it has asked which volumes there are
            tell(f"stopped {pid}")
            docker("rm", "--force", *docker("ps", "-q", f"--filter=label={SERVICE}={stack}_side").split())
            os.kill(pid, signal.SIGCONT)


def process_of(words):
    """The id of the process whose command line fits the pattern, as soon as there is one."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = path.read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue  # over meanwhile
            if re.search(words, line):
                return int(path.parts[2])
    raise SystemExit(f"no process `{words}`")


def end_each(stack, service, verb, pause, times):
    """`docker VERB` for each container of a service, `pause` seconds after its start."""
    left = int(times)
    for event in events():
        of_service = event["Actor"]["Attributes"].get(SERVICE) == f"{stack}_{service}"
        if left and of_service and event["Action"] == "start":
            left -= 1
            time.sleep(pause)
            docker(verb, event["Actor"]["ID"])


def stop_booting(stack, times):
    end_each(stack, "side", "stop", 1, times)


def kill_started(stack, times):
    end_each(stack, "db", "kill", 0, times)


DEEDS = {
    "hold-volume": hold_volume,
    "miss-volume": miss_volume,
    "stop-booting": stop_booting,
    "kill-started": kill_started,
}

if __name__ == "__main__":
    DEEDS[sys.argv[1]](*sys.argv[2:])
