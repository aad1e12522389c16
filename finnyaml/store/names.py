"""Names for files in traces and jobs that mean the same on another machine.

`@recipe/x` is relative to the recipe's folder (`@recipe/../x` too), `@inputs/x` a staged input, `@tree/x` a file that
an earlier task left, `@python/x` a file of the Python environment. Anything else is an absolute path, and does depend
on the machine.
"""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PYTHON = sysconfig.get_paths()["purelib"]


class Names:
    """Translates between absolute paths of this machine and names that travel."""

    def __init__(self, sandbox: Path | None, recipe_dir: Path) -> None:
        self._sandbox = os.path.join(sandbox, "") if sandbox else None
        self._recipe = str(recipe_dir)
        self._real = os.path.realpath(recipe_dir)

    def inside(self, path: str) -> str | None:
        """`path` relative to the sandbox; None where it is outside."""
        if self._sandbox and path.startswith(self._sandbox):
            return path[len(self._sandbox) :]
        return None

    def is_above(self, path: str) -> bool:
        """Whether the recipe's folder is here or below; so there is a folder here, whatever else changes."""
        return any(f"{folder}/".startswith(os.path.join(path, "")) for folder in (self._recipe, self._real))

    def hide(self, path: str | Path) -> str:
        """The name of an absolute path outside the sandbox; that of a staged input is its path already."""
        path = str(path)
        if path.startswith("@inputs/"):
            return path
        if ".." in path.split(os.sep):  # `link/..` is not always where `link` is
            path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        if path.startswith(os.path.join(_PYTHON, "")):
            return f"@python/{os.path.relpath(path, _PYTHON)}"
        # Both names of the recipe's folder, where a link leads to it: Python names imported files by the real one.
        for folder in (self._recipe, self._real):
            if os.path.commonpath([path, folder]) == folder:
                return f"@recipe/{os.path.relpath(path, folder)}"
        common = os.path.commonpath([path, self._real])
        if common in (os.sep, os.path.expanduser("~"), "/home", "/tmp"):  # noqa: S108 - compared, not used
            return path
        return f"@recipe/{os.path.relpath(path, self._real)}"

    def path(self, name: str) -> Path:
        """The file that a name stands for, on this machine."""
        if name.startswith("@recipe/"):
            folder = self._real if name.startswith("@recipe/../") else self._recipe
            return Path(os.path.normpath(os.path.join(folder, name.removeprefix("@recipe/"))))
        if name.startswith("@python/"):
            return Path(_PYTHON, name.removeprefix("@python/"))
        if name.startswith("@inputs/") and self._sandbox:
            return Path(self._sandbox, name.removeprefix("@"))
        if name.startswith("@tree/") and self._sandbox:
            return Path(self._sandbox, name.removeprefix("@tree/"))
        return Path(name)

    def reveal(self, value: Any) -> Any:
        """`value` with every `@inputs/...` and `@tree/...` string in it made a path."""
        if isinstance(value, str) and value.startswith(("@inputs/", "@tree/")):
            return str(self.path(value))
        if isinstance(value, Mapping):
            return {key: self.reveal(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.reveal(item) for item in value]
        return value
