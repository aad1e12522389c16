"""Rows of NumPy files, read a few at a time: an .npy file, or an array in an .npz archive, never as a whole."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np

from finnyaml.errors import StepFailed
from finnyaml.text import did_you_mean


class Rows:
    """The rows of one stored array of numbers; `name` is what errors call it, `shape` that of the whole array."""

    def __init__(self, name: str, opened: Callable[[], AbstractContextManager[IO[bytes]]]) -> None:
        """`opened` opens the bytes of the .npy file, at their start.

        Raises StepFailed: not an .npy file, no numbers in it, or no rows.
        """
        self.name = name
        self._opened = opened
        with self._reading() as stream:
            self.shape, self._by_column, self._dtype = _header(name, stream)

    def __len__(self) -> int:
        return int(self.shape[0])

    def pieces(self, chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """For each of `chunks` (row numbers, int64, rising within and over all chunks), those rows: [len(chunk), ...].

        Raises StepFailed: the file is damaged.
        """
        with self._reading() as stream:
            if self._by_column:  # rows do not lie together, so there is no reading them one by one
                whole = np.lib.format.read_array(stream, allow_pickle=False)
                yield from (whole[chunk] for chunk in chunks)
                return
            _header(self.name, stream)
            position = 0
            for chunk in chunks:
                piece, position = self._next(stream, position, chunk)
                yield piece

    def _next(self, stream: IO[bytes], position: int, chunk: np.ndarray) -> tuple[np.ndarray, int]:
        """The rows `chunk` from a stream that stands at row `position`; and where it stands then."""
        piece = np.empty((len(chunk), *self.shape[1:]), self._dtype)
        size = piece.nbytes // len(chunk)
        left = memoryview(piece.reshape(-1).view(np.uint8))
        for run in np.split(chunk, np.flatnonzero(np.diff(chunk) != 1) + 1):
            stream.seek(int(run[0] - position) * size, 1)
            wanted, left = left[: len(run) * size], left[len(run) * size :]
            while wanted:
                got = stream.readinto(wanted)  # type: ignore[attr-defined]  # all binary streams have it
                if not got:
                    raise StepFailed(f"{self.name} ends too early: {len(self)} rows were announced", hint=_AGAIN)
                wanted = wanted[got:]
            position = int(run[-1]) + 1
        return piece, position

    @contextmanager
    def _reading(self) -> Iterator[IO[bytes]]:
        try:
            with self._opened() as stream:
                yield stream
        except StepFailed:
            raise
        except Exception as error:  # of a damaged file NumPy and zipfile say it with a dozen types
            raise StepFailed(f"cannot read {self.name}: {error or type(error).__name__}", hint=_AGAIN) from error


_AGAIN = "the file is damaged: write it again"


def npy(path: Path) -> Rows:
    """The rows of an .npy file. Raises StepFailed as `Rows`."""
    return Rows(path.name, lambda: path.open("rb"))


def npz(path: Path, key: str) -> Rows:
    """The rows of the array `key` in an .npz archive. Raises StepFailed as `Rows`, and for an unknown key."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except Exception as error:
        hint = "numpy.savez writes such archives"
        raise StepFailed(f"{path.name} is not an .npz archive: {error}", hint=hint) from error
    if f"{key}.npy" not in members:
        near = did_you_mean(key, [name.removesuffix(".npy") for name in members])
        raise StepFailed(f"there is no array '{key}' in {path.name}", hint=near or "the archive is empty")

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as stream:
            yield stream

    return Rows(f"'{key}' in {path.name}", opened)


def checked(name: str, array: Any) -> np.ndarray:
    """`array` as a NumPy array [n, ...] of numbers; `name` is what errors call it. Raises StepFailed if it is none."""
    found: np.ndarray = np.asarray(array)
    _check(name, found.shape, found.dtype)
    return found


def _header(name: str, stream: IO[bytes]) -> tuple[tuple[int, ...], bool, Any]:
    """Shape, whether it is stored column by column, and type; the stream stands at the data then."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        version = np.lib.format.read_magic(stream)
        if version not in readers:  # only records with odd names are written so
            raise ValueError(f"format version {version[0]}.{version[1]}")
        shape, by_column, dtype = readers[version](stream)
    except (ValueError, SyntaxError, TokenError) as error:  # the header is read as Python
        hint = "numpy.save writes such files, numpy.savez such archives"
        raise StepFailed(f"{name} is not in NumPy's format: {error}", hint=hint) from error
    _check(name, shape, dtype)
    return shape, by_column, dtype


def _check(name: str, shape: tuple[int, ...], dtype: Any) -> None:
    if dtype.hasobject:
        hint = "such arrays can run code when they are read; store numbers: numpy.stack the samples, all of one shape"
        raise StepFailed(f"there are Python objects in {name}, not numbers", hint=hint)
    if dtype.kind not in "biuf":
        raise StepFailed(
            f"there is text or the like ({dtype}) in {name}, not numbers",
            hint="store integers or floating-point numbers",
        )
    if not shape:
        hint = "store an array whose first axis counts the samples"
        raise StepFailed(f"there is a single number in {name}, not a row for each sample", hint=hint)
    if 0 in shape:
        raise StepFailed(f"there is nothing in {name}: its shape is {list(shape)}", hint="store at least one sample")
