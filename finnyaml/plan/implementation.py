"""The code that runs tasks, as part of their keys: another FINN, or another finnyaml, may compute something else."""

from __future__ import annotations

from pathlib import Path

from finnyaml.finn import identity
from finnyaml.finn.identity import Installation, Memo, PutMemo

OWN = ("finn", "steps", "worker")
"""finnyaml's packages whose code runs inside workers, or decides what FINN is given."""


def implementation(installation: Installation, memo: Memo, put_memo: PutMemo) -> dict[str, str]:
    """Names and digests of all code that a task's result depends on, readable where they are shown as a reason."""
    package = Path(__file__).resolve().parents[1]
    own = {f"finnyaml/{name}": identity.tree_digest(package / name, memo, put_memo)[:16] for name in OWN}
    return {**own, installation.distribution: f"{installation.version} ({installation.digest[:12]})"}
