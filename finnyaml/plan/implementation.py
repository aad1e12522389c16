"""The code that runs tasks, as part of their keys: another FINN, or another finnyaml, may compute something else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from finnyaml.finn import identity
from finnyaml.finn.identity import Installation, Memo, PutMemo

OWN = ("finn", "steps", "worker")
"""finnyaml's packages whose code runs inside workers, or decides what FINN is given."""

FURTHER = {
    "repair": ("lint",),
    "contract": ("bundle", "verify"),
    "bundle": ("bundle",),
    **dict.fromkeys(("reference", "torch_reference", "verify", "bisect"), ("verify",)),
}
"""Kinds of tasks that run code of further packages: a better measurement does not build anything again."""


def implementation(installation: Installation, memo: Memo, put_memo: PutMemo) -> dict[str, str]:
    """Names and digests of all code that a task's result depends on, readable where they are shown as a reason."""
    package = Path(__file__).resolve().parents[1]
    own = {
        f"finnyaml/{name}": identity.tree_digest(package / name, memo, put_memo)[:16]
        for name in (*OWN, "bundle", "lint", "verify")
    }
    return {**own, installation.distribution: f"{installation.version} ({installation.digest[:12]})"}


def of_kind(implementation: Mapping[str, str], kind: str) -> dict[str, str]:
    """The part of an implementation that tasks of a kind depend on."""
    others = {f"finnyaml/{name}" for names in FURTHER.values() for name in names}
    own = {f"finnyaml/{name}" for name in FURTHER.get(kind, ())}
    return {name: digest for name, digest in implementation.items() if name not in others or name in own}
