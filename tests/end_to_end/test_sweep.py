"""A sweep by the real command: the table at its end, conditions, a search that is killed and goes on."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from finnyaml.api.search import AT_ONCE, Suggestions
from finnyaml.api.table import Row
from finnyaml.recipe.model import Objective
from tests.project import Project

STEPS = '''
import json, os, signal
from pathlib import Path


def same(model, cfg):
    return model


def estimate(model, cfg, a, b):
    """Leave the reports that FINN's estimates leave."""
    if (a, b) == KILLED and not os.path.exists("MARK"):
        Path("MARK").touch()
        os.kill(os.getppid(), signal.SIGKILL)
    if (a, b) == (3, 3):
        raise ValueError("three")
    folder = Path(cfg.output_dir) / "report"
    folder.mkdir(parents=True)
    speed = {"max_cycles": 1, "estimated_throughput_fps": 10.0 * a, "estimated_latency_ns": 5.0}
    (folder / "estimate_network_performance.json").write_text(json.dumps(speed))
    (folder / "estimate_layer_resources.json").write_text(json.dumps({"total": {"LUT": 7 * b + a % 2}}))
    return model
'''
RECIPE = """
name: tiny
matrix: {a: [1, 2, 3], b: [2, 3]}
model: {onnx: tiny.onnx, input: {datatype: FLOAT32}}
steps:
  - {uses: "steps.py:same"}
  - {uses: "steps.py:estimate", with: {a: "${a}", b: "${b}"}}
objectives: {fps: maximize, lut: {goal: minimize, max: 21}}
"""
TABLE = """\
  variant  fps  LUT
  1-2       10   15
  1-3       10   22
* 2-2       20   14
  2-3       20   21
* 3-2       30   15
  3-3        -    -
* in the Pareto set: 2 of 6 variants
  fps: estimate, more is better
  LUT: estimate, less is better, at most 21
  not compared: 1-3 (LUT is more than 21)
  not compared: 3-3 ({why})
"""


@pytest.fixture
def sweep(project: Project) -> Project:
    project.write("steps.py", STEPS.replace("KILLED", "None"))
    project.write("recipe.yaml", RECIPE)
    return project


def test_a_build_ends_with_the_table(sweep: Project) -> None:
    done = sweep.run("build")
    assert done.returncode == 1 and done.stderr.count("ValueError: three") == 1
    assert done.stdout.endswith(TABLE.format(why="not complete: estimate failed"))
    saved = json.loads((sweep.folder / "build/table.json").read_text())
    assert saved["pareto"] == ["2-2", "3-2"] and saved["variants"][5]["figures"] == {"fps": None, "lut": None}

    assert sweep.run("table").stdout == TABLE.format(why="not up to date: estimate")
    assert json.loads(sweep.run("table", "recipe.yaml", "--json").stdout)["pareto"] == ["2-2", "3-2"]
    assert sweep.run("table", "recipe.yaml", "--csv").stdout.startswith("variant,vars.a,vars.b,fps (estimate),lut (")
    refused = sweep.run("table", "recipe.yaml", "--csv", "--latex")
    assert refused.returncode == 2 and "in one form" in refused.stderr

    # Conditions choose the variants of a build, a plan and a table; a build with nothing to do shows the table, too.
    some = ("recipe.yaml", "--where", "a<3")
    assert "variant" in sweep.run("build", *some).stdout
    first, second = sweep.run("build", *some), sweep.run("build", *some)
    assert first.stdout == second.stdout and "* 2-2       20   14\n" in second.stdout
    assert "3-" not in second.stdout and "3-3" not in sweep.run("plan", *some).stdout
    assert [*json.loads((sweep.folder / "build/table.json").read_text())["pareto"]] == ["2-2"]
    (sweep.folder / "build/table.json").unlink()
    assert sweep.run("build", *some).stdout == first.stdout and (sweep.folder / "build/table.json").exists()

    # What is not up to date has no figures.
    sweep.write("recipe.yaml", RECIPE.replace('a: "${a}"', "a: 9"))
    assert "* " not in sweep.run("table").stdout.partition("* in the Pareto set")[0]
    assert sweep.run("clean").returncode == 0 and not (sweep.folder / "build").exists()


def test_without_objectives_there_is_no_table(sweep: Project) -> None:
    sweep.write("recipe.yaml", RECIPE.partition("objectives:")[0])
    refused = sweep.run("table")
    assert refused.returncode == 2 and "the recipe has no `objectives:`" in refused.stderr


def trials(count: int) -> list[dict[str, Any]]:
    """What a search tries, by the figures of the steps above."""
    values = [1, 2, 3, 4, 5, 6]
    objectives = (Objective("fps", "maximize"), Objective("lut", "minimize", max=21))
    suggestions, found = Suggestions({"a": values, "b": values}, objectives, 1), list[dict[str, Any]]()
    while len(found) < count:
        found += map(dict, suggestions.ask(AT_ONCE))
        done = [item for item in found if item != {"a": 3, "b": 3}]
        figures = ({"fps": 10.0 * item["a"], "lut": float(7 * item["b"] + item["a"] % 2)} for item in done)
        suggestions.tell([Row("", item, told, ()) for item, told in zip(done, figures, strict=True)])
    return found


def test_a_search_that_was_killed_goes_on(sweep: Project) -> None:
    wanted = trials(2 * AT_ONCE)
    killed = wanted[AT_ONCE + 2]
    text = STEPS.replace("KILLED", str((killed["a"], killed["b"]))).replace("MARK", str(sweep.folder / "mark"))
    sweep.write("steps.py", text)
    large = RECIPE.replace("[1, 2, 3]", "&n [1, 2, 3, 4, 5, 6]").replace("[2, 3]", "*n")
    sweep.write("recipe.yaml", f"{large}search: {{trials: {2 * AT_ONCE}, seed: 1}}\n")
    assert sweep.run("build", "recipe.yaml", "-j", "1").returncode == -signal.SIGKILL

    before = json.loads((sweep.folder / "build/search.json").read_text())["trials"]
    assert [trial["values"] for trial in before] == wanted[:AT_ONCE]
    fails = [item == {"a": 3, "b": 3} for item in wanted]
    answer = sweep.build("-j", "1", code=int(any(fails)))
    assert [trial["values"] for trial in answer["table"]["variants"]] == wanted
    states = [record["tasks"]["estimate"]["state"] for record in answer["variants"].values()]
    kept = ["cached"] * (AT_ONCE + 2) + ["ran"] * (AT_ONCE - 2)
    assert states == ["failed" if fails[at] else state for at, state in enumerate(kept)]
    assert sweep.run("plan").stdout.startswith(f"{len(wanted)} variants: ")


def test_a_search_of_nothing(sweep: Project) -> None:
    nothing = RECIPE.replace("b: [2, 3]", "b: [2, 3], exclude: [{b: 2}, {b: 3}]")
    sweep.write("recipe.yaml", f"{nothing}search: {{trials: 3}}\n")
    refused = sweep.run("build")
    assert refused.returncode == 2 and "the search has no variants" in refused.stderr
