"""Every verb through the real command line: output, streams and exit codes. No node is touched."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ccci import paths, runs
from ccci.cli import main as command_line


@pytest.fixture
def ccci(world, capsys):
    """Runs the command line in this process: `ccci("plan", "demo")` → (code, stdout, stderr)."""

    def call(*words: str):
        inventory = ["-i", str(world.inventory)] if words[0] in WITH_INVENTORY else []
        code = command_line.run([words[0], *inventory, *words[1:]])
        out, err = capsys.readouterr()
        return code, out, err

    return call


WITH_INVENTORY = ("plan", "play", "list", "lint", "clean", "config", "doctor", "bootstrap")


def a_run(world, name: str = "20260101-000000-demo-abcdef", verdict: str | None = "pass") -> Path:
    folder = world.root / "runs" / name
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps(world.plan() | {"schema": "ccci/plan/1"}))
    if verdict:
        (folder / "result.json").write_text(json.dumps({"verdict": verdict}))
    return folder


def test_help_names_every_verb_and_each_verb_has_help(ccci, capsys):
    assert command_line.run(["--help"]) == 0
    text = capsys.readouterr().out
    for verb in command_line.VERBS:
        assert f"  {verb} " in text
        assert command_line.run([verb, "--help"]) == 0, verb
        assert "Usage: ccci " + verb in capsys.readouterr().out


def test_help_imports_nothing_heavy():
    script = (
        "import sys; from ccci.cli import main; main.run(['--help']); print([m for m in sys.modules if m in HEAVY])"
    )
    heavy = ("yaml", "jsonschema", "rich", "ansible_runner", "jinja2", "requests", "playwright", "ccci.settings")
    done = subprocess.run(
        [sys.executable, "-c", f"HEAVY = {heavy!r}\n{script}"], capture_output=True, text=True, check=True
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_misspelt_verb_names_the_nearest(ccci, capsys):
    assert command_line.run(["paly"]) == 2
    assert "Did you mean play?" in capsys.readouterr().err


def test_plan_prints_json_that_a_program_can_read(ccci, world):
    code, out, err = ccci("plan", "demo", "--format", "json", "--tags", "install,upgrade", "--set", "A=b=c")
    plan = json.loads(out)
    assert (code, err) == (0, "")
    assert plan["run"]["tags"] == ["install", "upgrade"]
    assert plan["env"] == {"A": "b=c"}
    assert not (world.root / "runs").exists(), "a plan writes nothing"


def test_plan_save_makes_what_ansible_playbook_needs(ccci, world):
    code, out, _ = ccci("plan", "demo", "--save")
    path = Path(out.strip())
    assert code == 0
    assert json.loads(path.read_text())["run"]["dir"] == str(path.parent)
    assert (path.parent / "recipe.bundle").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["demp"], r"Unknown recipe 'demp'"),
        (["demo", "--pr", "77"], r"no pull request 77[\s\S]*one of 1, 2, 3"),
        (["demo", "--ref", "mian"], r"no branch, tag or commit 'mian'[\s\S]*main"),
        (["demo", "--version", "1.0.0+1.2.1"], r"No published version[\s\S]*1\.0\.0\+1\.2\.0"),
        (["demo", "--from", "0.0.1"], r"No published version"),
        (["demo", "--tags", "instal"], r"'instal' is not a tier[\s\S]*Did you mean install"),
        (["demo", "--tags", "install", "--skip-tags", "upgrade"], r"do not go together"),
        (["demo", "--pr", "1", "--ref", "main"], r"--pr and --ref do not go together"),
        (["demo", "--set", "A"], r"not KEY=VALUE"),
        (["demo", "--limit", "nowhere"], r"has no node 'nowhere'"),
    ],
)
def test_usage_errors_end_with_2_and_say_what_is_near(ccci, world, words, said):
    code, out, err = ccci("plan", *words)
    assert (code, out) == (2, "")
    assert re.search(said, err), err
    assert not (world.root / "runs").exists()


def test_a_dead_forge_is_no_fault_of_the_user(ccci, world):
    code, _, err = ccci("plan", "demo", "--source", "http://127.0.0.1:9/demo.git")
    assert code == 3
    assert "127.0.0.1:9" in err


def test_a_misspelt_key_in_recipe_yml_names_line_and_key(ccci, world):
    world.write("recipe.yml", "helth: {path: /}\n")
    code, _, err = ccci("plan", "demo")
    assert code == 2
    assert "recipe.yml:2" in err
    assert "'health'" in err


def test_an_id_that_is_used_twice_names_both_places(ccci, world):
    world.write("tests/test_one.py", "def test_a():\n    pass\n")
    world.write("tests/test_two.py", "\ndef test_a():\n    pass\n")
    code, _, err = ccci("plan", "demo")
    assert code == 2
    assert "test_one.py:1" in err
    assert "test_two.py:2" in err


def test_a_malformed_inventory_names_file_and_line(ccci, world):
    (world.inventory / "hosts.yml").write_text("all:\n  children: [\n")
    code, _, err = ccci("plan", "demo")
    assert code == 2
    assert re.search(r"hosts\.yml:\d+ is not valid YAML", err)


def test_an_unexpected_exception_is_one_line_and_a_saved_traceback(ccci, world, monkeypatch):
    monkeypatch.setattr("ccci.run.load", lambda *_: 1 / 0)
    code, out, err = ccci("plan", "demo")
    assert (code, out) == (3, "")
    assert len(err.splitlines()) == 2
    saved = Path(err.split("traceback: ")[1].strip())
    assert "ZeroDivisionError" in saved.read_text()


def test_an_interrupt_ends_with_130_and_leaves_nothing(ccci, world, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ccci.source.mirror.Mirror.bundle", interrupted)
    code, out, _ = ccci("plan", "demo", "--save")
    assert (code, out) == (130, "")
    assert list((world.root / "runs").iterdir()) == []


def test_sigterm_is_an_interrupt_too(world):
    slow = "main.cli.main = lambda *a, **k: (print('up', flush=True), time.sleep(30))"
    script = f"import time\nfrom ccci.cli import main\n{slow}\nmain.main()"
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 130


def test_play_without_a_terminal_wants_yes_before_it_changes_the_machine(ccci, world, monkeypatch):
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115, PTH123
    code, out, err = ccci("play", "demo")
    assert (code, out) == (2, "")
    assert "this machine is not ready: it was never set up from here" in err
    assert "Traefik" in err, "it says what would be installed"
    assert "--yes" in err
    assert not (world.root / "runs").exists()


def test_play_refuses_options_that_would_contradict_the_plan(ccci):
    code, _, err = ccci("play", "demo", "--", "--tags=install")
    assert code == 2
    assert "'--tags=install' after -- could contradict the plan" in err


def test_show_and_logs_and_report_name_what_there_is(ccci, world):
    assert "There are no runs" in ccci("show")[2]
    folder = a_run(world)
    (folder / "logs").mkdir()
    (folder / "logs" / "app.log").write_text("hello\n")
    assert ccci("logs", "abcdef", "app") == (0, "hello\n", "")
    assert json.loads(ccci("logs", folder.name, "--format", "json")[1]) == {"app": str(folder / "logs" / "app.log")}
    code, _, err = ccci("logs", "abcdef", "db")
    assert code == 2
    assert "app" in err
    (folder / "report.html").write_text("<html>")
    assert ccci("report") == (0, f"{folder / 'report.html'}\n", "")
    assert "is no run" in ccci("report", "20250101")[2]


def test_list_shows_coverage_and_the_last_verdict(ccci, world):
    world.write("recipe.yml", "skip: [{tier: backup, reason: keeps no data}]\n")
    world.write("tests/one.yml", "- ansible.builtin.debug:\n")
    a_run(world, "20260101-000000-demo-abcdef", "pass")
    a_run(world, "20260102-000000-demo-abcdef", "fail")
    row = json.loads(ccci("list", "--format", "json")[1])[0]
    assert row["tests"] == ["demo.one"]
    assert row["not_judged"] == {"backup": "keeps no data"}
    assert (row["verdict"], row["run"]) == ("fail", "20260102-000000-demo-abcdef")
    human = ccci("list")[1]
    assert re.search(r"demo\s+generic \+ 1\s+-\s+backup\s+fail\s+main head\s+20260102", human)


def test_list_names_deps_and_never_a_verdict_of_what_is_not_run_here(ccci, world):
    a_run(world, "20260101-000000-demo-abcdef", "pass")
    world.write("recipe.yml", "embedded: {not_run: needs a real registry}\ndeps: [{recipe: idp, as: sso}]\n")
    provider = world.root / "recipe_tests" / "idp" / "provides" / "sso.yml"
    provider.parent.mkdir(parents=True)
    provider.write_text("- ccci_provide: {kind: sso}\n")
    world.configure("ccci_platform: embedded\n")
    (row,) = [row for row in json.loads(ccci("list", "--format", "json")[1]) if row["recipe"] == "demo"]
    assert (row["deps"], row["not_run"], row["verdict"]) == (["idp"], "needs a real registry", None)
    human = ccci("list")[1]
    assert re.search(r"demo\s+generic \+ 0\s+idp\s+-\s+not run here", human)
    assert "demo is not run here: needs a real registry" in human
    assert "pass" not in human
    assert "not run on the embedded platform" in ccci("play", "demo", "--yes")[2]
    world.configure("ccci_platform: released\n")
    assert re.search(r"demo\s+generic \+ 0\s+idp\s+-\s+pass", ccci("list")[1])


def test_list_names_what_ought_to_have_tests_and_has_none(ccci, world):
    wanted = "demo: has a folder by now\nchat: a message is read back\n"
    (world.root / "recipe_tests" / "not-enrolled.yml").write_text(wanted)
    world.write("recipe.yml", "")
    rows = {row["recipe"]: row["to_show"] for row in json.loads(ccci("list", "--format", "json")[1])}
    assert rows == {"demo": None, "chat": "a message is read back"}
    human = ccci("list")[1]
    assert re.search(r"chat\s+not enrolled\s+-\s+-\s+-\s+-\s+-", human)
    assert "chat is not enrolled; its tests would have to show: a message is read back" in human
    assert "demo is not enrolled" not in human


def test_a_run_is_live_while_its_lock_is_held_and_unfinished_after(world):
    folder = a_run(world, verdict=None)
    from ccci import run

    found = runs.Run(folder)
    assert found.verdict() == "unfinished"
    with run.held(folder):
        assert found.verdict() == "running"
    assert found.verdict() == "unfinished"


def test_a_run_that_died_before_its_play_began_is_removed_with_what_it_had_started(world):
    from ccci import run
    from ccci.engine.playbook import RUN_MARK

    dead, saved, live, begun = (a_run(world, f"20260101-00000{n}-demo-abcdef", verdict=None) for n in range(4))
    for folder in (dead, begun):
        (folder / runs.LIVE_FILE).touch()
        (folder / "ansible" / "play").mkdir(parents=True)
    (begun / "events.jsonl").write_text('{"at": 1.0, "type": "play_start", "playbook": "play.yml"}\n')
    loading = subprocess.Popen(["sleep", "60"], env={**os.environ, RUN_MARK: dead.name})
    try:
        with run.held(live):
            assert [one.name for one in runs.remove_stillborn()] == [dead.name]
        assert loading.wait(timeout=10) == -signal.SIGTERM
    finally:
        loading.kill()
    assert [folder.exists() for folder in (dead, saved, live, begun)] == [False, True, True, True]


def test_config_tells_values_and_origins_and_hides_passwords(ccci, world, monkeypatch):
    monkeypatch.setenv("CCCI_SOURCE", "https://me:hidden@git.example.org/demo.git")
    (world.root / "ccci.yml").write_text("keep: on-failure\n")
    values = json.loads(ccci("config", "--format", "json")[1])
    assert values["keep"] == {"value": "on-failure", "origin": "ccci.yml:1"}
    assert values["source"] == {"value": "https://git.example.org/demo.git", "origin": "CCCI_SOURCE"}
    assert "hidden" not in ccci("config")[1]


def test_new_makes_a_folder_once(ccci, world):
    template = paths.RECIPE_TESTS / "_template"
    (template / "tests").mkdir(parents=True)
    (template / "tests" / "one.yml").write_text("- name: Ask RECIPE\n")
    code, out, _ = ccci("new", "nice")
    assert code == 0
    assert (paths.RECIPE_TESTS / "nice" / "tests" / "one.yml").read_text() == "- name: Ask nice\n"
    assert "ccci lint nice" in out
    assert ccci("new", "nice")[0] == 2
    assert ccci("new", "Not A Name")[0] == 2


def test_completion_of_recipes_runs_and_shells(ccci, world, capsys, monkeypatch):
    for shell in ("bash", "zsh", "fish"):
        code, out, _ = ccci("completion", shell)
        assert code == 0
        assert "_CCCI_COMPLETE" in out
    world.write("recipe.yml", "")
    monkeypatch.setenv("CCCI_INVENTORY", str(world.inventory))
    monkeypatch.setenv("_CCCI_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "ccci play de")
    monkeypatch.setenv("COMP_CWORD", "2")
    with pytest.raises(SystemExit):
        command_line.run([])
    assert capsys.readouterr().out == "plain,demo\n"


def test_doctor_gives_the_fix_with_each_line(ccci, world):
    code, out, err = ccci("doctor", "--format", "json")
    assert out, err
    checks = {check["name"]: check for check in json.loads(out)}
    assert checks["git"]["state"] == "ok"
    assert checks["set up"]["state"] == "warning"
    assert checks["set up"]["fix"].startswith("ccci bootstrap -i")
    assert all(check["fix"] for check in checks.values() if check["state"] != "ok")
    assert code in (0, 3)


def test_help_loads_nothing_heavy(world):
    """What keeps `--help` under 0.3 s: click alone. (bench/ measures the time.)"""
    program = (
        "import sys; from ccci.cli.main import main\n"
        "sys.argv = ['ccci', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'ansible', 'ansible_runner', 'jinja2', 'jsonschema', 'playwright', 'requests', 'rich', 'yaml'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Exit codes" in done.stdout
