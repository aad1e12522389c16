"""Answers that simulated hardware gave, kept sample by sample."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from finnyaml.errors import StepFailed

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class Recorded:
    """`answers` [n, ...] are those to the samples `index` (int64 [n]) of the data set."""

    index: np.ndarray
    answers: np.ndarray
    notices: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read them from the archive that rtl.simulate leaves."""
        with np.load(path, allow_pickle=False) as archive:
            return cls(archive["index"], archive["answers"])

    def of(self, wanted: np.ndarray) -> np.ndarray:
        """The answers to the samples `wanted`.

        Raises:
            StepFailed: one of them was not simulated.
        """
        place = {int(number): row for row, number in enumerate(self.index)}
        missing = [int(number) for number in wanted if int(number) not in place]
        if missing:
            raise StepFailed(
                f"{len(self.index)} samples were simulated, and sample {missing[0]} is none of them",
                hint="give rtl.simulate more `frames`, or leave `shuffle` or the point's `limit` out",
            )
        rows: np.ndarray = self.answers[[place[int(number)] for number in wanted]]
        return rows
