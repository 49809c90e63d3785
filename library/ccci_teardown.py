#!/usr/bin/python3
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_teardown
short_description: Take a run away from the node, and verify that nothing of it is left
description:
  - Works from the scope alone, and again and again. Removes the run's stacks, containers, volumes, secrets, configs,
    networks, restic snapshots, processes and its folder; tries everything and tells all that failed in one result.
  - Only a run with a journal may have changed the node. Without one, only the run's processes, folder and lock go.
  - Holds the lock in the name of the run while it works, unless the run that calls it (C(CCCI_RUN_ID)) holds it.
options:
  scope:
    description: What belongs to the run on the node, from the plan or from a dead run's journal.
    type: dict
    required: true
  keep:
    description: Whether to leave a deployed app running, and only give the node back.
    type: bool
    default: false
  keep_if_red:
    description: The same, but only when the last look at the run, which comes here, finds something bad.
    type: bool
    default: false
  half_made_by:
    description: A run; then nothing is taken away but a warm dep that this run began to make and did not end.
    type: str
    default: ""
  evidence:
    description: Whether this is the run's own end, so that logs, deploy count and a last look at services are wanted.
    type: bool
    default: true
  holder:
    description: The process that tears down. Filled in by the action plugin.
    type: dict
    default: {}
  gone:
    description: Runs whose holder is dead on the controller. Filled in by the action plugin.
    type: list
    elements: str
    default: []
  cursor:
    description: Where the last slice ended.
    type: dict
    default: {}
  slice_seconds:
    description: Seconds after which an unfinished call answers.
    type: int
    default: 2
  expired:
    description: Whether the time is over. Filled in by the action plugin.
    type: bool
    default: false
  limit:
    description: Seconds that all slices may take. Read by the action plugin.
    type: int
    default: 180
attributes:
  check_mode:
    support: full
    description: Names what would be removed.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Remove everything that belongs to the run
  ccci_teardown:
    scope: "{{ ccci_scope }}"
    limit: 180
"""

RETURN = r"""
ccci:
  description:
    - The results C(teardown.removed) and, with O(evidence), C(teardown.deploy_count) and
      C(teardown.stayed_up), the last look at services that may have ended since they had converged.
    - The facts C(left_behind), a list of C(kind), C(name) and C(run), and C(foreign), what else changed meanwhile; with
      O(evidence) also C(resources), what each service used.
  returned: always
  type: dict
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host import inventory, journal, lock, processes, stayed, teardown, warm
from ansible.module_utils.ccci_host.answer import Answer, guarded
from ansible.module_utils.ccci_host.docker import Client
from ansible.module_utils.ccci_host.docker_errors import DockerError, is_outage

ARGUMENT_SPEC = {
    "scope": {"type": "dict", "required": True},
    "keep": {"type": "bool", "default": False},
    "keep_if_red": {"type": "bool", "default": False},
    "half_made_by": {"type": "str", "default": ""},
    "evidence": {"type": "bool", "default": True},
    "holder": {"type": "dict", "default": {}},
    "gone": {"type": "list", "elements": "str", "default": []},
    "cursor": {"type": "dict", "default": {}},
    "slice_seconds": {"type": "int", "default": 2},
    "expired": {"type": "bool", "default": False},
    "limit": {"type": "int", "default": 180},
}
RESULT = "teardown.removed"


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    guarded(module, lambda: tear_down(module), id=RESULT)


def tear_down(module: AnsibleModule) -> None:
    """Without Docker nothing can be taken away, and nothing is lost by waiting: swarm keeps it all."""
    cursor = module.params["cursor"]
    answer, progress = Answer("teardown", cursor), teardown.Progress(**cursor.get("progress", {}))
    try:
        take_away(module, Client(), answer, progress)
    except DockerError as error:
        if not is_outage(error) or module.params["expired"] or module.check_mode:
            raise
        time.sleep(1)
        if not progress.begun:  # it begins again
            answer, progress = Answer("teardown", cursor), teardown.Progress()
        answer.slice(module, kept_in_cursor(answer, progress), f"waiting for Docker: {error.message}")


def take_away(module: AnsibleModule, client: Client, answer: Answer, progress: teardown.Progress) -> None:
    arguments = module.params
    scope = arguments["scope"]
    if module.check_mode:
        show(module, client, answer, scope)
    if arguments["half_made_by"] and not warm.is_half_made(client, scope, arguments["half_made_by"]):
        answer.leave(module)
    in_the_way = admit(client, arguments)
    if in_the_way:
        wait_for_lock(module, answer, in_the_way)
    if is_over(client, scope):
        clear(module, client, answer, scope)
    began = time.monotonic()
    if not progress.begun:
        start(module, client, answer, scope, progress)
    with answer.waiting("docker"):
        seconds = max(arguments["slice_seconds"] + began - time.monotonic(), 0.3)
        left = teardown.remove(client, scope, progress, seconds, lambda: is_over(client, scope))
        if progress.unforgotten:
            teardown.forget_again(client, scope, progress)
    if is_over(client, scope):
        clear(module, client, answer, scope)
    if progress.unforgotten and not arguments["expired"]:
        time.sleep(1)
        answer.slice(module, kept_in_cursor(answer, progress), "waiting for the backup service")
    if any(left.values()) and not arguments["expired"]:
        answer.slice(
            module, kept_in_cursor(answer, progress), f"removing: {', '.join(inventory.named(left)[:4])} still there"
        )
    if answer.files:
        answer.slice(module, kept_in_cursor(answer, progress), "removed; looking at what is left")
    finish(module, client, answer, scope, progress)


def is_over(client: Client, scope: dict) -> bool:
    """Whether the run was taken away: then there is no journal of it."""
    return journal.find(client, scope["run"]) is None


def admit(client: Client, arguments: dict) -> lock.Attempt | None:
    """Makes sure that nobody works on the node meanwhile. The lock in the way, or None.

    Another run could be deploying the same stack: then its objects are not ours, and it has taken ours away before.
    """
    scope, here = arguments["scope"], processes.identity()
    if (caller := processes.caller(scope)) != scope["run"]:
        lock.renew(client, {"run": caller})
        return None
    if is_over(client, scope):
        return None
    attempt = lock.acquire(
        client, scope["run"], arguments["holder"] or here, scope.get("lease", lock.DEFAULT_LEASE),
        gone=arguments["gone"], here=here, reenter=True,
    )  # fmt: skip
    return None if attempt.held else attempt


def wait_for_lock(module: AnsibleModule, answer: Answer, attempt: lock.Attempt) -> None:
    told = lock.described(attempt)
    if module.params["expired"]:
        answer.facts = {"left_behind": [], "foreign": []}
        answer.result(
            RESULT, "error", expected="the node is free, or the other run takes this one away", observed=told,
            hint="When that run has ended: `ccci clean`",
        )  # fmt: skip
        answer.leave(module, operation=[RESULT])
    time.sleep(1)
    other = attempt.other
    answer.slice(module, {**module.params["cursor"], "holders": {other.run: other.holder}}, f"waiting: {told}")


def start(module: AnsibleModule, client: Client, answer: Answer, scope: dict, progress: teardown.Progress) -> None:
    """The part that needs the app to be there. Leaves the module when the app is kept."""
    services = teardown.remaining(client, scope, [])["service"].values()
    there = {entry["stack"] for entry in services} & set(journal.stacks_of(scope))
    if module.params["evidence"]:
        teardown.judge(answer, scope, there)
        with answer.waiting("docker"):
            stayed.judge(client, scope, teardown.prefixes(scope), there, answer)
            teardown.measure(client, scope, answer)
    files = answer.files if module.params["evidence"] else None
    is_red = any(result["outcome"] in ("fail", "error") for result in answer.results)
    if (module.params["keep"] or (module.params["keep_if_red"] and is_red)) and there:
        if files is not None:
            teardown.read_logs(client, scope, progress, files)
        journal.set_state(client, scope["run"], journal.KEPT)
        lock.release(client, scope["run"])
        answer.facts |= {"left_behind": [], "foreign": []}
        answer.result(RESULT, "skip", evidence=f"kept: https://{scope['domain']}")
        answer.leave(module, operation=[RESULT])
    with answer.waiting("docker"):
        teardown.begin(client, scope, progress, spared(module.params["holder"]), files, lambda: is_over(client, scope))


def spared(holder: dict) -> list[int]:
    """The ansible-playbook that called us, if it lives on this node: it bears the run's mark too, as we do."""
    here = processes.identity()
    same = all(holder.get(key) == here[key] for key in processes.PLACE)
    return [int(holder["pid"])] if same and holder.get("pid") else []


def kept_in_cursor(answer: Answer, progress: teardown.Progress) -> dict:
    """The files go to the action plugin at once: they stand in the folder that the last slice removes."""
    files, answer.files = answer.files, []
    return {"progress": vars(progress), "files": files}


def finish(module: AnsibleModule, client: Client, answer: Answer, scope: dict, progress: teardown.Progress) -> None:
    """Nothing is left, or the time is over: compares, writes down what stayed, and gives the node back."""
    run, before = scope["run"], teardown.load_before(scope)
    clean = not any(teardown.remaining(client, scope, progress.mounts).values())
    if clean:  # with leftovers, the next try needs the settings that are in the folder
        teardown.try_step(progress, "remove the run's folder", lambda: teardown.remove_folder(scope))
    teardown.sweep()
    teardown.try_step(progress, "start warm deps again", lambda: warm.restore_after(client, run))
    objects = inventory.snapshot(client, teardown.node_dir(scope) / "abra")
    before, objects = warm.left_out(client, before, objects)
    difference = inventory.compare(before, objects, scope, progress.mounts)
    unknown = [f"of {stack} (nobody could be asked)" for stack in progress.unforgotten]
    snapshots = [{"kind": "snapshot", "name": name} for name in progress.snapshots_left + unknown]
    left = difference.left_behind + snapshots
    if clean and teardown.node_dir(scope).exists():
        left.append({"kind": "folder", "name": str(teardown.node_dir(scope))})
    if left:
        journal.set_state(client, run, journal.LEFTOVER)
    else:
        journal.delete(client, run)
    lock.release(client, run)
    answer.facts |= {"left_behind": [{**item, "run": run} for item in left], "foreign": difference.foreign}
    told = "; ".join([*progress.notes, *(f"{name}: {words}" for name, words in progress.refused.items())])
    if not left:
        answer.result(RESULT, "pass", observed=f"nothing of run {run} is left", evidence=told or None)
    else:
        in_use = any(item["kind"] in ("container", "volume") for item in left)
        answer.result(
            RESULT, "error", expected=f"nothing of run {run} is left on the node",
            observed=", ".join(f"{item['kind']} {item['name']}" for item in left), evidence=told or None,
            hint="`ccci clean` tries again", failure_id="removal-in-progress" if in_use else "leaked-dep",
        )  # fmt: skip
    answer.leave(module, operation=[RESULT], changed=True)


def clear(module: AnsibleModule, client: Client, answer: Answer, scope: dict) -> None:
    """The end of a run without a journal: it changed nothing, or was taken away before."""
    progress = teardown.Progress()
    ended = processes.end(scope["run"], spared(module.params["holder"]))
    there = teardown.node_dir(scope).exists()
    if module.params["evidence"] and not answer.results:
        teardown.judge(answer, scope, set())
        stayed.judge(client, scope, teardown.prefixes(scope), set(), answer)
    teardown.try_step(progress, "remove the run's folder", lambda: teardown.remove_folder(scope))
    teardown.try_step(teardown.Progress(), "start warm deps again", lambda: warm.restore_after(client, scope["run"]))
    teardown.sweep()
    released = lock.release(client, scope["run"])
    left = [{"kind": "folder", "name": scope["node_dir"], "run": scope["run"]}] if progress.notes else []
    answer.facts |= {"left_behind": left, "foreign": []}
    answer.result(
        RESULT, "error" if left else "pass", expected="nothing to take away: the node knows no journal of this run",
        observed="; ".join(progress.notes) or f"nothing of run {scope['run']} is left",
    )  # fmt: skip
    answer.leave(module, operation=[RESULT], changed=bool(ended or there or released))


def show(module: AnsibleModule, client: Client, answer: Answer, scope: dict) -> None:
    there = [] if is_over(client, scope) else inventory.named(teardown.remaining(client, scope, []))
    there += [f"folder {scope['node_dir']}"] if teardown.node_dir(scope).exists() else []
    answer.facts["would_remove"] = there
    answer.result(RESULT, "skip", evidence=f"check mode: {', '.join(there) or 'nothing'} would be removed")
    answer.leave(module, changed=bool(there))


if __name__ == "__main__":
    main()
