"""The way out of a play, whatever ends it: with the real ansible-playbook."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ccci import events
from ccci.engine import life, playbook, processes
from ccci.errors import InfrastructureError

SLEEP = "    - ansible.builtin.command: sleep 300\n"
DRIVER = """
import json, sys
from pathlib import Path
from ccci.engine import life
folder = Path(sys.argv[1])
plan = json.loads((folder / "plan.json").read_text())
life.play(plan, sys.argv[2], lambda event: print(event["type"], flush=True), lambda: None, [], sys.argv[3], sys.argv[4])
"""


def play(scratch, seen=None, options=()):
    collect = seen.append if seen is not None else lambda event: None
    names = (str(scratch.folder / "play.yml"), str(scratch.folder / "clean.yml"))
    life.play(scratch.plan, str(scratch.inventory), collect, lambda: None, list(options), *names)
    return events.read(scratch.run_dir)


def results(stream):
    return [event["id"] for event in stream if event["type"] == "result"]


def started(scratch, after="install.deploy"):
    """A play in a process of its own, once it has come to its long task."""
    scratch.playbook("play", scratch.record(after) + SLEEP)
    command = [sys.executable, "-c", DRIVER, scratch.run_dir, scratch.inventory]
    command += [scratch.folder / "play.yml", scratch.folder / "clean.yml"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    wait_for(lambda: after in results(events.read(scratch.run_dir)) and sleeping(scratch))
    return process


@pytest.fixture(autouse=True)
def _signals_as_a_person_has_them():
    """A test runner in the background of a script ignores SIGINT, under nohup SIGHUP too, and children inherit that."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def sleeping(scratch):
    return [pid for pid in processes.marked("CCCI_RUN_ID", scratch.run_dir.name) if command_of(pid) == b"sleep"]


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    except OSError:
        return b""


def wait_for(condition, limit=120.0):
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


def test_a_play_that_took_itself_down_is_not_cleaned_again(scratch):
    scratch.playbook("play", scratch.record("install.deploy") + scratch.record("teardown.removed"))
    seen: list = []
    stream = play(scratch, seen)
    assert results(stream) == ["install.deploy", "teardown.removed"]
    assert [event["playbook"] for event in stream if event["type"] == "play_start"] == ["play.yml"]
    assert results(seen) == results(stream), "every event reaches the live view"


def test_a_play_that_broke_before_its_teardown_is_cleaned(scratch):
    scratch.playbook("play", "    - ansible.builtin.fail:\n")
    stream = play(scratch)
    assert results(stream) == ["teardown.removed"]
    assert [event["playbook"] for event in stream if event["type"] == "play_start"] == ["play.yml", "clean.yml"]


def test_a_cleaning_that_does_not_complete_says_what_to_do(scratch):
    scratch.playbook("play", "    - ansible.builtin.fail:\n")
    scratch.playbook("clean", "    - ansible.builtin.fail:\n")
    assert "ccci clean" in next(event["text"] for event in play(scratch) if event["type"] == "note")


def test_a_play_that_never_began_needs_no_cleaning_and_says_why(scratch):
    scratch.folder.joinpath("play.yml").write_text("- hosts: [\n")
    with pytest.raises(InfrastructureError, match="before the play began") as error:
        play(scratch)
    assert "YAML" in error.value.observed
    assert [event for event in events.read(scratch.run_dir) if event["type"] == "play_start"] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_play_and_its_processes_and_cleans(scratch, number):
    process = started(scratch)
    process.send_signal(number)
    process.wait(120)
    stream = events.read(scratch.run_dir)
    assert [event["signal"] for event in stream if event["type"] == "signal"] == [number.name]
    assert results(stream)[-1] == "teardown.removed"
    assert processes.marked("CCCI_RUN_ID", scratch.run_dir.name) == []


def test_kill_9_of_ansible_playbook_is_named_and_cleaned(scratch):
    process = started(scratch)
    everything = processes.marked("CCCI_RUN_ID", scratch.run_dir.name)
    ansible = [pid for pid in everything if processes.parent(pid) == process.pid]
    assert len(ansible) == 1
    os.kill(ansible[0], signal.SIGKILL)
    process.wait(120)
    stream = events.read(scratch.run_dir)
    assert [event["what"] for event in stream if event["type"] == "died"] == ["ansible-playbook"]
    assert results(stream)[-1] == "teardown.removed"
    assert processes.marked("CCCI_RUN_ID", scratch.run_dir.name) == []


def test_a_signal_that_we_were_started_to_ignore_is_ignored(scratch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with life.signals_caught(scratch.run_dir) as stop:
            os.kill(os.getpid(), signal.SIGHUP)
        assert stop.signal is None
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_signal_does_not_stop_the_cleaning(scratch):
    tasks = (
        scratch.record("install.health")
        + "    - ansible.builtin.command: sleep 1\n"
        + scratch.record("teardown.removed")
    )
    scratch.playbook("clean", tasks, tier="teardown")
    process = started(scratch)
    process.send_signal(signal.SIGINT)
    wait_for(lambda: "install.health" in results(events.read(scratch.run_dir)))
    process.send_signal(signal.SIGINT)
    process.wait(120)
    assert results(events.read(scratch.run_dir))[-1] == "teardown.removed"


def test_a_signal_before_the_play_began_starts_nothing(scratch):
    scratch.playbook("play", scratch.record("install.deploy"))
    with life.signals_caught(scratch.run_dir) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        call = playbook.Playbook(str(scratch.folder / "play.yml"), str(scratch.inventory), scratch.run_dir, {})
        assert playbook.run(call, lambda event: None, lambda: None, stop) == 130
    assert results(events.read(scratch.run_dir)) == []


def test_the_death_of_the_command_line_ends_the_play_and_its_processes(scratch):
    process = started(scratch)
    process.kill()
    process.wait(10)
    wait_for(lambda: processes.marked("CCCI_RUN_ID", scratch.run_dir.name) == [], 10)


def test_the_playbook_sees_the_allowed_environment_and_host_keys_are_checked(scratch, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN_OF_CI", "very-secret-value")
    monkeypatch.setenv("ANSIBLE_SKIP_TAGS", "always")
    token, keys = (
        "lookup('ansible.builtin.env', 'SECRET_TOKEN_OF_CI')",
        "lookup('ansible.builtin.config', 'HOST_KEY_CHECKING')",
    )
    show = f"{{{{ {token} }}}}/{{{{ {keys} }}}}"
    scratch.playbook("play", f'    - ccci_record: {{facts: {{seen: "{show}"}}}}\n' + scratch.record("teardown.removed"))
    stream = play(scratch)
    assert next(event["value"] for event in stream if event["type"] == "fact") == "/True"
    everything = "".join(path.read_text(errors="replace") for path in scratch.run_dir.rglob("*") if path.is_file())
    assert "very-secret-value" not in everything


def test_what_ansible_printed_is_kept_and_nothing_else_of_it(scratch):
    scratch.playbook("play", scratch.record("teardown.removed"))
    play(scratch)
    assert "PLAY RECAP" in (scratch.run_dir / "logs" / "ansible-play.log").read_text()
    names = {path.name for path in scratch.run_dir.iterdir()}
    assert names == {"plan.json", "events.jsonl", "logs"}


def test_secrets_of_the_run_are_hidden_in_what_ansible_printed(scratch):
    (scratch.run_dir / "secrets.json").write_text(json.dumps({"db_password": "correct-horse-battery"}))
    scratch.playbook(
        "play", "    - ansible.builtin.debug: {msg: correct-horse-battery}\n" + scratch.record("teardown.removed")
    )
    play(scratch)
    log = (scratch.run_dir / "logs" / "ansible-play.log").read_text()
    assert "correct-horse-battery" not in log
    assert "<secret db_password>" in log


def test_another_playbook_announces_its_tasks(scratch):
    path = scratch.playbook("other", "    - name: Do a thing\n      ansible.builtin.debug:\n")
    path.write_text(path.read_text().replace("{{ ccci_plan_file | dirname }}", str(scratch.run_dir)))
    seen: list = []
    code = life.simple(str(path), str(scratch.inventory), scratch.run_dir, {}, seen.append)
    assert code == 0
    assert [event["name"] for event in seen if event["type"] == "task_start"] == ["Do a thing"]


def test_tags_limit_and_options_reach_ansible(scratch):
    tasks = (
        scratch.record("install.deploy")
        + "    - ansible.builtin.fail:\n      tags: [upgrade]\n"
        + scratch.record("teardown.removed")
    )
    scratch.playbook("play", tasks)
    scratch.plan["run"]["tags"] = ["restore"]
    stream = play(scratch, options=["-v"])
    assert results(stream) == ["install.deploy", "teardown.removed"], "the task tagged upgrade did not run"
    assert next(event["tags"] for event in stream if event["type"] == "play_start") == ["restore"]


def test_a_disk_that_fills_up_does_not_keep_the_cleaning_from_running(scratch, monkeypatch):
    scratch.playbook("play", scratch.record("install.deploy") + "    - ansible.builtin.fail:\n")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(events, "append", full)  # in this process; the playbooks write their own events
    monkeypatch.setattr(playbook, "SCRATCH_BYTES", 2**62)
    assert results(play(scratch)) == ["install.deploy", "teardown.removed"]
    assert not (scratch.run_dir / playbook.SCRATCH).exists()
