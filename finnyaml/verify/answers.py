"""What a model answered, sample by sample, in one .npz archive: two points of a build can be compared with numpy alone.

The archive holds `index` (int64 [n], which sample of the data set), `outputs` (the model's output, [n, ...]) and,
where the model classifies, `predictions` (int64 [n]); where the data has labels, `labels` (int64 [n]).
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator
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

BATCH = 256
"""Samples that are run at once."""

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
        count = len(next(iter(given.values())))
        for name, array in given.items():
            if name not in self._arrays:
                self._arrays[name] = np.lib.format.open_memmap(
                    self._part(name), mode="w+", dtype=array.dtype, shape=(self._size, *array.shape[1:])
                )
            self._arrays[name][self._filled : self._filled + count] = array
        self._filled += count

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
                            while chunk := source.read(1 << 20):
                                target.write(chunk)
        finally:
            for name in names:
                self._part(name).unlink(missing_ok=True)

    def _part(self, name: str) -> Path:
        return self._path.with_name(f"{self._path.stem}.{name}.part")


class Answers:
    """Answers to compare with, as an earlier task or the user stored them; read by batch."""

    def __init__(self, name: str, path: Path, key: str | None) -> None:
        """`key` is the array in an .npz archive; None: `path` is an .npy file. Where there is an array `index`, it says
        which sample each row belongs to; else there is a row for every sample of the data set.

        Raises:
            StepFailed: no such file or array.
        """
        self.name = name
        self._rows = arrays.npz(path, key) if key else arrays.npy(path)
        self._index = _index(path) if key else None

    def check(self, total: int) -> None:
        """Refuse stored answers of another number than the data set's samples (StepFailed)."""
        if self._index is None and len(self._rows) != total:
            raise StepFailed(
                f"the reference {self.name} has {len(self._rows)} rows, the data has {total} samples",
                hint="stored answers need a row for every sample of the whole data set, also where `limit` takes fewer",
            )

    def pieces(self, chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The answers [n, ...] for each of `chunks` (sample numbers, rising)."""
        yield from self._rows.pieces(chunk if self._index is None else self._positions(chunk) for chunk in chunks)

    def _positions(self, chunk: np.ndarray) -> np.ndarray:
        assert self._index is not None
        found: Any = np.searchsorted(self._index, chunk)
        if (found >= len(self._index)).any() or (self._index[found] != chunk).any():
            raise StepFailed(
                f"the reference {self.name} lacks samples that are to be measured",
                hint="a point cannot have more samples than its reference",
            )
        positions: np.ndarray = found
        return positions


def _index(path: Path) -> np.ndarray | None:
    with np.load(path, allow_pickle=False) as archive:
        return archive["index"] if "index" in archive.files else None


def keep(function: Callable[[np.ndarray], np.ndarray], data: DataSet, path: Path, layout: str | None) -> int:
    """Run `function` (batch to answers) on all data and archive the answers; returns how many samples there were.

    `layout` is what the function takes, where that is known.
    """
    with Archive(path, data.size) as archive:
        for batch in data.batches(BATCH):
            outputs = function(delivered(batch.inputs, data.layout, layout))
            archive.add(index=batch.index, outputs=outputs, labels=batch.labels)
    return data.size


def golden(
    function: Callable[[np.ndarray], np.ndarray], data: DataSet, folder: Path, count: int, layout: str | None
) -> None:
    """Write the first samples and their answers, float32, as FINN's own verification reads them."""
    batch = next(data.batches(count))
    inputs = delivered(batch.inputs, data.layout, layout)
    np.save(folder / "golden_input.npy", np.asarray(inputs, np.float32))
    np.save(folder / "golden_output.npy", np.asarray(function(inputs), np.float32))
