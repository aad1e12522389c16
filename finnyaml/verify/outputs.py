"""What a model made of samples, kept in one .npz archive: two points of a build can be compared with numpy alone.

The archive holds `index` (int64 [n], which sample of the data set), `outputs` (the model's output, [n, ...]) and,
where the model classifies, `predictions` (int64 [n]); where the data has labels, `labels` (int64 [n]); where the model
ends in a choice of classes, `scores`, what they are chosen by ([n, ...]).
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from finnyaml.errors import StepFailed
from finnyaml.verify.data import arrays
from finnyaml.verify.data.layout import delivered

if TYPE_CHECKING:
    from typing_extensions import Self

    from finnyaml.verify.data.dataset import DataSet

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every member: equal predictions are equal files."""


class Archive:
    """Writes such an archive batch by batch; never holds more than a batch in memory."""

    def __init__(self, path: Path, size: int) -> None:
        """`size` is how many samples will come; the archive is written when the context ends without an error."""
        self._path = path
        self._size = size
        self._arrays: dict[str, Any] = {}
        self._filled = 0

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return self

    def add(self, **arrays: np.ndarray | None) -> None:
        """Append a batch: arrays [n, ...] by name; those that are None are left out."""
        given = {name: np.asarray(array) for name, array in arrays.items() if array is not None}
        end = self._filled + len(next(iter(given.values())))
        for name, array in given.items():
            if name not in self._arrays:
                self._arrays[name] = np.lib.format.open_memmap(
                    self._part(name), mode="w+", dtype=array.dtype, shape=(self._size, *array.shape[1:])
                )
            self._arrays[name][self._filled : end] = array
        self._filled = end

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        names = list(self._arrays)
        for array in self._arrays.values():
            array.flush()
        self._arrays.clear()
        try:
            if kind is None:
                with zipfile.ZipFile(self._path, "w", zipfile.ZIP_DEFLATED) as archive:
                    for name in names:
                        member = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
                        member.compress_type = zipfile.ZIP_DEFLATED
                        with archive.open(member, "w") as target, self._part(name).open("rb") as source:
                            shutil.copyfileobj(source, target, 1 << 20)
        finally:
            for name in names:
                self._part(name).unlink(missing_ok=True)

    def _part(self, name: str) -> Path:
        return self._path.with_name(f"{self._path.stem}.{name}.part")


class Stored:
    """Outputs to compare with, as an earlier task or the user stored them; read by batch."""

    def __init__(self, name: str, path: Path, key: str | None) -> None:
        """`key` is the array in an .npz archive; None: `path` is an .npy file. Where there is an array `index`, it says
        which sample each row belongs to; else there is a row for every sample of the data set.
        Raises StepFailed: no such file or array.
        """
        self.name = name
        self._path = path
        self._rows = arrays.npz(path, key) if key else arrays.npy(path)
        self._index: np.ndarray | None = None
        if key:
            with np.load(path, allow_pickle=False) as archive:
                self._index = archive["index"] if "index" in archive.files else None

    def check(self, total: int) -> None:
        """Refuse stored outputs of another number than the data set's samples (StepFailed)."""
        if self._index is None and len(self._rows) != total:
            raise StepFailed(
                f"the reference {self.name} has {len(self._rows)} rows, the data has {total} samples",
                hint="stored outputs need a row for every sample of the whole data set, also where `limit` takes fewer",
            )

    def pieces(self, chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The outputs [n, ...] for each of `chunks` (sample numbers int64 [n], rising)."""
        index = self._index
        return self._rows.pieces(chunks if index is None else (self._found(index, chunk) for chunk in chunks))

    @property
    def scores(self) -> Stored | None:
        """The scores that the classes in these outputs were chosen by; None where the archive has none."""
        with np.load(self._path, allow_pickle=False) as archive:
            return Stored(self.name, self._path, "scores") if "scores" in archive.files else None

    def _found(self, index: np.ndarray, chunk: np.ndarray) -> np.ndarray:
        rows, missing = _rows(index, chunk)
        if missing.size:
            raise StepFailed(
                f"the reference {self.name} lacks samples that are to be measured",
                hint="a point cannot have more samples than its reference",
            )
        return rows


@dataclass(frozen=True)
class Recorded:
    """What simulated hardware made of samples: `outputs` [n, ...] of the samples `index` (int64 [n], rising)."""

    index: np.ndarray
    outputs: np.ndarray

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read them from the archive that rtl.simulate leaves."""
        with np.load(path, allow_pickle=False) as archive:
            return cls(archive["index"], archive["network"])

    def of(self, wanted: np.ndarray) -> np.ndarray:
        """The outputs [n, ...] of the samples `wanted` (int64 [n]). Raises StepFailed: one was not simulated."""
        rows, missing = _rows(self.index, wanted)
        if missing.size:
            raise StepFailed(
                f"{len(self.index)} samples were simulated, and sample {missing[0]} is not one of them",
                hint="give rtl.simulate more `frames`, or leave `shuffle` or the point's `limit` out",
            )
        found: np.ndarray = self.outputs[rows]
        return found


def _rows(index: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the samples `wanted` are in `index` (both int64 [n], rising), and which of them are not."""
    rows: np.ndarray = np.searchsorted(index, wanted).clip(max=len(index) - 1)
    return rows, wanted[index[rows] != wanted]


def keep(function: Callable[[np.ndarray], np.ndarray], data: DataSet, path: Path, layout: str | None) -> None:
    """Run `function` (batch [n, ...] to outputs [n, ...]) on all data and archive these; `layout`: what it takes."""
    with Archive(path, data.size) as archive:
        for batch in data.batches(data.batch):
            outputs = function(delivered(batch.inputs, data.layout, layout))
            archive.add(index=batch.index, outputs=outputs, labels=batch.labels)


def golden(
    function: Callable[[np.ndarray], np.ndarray], data: DataSet, folder: Path, count: int, layout: str | None
) -> None:
    """Write the first samples and their outputs, float32 [count, ...], as FINN's own verification reads them."""
    inputs = delivered(next(data.batches(count)).inputs, data.layout, layout)
    np.save(folder / "golden_input.npy", np.asarray(inputs, np.float32))
    np.save(folder / "golden_output.npy", np.asarray(function(inputs), np.float32))
