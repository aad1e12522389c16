"""What a step reads while it runs: files, folders, environment variables, programs. Runs inside workers.

Python's audit events tell of every file that Python code opens and every process it starts. What a *subprocess*
reads is not seen; that is why the versions of tools are part of a trace, and why tools work inside the sandbox, whose
content is known. Native code that opens files by itself (onnxruntime given a path) is not seen either.
"""

from __future__ import annotations

import collections.abc
import contextlib
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

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
        "NUM_DEFAULT_WORKERS",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "JPY_PARENT_PID",
    ]
)
"""Variables that say where and how a build runs, not what it computes."""


@dataclass
class Reads:
    """Raw observations of one step; `engine.worker` turns them into a trace."""

    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    env: dict[str, str | None] = field(default_factory=dict)
    programs: dict[str, str | None] = field(default_factory=dict)
    """Program as it was called, to its resolved path."""


class Recorder:
    """Records into the `Reads` of the step that runs; one per process, since audit hooks cannot be removed.

    `steps` are the packages whose code is the steps (FINN, QONNX): of environment variables, only what they and the
    user's own code look at is recorded. Libraries below them look at hundreds, for their own tuning.
    """

    def __init__(self, steps: list[Path], ignore: list[Path]) -> None:
        libraries = {*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix}
        self._ignored = _prefixes({*SYSTEM, *libraries, *map(str, steps), *map(str, ignore)})
        self._libraries = _prefixes({*libraries, *map(str, ignore)})
        self._steps = _prefixes(map(str, steps))
        self._reads: Reads | None = None
        sys.addaudithook(self._hear)
        os.environ = _RecordingEnviron(os.environ, self)  # type: ignore[assignment]  # noqa: B003 - a view, not a copy

    @contextlib.contextmanager
    def recording(self) -> Iterator[Reads]:
        """Record everything that happens inside the `with` block."""
        self._reads = reads = Reads()
        try:
            yield reads
        finally:
            self._reads = None

    def read_env(self, name: str, value: str | None) -> None:
        """Note that somebody looked at an environment variable."""
        if self._reads is not None and name not in UNRECORDED_ENV and self._is_steps_code():
            self._reads.env.setdefault(name, value)

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
            if isinstance(path, (str, bytes)) and not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self._note(reads.files, path)
        elif event in ("os.listdir", "os.scandir"):
            if isinstance(arguments[0], (str, bytes)):
                self._note(reads.folders, arguments[0])
        elif event in ("subprocess.Popen", "os.posix_spawn", "os.exec"):
            program = os.fsdecode(arguments[0] if arguments[0] is not None else arguments[1][0])
            reads.programs.setdefault(os.path.basename(program), shutil.which(program))
        elif event == "os.system":
            reads.programs.setdefault("sh", shutil.which("sh"))

    def _note(self, where: set[str], path: str | bytes) -> None:
        absolute = os.path.abspath(os.fsdecode(path))
        if absolute.startswith(self._ignored) or "__pycache__" in absolute:
            return
        if sys._getframe(2).f_code.co_filename.startswith("<frozen importlib"):
            return  # looking for modules; those of the user are recorded by what was imported
        where.add(absolute)


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

    def __delitem__(self, name: str) -> None:
        del self._environ[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str):
            self._recorder.read_env(name, self._environ.get(name))
        return name in self._environ

    def copy(self) -> dict[str, str]:
        """A plain dictionary, as `os.environ.copy()` gives."""
        return self._environ.copy()
