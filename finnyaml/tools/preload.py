"""The library that tells what programs read (`native/reads.c`): compiled once, tried, and preloaded into workers.

The C compiler at hand makes it. Where there is none, or where the library does not work, recording is left to Python,
which sees its own process only.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from finnyaml.files import make_folder
from finnyaml.tools.listen import FOLDER, Listener

SOURCE = Path(__file__).with_name("native") / "reads.c"
COMPILERS = ("cc", "gcc", "clang")
OPTIONS = ("-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-w", "-U_FORTIFY_SOURCE")
LIBRARIES = ("-ldl", "-pthread")

SPLIT = frozenset(" :$")
"""What LD_PRELOAD cannot have in a path: it ends one, or is replaced."""

TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - a folder of our own below them


class Unavailable(Exception):
    """Why there is no such library on this machine."""


def library(cache: Path, path: str | None = None) -> Path:
    """The library, from `cache` where it has been made before, by a path that can be preloaded.

    The compiler is looked for in `path`, else in $PATH.

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
            make_folder(kept.parent)
            with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
                made = _compiled(compiler, Path(folder))
                named = _loadable(made)
                try:
                    _try(named, Path(folder))
                finally:
                    if named != made:
                        named.unlink()
                made.chmod(0o755)  # a store may be shared, and a umask strict
                os.replace(made, kept)
        except OSError as error:
            raise Unavailable(f"it could not be made: {error}") from error
    return _loadable(kept)


def _loadable(made: Path) -> Path:
    """A path of the library that LD_PRELOAD can have: its own, or a link in a folder that only this user can use."""
    if not SPLIT & set(str(made)):
        return made
    folders = (Path(folder, f"finnyaml-{os.getuid()}") for folder in (tempfile.gettempdir(), *TEMPORARY))
    folder = next((folder for folder in folders if not SPLIT & set(str(folder)) and _is_ours(folder)), None)
    if folder is None:
        raise Unavailable(f"a library cannot be preloaded from {made.parent}, and there is no folder for a link to it")
    link = folder / f"{hashlib.sha256(os.fsencode(made)).hexdigest()[:32]}.so"
    try:
        if not os.path.islink(link) or os.readlink(link) != str(made):
            with tempfile.TemporaryDirectory(dir=folder) as aside:
                os.symlink(made, Path(aside, "link"))
                os.replace(Path(aside, "link"), link)
    except OSError as error:
        raise Unavailable(f"there cannot be a link to it in {folder}: {error}") from error
    return link


def _is_ours(folder: Path) -> bool:
    """Whether only this user can write there; the folder is made where it is missing."""
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700)
    try:
        status = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077


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
