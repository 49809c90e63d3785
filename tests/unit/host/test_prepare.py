"""The checkout and the judgement of both sides, with real git and files as strangers write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from recipe_repo import COMPOSE, SAMPLE, RecipeRepo, scope_of

from ccci_host import bounded, checkout, prepare
from ccci_host.answer import Answer
from ccci_host.compose import ComposeError, parse_env
from ccci_host.node import Inside
from ccci_host.sides import Wishes, read_side, sample_of

BASE = {".env.sample": SAMPLE, "compose.yml": COMPOSE}


class Run:
    """One call of prepare: base files, then what the head changes."""

    def __init__(self, tmp: Path, base: dict[str, Any] | None, head: dict[str, Any], **options: Any) -> None:
        repo = RecipeRepo(tmp / "repo")
        base_commit = repo.commit_files(base, "1.0.0+1") if base is not None else None
        head_commit = repo.commit_files(head)
        self.scope = scope_of(tmp / "node")
        taken, dry = options.pop("taken", {}), options.pop("dry", False)
        kind = options.pop("kind", "pr")
        given = {"env": {}, "env_from_upgrade": {}, "compose_files": None, "overlay": None, "policy": {}, **options}
        order = prepare.Order(
            scope=self.scope, bundle=str(repo.bundle(tmp / "recipe.bundle")),
            base={"version": "1.0.0+1", "commit": base_commit} if base_commit else None,
            head={"kind": kind, "label": "pull request 3", "commit": head_commit}, **given,
        )  # fmt: skip
        self.answer = Answer("prepare")
        prepare.prepare(order, taken, self.answer, dry=dry)
        self.results = {result["id"]: result for result in self.answer.results}

    @property
    def outcomes(self) -> dict[str, str]:
        return {id: result["outcome"] for id, result in self.results.items()}

    def observed(self, id: str) -> str:
        return str(self.results[id]["observed"])


GREEN = {"prepare.compose_valid": "pass", "prepare.policy": "pass"}


def test_a_good_change_gets_a_checkout_of_the_base_and_both_sides_images(tmp_path: Path) -> None:
    run = Run(tmp_path, BASE, {"compose.yml": COMPOSE.replace("web:1", "web:2")})
    assert run.outcomes == GREEN
    assert run.answer.facts == {"images": {"base": ["example/web:1"], "head": ["example/web:2"]}}
    folder = prepare.recipe_folder(run.scope)
    assert (folder / "compose.yml").read_text() == COMPOSE
    assert checkout.git(str(folder), "status", "--porcelain") == b""
    assert checkout.git(str(folder), "tag") == b"1.0.0+1\n"
    assert checkout.git(str(folder), "cat-file", "-t", "1.0.0+1") == b"tag\n"
    assert (tmp_path / "node/abra/servers/default").is_dir()


def test_without_a_base_the_head_is_checked_out(tmp_path: Path) -> None:
    run = Run(tmp_path, None, BASE, kind="main")
    assert run.outcomes == GREEN
    assert run.answer.facts["images"] == {"base": [], "head": ["example/web:1"]}


def test_check_mode_judges_and_leaves_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path, BASE, {"compose.yml": COMPOSE}, dry=True)
    assert run.outcomes == GREEN
    assert list((tmp_path / "node").iterdir()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"compose.yml": COMPOSE.replace("    image", "   image")}, "compose.yml:5: is not valid YAML"),
        ({"compose.yml": COMPOSE.replace("    image: example/web:1\n", "")}, "compose.yml:3: service app has no image"),
        ({".env.sample": None}, ".env.sample:1: is missing"),
        ({".env.sample": SAMPLE + "COMPOSE_FILE=compose.db.yml\n"}, "compose.db.yml:1: is named by COMPOSE_FILE"),
        ({"compose.other.yml": "services: [1]\n"}, "compose.other.yml:1: services must be a mapping"),
        ({"compose.yml": COMPOSE + "configs: {c: {file: a.tmpl}}\n"}, "compose.yml:8: configs.c needs the file a.tmpl"),
    ],
)  # fmt: skip
def test_a_head_that_is_wrong_is_named_with_file_and_line(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    run = Run(tmp_path, BASE, change)
    assert run.outcomes == {"prepare.compose_valid": "fail"}
    assert run.observed("prepare.compose_valid").startswith(f"head (pull request 3): {words}")
    assert not (tmp_path / "node/abra/servers").exists()


def test_a_base_that_is_wrong_is_the_recipes_fault_too(tmp_path: Path) -> None:
    run = Run(tmp_path, {**BASE, "compose.yml": "services: {}\n"}, {"compose.yml": COMPOSE})
    assert run.outcomes == {"prepare.compose_valid": "fail"}
    assert run.observed("prepare.compose_valid").startswith("base (1.0.0+1): compose.yml:1: has no services")


def test_an_undefined_service_in_depends_on_is_noted_and_every_image_is_read(tmp_path: Path) -> None:
    head = COMPOSE.replace("    image: example/web:1\n", "    image: example/web:2\n    depends_on: [db, sidekiq]\n")
    head = head.replace("services:\n", "services:\n  db: {image: example/db:1}\n")
    run = Run(tmp_path, BASE, {"compose.yml": head})
    assert run.outcomes == GREEN
    line = head.splitlines().index("    depends_on: [db, sidekiq]") + 1
    assert run.results["prepare.compose_valid"]["evidence"] == (
        f"head: compose.yml:{line}: bad-depends-on: service app depends on undefined service 'sidekiq'; "
        "swarm ignores it"
    )
    assert sorted(run.answer.facts["images"]["head"]) == ["example/db:1", "example/web:2"]


def test_each_side_has_its_own_compose_files_and_env(tmp_path: Path) -> None:
    ports = 'version: "3.8"\nservices: {app: {image: "example/${WEB:-plain}:2"}}\n'
    head = {"compose.more.yml": ports, ".env.sample": SAMPLE + "COMPOSE_FILE=compose.yml:compose.more.yml\nWEB=new\n"}
    run = Run(tmp_path, BASE, head, env_from_upgrade={"WEB": "later"})
    assert run.answer.facts["images"] == {"base": ["example/web:1"], "head": ["example/later:2"]}


def test_the_head_may_have_compose_files_that_the_base_lacks(tmp_path: Path) -> None:
    more = 'version: "3.8"\nservices: {app: {image: "example/web:2"}}\n'
    files = {"compose_files": ["compose.yml"], "compose_files_from_upgrade": ["compose.yml", "compose.more.yml"]}
    run = Run(tmp_path, BASE, {"compose.more.yml": more}, **files)
    assert run.answer.facts["images"] == {"base": ["example/web:1"], "head": ["example/web:2"]}
    assert "base: compose.yml with" in run.observed("prepare.compose_valid")


def test_a_value_that_the_operator_has_stays_at_the_upgrade_but_a_fresh_install_is_pulled_too(tmp_path: Path) -> None:
    compose = COMPOSE.replace("web:1", "web:${TAG}")
    base = {".env.sample": SAMPLE + "TAG=1\n", "compose.yml": compose}
    run = Run(tmp_path, base, {".env.sample": SAMPLE + "TAG=2\n"})
    assert run.answer.facts["images"]["head"] == ["example/web:1", "example/web:2"]


def test_what_only_a_fresh_install_would_ask_for_is_judged_too(tmp_path: Path) -> None:
    compose = COMPOSE.replace("content:/data", "'${DATA}:/data'")
    base = {".env.sample": SAMPLE + "DATA=content\n", "compose.yml": compose}
    run = Run(tmp_path, base, {".env.sample": SAMPLE + "DATA=/\n"})
    assert run.outcomes["prepare.policy"] == "fail"
    assert "compose.yml:5: docker-socket: service app asks for /" in run.observed("prepare.policy")


def test_the_tests_overlay_is_kept_for_the_deploy_and_its_images_are_pulled(tmp_path: Path) -> None:
    overlay = 'version: "3.8"\nservices: {app: {image: "example/pinned:1"}}\n'
    run = Run(tmp_path, BASE, {"README.md": "x"}, overlay=overlay)
    assert run.answer.facts["images"] == {"base": ["example/pinned:1"], "head": ["example/pinned:1"]}
    assert prepare.overlay_file(run.scope).read_text() == overlay


def test_a_wrong_overlay_is_not_the_recipes_fault(tmp_path: Path) -> None:
    run = Run(tmp_path, BASE, {"README.md": "x"}, overlay="services: {app: {imagee: x}}\n")
    assert run.outcomes == {"prepare.compose_valid": "error"}
    assert "compose.ccci.yml:1" in run.observed("prepare.compose_valid")


def test_an_overlay_never_replaces_a_file_of_the_recipe(tmp_path: Path) -> None:
    repo = RecipeRepo(tmp_path / "repo")
    theirs = 'version: "3.8"\nservices: {app: {image: "example/theirs:1"}}\n'
    commit = repo.commit_files({**BASE, "compose.ccci.yml": theirs})
    tree = checkout.Tree(str(repo.folder), commit)
    ours = 'version: "3.8"\nservices: {app: {hostname: ours}}\n'
    side = read_side(tree, sample_of(tree), Wishes("d.ci.test", "d_ci_test", overlay=ours))
    assert side.overlays == {"compose.ccci-2.yml": ours}
    assert side.env["COMPOSE_FILE"] == "compose.yml:compose.ccci-2.yml"


def test_a_sample_can_neither_move_the_app_nor_run_commands(tmp_path: Path) -> None:
    repo = RecipeRepo(tmp_path / "repo")
    sample = SAMPLE + 'STACK_NAME=other_stack\nDOMAIN=other.ci.test\nPOST_UNDEPLOY_CMDS="local evil"\n'
    tree = checkout.Tree(str(repo.folder), repo.commit_files({**BASE, ".env.sample": sample}))
    side = read_side(tree, sample_of(tree), Wishes("d.ci.test", "d_ci_test"))
    written = parse_env(side.env_text)
    assert (written["STACK_NAME"], written["DOMAIN"], written["POST_UNDEPLOY_CMDS"]) == ("d_ci_test", "d.ci.test", "")


def test_what_is_new_and_forbidden_is_red_with_file_line_and_rule(tmp_path: Path) -> None:
    bad = COMPOSE.replace("[content:/data]", "[content:/data, '/srv:/srv']")
    run = Run(tmp_path, BASE, {"compose.yml": bad})
    assert run.outcomes == {"prepare.compose_valid": "pass", "prepare.policy": "fail"}
    assert run.observed("prepare.policy") == "compose.yml:5: bind-mount: service app asks for /srv"
    assert not (prepare.recipe_folder(run.scope) / "compose.yml").exists()


def test_names_come_from_the_recipes_settings_and_not_from_the_pull_requests_sample(tmp_path: Path) -> None:
    routed = COMPOSE.replace(
        "    volumes:",
        "    deploy: {labels: ['traefik.http.routers.${STACK_NAME}.rule=Host(`${DOMAIN}`${EXTRA})']}\n    volumes:",
    )
    own = Run(
        tmp_path / "a",
        BASE,
        {"compose.yml": routed},
        env={"EXTRA": ", `www.web-c12afe.ci.test`, `web-c12afe-admin.ci.test`"},
    )
    assert own.outcomes == GREEN
    sample = {".env.sample": SAMPLE + "EXTRA=', `other.ci.test`'\n"}
    run = Run(tmp_path / "b", {**BASE, "compose.yml": routed}, sample)
    assert run.observed("prepare.policy") == "compose.yml:5: router-host: service app asks for other.ci.test"
    assert Run(tmp_path / "c", {**BASE, "compose.yml": routed}, sample, env={"EXTRA": ""}).outcomes == GREEN


def test_what_the_maintainers_published_is_noted_and_not_refused(tmp_path: Path) -> None:
    bad = COMPOSE.replace("[content:/data]", "[content:/data, '/var/run/docker.sock:/s']")
    run = Run(tmp_path, BASE, {"compose.yml": bad}, kind="main")
    assert run.outcomes == GREEN
    assert "allowed: compose.yml:5: docker-socket" in run.results["prepare.policy"]["evidence"]


def test_the_inventory_allows_and_a_misspelt_rule_is_said(tmp_path: Path) -> None:
    bad = {"compose.yml": COMPOSE.replace("volumes: [content:/data]", "cap_add: [NET_ADMIN]")}
    assert Run(tmp_path / "a", BASE, bad, policy={"allow": ["capability=NET_ADMIN"]}).outcomes == GREEN
    run = Run(tmp_path / "b", BASE, bad, policy={"allow": ["capabilities"]})
    assert run.outcomes["prepare.policy"] == "error"
    assert run.observed("prepare.policy") == "capabilities"


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../state.json", "dir/../../x", ".git/config", "loop"])
def test_a_link_that_leads_out_of_the_recipe_is_refused_and_never_followed(tmp_path: Path, target: str) -> None:
    change = {"loop" if target == "loop" else "entry.sh": (target,)}
    run = Run(tmp_path, BASE, change, policy={"mode": "relaxed"})
    assert run.outcomes == {"prepare.compose_valid": "skip", "prepare.policy": "fail"}
    assert "file-outside" in run.observed("prepare.policy")
    assert not (prepare.recipe_folder(run.scope) / "entry.sh").is_symlink()


def test_a_link_inside_the_recipe_is_followed(tmp_path: Path) -> None:
    run = Run(tmp_path, BASE, {"files/real.yml": COMPOSE.replace("web:1", "web:9"), "compose.yml": ("files/real.yml",)})
    assert run.outcomes == GREEN
    assert run.answer.facts["images"]["head"] == ["example/web:9"]


def test_our_files_replace_a_link_instead_of_following_it(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / "compose.ccci.yml").symlink_to(victim)
    checkout.place(str(tmp_path), "compose.ccci.yml", "ours")
    assert (victim.read_text(), (tmp_path / "compose.ccci.yml").read_text()) == ("untouched", "ours")


def test_nothing_of_the_recipe_is_run(tmp_path: Path) -> None:
    trap = f"touch {tmp_path}/ran\nexport X=$(touch {tmp_path}/ran)\n"
    hostile = {
        "abra.sh": trap,
        ".gitattributes": "* filter=evil\n",
        "compose.yml": COMPOSE,
        "hooks/post-checkout": trap,
    }
    assert Run(tmp_path, {**BASE, **hostile}, {"README.md": "{{ lookup('pipe', 'id') }}"}).outcomes == GREEN
    assert not (tmp_path / "ran").exists()


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    ports = {"compose.yml": COMPOSE.replace("volumes: [content:/data]", "ports: ['8080:80']")}
    taken = {(8080, "tcp"): "service other_app"}
    new = Run(tmp_path / "a", BASE, ports, taken=taken)
    assert new.outcomes["prepare.policy"] == "fail"
    assert new.results["prepare.policy"]["failure_id"] == "port-taken"
    old = Run(tmp_path / "b", {**BASE, **ports}, {"README.md": "x"}, taken=taken)
    assert old.outcomes["prepare.policy"] == "error"  # the recipe did nothing wrong, this node is in use
    assert old.results["prepare.policy"]["failure_id"] == "port-taken"
    assert "service other_app has" in old.observed("prepare.policy")


def test_a_port_that_the_recipe_publishes_twice_is_its_own_fault(tmp_path: Path) -> None:
    one = {"compose.yml": COMPOSE.replace("volumes: [content:/data]", "ports: ['8080:80']")}
    other = """version: "3.8"
services:
  other:
    image: example/web:1
    ports:
      - {target: 81, published: 8080, mode: host}
"""
    files = {"compose_files": ["compose.yml"], "compose_files_from_upgrade": ["compose.yml", "compose.other.yml"]}
    run = Run(tmp_path, {**BASE, **one}, {"compose.other.yml": other}, kind="main", **files)
    result = run.results["prepare.compose_valid"]
    assert (result["outcome"], result["failure_id"], result["service"]) == ("fail", "port-taken", "other")
    assert result["observed"] == (
        "head: compose.other.yml:6: service other publishes port 8080/tcp, "
        "which service app publishes as well (compose.yml:5)"
    )  # fmt: skip
    assert "prepare.policy" not in run.results
    cured = {"compose.other.yml": other.replace("published: 8080", "published: 8081")}
    run = Run(tmp_path / "base", {**BASE, **one, "compose.other.yml": other}, cured, compose_files=[*one, *cured])
    assert run.observed("prepare.compose_valid").startswith("base: compose.other.yml:6: service other publishes")


def test_a_bind_source_that_the_node_lacks(tmp_path: Path) -> None:
    compose = COMPOSE.replace("[content:/data]", "['/nonexistent/timezone:/etc/timezone:ro']")
    run = Run(tmp_path, {**BASE, "compose.yml": compose}, {"README.md": "x"})
    result = run.results["prepare.policy"]
    assert (result["outcome"], result["failure_id"], result["service"]) == ("error", "missing-bind-source", "app")
    assert result["observed"].startswith("compose.yml:5: service app mounts /nonexistent/timezone, which this node")


def test_all_that_the_node_cannot_give_is_said_at_once(tmp_path: Path) -> None:
    wanting = "volumes: ['/nonexistent/a:/a:ro', '/nonexistent/b:/b:ro']\n    ports: ['8080:80']"
    base = {**BASE, "compose.yml": COMPOSE.replace("volumes: [content:/data]", wanting)}
    run = Run(tmp_path, base, {"README.md": "x"}, taken={(8080, "tcp"): "service other_app"})
    observed = run.observed("prepare.policy")
    assert all(part in observed for part in ("other_app", "/nonexistent/a", "/nonexistent/b")), observed
    assert len(observed.split("; ")) == 3


def test_a_commit_that_is_not_in_the_bundle_names_git_and_the_commit(tmp_path: Path) -> None:
    repo = RecipeRepo(tmp_path / "repo")
    repo.commit_files(BASE)
    with pytest.raises(checkout.GitError, match="0123456789"):
        checkout.Tree(str(repo.folder), "0123456789" * 4)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    repo = RecipeRepo(tmp_path / "repo")
    commit = repo.commit_files({**BASE, "compose.yml": "# " + "x" * checkout.LARGEST_FILE})
    tree = checkout.Tree(str(repo.folder), commit)
    with pytest.raises(ComposeError, match="bytes; at most"):
        tree["compose.yml"]


def test_a_tree_that_lists_without_end_is_the_recipes_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "MOST_OUTPUT", 100)
    run = Run(tmp_path, BASE, {"README.md": "x"})
    assert run.outcomes == {"prepare.compose_valid": "fail"}
    assert "more than" in run.observed("prepare.compose_valid")


@pytest.mark.parametrize(("limit", "least"), [("MOST_FILES", 2), ("MOST_BYTES", 300)])
@pytest.mark.parametrize("side", ["base", "head"])
def test_a_tree_that_would_fill_the_disk_is_not_checked_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, least: int, side: str
) -> None:
    monkeypatch.setattr(checkout, limit, least)
    more = {"a.txt": "x" * 300}
    run = Run(tmp_path, {**BASE, **(more if side == "base" else {})}, {"README.md": "x", **more})
    assert run.outcomes == {"prepare.compose_valid": "fail"}
    assert run.observed("prepare.compose_valid").startswith(f"{side}: ")
    assert "are checked out" in run.observed("prepare.compose_valid")
    assert not (prepare.recipe_folder(run.scope) / "compose.yml").exists()


def test_a_tree_counts_each_place_of_a_file_that_git_keeps_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = RecipeRepo(tmp_path / "repo")
    same = {f"copies/{number}.bin": "x" * 2**20 for number in range(20)}
    commit = repo.commit_files({**BASE, **same})
    checkout.Tree(str(repo.folder), commit)
    monkeypatch.setattr(checkout, "MOST_BYTES", 19 * 2**20)
    with pytest.raises(bounded.TooMuch, match=r"22 files of 20\.0 MiB"):
        checkout.Tree(str(repo.folder), commit)


def test_all_compose_files_of_a_side_are_read_by_one_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = RecipeRepo(tmp_path / "repo")
    more = {f"compose.{number}.yml": COMPOSE + f"# {number} é\n" for number in range(5)}
    commit = repo.commit_files({**BASE, **more, "link.yml": ("compose.1.yml",), "abra.sh": "export A=1\n"})
    asked = []
    real = checkout.git

    def counting(folder: str, *arguments: str, **keywords: Any) -> bytes:
        asked.append(arguments[0])
        return real(folder, *arguments, **keywords)

    monkeypatch.setattr(checkout, "git", counting)
    tree = checkout.Tree(str(repo.folder), commit)
    read_side(tree, sample_of(tree), Wishes("d.ci.test", "d_ci_test"))
    assert asked == ["ls-tree", "cat-file", "cat-file", "cat-file"]  # the links, the sample, everything else
    assert tree["compose.3.yml"] == more["compose.3.yml"]
    assert tree["link.yml"] == more["compose.1.yml"]


def test_compose_files_that_together_are_too_much_are_the_recipes_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "MOST_OUTPUT", 4 * 2**20)
    more = {f"compose.{number}.yml": f"# {number}\n" + "x" * (2**20 - 10) for number in range(5)}
    run = Run(tmp_path, None, {**BASE, **more})
    assert run.outcomes == {"prepare.compose_valid": "fail"}
    assert "more than 4 MiB" in run.observed("prepare.compose_valid")


def test_apps_of_a_run_do_not_share_what_is_theirs(tmp_path: Path) -> None:
    """The recipe and its dep are prepared in one folder of the node."""
    authority = tmp_path / "ca.crt"
    authority.write_text("OURS\n")
    kept = {}
    for recipe, overlay in (("web", None), ("sso", "version: '3.8'\nservices: {app: {hostname: x}}\n")):
        repo = RecipeRepo(tmp_path / recipe)
        commit = repo.commit_files({".env.sample": SAMPLE, "compose.yml": COMPOSE, "README.md": recipe}, "1.0.0+1")
        scope = {**scope_of(tmp_path / "node", recipe), "domain": f"{recipe}.ci.test", "stack": f"{recipe}_ci_test"}
        order = prepare.Order(
            scope=scope, bundle=str(repo.bundle(tmp_path / f"{recipe}.bundle")), base=None,
            head={"kind": "version", "label": "1.0.0+1", "commit": commit}, env={}, env_from_upgrade={},
            compose_files=None, overlay=overlay, policy={},
            inside={"hosts": ["web.ci.test", "sso.ci.test"], "ca": str(authority)},
        )  # fmt: skip
        answer = Answer("prepare")
        prepare.prepare(order, {}, answer)
        assert {one["id"]: one["outcome"] for one in answer.results} == GREEN
        kept[recipe] = scope
    assert (prepare.recipe_folder(kept["web"]) / "README.md").read_text() == "web"
    assert (prepare.recipe_folder(kept["sso"]) / "README.md").read_text() == "sso"
    assert not prepare.overlay_file(kept["web"]).exists()
    assert prepare.overlay_file(kept["sso"]).is_file()
    names = {path.name for path in (tmp_path / "node" / "bundles").iterdir()}
    assert names == {"web.bundle", "sso.bundle"}


def test_what_is_injected_is_deployed_and_not_judged(tmp_path: Path) -> None:
    repo = RecipeRepo(tmp_path / "repo")
    mine = {"ccci-ca-bundle.crt": "THEIRS\n", ".env.sample": SAMPLE, "compose.yml": COMPOSE}
    commit = repo.commit_files(mine, "1.0.0+1")
    checkout.clone(str(repo.bundle(tmp_path / "recipe.bundle")), str(tmp_path / "node" / "recipe"))
    tree = checkout.Tree(str(tmp_path / "node" / "recipe"), commit)
    inside = Inside(["a.test"], "OURS\n")
    side = read_side(tree, SAMPLE, Wishes(domain="a.test", stack="a_test", inside=inside))
    assert side.others == {"ccci-ca-bundle-2.crt": "OURS\n"}
    assert side.deployed.configs["ccci_ca"]["file"] == "./ccci-ca-bundle-2.crt"
    assert set(side.placed) == {"compose.ccci-node.yml", "ccci-ca-bundle-2.crt"}
    assert "ccci_ca" not in side.recipe.configs
    assert all("extra_hosts" not in service.raw for service in side.recipe.services.values())
