"""What a step reads while it runs: files, folders, environment variables, imports, programs. Runs inside workers.

Python's audit events tell of every file that Python code opens and every process it starts, and why. What they do not
tell of (native code, other processes, questions whether a file exists) comes from `finnyaml.worker.told`.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import linecache
import os
import runpy
import shutil
import sys
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from finnyaml.worker.askers import ENVIRONMENTS, INSTALLED, OWN, STANDARD, USER, Askers
from finnyaml.worker.imports import Imports
from finnyaml.worker.variables import Variables

MACHINE = ("/proc", "/sys", "/dev", "/lib", "/lib64", "/bin", "/opt/Xilinx", "/tools/Xilinx")
"""The machine, not the experiment: tools from here are recorded by their version."""

SYSTEM = ("/etc", "/usr", "/dev/shm")  # noqa: S108 - compared, not used
"""May hold data of the recipe's author; what FINN and libraries look at there is the machine's."""


@dataclass
class Reads:
    """Raw observations of one step; the worker turns them into a trace."""

    files: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    """Python sources that were loaded to be run, by whatever loader, those of installed packages among them."""
    folders: set[str] = field(default_factory=set)
    env: dict[str, str | None] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    """Of variables that were looked at all together their digest, by how their names begin; "" for all that exist."""
    modules: dict[str, str | None] = field(default_factory=dict)
    """Places (`folder/name`) where a module was looked for, and in which form it is there."""
    packages: set[str] = field(default_factory=set)
    """Installed packages that the author's code imports: names of distributions, or places."""
    programs: dict[str, str | None] = field(default_factory=dict)
    """Program as it was called, to its resolved path."""
    heard: set[tuple[str, str]] = field(default_factory=set)
    """What Python code opened ("r") or listed ("d"), whatever for."""
    looks: set[str] = field(default_factory=set)
    """What was asked for and not opened: whether it exists, what it is, how large."""
    links: set[str] = field(default_factory=set)
    """What was asked for without following links."""
    made: set[str] = field(default_factory=set)
    """What the step itself made, emptied or removed."""
    unseen: set[str] = field(default_factory=set)
    """What was read in a way that nobody sees, in words."""


class Recorder:
    """Records into the `Reads` of the step that runs; one per process, since audit hooks cannot be removed.

    `steps` are the packages that are FINN's, `plugins` those of plug-ins: their code is in the keys of tasks already.
    A plug-in is looked at as the author's code is.
    """

    def __init__(self, steps: list[Path], ignore: list[Path], plugins: Sequence[Path] = ()) -> None:
        self._ignored = _prefixes({*MACHINE, *STANDARD, *ENVIRONMENTS, *map(str, (*steps, *plugins, *ignore))})
        self._system, self._installed = _prefixes(SYSTEM), _prefixes(INSTALLED)
        self._packaged = _prefixes(map(str, (*steps, *plugins)))
        self._askers = Askers(steps, plugins, ignore)
        self._variables = Variables(self._askers)
        self._imports = Imports(self._askers, plugins)
        self._reads: Reads | None = None
        self._project = ""
        self._known: tuple[str, ...] = ()
        self._kept: set[str] = set()
        self._base: FrameType | None = None
        sys.addaudithook(self._hear)

    @contextlib.contextmanager
    def recording(self, project: Path | None = None) -> Iterator[Reads]:
        """Record everything that happens inside the `with` block.

        Files below `project` count wherever it lies (`/usr/src/app`, say), but not those of an environment inside it.
        """
        reads = Reads(sources=set(self._kept))
        self._project = os.path.join(project, "") if project else ""
        self._known = (*self._ignored, *self._system, *self._installed, *((self._project,) if project else ()))
        self._base = sys._getframe(2)
        self._variables.begin(reads)
        self._imports.begin(reads)
        self._reads = reads
        try:
            yield reads
            self._reads = None
            reads.packages = self._imports.packages()
        finally:
            self._reads = self._base = None
            self._variables.begin(None)
            self._imports.begin(None)

    @contextlib.contextmanager
    def environment_undone(self) -> Iterator[None]:
        """Take back what happens to environment variables inside the `with` block: the next task must not see it."""
        before, written = os.environ.copy(), set(self._variables.written)
        try:
            yield
        finally:
            for name in os.environ.copy().keys() - before.keys():
                del os.environ[name]
            os.environ.update(before)
            self._variables.written = written

    def variable_seen(self, reads: Reads, name: str) -> None:
        """Somebody looked at a variable without Python: native code that works for the author's, or a child of it."""
        self._variables.look(reads, name)

    def environment_seen(self, reads: Reads) -> None:
        """Somebody did so, in the same way, and may have looked at all of them."""
        self._variables.look_at_all(reads)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        reads = self._reads
        if reads is None:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, (str, bytes, os.PathLike)) and not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self._note("r", reads.files, path)
        elif event in ("os.listdir", "os.scandir"):
            folder = "." if arguments[0] is None else arguments[0]
            if isinstance(folder, (str, bytes, os.PathLike)):
                self._note("d", reads.folders, folder)
        elif event == "exec":
            self._imports.executed(arguments[0])
        elif event in ("subprocess.Popen", "os.posix_spawn", "os.exec"):
            program = os.fsdecode(arguments[0] if arguments[0] is not None else arguments[1][0])
            reads.programs.setdefault(os.path.basename(program), shutil.which(program))
            if arguments[-1] is None:
                self._inherits_environment(sys._getframe(1))
        elif event == "os.system":
            reads.programs.setdefault("sh", shutil.which("sh"))
            self._inherits_environment(sys._getframe(1))
        elif event in ("os.fork", "os.forkpty"):
            self._inherits_environment(sys._getframe(1))

    def _inherits_environment(self, frame: FrameType) -> None:
        """A process is started with the whole environment; what it looks at there is not known."""
        if self._reads is not None and self._askers.of(frame).who == USER:
            self.environment_seen(self._reads)

    def _note(self, how: str, where: set[str], path: str | bytes | os.PathLike[Any]) -> None:
        place = absolute(os.fsdecode(path))
        if self._reads is not None:
            self._reads.heard.add((how, place))
        folder = self._most_specific(os.path.join(place, ""))
        if folder in self._ignored:
            return
        frame = sys._getframe(2)
        if _loads(frame) and place.endswith(MODULES):
            source = source_of(place)
            if source is not None and self._reads is not None and folder not in self._installed:
                self._reads.sources.add(source)
                if self._by_package(frame):
                    self._kept.add(source)
        elif (
            "__pycache__" not in place
            and not (_looks_for_modules(frame) and os.path.isdir(place))
            and self._counts(folder, frame)
        ):
            where.add(place)

    def _counts(self, folder: str, frame: FrameType) -> bool:
        """Whether what is below a folder is data to the one who looks there."""
        if folder and folder == self._project:
            return True
        asker = self._askers.of(frame)
        if folder in self._installed:
            return asker.who == USER and not asker.library
        return not asker.importing and (folder not in self._system or asker.who == USER)

    def _by_package(self, frame: FrameType | None) -> bool:
        """Whether an installed package takes part in loading a source.

        It stays imported, and may keep what it loaded; a later task then uses it without any file being read.
        """
        while frame is not None and frame is not self._base:
            file = frame.f_code.co_filename
            if not file.startswith(OWN) and (file.startswith(self._packaged) or _PACKAGES & {*file.split(os.sep)}):
                return True
            frame = frame.f_back
        return False

    def _most_specific(self, path: str) -> str:
        """The innermost folder around `path` of which we know whether it is looked at: the project, or another."""
        return max((folder for folder in self._known if path.startswith(folder)), key=len, default="")


_IMPORTERS = ("<frozen importlib", os.path.join(os.path.dirname(importlib.__file__), ""))
_RUNNERS = ("<frozen importlib", "<frozen runpy", runpy.__file__, "<frozen zipimport")
MODULES = tuple(importlib.machinery.all_suffixes())
EXTENSIONS = tuple(importlib.machinery.EXTENSION_SUFFIXES)
_PACKAGES = frozenset(("site-packages", "dist-packages"))


def _loads(frame: FrameType) -> bool:
    """Whether this code opens a file in order to run it or to show lines of it, and not as data."""
    file, caller = frame.f_code.co_filename, frame.f_back.f_code.co_filename if frame.f_back else ""
    if file == tokenize.__file__:
        return caller == linecache.__file__  # for tracebacks, warnings and `inspect`: what they want is code
    if frame.f_code.co_name == "get_data":  # pkgutil.get_data takes this way as well
        return file.startswith(_RUNNERS) and caller.startswith(_RUNNERS)
    return file.startswith(_RUNNERS)


def _looks_for_modules(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_IMPORTERS)


def source_of(path: str) -> str | None:
    """The source of a module's file, also where only what was compiled from it is read; None where it has none."""
    if path.endswith(tuple(importlib.machinery.SOURCE_SUFFIXES)):
        return path
    try:
        source = importlib.util.source_from_cache(path)
    except ValueError:
        return path if path.endswith(tuple(importlib.machinery.BYTECODE_SUFFIXES)) else None
    return source if os.path.exists(source) else path


def absolute(path: str) -> str:
    """The absolute path, tidied; `link/..` is not always where `link` is, so links are followed where that matters."""
    tidy = os.path.abspath(path)
    if ".." in path and os.path.realpath(tidy) != os.path.realpath(path):
        return os.path.realpath(path)
    return tidy


def _prefixes(folders: Iterable[str]) -> tuple[str, ...]:
    return tuple(os.path.join(folder, "") for folder in folders)
