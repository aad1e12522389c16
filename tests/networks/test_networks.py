"""Every row of the table in docs/networks.md: what builds, builds right; what is repaired or refused is said before."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper

from finnyaml.errors import StepFailed
from finnyaml.graph.view import View, is_hardware
from finnyaml.lint.catalogue import RULES, Finding
from finnyaml.lint.graph import Stage, check
from finnyaml.steps.builtin import STEPS
from finnyaml.worker.functions import function_of
from tests.lint.graphs import answers, images, run
from tests.networks.table import ROWS, Row
from tests.project import ROOT

FLOW = (
    "qonnx_to_finn",
    "tidy_up",
    "streamline",
    "convert_to_hw",
    "minimize_bit_width_initial",
    "create_dataflow_partition",
)
TAKEN = ("clip_thresholds", "correct_annotations")
"""Repairs of small things that a network may need beside those of its row."""


class Build:
    """A network on its way through FINN's steps, with repairs, and what the rules say at each stage."""

    def __init__(self, row: Row, folder: Path, repairs: tuple[str, ...], *, compares: bool = False) -> None:
        self.model = row.model()
        self.data = images(self.model, 3)
        self.wanted = answers(self.model, self.data) if compares else self.data
        self._compares = compares
        self.said: list[Finding] = []
        self._folder, self._repairs, self._standalone = folder, repairs, row.standalone
        self._done: list[str] = []

    def run(self) -> ModelWrapper:
        """All steps; the answers stay the same. Raises what a step raises."""
        self._look("model")
        for step in FLOW:
            self._repair(before=step)
            self.model = run(self.model, step, self._folder, standalone_thresholds=self._standalone)
            self._done.append(f"step_{step}")
            if step != "convert_to_hw" or "leave_to_host" not in self._repairs:  # there FINN's functions are not exact
                self._compare(step)
            self._repair(after=step)
            self._look(step)
        return self.model

    def _repair(self, **place: str) -> None:
        ((side, step),) = place.items()
        for name in (*self._repairs, *TAKEN):
            where = "convert_to_hw" if name == "leave_to_host" else None
            known = where if side == "after" and where else getattr(STEPS[name], side)
            if known == step:
                repaired = function_of(STEPS[name].function)(self.model)
                assert repaired.changes or name in TAKEN, f"{name} found nothing to repair"
                self.model = repaired.model
                self._done.append(name)
                self._compare(name)

    def _compare(self, step: str) -> None:
        """At some steps, since execution by qonnx takes longer than the steps."""
        if self._compares and step not in ("qonnx_to_finn", "tidy_up", "create_dataflow_partition"):
            got = answers(self.model, self.data)
            np.testing.assert_allclose(got.reshape(self.wanted.shape), self.wanted, atol=1e-5, err_msg=step)

    def _look(self, step: str) -> None:
        config: dict[str, Any] = {"standalone_thresholds": self._standalone}
        stage = Stage(step, f"step_{step}", config, frozenset(self._done))
        self.said += check(self.model, stage)


def test_the_page_has_these_rows() -> None:
    """`python -m tests.networks.table` prints them."""
    text = (ROOT / "docs" / "networks.md").read_text()
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert table[1:] == [row.line for row in ROWS]


def _text(found: Any) -> str:
    return f"{found.message} {found.hint}" if isinstance(found, Finding) else str(found)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(
            row, id=f"{row.group}: {row.what}", marks=[pytest.mark.long] if row.long else []
        )  # of larger networks
        for row in ROWS
    ],
)
def test_what_becomes_of_it(row: Row, tmp_path: Path) -> None:
    if row.refused is not None:
        speaker, words = row.refused
        build = Build(row, tmp_path, () if speaker in RULES else (speaker,))
        try:
            build.run()
            stopped = None
        except Exception as error:
            stopped = error
        if speaker in RULES:
            said = [found for found in build.said if found.rule == speaker]
            assert any(words in _text(found) for found in said), (build.said, stopped)
            assert all(found.hint for found in said)
        else:
            assert isinstance(stopped, StepFailed) and words in str(stopped), stopped
        return
    build = Build(row, tmp_path, row.repairs, compares=True)
    model = build.run()
    left = [node.name for node in View(model).nodes if not is_hardware(node)]
    assert not left, f"not hardware: {left}"
    errors = [found for found in build.said if found.severity == "error" and found.repair not in (*row.repairs, *TAKEN)]
    assert not [found for found in errors if not RULES[found.rule].lasting], errors
    if row.repairs and set(row.repairs) - {"leave_to_host"} and row.what != "binary activations":
        _is_proposed(row, tmp_path)


def _is_proposed(row: Row, folder: Path) -> None:
    """Without its repairs the rules name them, before FINN stops or in what it makes."""
    build = Build(row, folder, ())
    with contextlib.suppress(Exception):  # it need not build
        build.run()
    named = {found.repair for found in build.said}
    missing = set(row.repairs) - named
    for name in missing:  # it shows only once the first is repaired
        rest = Build(row, folder, tuple(each for each in row.repairs if each != name))
        with contextlib.suppress(Exception):
            rest.run()
        assert name in {found.repair for found in rest.said}, (name, rest.said)
