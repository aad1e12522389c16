"""The data set that lies beside a model: found by its file's name, looked into no further than its headers.

NumPy is not needed for that, and need not be installed.
"""

from __future__ import annotations

import ast
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from finnyaml.files import reading

INPUTS = ("x", "x_test", "inputs", "images", "data")
LABELS = ("y", "y_test", "labels", "targets")
HELD_OUT = ("test", "val")
"""Parts of the names of data that was kept from training."""

MAGIC = b"\x93NUMPY"
"""What a file with one array begins with."""

DATATYPES = {"u1": "UINT8", "i1": "INT8", "u2": "UINT16", "i2": "INT16", "f4": "FLOAT32", "f8": "FLOAT32"}
"""NumPy's types without the byte order, as QONNX calls them."""


@dataclass(frozen=True)
class Found:
    """A data set: `spec` as `verify.data` has it, `name` the file with the inputs, and what its header says of them.

    `shape` counts the samples first; `datatype` is QONNX's name, None where it has none.
    """

    spec: Mapping[str, str]
    name: str
    shape: tuple[int, ...]
    datatype: str | None


def find(folder: Path, shown: Callable[[Path], str]) -> Found | None:
    """The data set in a folder, if there is just one to test a network on; `shown` is how paths are named."""
    found = [item for item in (*_archives(folder, shown), *_pairs(folder, shown)) if item is not None]
    kept = [item for item in found if any(part in item.name.lower() for part in HELD_OUT)]
    candidates = kept or found
    return candidates[0] if len(candidates) == 1 else None


def _archives(folder: Path, shown: Callable[[Path], str]) -> Iterator[Found | None]:
    for file in sorted(folder.glob("*.npz")):
        try:
            with reading(file, follow=True) as opened, zipfile.ZipFile(opened) as archive:
                names = [name.removesuffix(".npy") for name in archive.namelist()]
                inputs, labels = _named(names, INPUTS), _named(names, LABELS)
                if inputs is None:
                    continue
                with archive.open(f"{inputs}.npy") as stream:
                    header = _header(stream)
        except (OSError, ValueError, zipfile.BadZipFile):
            continue
        spec = {"npz": shown(file), "inputs": inputs, **({"labels": labels} if labels else {})}
        yield _found(spec, file.name, header)


def _pairs(folder: Path, shown: Callable[[Path], str]) -> Iterator[Found | None]:
    files = {file.stem: file for file in folder.glob("*.npy")}
    inputs, labels = _named(files, INPUTS), _named(files, LABELS)
    if inputs is None:
        return
    spec = {"inputs": shown(files[inputs]), **({"labels": shown(files[labels])} if labels else {})}
    try:
        with reading(files[inputs], follow=True) as stream:
            yield _found(spec, files[inputs].name, _header(stream))
    except (OSError, ValueError):
        return


def _named(names: Collection[str], wanted: Collection[str]) -> str | None:
    return next((name for word in wanted for name in names if name.lower() == word), None)


def _found(spec: Mapping[str, str], name: str, header: tuple[str, tuple[int, ...]]) -> Found:
    kind, shape = header
    return Found(spec, name, shape, DATATYPES.get(kind.lstrip("<>|=")))


def _header(stream: IO[bytes]) -> tuple[str, tuple[int, ...]]:
    """Type and shape of an array in NumPy's file format. ValueError where it is none."""
    start = stream.read(8)
    if start[:6] != MAGIC:
        raise ValueError("not a .npy file")
    length = int.from_bytes(stream.read(2 if start[6] == 1 else 4), "little")
    header = ast.literal_eval(stream.read(length).decode("latin1"))
    return str(header["descr"]), tuple(header["shape"])
