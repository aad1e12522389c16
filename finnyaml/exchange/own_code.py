"""The user's functions in a script: how a recipe names them, and the modules that are written where it cannot yet."""

from __future__ import annotations

import ast
import keyword
import tokenize
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnyaml.exchange import extract

Noted = Mapping[str, Any]
"""A step as the script's process has noted it (`inside.py`)."""

TO_MOVE = '"""Steps that `finnyaml import` could not take out of a script: they have to be moved here by hand."""\n'


@dataclass(frozen=True)
class Named:
    """How a recipe names a function (`path.py:function`); or None, and why it cannot."""

    uses: str | None
    reason: str = ""


class OwnCode:
    """The functions of one script and of the modules beside it.

    `missing` are names that are not installed here; `taken` names of files that are the user's own. `files` has what is
    to be written beside the recipe, by name.
    """

    def __init__(self, script: Path, missing: Sequence[str], taken: Sequence[str]) -> None:
        self.files: dict[str, str] = {}
        self.notes: list[str] = []
        self._script, self._missing, self._taken = script, tuple(missing), taken

    def names(self, steps: Iterable[Noted], values: Mapping[str, str]) -> dict[int, Named]:
        """By `id` of each step that is a function of the user's. `values` has the global values of the script."""
        by_file: dict[str, list[Noted]] = {}
        for step in steps:
            if step["kind"] == "function" and step["users"]:
                by_file.setdefault(step["file"], []).append(step)
        found: dict[int, Named] = {}
        for file, listed in by_file.items():
            source = _source(Path(file))
            known = values if Path(file) == self._script else listed[0]["globals"]
            apart = [step for step in listed if not self._can_be_imported(step, source, known)]
            found |= {id(step): Named(f"{file}:{step['name']}") for step in listed if step not in apart}
            found |= self._taken_out(Path(file), source, apart, values)
            self._note_local_files(listed)
        return found

    def unmovable(self, name: str, reason: str) -> str:
        """A function that stands for one that has to be moved by hand, and says so when it is run."""
        word = "".join(letter if letter.isalnum() else "_" for letter in name).strip("_") or "step"
        word = word if word[0].isalpha() and not keyword.iskeyword(word) else f"step_{word}"
        file = self._free("to_move.py")
        text = self.files.get(file, TO_MOVE)
        if f"def {word}(" not in text:
            text += f"\n\ndef {word}(model, cfg):\n    raise NotImplementedError({reason!r})\n"
        self.files[file] = text
        return f"{file}:{word}"

    def _can_be_imported(self, step: Noted, source: str, values: Mapping[str, str]) -> bool:
        """Whether a recipe can name the function where it is: importing its file runs nothing but definitions.

        `values` are those that the names of the file had when the build was started: the import has to give the same.
        """
        if not step["importable"] or any(_imports(source, name) for name in self._missing):
            return False
        if not extract.unchanged(source, step["line"], values):
            return False
        if Path(step["file"]) != self._script:
            return True
        bound = extract.runs_nothing(source)
        return bound is not None and extract.needed(source, step["line"]) <= bound

    def _taken_out(
        self, file: Path, source: str, steps: Sequence[Noted], values: Mapping[str, str]
    ) -> dict[int, Named]:
        found: dict[int, Named] = {}
        wanted: dict[int, extract.Wanted] = {}
        for step in steps:
            if step["strange"]:
                objects = ", ".join(step["strange"])
                found[id(step)] = Named(None, f"its closure holds objects that cannot be written down: {objects}")
            elif step["wrapped"]:
                found[id(step)] = Named(None, "it is wrapped by a decorator or another function")
            else:
                wanted[id(step)] = _wanted(step, list(wanted.values()))
        if not wanted:
            return found
        main = file == self._script
        known = values if main else steps[0]["globals"]
        made = extract.extract(source, list(dict.fromkeys(wanted.values())), known, self._missing)
        if len(made.failed) < len(set(wanted.values())):
            text = f'"""Steps of {file.name}, extracted by `finnyaml import`."""\n\n{made.text}'
            name = self._put("steps" if main else f"{file.stem}_steps", text)
            self.notes.append(f"{name} has the steps of {file.name}: importing that file would run more than them")
        for key, item in wanted.items():
            reason = made.failed.get(item.name)
            found[key] = Named(None, reason) if reason else Named(f"{name}:{item.name}")
        return found

    def _put(self, stem: str, text: str) -> str:
        """Keep a module under a name that no other has: another build of the script may need other values."""
        name, number = self._free(f"{stem}.py"), 1
        while self.files.get(name, text) != text:
            number += 1
            name = self._free(f"{stem}_{number}.py")
        self.files[name] = text
        return name

    def _free(self, name: str) -> str:
        return f"imported_{name}" if name in self._taken else name

    def _note_local_files(self, steps: Sequence[Noted]) -> None:
        """Files that steps name relative to the current folder: a step of finnyaml runs in an empty one."""
        for step in steps:
            function = function_of(step)
            for part in () if function is None else ast.walk(function):
                text = part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else ""
                if "." in text and len(text) < 200 and "\n" not in text and (self._script.parent / text).is_file():
                    told = "steps run in an empty folder, so name it with Path(__file__).parent"
                    self.notes.append(f"{step['name']} names the file {text}: {told}")


def function_of(step: Noted) -> ast.FunctionDef | ast.Lambda | None:
    """The source of a step, as a syntax tree."""
    return extract.function_at(_source(Path(step["file"])), step["line"])


def _source(file: Path) -> str:
    """The text of a Python file, in the encoding that it says."""
    with tokenize.open(file) as text:
        return text.read()


def _wanted(step: Noted, others: Sequence[extract.Wanted]) -> extract.Wanted:
    """What to extract of a step, under a name that no other function has."""
    name = step["name"] if step["name"].isidentifier() else str(step.get("label") or f"step_{len(others)}")
    wanted = extract.Wanted(step["line"], name, tuple(sorted(step["closure"].items())))
    if wanted not in others and any(item.name == name for item in others):
        return extract.Wanted(wanted.line, f"{name}_{len(others)}", wanted.closure)
    return wanted


def _imports(source: str, dotted: str) -> bool:
    """Whether a file imports this name at its top."""
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.ImportFrom):
            if dotted in (statement.module, *(f"{statement.module}.{item.name}" for item in statement.names)):
                return True
        elif isinstance(statement, ast.Import) and dotted in (item.name for item in statement.names):
            return True
    return False
