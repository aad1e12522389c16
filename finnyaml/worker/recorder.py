"""What a step reads while it runs: files, folders, environment variables, programs. Runs inside workers.

Python's audit events tell of every file that Python code opens and every process it starts. What a *subprocess*
reads is not seen; that is why the versions of tools are part of a trace, and why tools work inside the sandbox, whose
content is known. Native code that opens files by itself (onnxruntime given a path) is not seen either, nor is code that
only asks whether a file exists.
"""

from __future__ import annotations

import collections.abc
import contextlib
import importlib.machinery
import importlib.util
import linecache
import os
import runpy
import shutil
import sys
import sysconfig
import tokenize
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr", "/lib", "/bin", "/opt/Xilinx", "/tools/Xilinx")
"""The machine, not the experiment: tools from here are recorded by their version."""

UNRECORDED_ENV = frozenset(
    [
        "FINN_BUILD_DIR",
        "FINN_ROOT",
        "TMPDIR",
        "TEMP",
        "TMP",
        "HOME",
        "PATH",
        "PWD",
        "OLDPWD",
        "USER",
        "LOGNAME",
        "SHELL",
        "TERM",
        "COLUMNS",
        "LINES",
        "LANG",
        "LANGUAGE",
        "LC_ALL",
        "LC_CTYPE",
        "NO_COLOR",
        "FORCE_COLOR",
        "COLORTERM",
        "DISPLAY",
        "XDG_RUNTIME_DIR",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XILINXD_LICENSE_FILE",
        "LM_LICENSE_FILE",
        "XILINX_VIVADO",
        "XILINX_HLS",
        "XILINX_VITIS",
        "XILINX_XRT",
        "PLATFORM_REPO_PATHS",
        "LD_LIBRARY_PATH",
        "FINN_TOOL_DIR_OVERRIDE",
        "FINN_DEPS",
        "FINN_RTLLIB",
        "FINN_CUSTOM_HLS",
        "NUM_DEFAULT_WORKERS",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "JPY_PARENT_PID",
    ]
)
"""Variables that say where and how a build runs, not what it computes. What tools do depends on their versions."""


@dataclass
class Reads:
    """Raw observations of one step; the worker turns them into a trace."""

    files: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    """Python sources that were loaded to be run, by whatever loader, those of installed packages among them."""
    folders: set[str] = field(default_factory=set)
    env: dict[str, str | None] = field(default_factory=dict)
    programs: dict[str, str | None] = field(default_factory=dict)
    """Program as it was called, to its resolved path."""
    heard: set[str] = field(default_factory=set)
    """Files and folders that Python code opened, or listed, whatever for."""
    looks: set[str] = field(default_factory=set)
    """What was asked for and not opened: whether it exists, what it is, how large."""
    links: set[str] = field(default_factory=set)
    """What was asked for without following links."""
    unseen: set[str] = field(default_factory=set)
    """What was read in a way that nobody sees, in words."""


class Recorder:
    """Records into the `Reads` of the step that runs; one per process, since audit hooks cannot be removed.

    `steps` are the packages whose code is the steps (FINN, QONNX, plug-ins): of environment variables, only what they
    and the user's own code look at is recorded. Libraries below them look at hundreds, for their own tuning.
    """

    def __init__(self, steps: list[Path], ignore: list[Path]) -> None:
        libraries = {*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix}
        self._ignored = _prefixes({*SYSTEM, *libraries, *map(str, steps), *map(str, ignore)})
        self._libraries = _prefixes({*libraries, *map(str, ignore)})
        self._steps = _prefixes(map(str, steps))
        self._reads: Reads | None = None
        self._project = ""
        self._written: set[str] = set()
        self._kept: set[str] = set()
        self._base: FrameType | None = None
        sys.addaudithook(self._hear)
        os.environ = _RecordingEnviron(os.environ, self)  # type: ignore[assignment]  # noqa: B003 - a view, not a copy

    @contextlib.contextmanager
    def recording(self, project: Path | None = None) -> Iterator[Reads]:
        """Record everything that happens inside the `with` block.

        Files below `project` count wherever it lies (`/usr/src/app`, say), but not those of an environment inside it.
        """
        self._reads = reads = Reads(sources=set(self._kept))
        self._project = os.path.join(project, "") if project else ""
        self._base = sys._getframe(2)
        try:
            yield reads
        finally:
            self._reads = self._base = None

    @contextlib.contextmanager
    def environment_undone(self) -> Iterator[None]:
        """Take back what happens to environment variables inside the `with` block: the next task must not see it."""
        before, written = os.environ.copy(), set(self._written)
        try:
            yield
        finally:
            for name in os.environ.copy().keys() - before.keys():
                del os.environ[name]
            os.environ.update(before)
            self._written = written

    def read_env(self, name: str, value: str | None) -> None:
        """Note that somebody looked at an environment variable, unless this process set it itself."""
        if self._reads is None or name in UNRECORDED_ENV or name in self._written:
            return
        if self._is_steps_code():
            self._reads.env.setdefault(name, value)

    def wrote_env(self, name: str) -> None:
        """Note that this process gives an environment variable its value from now on."""
        self._written.add(name)

    def _is_steps_code(self) -> bool:
        """Whether the code that is looking is FINN's or the user's, not a library's."""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and frame.f_code.co_filename.startswith(_PLUMBING):
            frame = frame.f_back
        if frame is None:
            return False
        file = frame.f_code.co_filename
        return file.startswith(self._steps) or not file.startswith((*self._libraries, "<frozen"))

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        reads = self._reads
        if reads is None:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, (str, bytes, os.PathLike)) and not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self._note(reads.files, path)
        elif event in ("os.listdir", "os.scandir"):
            folder = "." if arguments[0] is None else arguments[0]
            if isinstance(folder, (str, bytes, os.PathLike)):
                self._note(reads.folders, folder)
        elif event in ("subprocess.Popen", "os.posix_spawn", "os.exec"):
            program = os.fsdecode(arguments[0] if arguments[0] is not None else arguments[1][0])
            reads.programs.setdefault(os.path.basename(program), shutil.which(program))
        elif event == "os.system":
            reads.programs.setdefault("sh", shutil.which("sh"))

    def _note(self, where: set[str], path: str | bytes | os.PathLike[Any]) -> None:
        place = absolute(os.fsdecode(path))
        if self._reads is not None:
            self._reads.heard.add(place)
        if self._is_ignored(os.path.join(place, "")):
            return
        frame = sys._getframe(2)
        if _loads(frame) and place.endswith(MODULES):
            source = source_of(place)
            if source is not None and self._reads is not None:
                self._reads.sources.add(source)
                if self._by_package(frame):
                    self._kept.add(source)
        elif "__pycache__" not in place and not (_looks_for_modules(frame) and os.path.isdir(place)):
            where.add(place)

    def _by_package(self, frame: FrameType | None) -> bool:
        """Whether an installed package takes part in loading a source.

        It stays imported, and may keep what it loaded; a later task then uses it without any file being read.
        """
        while frame is not None and frame is not self._base:
            file = frame.f_code.co_filename
            if not file.startswith(_OWN) and (file.startswith(self._steps) or _PACKAGES & {*file.split(os.sep)}):
                return True
            frame = frame.f_back
        return False

    def _is_ignored(self, path: str) -> bool:
        """The most specific folder decides: the project, or one of those that are not looked at."""
        ignored = max((len(folder) for folder in self._ignored if path.startswith(folder)), default=0)
        return ignored > (len(self._project) if self._project and path.startswith(self._project) else 0)


_IMPORTERS = ("<frozen importlib", os.path.join(os.path.dirname(importlib.__file__), ""))
_RUNNERS = ("<frozen importlib", "<frozen runpy", runpy.__file__, "<frozen zipimport")
MODULES = tuple(importlib.machinery.all_suffixes())
EXTENSIONS = tuple(importlib.machinery.EXTENSION_SUFFIXES)
_PACKAGES = frozenset(("site-packages", "dist-packages"))
_OWN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")


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


_PLUMBING = (__file__, os.__file__, collections.abc.__file__, "<frozen os>", "<frozen _collections_abc>")
"""Code between the one who asks for a variable and `os.environ`."""


def _prefixes(folders: Iterable[str]) -> tuple[str, ...]:
    return tuple(os.path.join(folder, "") for folder in folders)


class _RecordingEnviron(MutableMapping[str, str]):
    """`os.environ` that tells the recorder which variables are looked at one by one.

    `copy()` is how code passes the environment on to a subprocess: that is not a look at every variable.
    """

    def __init__(self, environ: os._Environ[str], recorder: Recorder) -> None:
        self._environ = environ
        self._recorder = recorder

    def __getitem__(self, name: str) -> str:
        self._recorder.read_env(name, self._environ.get(name))
        return self._environ[name]

    def __setitem__(self, name: str, value: str) -> None:
        self._environ[name] = value
        self._recorder.wrote_env(name)

    def __delitem__(self, name: str) -> None:
        del self._environ[name]
        self._recorder.wrote_env(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str):
            self._recorder.read_env(name, self._environ.get(name))
        return name in self._environ

    def __or__(self, other: Mapping[str, str]) -> dict[str, str]:
        return self._environ.copy() | dict(other)

    def __ror__(self, other: Mapping[str, str]) -> dict[str, str]:
        return dict(other) | self._environ.copy()

    def __ior__(self, other: Mapping[str, str]) -> Self:
        self.update(other)
        return self

    def copy(self) -> dict[str, str]:
        """A plain dictionary, as `os.environ.copy()` gives."""
        return self._environ.copy()
