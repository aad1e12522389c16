"""The best folding in a plan: one task in the place of FINN's step that chooses one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from finnyaml.errors import RecipeError
from finnyaml.finn.catalog import FinnStep
from finnyaml.plan import graph
from finnyaml.plan.graph import Plan
from tests.plan.catalog import CATALOG, Maker, code_of

FOLDING = {
    name: FinnStep(name, "", "made.up") for name in ("step_target_fps_parallelization", "step_apply_folding_config")
}

STEPS = "steps: [specialize_layers, target_fps_parallelization, apply_folding_config]\n"


def planned(maker: Maker, text: str) -> Plan:
    return graph.build(maker.recipe(text), replace(CATALOG, steps={**CATALOG.steps, **FOLDING}), code_of)[0]


def test_the_search_stands_for_finns_step(maker: Maker) -> None:
    plan = planned(
        maker, STEPS + "folding: {optimize: {minimize: lut, target_fps: 2000, exclude: [A_0]}, nodes: {B_0: {PE: 2}}}\n"
    )
    task = plan.tasks["target_fps_parallelization"]
    assert (task.kind, task.uses) == ("folding", "optimize_folding")
    assert task.params["optimize"] == {"minimize": "lut", "exclude": ["A_0"]}
    assert task.config["target_fps"] == 2000, "a setting, as it is for FINN"
    assert "folding_config_file" in task.config, "what the recipe says of nodes stays as it is"
    assert plan.tasks["apply_folding_config"].needs == ("target_fps_parallelization",)


def test_one_task_may_have_a_search_of_its_own(maker: Maker) -> None:
    text = """
steps:
  - specialize_layers
  - {uses: target_fps_parallelization, with: {folding: {optimize: {maximize: fps, budget: {lut: 60%}}}}}
"""
    task = planned(maker, text).tasks["target_fps_parallelization"]
    assert task.params["optimize"] == {"budget": {"lut": "60%"}}
    assert "target_fps" not in task.config


def test_without_it_finn_chooses(maker: Maker) -> None:
    task = planned(maker, STEPS + "folding: {target_fps: 2000}\n").tasks["target_fps_parallelization"]
    assert task.kind == "finn"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "steps: [specialize_layers]\nfolding: {optimize: {minimize: lut, target_fps: 9}}\n",
            "no step of this recipe chooses",
        ),
        (
            STEPS + "folding: {target_fps: 9, optimize: {minimize: lut, target_fps: 9}}\n",
            "`folding.target_fps` stands beside",
        ),
        (STEPS + "folding: {optimize: {minimize: lut}}\n", "minimize only goes together with target_fps"),
        (STEPS + "folding: {optimize: {maximize: fps}}\n", "maximize only goes together with budget"),
        (
            STEPS + "folding: {optimize: {minimize: lut, target_fps: 9, maximize: fps, budget: {lut: 9}}}\n",
            "only one of",
        ),
        (
            STEPS + "folding: {optimize: {target_fps: 9}}\n",
            "one of minimize or maximize is missing in folding.optimize",
        ),
        (
            STEPS + "folding: {optimize: {maximize: fps, budget: {lut: sixty}}}\n",
            "amount in per cent of the part, such as 60%",
        ),
    ],
)
def test_what_contradicts_is_told(maker: Maker, text: str, words: str) -> None:
    with pytest.raises(RecipeError) as refused:
        planned(maker, text)
    assert any(words in problem.message for problem in refused.value.problems)
