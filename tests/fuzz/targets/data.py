"""Data sets in files: every form that `verify.data` takes, opened and read through."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from random import Random

import numpy as np

from finnyaml.errors import StepFailed
from finnyaml.verify.data.dataset import open_data
from tests.fuzz.mutation import damaged
from tests.fuzz.watch import watched

IMAGES = ("png", "jpg", "bmp", "gif", "pgm", "tif", "webp")
SHAPE = (6, 5, 4, 3)


class Data:
    """Small NumPy files and images; `kind` is the ending of the file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "data"
        self.seeds = {"npy": _npy(), "npz": _npz(), **{ending: _images(ending) for ending in IMAGES}}
        for kind, files in self.seeds.items():
            for data in files:
                self._look(self._place(kind, data))

    def mutated(self, kind: str, seed: bytes, chance: Random) -> bytes:
        return damaged(seed, chance)

    def check(self, kind: str, data: bytes) -> bool:
        """Whether the data is taken. A refusal is a `StepFailed` that names the file; anything else is a fault."""
        path = self._place(kind, data)
        with watched(str(self._folder)):
            try:
                self._look(path)
            except StepFailed as error:
                told = f"{error.message} {error.hint}"
                assert path.name in told, f"it does not name the file: {told}"
                return False
            return True

    def _place(self, kind: str, data: bytes) -> Path:
        path = self._folder / kind / f"samples.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def _look(self, path: Path) -> None:
        kind = path.suffix[1:]
        spec = {"kind": kind, "file": str(path), "limit": None, "shuffle": None}
        if kind == "npz":
            spec |= {"inputs_key": "x", "labels_key": "y"}
        elif kind == "npy":
            spec |= {"labels_file": None}
        else:
            spec |= {"kind": "images", "file": str(path.parent)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for batch in open_data(spec, Path, self._folder).batches(4):
                assert len(batch.inputs) == len(batch.index)


def _arrays() -> list[np.ndarray]:
    values = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    return [values.astype(np.uint8), values.astype(np.float32), np.asfortranarray(values.astype(np.int64)), values > 9]


def _npy() -> list[bytes]:
    return [_written(lambda file, array=array: np.save(file, array)) for array in _arrays()]


def _npz() -> list[bytes]:
    labels = np.arange(len(_arrays()[0]))
    savers = (np.savez, np.savez_compressed)
    return [_written(lambda file, s=save, a=array: s(file, x=a, y=labels)) for save in savers for array in _arrays()]


def _images(ending: str) -> list[bytes]:
    from PIL import Image

    colour = _arrays()[0][0]
    modes = (
        [Image.fromarray(colour[..., 0])]
        if ending == "pgm"
        else [Image.fromarray(colour[..., 0]), Image.fromarray(colour)]
    )
    names = {"jpg": "JPEG", "pgm": "PPM", "tif": "TIFF"}
    return [_written(lambda file, image=image: image.save(file, names.get(ending, ending.upper()))) for image in modes]


def _written(write: object) -> bytes:
    file = io.BytesIO()
    write(file)  # type: ignore[operator]
    return file.getvalue()
