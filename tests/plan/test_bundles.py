"""From `bundle:` to tasks: a contract and a bundle for each target, and when they are built."""

from __future__ import annotations

import numpy as np
import pytest

from finnyaml.errors import RecipeError
from finnyaml.plan.select import select
from tests.plan.catalog import Maker

DATA = "verify:\n  data: {npz: digits.npz, inputs: x, labels: y}\n"
OWN = "own.py:lean"
FLOW = f"steps: [qonnx_to_finn, tidy_up, '{OWN}']\n"
"""The last may well cut the accelerator out of the graph."""

BRANCH = "  - {{uses: '{}', id: {}, needs: lean}}\n"
TWO = f"steps:\n  - '{OWN}'\n" + BRANCH.format(OWN, "small") + BRANCH.format(OWN, "fast")


@pytest.fixture(autouse=True)
def _data(maker: Maker) -> None:
    np.savez(maker.folder / "digits.npz", x=np.zeros((20, 4), np.uint8), y=np.zeros(20, np.int64))


def test_without_the_section_there_is_no_bundle(maker: Maker) -> None:
    assert not [name for name in maker.plan("steps: short\n").tasks if name.startswith("bundle")]


def test_a_bundle_needs_the_end_its_contract_and_every_measurement_above(maker: Maker) -> None:
    plan = maker.plan(f"{FLOW}{DATA}bundle: {{golden: 8}}\n")
    assert plan.tasks["bundle.contract"].needs == ("lean",)
    assert plan.tasks["bundle.contract"].params["golden"] == 8
    steps = ["model", "qonnx_to_finn", "tidy_up", "lean"]
    points = [f"verify.{name}" for name in steps]
    assert list(plan.tasks["bundle"].needs) == ["lean", "bundle.contract", *points, *steps[:-1]]
    assert plan.targets == {"lean": "lean"}  # it delivers a target, and is none
    assert list(plan.tasks)[-1] == "bundle"


def test_each_target_has_a_bundle_of_its_own(maker: Maker) -> None:
    plan = maker.plan(f"{TWO}bundle: {{}}\n")
    assert plan.tasks["bundle.small"].needs == ("small", "bundle.contract.small", "model", "lean")
    assert plan.tasks["bundle.fast"].params["name"].endswith("-fast")


def test_the_whole_build_makes_the_bundle_and_the_word_asks_for_all(maker: Maker) -> None:
    plan = maker.plan(f"{TWO}bundle: {{}}\n")
    every = select(plan)
    assert {"bundle.small", "bundle.fast", "bundle.contract.fast"} <= every.tasks
    assert not every.partial
    asked = select(plan, ["bundle"])
    assert asked.tasks == every.tasks
    assert not asked.partial
    one = select(plan, ["bundle.small"])
    assert "fast" not in one.tasks
    assert one.ends(plan) == {"small": "small"}
    early = select(plan, stop="lean")
    assert not [name for name in early.tasks if name.startswith("bundle")]


def test_a_template_or_a_variable_is_no_part_of_the_contract(maker: Maker) -> None:
    plain, other = (maker.plan(f"{FLOW}bundle: {{vars: {{by: {name}}}}}\n").tasks for name in ("one", "another"))
    needs = dict.fromkeys(plain["bundle"].needs, "0")
    assert plain["bundle.contract"].key(needs) == other["bundle.contract"].key(needs)
    assert plain["bundle"].key(needs) != other["bundle"].key(needs)


def test_the_files_to_fill_travel_by_names(maker: Maker) -> None:
    (maker.folder / "own").mkdir()
    (maker.folder / "own" / "notes.md.j2").write_text("notes\n")
    text = "bundle: {templates: own, files: [notes.md.j2, {template: notes.md.j2, to: docs/n.md}]}\n"
    params = maker.plan(f"{FLOW}{text}").tasks["bundle"].params
    assert params["templates"] == "@recipe/own"
    assert params["files"] == {"notes.md": "notes.md.j2", "docs/n.md": "notes.md.j2"}


def test_a_step_cannot_be_called_bundle(maker: Maker) -> None:
    with pytest.raises(RecipeError, match="'bundle' cannot be the id of a step") as caught:
        maker.plan(f"steps:\n  - {{uses: '{OWN}', id: bundle}}\nbundle: {{}}\n")
    assert caught.value.problems[0].where is not None


def test_a_plan_without_bundles_has_no_such_target(maker: Maker) -> None:
    plan = maker.plan("steps: short\n")
    with pytest.raises(RecipeError, match="neither a target nor a step"):
        select(plan, ["bundle"])


def test_without_a_partition_there_is_nothing_to_deliver(maker: Maker) -> None:
    with pytest.raises(RecipeError, match="no step cuts the accelerator out of the graph") as caught:
        maker.plan("steps: short\nbundle: {}\n")
    assert "create_dataflow_partition" in (caught.value.problems[0].hint or "")


def test_a_misspelt_bundle_is_suggested(maker: Maker) -> None:
    with pytest.raises(RecipeError) as caught:
        select(maker.plan("steps: short\n"), ["bundel"])
    assert caught.value.problems[0].hint == "did you mean 'bundle'?"
