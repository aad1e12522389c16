"""Whose code is at work: that of the recipe's author, that of FINN, or that of a library below them.

Libraries look at hundreds of variables and at files of the system for their own tuning. That is no matter of a step.
What a library looks at because the author's code called it is one.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

USER, STEPS = "user", "steps"
_LIBRARY, _STANDARD, _IMPORT, _OWN, _GENERATED = "library", "standard", "import", "own", "generated"

OWN = os.path.join(Path(__file__).resolve().parents[1], "")
"""The folder of finnyaml."""

_IMPORTS = f"{OWN}worker/imports.py"
"""It stands for `importlib.import_module`, so that who calls that asks."""

_PATHS = sysconfig.get_paths()
STANDARD = {_PATHS["stdlib"], _PATHS["platstdlib"]}
INSTALLED = {_PATHS["purelib"], _PATHS["platlib"], *site.getsitepackages(), site.getusersitepackages()}
ENVIRONMENTS = {
    os.path.join(prefix, name)
    for prefix in {sys.prefix, sys.base_prefix} - {"/usr", "/usr/local"}
    for name in ("bin", "etc", "include", "lib", "lib64", "share")
}
"""Folders of the standard library, of installed packages, and of all the rest that makes a Python."""


class Asker(NamedTuple):
    """`who` is `USER`, `STEPS`, or "" for everybody else; `library`: it is a library that asks, called by them.

    `importing`: a library asks while it is imported, which is its own affair.
    """

    who: str = ""
    library: bool = False
    importing: bool = False


class Askers:
    """Knows the folders of `steps` (FINN, QONNX), of plug-ins (`users`) and of what is a library beside (`libraries`).

    Code that is nowhere of these, nor of the installed Python, is the author's.
    """

    def __init__(self, steps: Iterable[Path], users: Iterable[Path] = (), libraries: Iterable[Path] = ()) -> None:
        kinds = {
            **dict.fromkeys(map(str, ENVIRONMENTS | INSTALLED), _LIBRARY),
            **dict.fromkeys(map(str, STANDARD), _STANDARD),
            **dict.fromkeys(map(str, INSTALLED), _LIBRARY),
            **dict.fromkeys(map(str, libraries), _LIBRARY),
            **dict.fromkeys(map(str, users), USER),
            **dict.fromkeys(map(str, steps), STEPS),
            OWN: _OWN,
        }
        self._folders = sorted(((folder.rstrip("/"), kind) for folder, kind in kinds.items()), key=_deepest_first)
        self._known: dict[str, str] = {}

    def of(self, frame: FrameType | None) -> Asker:
        """On whose behalf the code of this frame is running."""
        library = foreign = False
        while frame is not None:
            kind = self.kind(_file(frame))
            if kind in (USER, STEPS):
                return Asker(kind, library)
            if kind == _IMPORT and foreign:
                return Asker(importing=True)
            if kind == _OWN:
                break
            library |= kind == _LIBRARY
            foreign |= kind in (_LIBRARY, _STANDARD)
            frame = frame.f_back
        return Asker()

    def is_users(self, code: CodeType) -> bool:
        """Whether code is the author's, by the file that it is from."""
        return self.kind(code.co_filename) == USER

    def kind(self, file: str) -> str:
        """What sort of code is in a file, or a folder."""
        if file not in self._known:
            self._known[file] = self._look(file)
        return self._known[file]

    def _look(self, file: str) -> str:
        if file.startswith(("<frozen importlib", "<frozen zipimport")):
            return _IMPORT
        if file.startswith("<frozen"):
            return _STANDARD
        if file.startswith("<") or file == _IMPORTS:
            return _GENERATED
        return next((kind for folder, kind in self._folders if f"{file}/".startswith(f"{folder}/")), USER)


def _file(frame: FrameType) -> str:
    """The file of a frame's code; of code that was made from a text, that of the module in which it runs."""
    file = frame.f_code.co_filename
    if file.startswith("<") and not file.startswith("<frozen"):
        return str(frame.f_globals.get("__file__") or file)
    return file


def _deepest_first(item: tuple[str, str]) -> int:
    return -len(item[0])
