"""The library that tells what programs read (`native/reads.c`): compiled once, tried, and preloaded into workers.

The C compiler at hand makes it. Where there is none, or where the library does not work, recording is left to Python,
which sees its own process only.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from finnyaml.tools.listen import FOLDER, Listener

SOURCE = Path(__file__).with_name("native") / "reads.c"
COMPILERS = ("cc", "gcc", "clang")
OPTIONS = ("-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-w", "-U_FORTIFY_SOURCE")
LIBRARIES = ("-ldl", "-pthread")


class Unavailable(Exception):
    """Why there is no such library on this machine."""


def library(cache: Path, path: str | None = None) -> Path:
    """The library, from `cache` where it has been made before. The compiler is looked for in `path`, else in $PATH.

    Raises:
        Unavailable: there is no compiler, it fails, or what it makes does not work.
    """
    compiler = next((found for name in COMPILERS if (found := shutil.which(name, path=path))), None)
    if compiler is None:
        raise Unavailable("there is no C compiler (cc, gcc or clang)")
    status = os.stat(compiler)
    parts = [SOURCE.read_text(), *OPTIONS, os.path.realpath(compiler), status.st_size, status.st_mtime_ns]
    digest = hashlib.sha256(repr([*parts, platform.machine(), os.confstr("CS_GNU_LIBC_VERSION")]).encode()).hexdigest()
    kept = cache / "reads" / f"{digest[:32]}.so"
    if not kept.exists():
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
                made = _compiled(compiler, Path(folder))
                _try(made, Path(folder))
                os.replace(made, kept)
        except OSError as error:
            raise Unavailable(f"it could not be made: {error}") from error
    return kept


def environment(environ: Mapping[str, str], cache: Path, folder: Path) -> dict[str, str]:
    """The variables that make a process, and all that it starts, tell into `folder`; none where that cannot be."""
    try:
        made = library(cache)
    except Unavailable:
        return {}
    before = environ.get("LD_PRELOAD")
    return {"LD_PRELOAD": f"{made}:{before}" if before else str(made), FOLDER: str(folder)}


def _compiled(compiler: str, folder: Path) -> Path:
    made = folder / "reads.so"
    command = [compiler, *OPTIONS, "-o", str(made), str(SOURCE), *LIBRARIES]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Unavailable(f"{compiler} could not compile it: {lines[0]}")
    return made


def _try(made: Path, folder: Path) -> None:
    """Let a program look for a file, and see whether that is told."""
    listener = Listener(folder / "told")
    listener.begin([])
    program = "import os, sys; os.path.exists(sys.argv[1])"
    variables = {"LD_PRELOAD": str(made), FOLDER: str(listener.folder)}
    asked = str(folder / "asked")
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, asked],
        env={**os.environ, **variables},
        capture_output=True,
        check=False,
    )
    events, lost = listener.end()
    if lost or not any(event.what == "s" and event.path == asked for event in events):
        raise Unavailable("a program that it was loaded into told nothing")
