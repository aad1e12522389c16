"""Archives: the same bytes for the same content, whoever packs it, where and when."""

from __future__ import annotations

import gzip
import os
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

import numpy as np

EPOCH = 315532800
"""1980-01-01: the earliest time that all file systems and archives have."""
SCRIPTS = ".sh"


def write_bundle(folder: Path, names: Iterable[str]) -> Path:
    """Pack the files `names` of a bundle into `<folder>.tar.gz` beside it, below a folder of the bundle's name.

    It is written aside first, so that there is the old archive or the new one.
    """
    target = folder.with_name(f"{folder.name}.tar.gz")
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            _pack(file, folder, sorted(names))
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    return target


def _pack(file: IO[bytes], folder: Path, names: list[str]) -> None:
    with (  # without a file name and a time in the head of gzip
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in names:
            path = folder / name
            entry = tarfile.TarInfo(f"{folder.name}/{name}")
            entry.size = path.stat().st_size
            entry.mtime = EPOCH
            entry.mode = 0o755 if name.endswith(SCRIPTS) else 0o644
            with path.open("rb") as content:
                archive.addfile(entry, content)


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an .npz archive of arrays of any shape, compressed, in their order, without a time of their own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w", force_zip64=True) as target:
                plain = np.ascontiguousarray(array).reshape(np.shape(array))
                np.lib.format.write_array(target, plain, allow_pickle=False)
