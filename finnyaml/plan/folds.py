"""`folding: {optimize: ...}`: the search that stands for FINN's step that chooses a folding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from finnyaml.errors import Problem
from finnyaml.plan.placed import Placed
from finnyaml.recipe.model import Recipe, StepEntry

CHOOSES = "step_target_fps_parallelization"
"""FINN's step."""

KIND, USES = "folding", "optimize_folding"
"""The kind of our task, and its name."""


def wanted(recipe: Recipe, entry: StepEntry) -> Mapping[str, Any] | None:
    """What the recipe wants of the folding, or `with:` of one step; None where FINN chooses."""
    own = entry.with_.get("folding", {})
    found: Mapping[str, Any] | None = (own if isinstance(own, Mapping) else {}).get("optimize") or (
        recipe.settings.folding.get("optimize")
    )
    return found


def params(recipe: Recipe, entry: StepEntry, *, rtl_only: bool) -> dict[str, Any]:
    """The parameters of the task. The frame rate is not among them: it is a setting, as for FINN."""
    found = {
        name: value for name, value in (wanted(recipe, entry) or {}).items() if name not in ("maximize", "target_fps")
    }
    return {"optimize": found, "rtl_only": rtl_only}


def problems(recipe: Recipe, placed: Sequence[Placed]) -> Iterator[Problem]:
    """A search that no step of the recipe does, or two ways to choose."""
    folding = recipe.settings.folding
    if not folding.get("optimize"):
        return
    if not any(item.kind == KIND for item in placed):
        yield Problem(
            "`folding: {optimize: ...}` is asked for, and no step of this recipe chooses the folding",
            recipe.at(("folding", "optimize")),
            "add `target_fps_parallelization` behind `specialize_layers`: the search stands for it",
        )
    for word in ("target_fps", "mvau_wwidth_max", "two_pass_relaxation"):
        if word in folding:
            hint = (
                "say it inside: `optimize: {target_fps: ...}`"
                if word == "target_fps"
                else "leave it out: it is FINN's search that reads it"
            )
            message = f"`folding.{word}` stands beside `folding.optimize`"
            yield Problem(message, recipe.at(("folding", word)), hint)
