"""The outputs after an exact step against those before it, sample by sample. Runs in workers.

Most steps are exact by intent: they write the same function in another way. So what they may change is the rounding
of floating point, and what follows from it: of two equal scores another may win, and a value that lies exactly on a
threshold may fall on its other side. The former is known from the scores. The latter meets a few samples; a fault
meets many, or changes a prediction that was not close. Graphs that compute with integers alone, as those of hardware
layers do, have no rounding: there any change is a fault.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from finnyaml.verify.classes import predictions
from finnyaml.verify.executor.check import ROUNDING
from finnyaml.verify.outputs import Stored


class Unchanged:
    """Collects, batch by batch, what changed since an earlier point; `found` is the result as plain data."""

    def __init__(self, earlier: Stored, *, classes: bool, indices: bool) -> None:
        """`classes`: the outputs are scores of classes, or (`indices`) classes, best first; else any numbers."""
        self.earlier = earlier
        self._indices = indices
        self._count = self._changed = self._flipped = self._close = 0
        self._most = 0.0
        self._line: tuple[float, float] | None = None
        self._classes = classes
        self._shapes = True

    def update(self, before: np.ndarray, outputs: np.ndarray, old: np.ndarray | None, new: np.ndarray | None) -> None:
        """Take in a batch of outputs [n, ...], before and now.

        `old` and `new` are the scores [n, ...] that the classes in the outputs were chosen by; None where there are
        none, or where the outputs are the scores.
        """
        self._count += len(outputs)
        if before[0].size != outputs[0].size:
            self._shapes = False
            return
        chosen = old is not None and new is not None and old[0].size == new[0].size
        a, b = (_rows(old), self._in_unit_of(_rows(old), _rows(new))) if chosen else (_rows(before), _rows(outputs))
        noise = ROUNDING * float(np.abs(a[np.isfinite(a)]).max(initial=0.0))
        differs = ~((np.abs(a - b) <= noise) | (np.isnan(a) & np.isnan(b)) | (a == b))
        changed = differs.any(axis=1)
        with np.errstate(invalid="ignore"):
            self._most = max(self._most, float(np.nan_to_num(np.abs(a - b)[differs], nan=np.inf).max(initial=0.0)))
        if not self._classes:
            self._changed += int(changed.sum())
            return
        was, now = (predictions(array, self._indices) for array in (before, outputs))
        flipped = was != now
        close = np.zeros_like(flipped)
        if (chosen or not self._indices) and a.shape[1] > max(was.max(), now.max()):
            margins = (_margin(scores, was, now) for scores in (a, b))
            close = flipped & np.any([margin <= 2 * noise for margin in margins], axis=0)
        self._changed += int((changed | (flipped & ~close)).sum())
        self._flipped += int(flipped.sum())
        self._close += int(close.sum())

    def _in_unit_of(self, old: np.ndarray, new: np.ndarray) -> np.ndarray:
        """New scores with the scale and offset of the old ones: no choice of the highest depends on these."""
        if self._line is None:
            x, y = new.ravel(), old.ravel()
            spread = float(x.var())
            slope = float(((x - x.mean()) * (y - y.mean())).mean() / spread) if spread > 0 else 0.0
            self._line = (slope, float(y.mean() - slope * x.mean())) if slope > 0 else (1.0, 0.0)
        scaled: np.ndarray = self._line[0] * new + self._line[1]
        return scaled

    @property
    def found(self) -> dict[str, Any]:
        """`name`: the earlier point. `comparable`: whether there are as many outputs as then. Numbers of samples:
        `samples`; `changed`, beyond rounding; `flipped`, with another prediction although the scores of both were
        not equal but for rounding (None: not a classifier). `most` is the largest change, in the unit of the earlier
        outputs or scores.
        """
        return {
            "name": self.earlier.name,
            "comparable": self._shapes,
            "samples": self._count,
            "changed": self._changed,
            "flipped": self._flipped - self._close if self._classes else None,
            "most": self._most if np.isfinite(self._most) else str(self._most),
        }


def _rows(array: np.ndarray | None) -> np.ndarray:
    assert array is not None
    rows: np.ndarray = array.reshape(len(array), -1).astype(np.float64)
    return rows


def _margin(scores: np.ndarray, was: np.ndarray, now: np.ndarray) -> np.ndarray:
    """How far apart the scores [n, classes] of two classes [n] are: [n]."""
    rows = np.arange(len(scores))
    margin: np.ndarray = np.abs(scores[rows, was] - scores[rows, now])
    return margin
