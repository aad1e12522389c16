"""README.md of a bundle: the figures as finnyaml shows them everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from finnyaml import text
from finnyaml.accelerator.checks.classes import percent
from tests.bundle.built import MEASURED, built


@pytest.mark.parametrize("value", [0.0, 0.0004, 0.875, 0.9995, 0.9996, 1.0])
def test_shares_are_rounded_by_one_rule(tmp_path: Path, value: float) -> None:
    point = {**MEASURED, "step": "tidy_up", "value": value, "interval": [value / 2, 1.0], "samples": 10000}
    readme = (built(tmp_path, points=[point]) / "README.md").read_text()
    assert f"top1: {text.percent(value)} of 10000 samples" in readme
    assert f"(95 % interval: {text.percent(value / 2)} to 100.0 %)" in readme
    assert percent(value) == text.percent(value)


def test_how_a_test_set_is_made(tmp_path: Path) -> None:
    assert '`np.savez("test.npz", images=images, labels=labels)`' in (built(tmp_path) / "README.md").read_text()
