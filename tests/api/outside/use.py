"""A program of somebody else that uses finnyaml: only checked for its types, never run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from typing_extensions import assert_type

import finnyaml
from finnyaml import BuildFailed, ExitCode, Loss, Measurement, Problem, RecipeError


def listen(event: Mapping[str, Any]) -> None:
    print(event["event"])


recipe = finnyaml.load(Path("recipe.yaml"), {"folding.target_fps": 1000}, store="store")
assert_type(recipe, finnyaml.Recipe)
assert_type(recipe.path, Path)

plan = recipe.plan("bundle", stop="streamline", force="streamline", progress=True)
assert_type(plan, finnyaml.Plan)
assert_type(plan.tasks["streamline"].reasons, tuple[str, ...])
assert_type(plan.rows(), list[dict[str, Any]])

try:
    result = recipe.build(jobs=2, keep_going=True, only=["streamline"], progress=listen)
except BuildFailed as failed:
    result = failed.result
    assert_type(failed.exit_code, ExitCode)
except RecipeError as error:
    assert_type(error.problems, tuple[Problem, ...])
    raise

assert_type(result, finnyaml.Result)
assert_type(result.ok, bool)
assert_type(result.measurements["streamline"], Measurement)
assert_type(result.measurements["streamline"].value, float | None)
assert_type(result.model("streamline"), Path)
assert_type(result.files("streamline"), Mapping[str, Path])
assert_type(result.losses, tuple[Loss, ...])
assert_type(result.bundles, tuple[Path, ...])
print(result.predictions("streamline")["outputs"].shape)
assert_type(recipe.bisect().exit_code, ExitCode)
