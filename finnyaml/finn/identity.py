"""Which FINN is installed, found without importing it.

FINN is edited in place by many of its users, and a checkout keeps its version for months; so an installation is
identified by the content of its source files, not by its version alone.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from finnyaml.tools import probes

if TYPE_CHECKING:  # in workers, too: how keys are made is not a part of what a step runs
    from finnyaml.kinds.code import Memo, PutMemo

DISTRIBUTIONS = ("finn-plus", "finn")
SOURCE_PACKAGES = ("finn", "qonnx")
"""Packages whose code *is* the steps: hashed file by file."""
LIBRARIES = ("onnx", "numpy", "brevitas", "torch", "onnxruntime")
"""Packages that the steps stand on: their released version is enough."""

RACY = 2_000_000_000
"""So coarse (ns) may the times be that file systems give."""


@dataclass(frozen=True)
class Installation:
    """The FINN of this Python environment.

    `digest` is equal on two machines exactly when steps of this FINN do the same on both: it covers the sources of
    FINN and QONNX, the versions of `libraries` and of Python. `roots` are the folders of the hashed packages.
    """

    distribution: str
    version: str
    roots: Mapping[str, Path]
    libraries: Mapping[str, str]
    digest: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


def find(memo: Memo, put_memo: PutMemo) -> Installation | None:
    """The installed FINN, or None. `memo` and `put_memo` keep content digests between runs (`Store.memo`)."""
    roots = _roots()
    if len(roots) < len(SOURCE_PACKAGES):
        return None
    distribution, version = distribution_of_finn()
    libraries = versions()
    parts = {package: tree_digest(root, memo, put_memo) for package, root in roots.items()}
    digest = hashlib.sha256(json.dumps([distribution, parts, libraries], sort_keys=True).encode()).hexdigest()
    return Installation(distribution, version, roots, libraries, digest)


def package_root(package: str) -> Path | None:
    """The folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))).resolve()


def folders() -> dict[str, Path]:
    """The folders of this machine that generated files name, each by what stands for it in the store."""
    dependencies = probes.dependencies(os.environ)
    return _roots() if dependencies is None else {**_roots(), "finn_deps": dependencies}


def _roots() -> dict[str, Path]:
    return {name: root for name in SOURCE_PACKAGES if (root := package_root(name)) is not None}


def tree_digest(root: Path, memo: Memo, put_memo: PutMemo) -> str:
    """Digest of all files below `root` by relative path and content.

    Reading some 600 files takes long enough to notice; so the digest is remembered under a fingerprint of their sizes,
    times and inodes, as git does for its index. Files that have just changed may do so again without a new time, so
    then nothing is remembered.
    """
    settled = time.time_ns() - RACY
    listing = sorted(_files(str(root), "", ()))
    fingerprint = hashlib.sha256(repr((str(root), listing)).encode()).hexdigest()
    known = memo(f"tree-{fingerprint}")
    if known is not None:
        return str(known["digest"])
    digest = hashlib.sha256()
    for relative, *_ in listing:
        content = hashlib.sha256((root / relative).read_bytes()).hexdigest()
        digest.update(f"{relative}\0{content}\n".encode())
    if all(changed < settled for *_, changed, _ in listing):
        put_memo(f"tree-{fingerprint}", {"digest": digest.hexdigest()})
    return digest.hexdigest()


def _files(folder: str, prefix: str, above: tuple[str, ...]) -> Iterator[tuple[str, int, int, int, int]]:
    """Name, size, times and inode of each. Whoever writes in place can set the first time, but not the second."""
    real = os.path.realpath(folder)
    if real in above:
        return  # a link that would never end
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name == "__pycache__" or entry.name.endswith(".pyc"):
                continue
            if entry.is_dir():
                yield from _files(entry.path, f"{prefix}{entry.name}/", (*above, real))
            elif entry.is_file():
                stat = entry.stat()
                yield f"{prefix}{entry.name}", stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def versions() -> dict[str, str]:
    """The versions, by name, of what the steps stand on: `LIBRARIES` and Python."""
    found = {name: version for name in LIBRARIES if (version := _version(name)) is not None}
    return {**found, "python": ".".join(platform.python_version_tuple()[:2])}


def distribution_of_finn() -> tuple[str, str]:
    """Name and version of the distribution that brought FINN."""
    installed = ((name, version) for name in DISTRIBUTIONS if (version := _version(name)) is not None)
    return next(installed, ("finn", "unknown version"))


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name).partition("+")[0]  # +cpu, +cu130: the same source
    except importlib.metadata.PackageNotFoundError:
        return None
