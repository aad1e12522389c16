"""The recipes for finn-examples: they plan as they are, and networks of their shape build to hardware code."""

from __future__ import annotations

from pathlib import Path

import pytest

import finnyaml
from tests.project import ROOT

FOLDER = ROOT / "recipes/finn-examples"


@pytest.mark.parametrize(
    ("name", "pattern", "count"),
    [("bnn-pynq", "tfc-*", 12), ("kws", "*", 3), ("cybersecurity-mlp", "*", 3), ("stand-in", "*", 9)],
)
def test_every_recipe_plans(name: str, pattern: str, count: int, store_folder: Path) -> None:
    """Nothing is fetched for it. CNV of bnn-pynq takes files that are not here."""
    variants = finnyaml.load(FOLDER / f"{name}.yaml", store=store_folder, variant=pattern).variants()
    plans = variants.plan()
    assert len(plans) == len(variants) == count
    shared = [task for task, whose in plans.rows() if len(whose) > 1]
    assert name == "stand-in" or {"model", "tidy_up", "streamline"} <= {*shared}
    assert {plan.targets.keys() >= {"hw_codegen"} for plan in plans.values()} == {name == "stand-in"}
