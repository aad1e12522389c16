"""What is fuzzed: one module for each sort of input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Protocol

from finnyaml.finn.catalog import Catalog
from finnyaml.store.disk import unseal


class Target(Protocol):
    """One sort of input; `seeds` are sound ones, by the kind that they are of."""

    seeds: Mapping[str, Sequence[bytes]]

    def mutated(self, kind: str, seed: bytes, chance: Random) -> bytes:
        """A damaged copy of a seed."""
        ...

    def check(self, kind: str, data: bytes) -> bool:
        """Look at an input; whether it is taken. Raises what is a fault."""
        ...


def _recipes(folder: Path, warm: Path) -> Target:
    from tests.fuzz.targets.recipes import Recipes

    memo = next(warm.glob("memos/catalog-*"))
    return Recipes(folder, Catalog.from_json(unseal(memo.name, memo.read_bytes())))


def _data(folder: Path, _: Path) -> Target:
    from tests.fuzz.targets.data import Data

    return Data(folder)


def _models(folder: Path, _: Path) -> Target:
    from tests.fuzz.targets.models import Models

    return Models(folder)


def _bundles(folder: Path, _: Path) -> Target:
    from tests.fuzz.targets.bundles import Bundles

    return Bundles(folder)


def _stores(folder: Path, warm: Path) -> Target:
    from tests.fuzz.targets.stores import Stores

    return Stores(folder, warm)


TARGETS: Mapping[str, Callable[[Path, Path], Target]] = {
    "recipes": _recipes,
    "data": _data,
    "models": _models,
    "bundles": _bundles,
    "stores": _stores,
}
"""Each makes its target in a folder of its own; it is given a store as `tests.project.warm` makes it."""


def drawn(target: Target, chance: Random) -> tuple[str, bytes]:
    """A damaged input, with its kind."""
    kind = chance.choice(sorted(target.seeds))
    return kind, target.mutated(kind, chance.choice(target.seeds[kind]), chance)
