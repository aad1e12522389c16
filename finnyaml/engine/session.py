"""What every command that looks at a recipe needs: the recipe, the store, the installed FINN, the plan."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from finnyaml.engine import known_nodes, record
from finnyaml.engine.pool import Pool
from finnyaml.errors import INSTALL_FINN, FinnyamlError, Problem, RecipeError, StepFailed, ToolMissing
from finnyaml.finn import identity
from finnyaml.finn.catalog import Catalog
from finnyaml.finn.identity import Installation
from finnyaml.kinds.code import Code
from finnyaml.plan import bundles
from finnyaml.plan.graph import Plan, build, wrong_names
from finnyaml.plan.status import Judge
from finnyaml.plan.vocabulary import vocabulary
from finnyaml.recipe.load import draft_recipe
from finnyaml.recipe.model import BundleSpec, Recipe
from finnyaml.store import Store
from finnyaml.tools import discover


def store_root(option: Path | None) -> Path:
    """The store's folder: `--store`, else $FINNYAML_STORE, else the user's cache folder."""
    chosen = option or os.environ.get("FINNYAML_STORE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "finnyaml"


def open_store(option: Path | None) -> Store:
    """The store that a command line is about. StoreError where it cannot be used."""
    return Store.open(store_root(option))


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

    def judge(self, distrusted: Container[str] = ()) -> Judge:
        """A judge over this plan, this machine's tools and the last build of this workspace."""
        return Judge(self.plan, self.store, self.tool_version, self.missing_tools, self.last, distrusted)

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
            plan, _ = build(recipe, self.catalog, self.plan.code, vivado=_has_vivado())
        except RecipeError:
            return self
        return replace(self, plan=plan)

    def close(self) -> None:
        """End the workers."""
        self.pool.close()


def open_session(
    path: Path,
    sets: Sequence[str],
    store_option: Path | None,
    jobs: int = 1,
    notice: Callable[[str], None] = lambda _: None,
    targets: Sequence[str] = (),
) -> Session:
    """Load a recipe and make its plan for the FINN that is installed here.

    `targets` are those of the command line: one that asks for a bundle brings it into the plan of any recipe.

    Raises:
        RecipeError: the recipe is wrong.
        FinnyamlError: FINN is not installed, or the store cannot be used.
    """
    opened = time.time_ns()
    draft = draft_recipe(path, sets, os.environ, vocabulary())
    if not draft.sound:
        raise draft.refused(_finn_says(draft.recipe, store_option))
    recipe = draft.recipe
    if recipe.bundle is None and any(bundles.asked_by(name) for name in {*targets} - {*recipe.targets}):
        recipe = replace(recipe, bundle=BundleSpec())
    store = open_store(store_option)
    installation = identity.find(store.memo, store.put_memo)
    if installation is None:
        raise ToolMissing(
            "FINN is not installed in this Python environment, so the recipe cannot be planned",
            hint=f"{INSTALL_FINN}, or run it where FINN is; `finnyaml lint` checks what needs no FINN",
        )
    pool = Pool(store, jobs)
    try:
        catalog = installed_catalog(store, installation, pool, notice)
        finn = {installation.distribution: f"{installation.version} ({installation.digest[:12]})"}
        code = Code(store.memo, store.put_memo, finn)
        plan, more = build(recipe, catalog, code, vivado=_has_vivado())
    except BaseException:
        pool.close()
        raise
    last = record.last_build(recipe.workspace)
    warned = (*draft.problems, *more, *known_nodes.unmatched(plan))
    return Session(recipe, store, installation, catalog, plan, warned, pool, last, tuple(sets), opened)


def _finn_says(recipe: Recipe, store_option: Path | None) -> Sequence[Problem]:
    """What is wrong in FINN's eyes with a recipe that is wrong already, where FINN was asked before what it has."""
    if not store_root(store_option).is_dir():
        return ()
    try:
        store = open_store(store_option)
        installation = identity.find(store.memo, store.put_memo)
        known = installation and store.memo(_catalog_memo(store, installation))
    except FinnyamlError:
        return ()
    return wrong_names(recipe, Catalog.from_json(known), vivado=_has_vivado()) if known else ()


def _has_vivado() -> bool:
    return discover.path("vivado") is not None


def _catalog_memo(store: Store, installation: Installation) -> str:
    questions = identity.tree_digest(Path(identity.__file__).parent, store.memo, store.put_memo)
    return f"catalog-{questions[:16]}-{installation.digest}"


def installed_catalog(store: Store, installation: Installation, pool: Pool, notice: Callable[[str], None]) -> Catalog:
    """The catalog of the installed FINN: from the store, or asked from it once."""
    name = _catalog_memo(store, installation)
    known = store.memo(name)
    if known is None:
        notice(f"asking {installation} for its steps, options and boards (once per version, some 10 s)")
        with tempfile.TemporaryDirectory() as folder:
            facts = {
                "identity": installation.digest,
                "distribution": installation.distribution,
                "version": installation.version,
            }
            known = pool.catalog(facts, Path(folder, "log"))
        if not isinstance(known, dict):
            raise StepFailed(f"{installation} could not be asked what it has: {known.message}", hint=known.hint)
        store.put_memo(name, known)
    return Catalog.from_json(known)
