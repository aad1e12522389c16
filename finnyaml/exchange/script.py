"""From a Python build script to builds: it runs in a process of its own, and what it asks FINN for is noted."""

from __future__ import annotations

import ast
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnyaml.errors import FinnyamlError
from finnyaml.exchange import elsewhere, extract, plain_steps
from finnyaml.exchange.build import Build, File, Step
from finnyaml.exchange.configuration import name_of
from finnyaml.exchange.own_code import Named, Noted, OwnCode, function_of
from finnyaml.exchange.processing import translated
from finnyaml.exchange.written import one_line
from finnyaml.tools.environment import of_worker

SKIPPED = frozenset((".git", ".hg", ".venv", "venv", "__pycache__", "node_modules", ".finnyaml", "intermediate_models"))
"""Folders that no script reads; the last is what FINN leaves."""

LARGE = 8 << 20
"""Files from here on are links in the copy, not copies (bytes)."""


CHILD = """\
import sys


class NotHere:
    def find_spec(self, name, path=None, target=None):
        if name == "finn.builder.build_dataflow":
            with open({told!r}, "a") as file:
                file.write(" ".join(sys.argv) + chr(10))
            raise ImportError("finnyaml import does not follow a program that a script starts")


sys.meta_path.insert(0, NotHere())
"""
"""What Python runs first in programs that a script starts: there is no FINN in them, so they build nothing."""


@dataclass(frozen=True)
class Imported:
    """What a script asks for: the builds, further files to write by their names, and what the user has to know."""

    builds: tuple[Build, ...]
    files: Mapping[str, str]
    notes: tuple[str, ...]


def read(script: Path, arguments: Sequence[str], taken: Sequence[str], kept: Path) -> Imported:
    """Run a script, with its arguments, and note the builds that it starts.

    `taken` are names of files beside the recipe that are the user's. What the script makes is copied to `kept`.

    Raises:
        FinnyamlError: it ended before it started a build.
    """
    noted = _run(script, arguments, kept)
    notes = [f"the script ended with an error behind this: {noted['error']}"] if noted["error"] else []
    if noted["missing"]:
        notes.append(f"the script names what the installed FINN does not have: {', '.join(noted['missing'])}")
    for path in noted["absent"]:
        notes.append(f"the script opens {os.path.relpath(path, script.parent)}, which is not there; it went on without")
    for command in noted["children"]:
        notes.append(f"the script starts `{command}`, which would build with FINN: import that by itself")
    if not noted["builds"]:
        said = "".join(f"\n{note}" for note in notes[1 if noted["error"] else 0 :])
        said += f"\nIt said:\n{noted['said']}" if noted["said"] else ""
        hint = "`finnyaml import build.py -- ARGUMENTS` gives it arguments" if noted["left"] else None
        if noted["error"]:
            raise FinnyamlError(f"{script.name} ended before it started a build: {noted['error']}{said}", hint=hint)
        hint = "it has to call build_dataflow_cfg or build_dataflow_directory; are there arguments to give after `--`?"
        raise FinnyamlError(f"{script.name} started no build of FINN{said}", hint=hint)
    code = OwnCode(script, noted["missing"], taken)
    records = [record for index, record in enumerate(noted["builds"]) if record not in noted["builds"][:index]]
    builds = tuple(_Translation(script, record, code).build() for record in records)
    return Imported(builds, code.files, (*notes, *code.notes))


# -- running it -------------------------------------------------------------------------------------------------------


def _run(script: Path, arguments: Sequence[str], kept: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="finnyaml-import-") as name:
        folder = Path(name).resolve()
        top = _top(script.parent)
        root, temporary, result = folder / "copy", folder / "tmp", folder / "result.json"
        first, told = folder / "first", folder / "children"
        for made in (temporary, folder / "build", kept, first):
            made.mkdir()
        (first / "sitecustomize.py").write_text(CHILD.format(told=str(told)))
        _mirror(top, root, script.parent)
        order = {
            "script": str(root / script.relative_to(top)),
            "arguments": list(arguments),
            "root": str(root),
            "original": str(top),
            "temporary": str(folder),
            "kept": str(kept),
            "result": str(result),
            "first": str(first),
            "builds": str(folder / "builds.jsonl"),
        }
        (folder / "order.json").write_text(json.dumps(order))
        log = folder / "log"
        with log.open("wb") as output:
            # As for workers: `python -m` would search the current folder first.
            start = (
                "import sys; sys.path[:] = filter(None, sys.path); from finnyaml.exchange.inside import main; main()"
            )
            command = [sys.executable, "-W", "ignore", "-c", start, str(folder / "order.json")]
            environ = {**of_worker(folder), "TMPDIR": str(temporary)}
            ended = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environ, check=False
            )
        if not result.is_file():
            why = _end_of(log) or f"exit code {ended.returncode}"
            raise FinnyamlError(f"the process that ran {script.name} ended before the script did: {why}")
        noted: dict[str, Any] = json.loads(result.read_text())
        children = told.read_text().replace(str(root), str(top)).splitlines() if told.exists() else []
        said = _end_of(log, noted["began"]).replace(str(root), str(top))
        return {**noted, "said": said, "children": list(dict.fromkeys(children))}


def _end_of(log: Path, began: int = 0) -> str:
    """The last lines of what was printed, from a place in the log on."""
    said = log.read_bytes()[began:].decode(errors="replace")
    return "\n".join(said.strip().splitlines()[-12:])


AROUND = 2
"""How many folders above that of the script are copied, too, if the script is in no repository."""


def _top(folder: Path) -> Path:
    """The folder from which on the user's files are in the copy: that of their repository, else one around."""
    home = Path.home()
    inside = [*itertools.takewhile(lambda candidate: candidate not in (home, candidate.parent), folder.parents)]
    for candidate in (folder, *inside):
        if (candidate / ".git").exists():
            return candidate
    around = [*itertools.takewhile(lambda candidate: os.access(candidate, os.R_OK | os.X_OK), inside[:AROUND])]
    return around[-1] if around else folder


def _mirror(top: Path, root: Path, folder: Path) -> None:
    """Make `root` look like `top`: the script's folder is copied, everything around it is links."""
    root.mkdir()
    source, target = top, root
    for part in folder.relative_to(top).parts:
        for entry in source.iterdir():
            if entry.name != part:
                (target / entry.name).symlink_to(entry)
        source, target = source / part, target / part
        target.mkdir()
    _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    for entry in source.iterdir():
        copied = target / entry.name
        if entry.is_symlink() or (entry.is_file() and entry.stat().st_size >= LARGE):
            copied.symlink_to(os.path.realpath(entry))  # a link that leads to itself, too
        elif entry.is_dir():
            if entry.name not in SKIPPED and not entry.name.startswith(("code_gen_", "vivado_")):
                copied.mkdir()
                _copy(entry, copied)
        elif entry.is_file():
            shutil.copy2(entry, copied)


# -- what it asked for ------------------------------------------------------------------------------------------------


class _Translation:
    """One build of a script, from what was noted to FINN's words, its own functions named as a recipe names them."""

    def __init__(self, script: Path, record: Mapping[str, Any], code: OwnCode) -> None:
        self._script, self._record, self._code = script, record, code
        self._names: Mapping[int, Named] = {}
        self._notes: list[str] = []
        self._processing: list[tuple[str, Any]] = []
        self._datatype: str | None = None

    def build(self) -> Build:
        record = self._record
        source = record["source"]
        values = {name: _file_or(value) for name, value in record["values"].items()}
        model = None if source is None else _file_or(source)
        injected = {name: values.pop(name) for name in ("inject_steps_before", "inject_steps_after") if name in values}
        listed = record["steps"]
        every = [*(listed or ()), *(step for table in injected.values() for steps in table.values() for step in steps)]
        self._names = self._code.names(every, record["globals"])
        return Build(
            name=name_of(values.get("output_dir"), model.path if model else None, self._script.parent),
            folder=Path(record["folder"]),
            model=model,
            values=values,
            steps=None if listed is None else tuple(self._steps(listed, at_start=True)),
            injected={
                side: {name: tuple(self._steps(steps, at_start=False)) for name, steps in table.items()}
                for side, table in injected.items()
            },
            processing=tuple(self._processing),
            datatype=self._datatype,
            notes=tuple(self._notes),
        )

    def _steps(self, listed: Sequence[Noted], at_start: bool) -> Iterator[Step]:
        """`at_start`: whether these are the first steps, so that processing among them is that of the recipe."""
        for step in listed:
            if at_start and self._is_processing(step):
                continue
            found = self._step(step)
            at_start = at_start and found.uses is not None
            yield found

    def _step(self, step: Noted) -> Step:
        name = str(step.get("label") or step["name"])
        if step["kind"] == "name":
            return Step(step["name"])
        if step["kind"] == "dotted":
            module, _, function = step["name"].rpartition(".")
            return Step(step["name"], f"{step.get('file') or module}:{function}")
        if step["kind"] != "function":
            told = f"{name} is not installed here" if step["kind"] == "missing" else step["what"]
            reason = f"{told}: write a function (model, cfg) for what it does"
            return Step(name, self._code.unmovable(name, reason), todo=reason)
        with_ = step.get("with", {})
        if not step["users"]:
            return Step(name, f"{step['module']}:{step['name']}", with_=with_)
        named = self._names[id(step)]
        if named.uses is None:
            here = elsewhere.told(step["lacks"])
            reason = f"{named.reason}: {here} here" if here else named.reason
            return Step(name, self._code.unmovable(name, reason), todo=reason)
        if not named.uses.startswith("/"):  # it was taken out of its file
            with_ = {**_made_with(step), **with_}
        label = step.get("label", "").removeprefix("step_") or None
        return Step(name, named.uses, id=label, with_=with_, todo=_lacks(step))

    def _is_processing(self, step: Noted) -> bool:
        """Whether a step is a section of the recipe: written by `finnyaml export`, or one that cannot run here."""
        function = function_of(step) if step["kind"] == "function" and step["users"] else None
        if not isinstance(function, ast.FunctionDef):
            return False
        arguments = step.get("with", {})
        known = plain_steps.known(function)
        if known == "before":
            self._processing += [("preprocess", stage) for stage in arguments["stages"]]
            self._datatype = arguments["datatype"]
        elif known == "after":
            self._processing.append(("postprocess", {"top_k": arguments["k"]}))
        if known is not None:
            return True
        reason = _lacks(step) or self._names[id(step)].reason
        found = translated(function) if reason else None
        if found is None:
            return False
        section, entry, datatype = found
        self._processing.append((section, entry))
        self._datatype = datatype or self._datatype
        self._notes.append(f"{step['name']} became `{section}: [{one_line(entry)}]`: {reason}")
        return True


def _file_or(value: Any) -> Any:
    """A file of the script, where this is one."""
    if isinstance(value, dict) and value.keys() == {"path", "made"}:
        return File(Path(value["path"]), Path(value["made"]) if value["made"] else None)
    return value


def _made_with(step: Noted) -> dict[str, Any]:
    """Arguments that a function was made with, where its source alone would give others."""
    function = function_of(step)
    names = extract.computed_defaults(function) if function is not None else set()
    return {name: value for name, value in step["defaults"].items() if name in names}


def _lacks(step: Noted) -> str | None:
    if not step["lacks"]:
        return None
    here = elsewhere.told(step["lacks"])
    reason = f"it uses {', '.join(step['lacks'])}, which is not installed here"
    return f"{reason}: {here} here" if here else reason
