"""What counts as a change of the outputs after a step that is exact, and what rounding explains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finnyaml.verify.before import Unchanged
from finnyaml.verify.gates import Gate, Verdict, verdict
from finnyaml.verify.outputs import Stored

SCORES = np.random.default_rng(0).normal(size=(500, 10)).astype(np.float32)


def found(before: np.ndarray, after: np.ndarray, *, classes: bool = True, **scores: np.ndarray) -> dict[str, Any]:
    indices = before.dtype.kind == "i"
    unchanged = Unchanged(_stored(), classes=classes, indices=indices)
    for begin in range(0, len(before), 256):
        rows = slice(begin, begin + 256)
        old, new = (scores[name][rows] if name in scores else None for name in ("old", "new"))
        unchanged.update(before[rows], after[rows], old, new)
    return unchanged.found


def _stored() -> Stored:
    stored = object.__new__(Stored)
    stored.name = "tidy_up"
    return stored


def judged(before: dict[str, Any]) -> Verdict:
    measurement = {
        "state": "measured",
        "metric": "top1",
        "value": 0.9,
        "shown": "90.0 %",
        "samples": before["samples"],
        "interval": [0.87, 0.93],
        "higher_is_better": True,
        "violations": [],
        "before": before,
    }
    return verdict(Gate(), measurement)


def classes(scores: np.ndarray) -> np.ndarray:
    return scores.argmax(axis=1)[:, np.newaxis]


def test_the_rounding_of_floating_point_is_not_a_change() -> None:
    result = found(SCORES, SCORES * np.float32(1 + 3e-7))
    assert (result["changed"], result["flipped"]) == (0, 0)
    assert judged(result) == Verdict("passed")


def test_another_scale_of_scores_is_a_change_but_not_of_what_chooses_a_class() -> None:
    result = found(SCORES, SCORES * np.float32(1.004))
    assert (result["changed"], result["flipped"]) == (500, 0)
    noted = judged(result)
    assert noted.state == "passed"
    assert noted.notes[0].startswith("the outputs of all 500 samples changed by up to 0.0")
    chosen = found(classes(SCORES), classes(SCORES), old=SCORES, new=40 * SCORES - 3)
    assert (chosen["changed"], chosen["flipped"]) == (0, 0)


def test_scores_behind_equal_classes_are_compared() -> None:
    other = SCORES.copy()
    other[:, 3] -= np.float32(0.01)
    result = found(classes(SCORES), classes(other), old=SCORES, new=other)
    assert result["changed"] == 500


def test_of_equal_scores_another_may_win() -> None:
    before = SCORES.copy()
    before[7, 2] = before[7, 5] = 9
    after = before.copy()
    after[7, 2] -= np.float32(1e-6)
    result = found(before, after)
    assert (result["changed"], result["flipped"]) == (0, 0)
    chosen = found(classes(before), classes(after), old=before, new=after)
    assert (chosen["changed"], chosen["flipped"]) == (0, 0)
    unknown = found(classes(before), classes(after))
    assert (unknown["changed"], unknown["flipped"]) == (1, 1)


def test_a_prediction_that_changes_with_everything_fails_also_where_it_is_for_the_better() -> None:
    after = SCORES + np.float32(0.02) * np.arange(10, dtype=np.float32)
    result = found(SCORES, after)
    assert result["flipped"] > 0
    failed = judged(result)
    assert (failed.state, failed.lost, failed.changed) == ("failed", True, True)
    assert "since tidy_up, and the steps between are exact" in failed.reasons[0]
    assert f"{result['flipped']} predictions are others" in failed.reasons[0]


@pytest.mark.parametrize(("flips", "state"), [(1, "passed"), (2, "failed")])
def test_a_few_values_on_a_threshold_are_said_and_more_are_a_fault(flips: int, state: str) -> None:
    after = SCORES.copy()
    for row in range(flips):
        after[row, (SCORES[row].argmax() + 1) % 10] = 9
    assert judged(found(SCORES, after)).state == state


def test_outputs_that_are_not_classes_fail_where_many_change() -> None:
    after = SCORES.copy()
    after[:20] += 1
    result = found(SCORES, after, classes=False)
    assert (result["changed"], result["flipped"]) == (20, None)
    assert judged(result).state == "passed"
    after[:40] += 1
    assert judged(found(SCORES, after, classes=False)).state == "failed"


def test_a_score_that_is_no_longer_a_number_is_a_change() -> None:
    after = SCORES.copy()
    after[:, 0] = np.nan
    result = found(SCORES, after)
    assert result["changed"] == 500
    assert result["most"] == "inf"
    assert judged(result).state == "failed"
    assert found(after, after)["changed"] == 0


def test_outputs_of_another_size_cannot_be_the_same() -> None:
    result = found(SCORES, SCORES[:, :9])
    assert not result["comparable"]
    assert judged(result).reasons == ("the outputs have another size since tidy_up, and the steps between are exact",)


def test_scores_of_an_archive_are_found(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", outputs=classes(SCORES), scores=SCORES)
    np.savez(tmp_path / "b.npz", outputs=SCORES)
    scores = Stored("a", tmp_path / "a.npz", "outputs").scores
    assert scores is not None
    (piece,) = scores.pieces([np.arange(500)])
    assert np.array_equal(piece, SCORES)
    assert Stored("b", tmp_path / "b.npz", "outputs").scores is None


def test_of_integers_nothing_is_rounded_so_that_any_change_is_a_fault() -> None:
    after = SCORES.copy()
    after[0, SCORES[0].argmin()] -= 1
    result = found(SCORES, after)
    assert (result["changed"], result["flipped"]) == (1, 0)
    assert judged(result).state == "passed"
    assert judged({**result, "integers": True}).state == "failed"
    assert judged({**found(SCORES, SCORES), "integers": True}).state == "passed"
