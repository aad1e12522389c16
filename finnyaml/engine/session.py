"""What every command that looks at a recipe needs: the recipe, the store, the installed FINN, the plan."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from finnyaml.engine import known_nodes, places, record
from finnyaml.engine.pool import Pool
from finnyaml.errors import INSTALL_FINN, FinnyamlError, Problem, RecipeError, StepFailed, ToolMissing
from finnyaml.finn import identity, versions
from finnyaml.finn.catalog import Catalog
from finnyaml.finn.identity import Installation
from finnyaml.kinds.code import Code
from finnyaml.plan import bundles
from finnyaml.plan.graph import Plan, build, wrong_names
from finnyaml.plan.status import Judge, Looks
from finnyaml.plan.vocabulary import vocabulary
from finnyaml.recipe.load import draft_recipes, of_variants, refusal, several
from finnyaml.recipe.matrix import ALL, Wanted
from finnyaml.recipe.model import BundleSpec, Recipe
from finnyaml.site.load import Site, load_site, remote_of
from finnyaml.site.needs import Place, place
from finnyaml.store import Store
from finnyaml.store.mirrored import Mirrored
from finnyaml.store.remote import Remote, check_url
from finnyaml.tools import discover


def store_root(option: Path | None, folder: Path = Path()) -> Path:
    """The store's folder: `--store`, else $FINNYAML_STORE, else that of the site file, else the user's cache folder.

    `folder` is that of the project. Raises RecipeError where the site file is wrong.
    """
    return _root(option or os.environ.get("FINNYAML_STORE") or load_site(folder).store)


def _root(chosen: str | Path | None) -> Path:
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "finnyaml"


def open_store(option: Path | None, folder: Path = Path()) -> Store:
    """The store that a command line is about. StoreError where it cannot be used."""
    return Store.open(store_root(option, folder))


def open_mirrored(
    option: Path | None, folder: Path, remote: str | None = None, notice: Callable[[str], None] = lambda _: None
) -> Mirrored:
    """The same with the remote store (`finnyaml.site.load.remote_of`).

    StoreError where one of them cannot be used, though not for a remote one that does not answer.
    """
    site = load_site(folder)
    found = Mirrored.open(_root(option or os.environ.get("FINNYAML_STORE") or site.store), site.scratch)
    spec = remote_of(site, remote)
    if spec is not None:
        check_url(spec.url)
        found.attach(Remote(spec.url, spec.key), spec.shown, write=spec.write, notice=notice)
    return found


@dataclass
class Session:
    """An opened recipe. `pool` may already hold the worker that was asked for the catalog; `close` ends it."""

    recipe: Recipe
    store: Store
    installation: Installation
    catalog: Catalog
    plan: Plan
    warnings: tuple[Problem, ...]
    pool: Pool
    last: Mapping[str, Any] = field(default_factory=dict)
    sets: tuple[str, ...] = ()
    opened: int = 0
    """When the recipe began to be read (ns since the epoch)."""
    places: Mapping[str, Place] = field(default_factory=dict)
    """Where tasks run that do not run on this machine, by id."""

    def judge(self, distrusted: Container[str] = (), looks: Looks | None = None) -> Judge:
        """A judge over this plan, this machine's tools and the last build of this workspace."""
        tools = (self.tool_version, self.missing_tools)
        memos = {name: places.memo_of(there) for name, there in self.places.items()}
        known = {memo: self.store.memo(memo) or {} for memo in {*memos.values()}}
        elsewhere = {name: known[memo] for name, memo in memos.items()}
        return Judge(self.plan, self.store, *tools, self.last, distrusted, looks, elsewhere)

    def tool_version(self, name: str) -> str | None:
        """The version of a tool here; None where it is missing."""
        return discover.tool_state([name], memo=self.store).get(name)

    def missing_tools(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Which of these tools are missing here."""
        return tuple(item.name for item in discover.missing(names, memo=self.store))

    def with_bundles(self) -> Session:
        """This session with bundles in its plan, where they can be: to know of one that lies there whether it holds."""
        if self.recipe.bundle is not None:
            return self
        try:
            recipe = replace(self.recipe, bundle=BundleSpec())
            plan, _ = build(recipe, self.catalog, self.plan.code, vivado=self.plan.toolchain == "vivado")
        except RecipeError:
            return self
        return replace(self, plan=plan)

    def close(self) -> None:
        """End the workers, and wait a little for what is on its way to a remote store."""
        self.pool.close()
        self.store.finish()


def open_session(
    path: Path,
    sets: Sequence[str],
    store_option: Path | None,
    jobs: int = 1,
    notice: Callable[[str], None] = lambda _: None,
    targets: Sequence[str] = (),
    variant: str | None = None,
    remote: str | None = None,
) -> Session:
    """The session of one recipe, or of one variant of it (`open_sessions`).

    Raises RecipeError where there are several and none is named.
    """
    found = open_sessions(
        path, sets, store_option, jobs, notice, targets, ALL if variant is None else Wanted((variant,)), remote
    )
    if len(found) > 1:
        found[0].close()
        raise RecipeError([several([session.recipe for session in found])])
    return found[0]


def open_sessions(
    path: Path,
    sets: Sequence[str],
    store_option: Path | None,
    jobs: int = 1,
    notice: Callable[[str], None] = lambda _: None,
    targets: Sequence[str] = (),
    wanted: Wanted = ALL,
    remote: str | None = None,
    beside: Session | None = None,
) -> list[Session]:
    """Load a recipe and make its plan for the FINN that is installed here; one for each variant that is `wanted`.

    They share the store and the workers: whoever closes one closes all. `targets` are those of the command line: one
    that asks for a bundle brings it into the plan of any recipe. `remote` is the URL of a remote store
    (`open_mirrored`). `beside` is a session that is open: they use its store and its workers.

    Raises:
        RecipeError: the recipe is wrong.
        FinnyamlError: FINN is not installed, or the store cannot be used.
    """
    opened = time.time_ns()
    drafts = draft_recipes(path, sets, os.environ, vocabulary(), wanted)
    if not all(draft.sound for draft in drafts):
        raise refusal(drafts, [more for draft in drafts for more in _finn_says(draft.recipe, store_option)])
    store = beside.store if beside else open_mirrored(store_option, path.parent, remote, notice)
    installation = identity.find(store.memo, store.put_memo)
    if installation is None:
        raise ToolMissing(
            "FINN is not installed in this Python environment, so the recipe cannot be planned",
            hint=f"{INSTALL_FINN}, or run it where FINN is; `finnyaml lint` checks what needs no FINN",
        )
    pool = beside.pool if beside else Pool(store, jobs)
    try:
        catalog = installed_catalog(store, installation, pool, notice)
        finn = {installation.distribution: f"{installation.version} ({installation.digest[:12]})"}
        code = Code(store.memo, store.put_memo, finn)
        recipes = [_with_bundle(draft.recipe, targets) for draft in drafts]
        site = load_site(path.parent)
        plans = _plans(recipes, catalog, code, vivado=_has_vivado(site))
        found = [places.places(site, plan) for plan, _ in plans]
        strange = tuple(places.unknown(site, plans[0][0]))
        untested = tuple(_untested(installation))
    except BaseException:
        pool.close()
        raise
    return [
        Session(
            recipe,
            store,
            installation,
            catalog,
            plan,
            (*draft.problems, *more, *known_nodes.unmatched(plan), *strange, *untested),
            pool,
            record.last_build(recipe.workspace),
            tuple(sets),
            opened,
            there,
        )
        for draft, recipe, (plan, more), there in zip(drafts, recipes, plans, found, strict=True)
    ]


def _untested(installation: Installation) -> Iterator[Problem]:
    told = versions.untested(installation.distribution, installation.version)
    if told is not None:
        yield Problem(told, hint="where a step fails, try it with one of those", severity="warning")


def _with_bundle(recipe: Recipe, targets: Sequence[str]) -> Recipe:
    asked = recipe.bundle is None and any(bundles.asked_by(name) for name in {*targets} - {*recipe.targets})
    return replace(recipe, bundle=BundleSpec()) if asked else recipe


def _plans(
    recipes: Sequence[Recipe], catalog: Catalog, code: Code, *, vivado: bool
) -> list[tuple[Plan, tuple[Problem, ...]]]:
    """The plan of each variant. Raises RecipeError with what is wrong in any of them, each named where not all are."""
    plans: list[tuple[Plan, tuple[Problem, ...]]] = []
    wrong: dict[Problem, list[str]] = {}
    for recipe in recipes:
        try:
            plans.append(build(recipe, catalog, code, vivado=vivado))
        except RecipeError as error:
            for problem in error.problems:
                wrong.setdefault(problem, []).append(str(recipe.variant))
    if wrong:
        raise RecipeError([of_variants(problem, names, len(recipes)) for problem, names in wrong.items()])
    return plans


def _finn_says(recipe: Recipe, store_option: Path | None) -> Sequence[Problem]:
    """What is wrong in FINN's eyes with a recipe that is wrong already, where FINN was asked before what it has."""
    try:
        if not store_root(store_option, recipe.directory).is_dir():
            return ()
        store = open_store(store_option, recipe.directory)
        installation = identity.find(store.memo, store.put_memo)
        known = installation and store.memo(_catalog_memo(store, installation))
    except FinnyamlError:
        return ()
    return (
        wrong_names(recipe, Catalog.from_json(known), vivado=_has_vivado(load_site(recipe.directory))) if known else ()
    )


def _has_vivado(site: Site) -> bool:
    """Whether Vivado is here, or where the site file has its steps run."""
    return discover.path("vivado") is not None or place(site.executors, site.needs, ("vivado",), ()) is not None


def _catalog_memo(store: Store, installation: Installation) -> str:
    questions = identity.tree_digest(Path(identity.__file__).parent, store.memo, store.put_memo)
    return f"catalog-{questions[:16]}-{installation.digest}"


def facts(installation: Installation) -> dict[str, str]:
    """What a worker that is asked for the catalog cannot know by itself."""
    return {
        "identity": installation.digest,
        "distribution": installation.distribution,
        "version": installation.version,
    }


def installed_catalog(store: Store, installation: Installation, pool: Pool, notice: Callable[[str], None]) -> Catalog:
    """The catalog of the installed FINN: from the store, or asked from it once."""
    name = _catalog_memo(store, installation)
    known = store.memo(name)
    if known is None:
        notice(f"asking {installation} for its steps, options and boards (once per version, some 10 s)")
        with tempfile.TemporaryDirectory() as folder:
            known = pool.catalog(facts(installation), Path(folder, "log"))
        if not isinstance(known, dict):
            version = versions.untested(installation.distribution, installation.version)
            why = f"{known.message} ({version})" if version else known.message
            raise StepFailed(f"{installation} could not be asked what it has: {why}", hint=known.hint)
        store.put_memo(name, known)
    return Catalog.from_json(known)
