"""The recipes for finn-examples: they plan as they are, and networks of their shape build to hardware code."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import finnyaml
from tests.project import ROOT

FOLDER = ROOT / "recipes/finn-examples"


@pytest.mark.parametrize(
    ("name", "pattern", "count"),
    [
        ("bnn-pynq", "tfc-*", 12),
        ("kws", "*", 3),
        ("cybersecurity-mlp", "*", 3),
        ("stand-in", "*", 9),
        ("stand-in-gtsrb", "*", 1),
        ("stand-in-mobilenet-v1", "*", 4),
        ("stand-in-resnet50", "*", 2),
        ("stand-in-vgg10-radioml", "*", 1),
    ],
)
def test_every_recipe_plans(name: str, pattern: str, count: int, store_folder: Path) -> None:
    """Nothing is fetched for it. CNV of bnn-pynq takes files that are not here."""
    variants = finnyaml.load(FOLDER / f"{name}.yaml", store=store_folder, variant=pattern).variants()
    plans = variants.plan()
    assert len(plans) == len(variants) == count
    shared = [task for task, whose in plans.rows() if len(whose) > 1]
    assert name.startswith("stand-in") or {"model", "tidy_up", "streamline"} <= {*shared}
    assert {plan.targets.keys() >= {"hw_codegen"} for plan in plans.values()} == {name.startswith("stand-in")}


@pytest.mark.parametrize(("name", "count"), [("gtsrb", 3), ("mobilenet-v1", 3), ("resnet50", 1), ("vgg10-radioml", 1)])
def test_recipes_for_files_of_others_are_sound_with_these(
    name: str, count: int, store_folder: Path, tmp_path: Path
) -> None:
    """The files have no place here; any network may stand for them until something is built."""
    recipe = FOLDER / f"{name}.yaml"
    file = next(line for line in recipe.read_text().splitlines() if "${env.MODELS}/" in line).split("/")[1].split()[0]
    shutil.copy(ROOT / "recipes/from-onnx/digits-mlp.onnx", tmp_path / file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELS", str(tmp_path))
        plans = finnyaml.load(recipe, store=store_folder).variants().plan()
    assert len(plans) == count


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        *(
            pytest.param(name, variant, marks=pytest.mark.long)
            for name, variant in (
                ("mobilenet-v1", "ZCU104-small"),
                ("mobilenet-v1", "U250-small"), ("resnet50", "U250-small"),
                ("vgg10-radioml", "ZCU104"), ("gtsrb", "ZCU104"),
            )
        ),
    ],
)  # fmt: skip
def test_networks_of_their_shape_build_to_hardware_code(
    name: str, variant: str, store_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(FOLDER, tmp_path / "here", ignore=shutil.ignore_patterns("build-*", "__pycache__", "models"))
    recipe = finnyaml.load(tmp_path / "here" / f"stand-in-{name}.yaml", store=store_folder, variant=variant)
    assert recipe.build().ok
