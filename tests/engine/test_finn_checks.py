"""What FINN's own checks find becomes problems of the recipe, once for each configuration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from finnyaml.engine import finn_checks
from finnyaml.plan import graph
from finnyaml.store import Store
from finnyaml.worker.job import Failure, Job
from tests.plan.catalog import CATALOG, Maker, code_of

FOUND = {"name": "fps_folding", "severity": "error", "message": "both\n  are set", "hint": "one of them"}


class Pool:
    """Answers with what FINN finds, or fails."""

    def __init__(self, failure: Failure | None = None) -> None:
        self.jobs: list[Job] = []
        self._failure = failure

    def run(self, job: Job) -> Any:
        self.jobs.append(job)
        return self._failure or SimpleNamespace(metrics={"findings": [FOUND]})


def session(folder: Path, text: str, pool: Pool, *, checks: bool = True) -> Any:
    maker = Maker(folder)
    maker.write("model.onnx", "")
    recipe = maker.recipe(text)
    catalog = replace(CATALOG, checks=checks)
    plan, _ = graph.build(recipe, catalog, code_of)
    return SimpleNamespace(recipe=recipe, catalog=catalog, plan=plan, pool=pool, store=Store.open(folder / "store"))


STEPS = "steps: [qonnx_to_finn, tidy_up, {uses: streamline, with: {folding: {target_fps: 5}}}]\n"


def test_each_configuration_is_checked_once(tmp_path: Path) -> None:
    pool = Pool()
    found = list(finn_checks.problems(session(tmp_path, STEPS, pool), tmp_path / "log"))
    assert [job.config.get("target_fps") for job in pool.jobs] == [None, 5]
    assert {job.kind for job in pool.jobs} == {"finn_checks"}
    assert [problem.severity for problem in found] == ["error", "error"]
    assert found[0].message == "finn 0.99 says: both are set [fps_folding]" and found[0].hint == "one of them"
    assert all(problem.where is not None for problem in found) and found[0].where != found[1].where


def test_settings_files_go_along(tmp_path: Path) -> None:
    pool = Pool()
    made = session(tmp_path, f"{STEPS}folding: {{nodes: {{MVAU_0: {{PE: 2}}}}}}\n", pool)
    list(finn_checks.problems(made, tmp_path / "log"))
    job = pool.jobs[0]
    assert str(job.config["folding_config_file"]).removeprefix("@inputs/") in job.inputs


def test_a_finn_without_checks_is_not_asked(tmp_path: Path) -> None:
    pool = Pool()
    assert list(finn_checks.problems(session(tmp_path, STEPS, pool, checks=False), tmp_path / "log")) == []
    assert not pool.jobs


def test_checks_that_cannot_run_are_one_warning(tmp_path: Path) -> None:
    pool = Pool(Failure("FinnUnusable", "FINN does not import here"))
    (problem,) = finn_checks.problems(session(tmp_path, STEPS, pool), tmp_path / "log")
    assert problem.severity == "warning" and "FINN does not import here" in problem.message
    assert len(pool.jobs) == 1
