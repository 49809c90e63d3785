"""Gathers what a plan is made of: the recipe's folder, its mirror, both sides' compose files. The planner's only edge.

Everything is read here, once; `build.plan_of` only decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path, PurePosixPath

from ccci import paths, warm
from ccci.errors import InfrastructureError, UsageError
from ccci.inventory import chosen
from ccci.plan import domains
from ccci.plan.dep_settings import APP
from ccci.plan.deps import Needed, alone, resolve
from ccci.plan.recipe_settings import NEWEST, RecipeSettings, load_recipe_settings
from ccci.plan.stack import Stack, read_side
from ccci.plan.templates import Env, Renderer
from ccci.plan.tests_discovery import RecipeTest, discover_hooks, discover_tests, marker_file, tests_of
from ccci.settings import Settings
from ccci.source.catalogue import check_name, open_mirror
from ccci.source.git import TooMuch
from ccci.source.mirror import Mirror, Selector
from ccci.source.versions import Base, Head, pick_base

EMBEDDED = "embedded"  # the inventory's ccci_platform
OVERLAY = "compose.ccci.yml"
PR_TESTS = ".ccci/tests"
PR_TESTS_DIR = "pr_tests"  # in the run's folder
ENV_SAMPLE = ".env.sample"


@dataclass(frozen=True)
class Request:
    """What a person asked for. `env` comes from --set and wins over recipe.yml; `cold`: no warm dep is borrowed.
    `keep_warm`: nothing is asked of the recipe but that it is there as a warm dep."""

    recipe: str
    selector: Selector = Selector()  # noqa: RUF009 - frozen
    base_version: str | None = None
    tags: tuple[str, ...] = ()
    skip_tags: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cold: bool = False
    keep_warm: bool = False


@dataclass(frozen=True)
class Side:
    """One commit of the recipe. `stack` is None when its compose files cannot be read; `problem` then says why."""

    stack: Stack | None
    problem: str | None = None


@dataclass(frozen=True)
class DepMaterials:
    """What decides the entry of one dep in plan.deps. Its newest published version is what is deployed. `overlay` is
    the text of its compose.ccci.yml, `hook_texts` are those of its hooks; `warm`: it is borrowed."""

    needed: Needed
    mirror: Mirror
    head: Head
    domain: str
    stack: str
    side: Side
    renderer: Renderer
    env: Env
    hooks: Mapping[str, str]
    overlay: str | None
    hook_texts: Mapping[str, str]
    warm: bool


@dataclass(frozen=True)
class Materials:
    """Everything that decides a plan. `pr_files` are the tests that the ref carries: `{path in the recipe: text}`."""

    request: Request
    settings: Settings
    recipe: RecipeSettings
    tests_dir: Path | None
    tests: tuple[RecipeTest, ...]
    hooks: Mapping[str, str]
    mirror: Mirror
    head: Head
    base: Base | None
    base_reason: str
    created: datetime
    run_id: str
    run_dir: Path
    domain: str
    stack: str
    head_side: Side
    base_side: Side | None
    renderer: Renderer
    env: Env
    env_from_upgrade: Env
    pr_files: Mapping[str, str]
    pr_tests_trusted: bool
    deps: tuple[DepMaterials, ...] = ()
    marker_file: Path | None = None  # of a marker of kind api


def load(request: Request, settings: Settings, now: datetime | None = None) -> Materials:
    """UsageError for what the user wrote wrong, InfrastructureError for a dead forge. A broken compose file is neither:
    it is the recipe's fault, and the run judges it."""
    check_name(request.recipe)
    folder = paths.RECIPE_TESTS / request.recipe
    tests_dir = folder if folder.is_dir() and not request.keep_warm else None
    recipe = load_recipe_settings(tests_dir)
    _demand_platform(request.recipe, recipe, settings)
    needed = (alone(request.recipe),) if request.keep_warm else resolve(request.recipe, recipe)
    for one in needed:
        _demand_platform(one.dep.recipe, one.settings, settings, f"{one.place}: ")
    tests = discover_tests(request.recipe, tests_dir)
    hooks = discover_hooks(tests_dir)
    by_api = (recipe.marker or {}).get("kind") == "api"

    mirror = open_mirror(request.recipe, settings.recipe_url, settings.source)
    head = mirror.resolve(request.selector)
    wanted = request.base_version or (None if recipe.base_version == NEWEST else recipe.base_version)
    base, base_reason = pick_base(mirror.versions(), head, mirror.ancestors(head.commit), wanted)
    if request.keep_warm:
        base, base_reason = None, "it is only kept warm"

    if not settings.wildcard_domain:
        raise UsageError(
            f"The inventory {settings.inventory} names no ccci_wildcard_domain",
            expected="the domain below which every name points to the node, for example ci.example.org",
        )
    prefix = domains.app_prefix(request.recipe, head.label, head.pr)
    domain = domains.app_domain(prefix, settings.wildcard_domain)
    stack = domains.stack_name(domain)
    created, run_id, run_dir = _run_of(prefix, now or datetime.now(UTC))
    told = {
        "id": run_id, "recipe": request.recipe, "pr": head.pr or "", "commit": head.commit,
        "version": head.version or "",
    }  # fmt: skip
    renderer = _renderer(domain, stack, told, recipe)
    env = renderer.env(recipe.env, partial(recipe.place, "env"), request.env)
    later = renderer.env(recipe.env_from_upgrade, partial(recipe.place, "env_from_upgrade"), request.env)
    trusted = request.recipe in settings.trusted_recipes and recipe.pr_tests is not False
    pr_paths = [path for path in mirror.list(head.commit, PR_TESTS) if PurePosixPath(path).suffix in (".yml", ".py")]
    pr_files = mirror.read_many(head.commit, pr_paths) if trusted and pr_paths else dict.fromkeys(pr_paths, "")
    if trusted:
        tests += _pr_tests(request.recipe, pr_files, run_dir)
    known = {"DOMAIN": domain, "STACK_NAME": stack}
    both = {**env.known, **later.known}
    return Materials(
        request=request,
        settings=settings,
        recipe=recipe,
        tests_dir=tests_dir,
        tests=tuple(tests),
        hooks=hooks,
        mirror=mirror,
        head=head,
        base=base,
        base_reason=base_reason,
        created=created,
        run_id=run_id,
        run_dir=run_dir,
        domain=domain,
        stack=stack,
        head_side=_side(mirror, head.commit, both, known, recipe.compose_files_from_upgrade),
        base_side=_side(mirror, base.commit, env.known, known, recipe.compose_files) if base else None,
        renderer=renderer,
        env=env,
        env_from_upgrade=later,
        pr_files=pr_files,
        pr_tests_trusted=trusted,
        deps=tuple(_deps(needed, settings, prefix, told, _warm(needed, request, settings))),
        marker_file=marker_file(tests_dir) if tests_dir is not None and by_api else None,
    )


def _demand_platform(name: str, recipe: RecipeSettings, settings: Settings, where: str = "") -> None:
    """UsageError for a recipe that says that it cannot be played where the inventory would play it."""
    if settings.platform == EMBEDDED and recipe.embedded_not_run:
        raise UsageError(
            f"{where}{name} is not run on the embedded platform", expected="an inventory with another ccci_platform",
            observed=f"{recipe.place('embedded', 'not_run')}: {recipe.embedded_not_run}",
        )  # fmt: skip


def _renderer(domain: str, stack: str, run: Mapping[str, object], recipe: RecipeSettings) -> Renderer:
    return Renderer({"domain": domain, "stack": stack, "run": run}, {dep.name: dep.kind for dep in recipe.deps})


def _warm(needed: Sequence[Needed], request: Request, settings: Settings) -> frozenset[str]:
    """The recipes among the deps that are borrowed. One with deps of its own never is: those would have to stay."""
    if request.keep_warm:
        return frozenset({request.recipe})
    if not needed or request.cold:
        return frozenset()
    kept = warm.kept(chosen(settings.inventory, settings.node).name)
    return frozenset(one.dep.recipe for one in needed if one.dep.recipe in kept and not one.needs)


def _deps(
    needed: Sequence[Needed], settings: Settings, prefix: str, run: Mapping[str, object], borrowed: frozenset[str]
) -> Iterator[DepMaterials]:
    """`prefix` is the app's, `run` what templates may say of the run. A recipe that is needed twice is fetched once."""
    mirrors: dict[str, Mirror] = {}
    prefixes = {APP: prefix}
    # A dep's prefix depends on its parent's, and parents come after their deps.
    for one in reversed(needed):
        prefixes[one.key] = domains.app_prefix(one.dep.recipe, one.key, None, prefixes[one.parent])
    for one in needed:
        recipe = one.settings
        if one.dep.recipe not in mirrors:
            mirrors[one.dep.recipe] = _dep_mirror(one, settings)
        mirror = mirrors[one.dep.recipe]
        versions = mirror.versions()
        if not versions:
            raise UsageError(
                f"{one.place}: no version of {one.dep.recipe} is published", observed=f"asked {mirror.url}"
            )
        head = mirror.resolve(Selector("version", versions[-1].tag))
        is_warm = one.dep.recipe in borrowed and not one.needs
        own = domains.app_prefix(one.dep.recipe, warm.LABEL, None) if is_warm else prefixes[one.key]
        domain = domains.app_domain(own, settings.wildcard_domain or "")
        stack = domains.stack_name(domain)
        # One that outlives the run must not know it: else it would be made anew for each.
        told = {"id": warm.run_of(one.dep.recipe), "recipe": one.dep.recipe, "pr": "", "commit": head.commit,
                "version": head.version or ""} if is_warm else run  # fmt: skip
        renderer = _renderer(domain, stack, told, recipe)
        env = renderer.env(recipe.env, partial(recipe.place, "env"), {})
        later = renderer.env(recipe.env_from_upgrade, partial(recipe.place, "env_from_upgrade"), {})
        # Its newest version is the one that is deployed, so what holds from the upgrade on holds at once.
        both = Env({**env.known, **later.known}, _newest(env, later))
        known = {"DOMAIN": domain, "STACK_NAME": stack}
        side = _side(mirror, head.commit, both.known, known, recipe.compose_files_from_upgrade)
        hooks = discover_hooks(one.tests_dir)
        file = one.tests_dir / OVERLAY
        overlay = file.read_text(encoding="utf-8") if file.is_file() else None
        texts = {name: Path(path).read_text(encoding="utf-8", errors="replace") for name, path in hooks.items()}
        yield DepMaterials(one, mirror, head, domain, stack, side, renderer, both, hooks, overlay, texts, is_warm)


def _dep_mirror(needed: Needed, settings: Settings) -> Mirror:
    try:
        return open_mirror(needed.dep.recipe, settings.recipe_url)
    except UsageError as error:
        what = f"{needed.place}: {error.what}"
        raise UsageError(what, expected=error.expected, observed=error.observed) from error


def _newest(env: Env, later: Env) -> dict[str, str]:
    return {**{name: text for name, text in env.late.items() if name not in later.known}, **later.late}


def _run_of(prefix: str, now: datetime) -> tuple[datetime, str, Path]:
    """A run id whose folder is free. Two runs of the same thing in one second differ by a second."""
    for seconds in range(60):
        created = now + timedelta(seconds=seconds)
        run_id = domains.run_id(created, prefix)
        if not (paths.runs_dir() / run_id).exists():
            return created, run_id, paths.runs_dir() / run_id
    raise InfrastructureError(f"{paths.runs_dir()} holds a run of {prefix} for each of the next 60 seconds")


def _pr_tests(recipe: str, files: Mapping[str, str], run_dir: Path) -> list[RecipeTest]:
    """Trusted tests of the ref. Their ids tell them from the recipe's own: `<recipe>.pr.<test>`.

    UsageError for two files of one name: they lie in one folder of the run, as tests do everywhere.
    """
    where = run_dir / PR_TESTS_DIR
    names = Counter(PurePosixPath(path).name for path in files)
    twice = [path for path in sorted(files) if names[PurePosixPath(path).name] > 1]
    if twice:
        raise UsageError(
            f"Two files of the pull request's tests are both called {PurePosixPath(twice[0]).name!r}",
            expected=f"file names that differ, in whichever folder below {PR_TESTS}",
            observed=", ".join(map(repr, twice)),
            next_step="Rename one of them in the pull request",
        )
    return tests_of(f"{recipe}.pr", {str(where / PurePosixPath(path).name): text for path, text in files.items()})


def _side(
    mirror: Mirror, commit: str, env: Mapping[str, str], known: Mapping[str, str], chosen: Sequence[str] | None
) -> Side:
    try:
        wanted = [
            path
            for path in mirror.list(commit)
            if path in (ENV_SAMPLE, "abra.sh") or (PurePosixPath(path).match("compose*.y*ml") and "\n" not in path)
        ]
        files = mirror.read_many(commit, wanted)
    except TooMuch as error:
        return Side(None, str(error))
    return Side(*read_side(files, chosen, env, known))
