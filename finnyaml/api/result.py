"""What a build gave, as Python uses it: states, measurements, metrics, models, files, arrays."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnyaml.api import failures, html, summary
from finnyaml.engine import workspace
from finnyaml.engine.outcome import Report
from finnyaml.errors import ExitCode, FinnyamlError, Problem, RecipeError
from finnyaml.plan.points import PREFIX, id_of
from finnyaml.plan.status import Built
from finnyaml.text import did_you_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

OUTPUTS = "out/"
"""Where steps leave what they write for the user, in the tree of files."""


@dataclass(frozen=True)
class Measurement:
    """What was measured of the graph after one step.

    `metric` is its name (`top1`, ...), `value` the metric in its own unit (a fraction of 0 to 1 for top-k and
    agreement), None where nothing could be measured; `low` and `high` are the 95 % interval of such a fraction.
    `samples` is how many were measured. `agreement` is the fraction (0 to 1) of samples with the prediction of the
    reference. `reference` names the reference, `reference_value` is its own metric. `verdict` is what the gate says:
    `passed`, `failed`, `not verified`, or `measured` where there is no limit; `reasons` says why it did not pass.
    """

    step: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    samples: int
    agreement: float | None
    reference: str | None
    reference_value: float | None
    verdict: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Loss:
    """Where accuracy is lost, as found after a gate failed: `str(loss)` tells it.

    `point` is the verification point whose gate failed, `step` the step that loses it. `found` is the loss as
    data (docs/verification.md): transformation, first wrong tensor, cause; None where it was lost before any step of
    FINN, or could not be searched. `picture` is a PNG of where in the tensor it is lost.
    """

    point: str
    step: str
    found: Mapping[str, Any] | None
    picture: Path | None
    text: str

    def __str__(self) -> str:
        return self.text


class BuildFailed(FinnyamlError):
    """A build that is not complete: a step failed, a gate stopped it, or a tool is missing. Holds its `result`."""

    def __init__(self, result: Result) -> None:
        super().__init__("\n\n".join(result.failures) or str(result))
        self.result = result
        self.exit_code = result.exit_code


class Result:
    """What a build gave.

    `str(result)` is what `finnyaml build` prints at its end; a notebook shows tables. What it gives of files is read
    from the store, so it stays that of this build when a later one writes over the workspace.
    """

    def __init__(self, report: Report) -> None:
        """Made by `Recipe.build` and `Recipe.bisect`."""
        record = report.record
        self.report = report
        """What the engine returned; its form may change from version to version."""
        self.name: str = record["name"]
        """The name of the recipe."""
        self.exit_code: ExitCode = report.code
        """What the command line gives the shell."""
        self.seconds: float = record["seconds"]
        """How long it took, in seconds."""
        self.workspace = Path(record["workspace"])
        """The output folder of the recipe; it holds what was built last."""
        self.folder = report.folder
        """The folder of this run in the workspace: its events, logs and record (run.json)."""
        self.warnings: tuple[Problem, ...] = (*report.session.warnings, *report.warnings)
        """What is doubtful: in the recipe, and what lint rules found in the graphs that were built."""
        self.notes = report.notes
        """What else there is to know."""

    @property
    def ok(self) -> bool:
        """Whether all that was selected is built, and every gate passed."""
        return self.exit_code is ExitCode.OK

    @cached_property
    def losses(self) -> tuple[Loss, ...]:
        """Where accuracy is lost, for each branch whose gate failed."""
        return tuple(
            Loss(item.point, item.step, item.found, item.picture, "\n".join(failures.lost(item, self.report)))
            for item in self.report.bisected
        )

    @cached_property
    def repeated(self) -> Mapping[str, tuple[str, ...]]:
        """Each step that `Recipe.check` ran a second time, with what was not as it was the first time, in words."""
        return {
            item.task: (*item.differing, *([f"failed: {item.failure.message}"] if item.failure else ()))
            for item in self.report.repeated
        }

    @cached_property
    def failures(self) -> tuple[str, ...]:
        """What failed and why, a text each: steps with their logs, then gates with where accuracy is lost."""
        return tuple(map("\n".join, failures.told(self.report)))

    @cached_property
    def metrics(self) -> Mapping[str, Mapping[str, Any]]:
        """Key numbers of the hardware from the reports of each step that has some, by step and name.

        `max_cycles`, `interval`, `latency` are in clock cycles, `latency_ns` in ns, `fps` in frames per second,
        `fmax_mhz` in MHz, `WNS` in ns; `LUT`, `FF`, `DSP`, `BRAM_18K`, `BRAM18`, `URAM` are counts.
        """
        tasks = self.report.record["tasks"]
        return {name: task["key_metrics"] for name, task in tasks.items() if task.get("key_metrics")}

    @cached_property
    def measurements(self) -> Mapping[str, Measurement]:
        """What was measured after each step, by step, in the order of the build."""
        tasks = self.report.record["tasks"].values()
        return {task["checks"]: _measurement(task) for task in tasks if "verdict" in task}

    def rows(self) -> list[dict[str, Any]]:
        """A row per step, for `pandas.DataFrame(result.rows())`.

        Each has `step`, `uses`, `state` (`ran`, `cached`, `failed`, `blocked`, `not run`), `seconds` and `peak_memory`
        (bytes) of when it ran, and of its measurement `metric`, `value`, `samples`, `agreement` and `verdict`; None
        where there is none. Steps with key numbers have those too (`metrics`).
        """
        return [self._row(name, task) for name, task in self.report.record["tasks"].items() if not task["looks"]]

    def model(self, step: str) -> Path:
        """The model after a step, as a path to an ONNX file in the folder of this run (the newest 20 runs are kept).

        Raises:
            RecipeError: there is no such step.
            FinnyamlError: it was not built, it makes no model, or the store no longer has it.
        """
        built = self._built(step)
        if workspace.MODEL not in built.tree:
            raise FinnyamlError(f"{step} makes no model")
        path = self.folder / "models" / f"{step}.onnx"
        self._checkout(step, built, workspace.MODEL, path)
        return path

    def files(self, step: str) -> Mapping[str, Path]:
        """What a step wrote for the user (reports, drivers, ...): paths in the folder of this run by name.

        The names are those in the workspace, such as `report/estimate_layer_cycles.json`. Verification points
        (`verify.streamline`) and bundles have files, too.

        Raises:
            RecipeError: there is no such step.
            FinnyamlError: it was not built, or the store no longer has them.
        """
        built, paths = self._built(step), {}
        for file in built.artifact.files:
            if file.startswith(OUTPUTS):
                name = file.removeprefix(OUTPUTS)
                paths[name] = self.folder / "files" / step / name
                self._checkout(step, built, file, paths[name])
        return paths

    def predictions(self, step: str) -> dict[str, NDArray[Any]]:
        """The outputs of the model after a step, sample by sample; `source` stands for the reference.

        `index` (int64 [n]) says which sample of the data set, `outputs` [n, ...] is the output of the model. Where the
        model classifies there is `predictions` (int64 [n]), where the data has labels `labels` (int64 [n]).

        Raises:
            RecipeError: nothing is measured after that step.
            FinnyamlError: it was not measured, or the store no longer has it.
        """
        import numpy as np

        tasks, store = self.report.session.plan.tasks, self.report.session.store
        if id_of(step) not in tasks:
            measured = [name.removeprefix(PREFIX) for name in tasks if name.startswith(PREFIX)]
            raise RecipeError([Problem(f"nothing is measured after {step!r}", hint=did_you_mean(step, measured, 3))])
        entry = self._built(id_of(step)).artifact.files.get(tasks[id_of(step)].params["file"])
        if entry is None:
            raise FinnyamlError(f"the graph after {step} could not be executed, so there are no predictions")
        with np.load(io.BytesIO(store.read(entry.blob))) as archive:
            return dict(archive)

    @property
    def bundles(self) -> tuple[Path, ...]:
        """The archives of the deployment bundles that this build wrote, one for each target."""
        return tuple(path for path, _ in summary.bundles(self.report.record))

    def __repr__(self) -> str:
        return f"<finnyaml result: {summary.headline(self.report.record)}>"

    def __str__(self) -> str:
        return "\n".join(summary.lines(self.report.record, self.report.written))

    def _repr_html_(self) -> str:
        names = ("step", "state", "seconds", "metric", "value", "samples", "verdict")
        rows = [[row[name] for name in names] for row in self.rows()]
        numbers = [(step, name, value) for step, found in self.metrics.items() for name, value in found.items()]
        told = html.table(names, rows, summary.headline(self.report.record))
        told += html.table(("step", "metric", "value"), numbers, "key numbers") if numbers else ""
        return told + "".join(map(html.text, self.failures))

    def _row(self, name: str, task: Mapping[str, Any]) -> dict[str, Any]:
        measured = self.measurements.get(name)
        return {
            "step": name,
            "uses": self.report.session.plan.tasks[name].uses,
            "state": task["state"],
            "seconds": task.get("seconds"),
            "peak_memory": task.get("peak_memory"),
            **{key: getattr(measured, key, None) for key in ("metric", "value", "samples", "agreement", "verdict")},
            **self.metrics.get(name, {}),
        }

    def _built(self, task: str) -> Built:
        outcome, known = self.report.outcome, self.report.session.plan.tasks
        if task not in known:
            raise RecipeError([Problem(f"there is no step {task!r} here", hint=did_you_mean(task, known, 3))])
        built = outcome.built.get(task) or outcome.measured.get(task)
        if built is None:
            raise FinnyamlError(f"{task} was not built")
        return built

    def _checkout(self, task: str, built: Built, name: str, path: Path) -> None:
        session = self.report.session
        workspace.checkout(path, name, built.tree[name], workspace.folder_of(session.plan, task), session.store)


def _measurement(task: Mapping[str, Any]) -> Measurement:
    measured, verdict = task["measurement"], task["verdict"]
    low, high = measured.get("interval") or (None, None)
    reference = measured.get("reference") or {}
    return Measurement(
        step=task["checks"],
        metric=measured["metric"],
        value=_number(measured.get("value")),
        low=low,
        high=high,
        samples=measured["samples"],
        agreement=measured.get("agreement"),
        reference=reference.get("name"),
        reference_value=_number(reference.get("value")),
        verdict=verdict["state"],
        reasons=tuple(verdict["reasons"]),
    )


def _number(value: float | str | None) -> float | None:
    """A number as measurements hold it: what is not finite is a word there."""
    return None if value is None else float(value)
