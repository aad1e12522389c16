"""From FINN's options to the sections of a recipe: every one is mapped, carried, or left out with the reason."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finnyaml.exchange.build import Build, File, Step
from finnyaml.exchange.removed import ADDED_STEPS, CHOICES, OPTIONS, POINTS
from finnyaml.finn import aliases, settings
from finnyaml.finn.catalog import Catalog, Field
from finnyaml.plan import phases
from finnyaml.recipe.build import default_id

_SECTIONS = ("folding", "specialize", "fifo", "target")
_VERIFY = ("verify_steps", "verify_input_npy", "verify_expected_output_npy", "verification_atol", "verification_rtol")
_DUMP = 40
"""With so many options, a configuration was written by a program."""

_AUTO_FOLDING = "auto_folding_config.json"


@dataclass
class Draft:
    """A recipe as data, in the order in which it is written; remarks by place, and what is left out."""

    name: str
    sections: dict[str, Any] = field(default_factory=dict)
    remarks: dict[tuple[str | int, ...], str] = field(default_factory=dict)
    off: dict[str, tuple[Any, str]] = field(default_factory=dict)
    """Sections that cannot be used as they are: what they would be, and why they are not."""
    dropped: list[tuple[str, str]] = field(default_factory=list)
    todo: list[str] = field(default_factory=list)
    copies: list[tuple[Path, Path]] = field(default_factory=list)
    """Files that the script made: from where, and where they go."""


def draft(build: Build, catalog: Catalog, folder: Path, made: Mapping[Path, str] | None = None) -> Draft:
    """The recipe of a build, to be written into `folder`; all but its `output`.

    `made` says what files that the script made are called there.
    """
    return _Writer(build, catalog, folder, made or {}).draft()


class _Writer:
    def __init__(self, build: Build, catalog: Catalog, folder: Path, made: Mapping[Path, str]) -> None:
        self._build, self._catalog, self._folder, self._made = build, catalog, folder, made
        self._draft = Draft(build.name, dropped=list(build.dropped))
        self._values = dict(build.values)

    def draft(self) -> Draft:
        build, sections = self._build, self._draft.sections
        if build.description:
            sections["description"] = build.description
        sections["model"] = self._model()
        for section, entry in build.processing:
            sections.setdefault(section, []).append(entry)
        steps = self._steps()
        sections["steps"] = steps
        parts: dict[str, dict[str, Any]] = {name: {} for name in _SECTIONS}
        outputs, carried = None, {}
        self._without_defaults()
        verification = {name: self._values.pop(name) for name in _VERIFY if name in self._values}
        for name, value in self._values.items():
            if name in settings.CONFIG_FILES.values():
                self._config_file(name, value, parts)
                continue
            if name in settings.OURS or name.startswith("inject_steps_"):
                self._ours(name, value)
                continue
            known = self._catalog.fields.get(name)
            if known is None:
                self._unknown(name, value)
                continue
            if value is None and known.default is None:
                continue  # as FINN has it
            if known.kind == "path" and value is not None:
                value = self._path(name, value)
            usable, value = self._usable(known, value)
            if not usable:
                continue
            word = next((word for word, field_ in settings.STRUCTURED.items() if field_ == name), None)
            if word:
                parts[word[0]][word[1]] = value
            elif name == "generate_outputs":
                outputs = value
            else:
                carried[name] = value
        for name in _SECTIONS:
            if parts[name]:
                sections[name] = parts[name]
        if outputs is not None:
            sections["outputs"] = outputs
        if carried:
            sections["finn"] = carried
        self._verification(verification, carried)
        if carried and "finn" not in sections:
            sections["finn"] = carried
        return self._draft

    def _without_defaults(self) -> None:
        """Of a dump of all options, those that have FINN's default are left out: nobody chose them."""
        if len(self._values) < _DUMP:
            return
        fields = self._catalog.fields
        idle = [name for name, value in self._values.items() if name in fields and value == fields[name].default]
        for name in idle:
            del self._values[name]
        if idle:
            reason = f"{self._catalog} has the same values as defaults"
            self._draft.dropped.append((f"{len(idle)} of the {len(idle) + len(self._values)} options", reason))

    def _model(self) -> dict[str, Any]:
        model = self._build.model
        if model is None:
            self._draft.todo.append("name the model in `model:`; what was imported does not say it (or --model does)")
            self._draft.remarks["model", "onnx"] = "TODO: what was imported does not name the model"
            return {"onnx": "model.onnx"}
        if not model.there:
            told = self._relative(model.path)
            self._draft.todo.append(f"the model {told} is not there: put it there, or name another in `model:`")
            self._draft.remarks["model", "onnx"] = "TODO: it is not there"
        found: dict[str, Any] = {"onnx": self._file(model)}
        if self._build.datatype:
            found["input"] = {"datatype": self._build.datatype}
        return found

    def _file(self, file: File) -> str:
        """A file as the recipe names it; one that the script made goes beside the recipe."""
        if file.made is None:
            return self._relative(file.path)
        target = self._folder / self._made.get(file.made, f"{self._build.name}.{file.path.name}")
        self._draft.copies.append((file.made, target))
        self._draft.todo.append(
            f"{target.name} is what the script made ({file.path.name}): run import again when it does"
        )
        return target.name

    def _path(self, name: str, value: Any) -> str:
        """A file that an option names, as the recipe names it."""
        file = value if isinstance(value, File) else File(self._build.folder / str(value))
        if not file.there:
            self._draft.remarks["finn", name] = "TODO: it is not there"
            self._draft.todo.append(f"the file {self._relative(file.path)} ({name}) is not there")
        return self._file(file)

    def _relative(self, path: Path) -> str:
        return Path(os.path.relpath(path, self._folder)).as_posix()

    def _ours(self, name: str, value: Any) -> None:
        if value in (None, {}, [], ""):
            return
        if name == "output_dir":
            shown = self._relative(Path(value)) if Path(str(value)).is_absolute() else value
            self._draft.dropped.append(
                (f"{name}: {shown}", "finnyaml writes what was built to the folder of `output:`")
            )
        elif name == "start_step":
            reason = "finnyaml knows what is built and begins there; `finnyaml build --from STEP` insists on it"
            self._draft.dropped.append((f"{name}: {value}", reason))
        elif name == "config_path":
            self._draft.dropped.append((f"{name}: {value}", "paths are relative to the recipe"))

    def _unknown(self, name: str, value: Any) -> None:
        reason = OPTIONS.get(name, f"{self._catalog} has no option of this name")
        self._draft.dropped.append((f"{name}: {_flow(value)}", reason))

    def _usable(self, known: Field, value: Any) -> tuple[bool, Any]:
        """Whether this FINN takes a value, and the value in its words."""
        if isinstance(value, dict) and "object" in value and len(value) == 1:
            self._draft.dropped.append((f"{known.name}: {value['object']}", "a recipe is data, and this is an object"))
            self._draft.todo.append(f"{known.name} is an object of Python, which a recipe cannot hold")
            return False, None
        if not known.choices and isinstance(value, dict) and value.keys() == {"missing"}:
            self._draft.dropped.append((f"{known.name}: {value['missing']}", "it is not installed here"))
            self._draft.todo.append(f"{known.name} is {value['missing']}, which is not installed here")
            return False, None
        if not known.choices:
            return True, value
        if known.kind != "list":
            choice = self._choice(known, value)
            return choice is not None, choice
        choices = [self._choice(known, item) for item in value or ()]
        return True, list(dict.fromkeys(choice for choice in choices if choice is not None))

    def _choice(self, known: Field, value: Any) -> Any:
        text = str(value["missing"]).rpartition(".")[2] if isinstance(value, dict) and "missing" in value else value
        found = known.choice(text)
        if found is not None:
            return found
        shown = str(text).lower()
        reason = CHOICES.get((known.name, shown), f"{self._catalog} has {', '.join(known.choices)}")
        self._draft.dropped.append((f"{known.name}: {text}", reason))
        return None

    def _config_file(self, name: str, value: Any, parts: dict[str, dict[str, Any]]) -> None:
        section = next(section for section, field_ in settings.CONFIG_FILES.items() if field_ == name)
        if value is None:
            return
        file = value if isinstance(value, File) else File(self._build.folder / str(value))
        if not file.there and file.path.name == _AUTO_FOLDING:
            reason = f"it is not there, and FINN makes it from target_fps: report/{_AUTO_FOLDING} of what is built"
            self._draft.dropped.append((f"{name}: {file.path.name}", reason))
            return
        parts[section]["file"] = self._file(file)
        if not file.there:
            self._draft.remarks[section, "file"] = "TODO: it is not there"
            self._draft.todo.append(f"the file {self._relative(file.path)} ({name}) is not there")

    # -- steps --------------------------------------------------------------------------------------------------------

    def _steps(self) -> Any:
        given = self._build.steps
        if given is None and not self._build.injected and not self._values.get("stop_step"):
            return "default"
        if given is None:
            given = tuple(map(Step, self._catalog.flows.get("default", ())))
        listed = self._until(self._renewed([*self._injected(given)]))
        names = tuple(step.name for step in listed if step.uses is None)
        if len(names) == len(listed) and not any(step.why for step in listed):
            for known, steps in self._catalog.flows.items():
                if tuple(aliases.resolve(name, self._catalog.steps) or name for name in names) == steps:
                    return known
        entries: list[Any] = []
        taken: dict[str, int] = {}
        for step in listed:
            entry = self._entry(step)
            task = entry.get("id") or default_id(entry["uses"])
            taken[task] = taken.get(task, 0) + 1
            if taken[task] > 1:
                entry["id"] = f"{task}_{taken[task]}"
            if step.why:
                self._draft.remarks["steps", len(entries)] = step.why
            if step.todo:
                self._draft.remarks["steps", len(entries)] = f"TODO: {step.todo}"
                self._draft.todo.append(f"step {step.name}: {step.todo}")
            entries.append(entry["uses"] if entry.keys() == {"uses"} else entry)
        return entries

    def _entry(self, step: Step) -> dict[str, Any]:
        if step.uses:
            entry: dict[str, Any] = {"uses": step.uses}
            if step.id and step.id != default_id(step.uses):
                entry["id"] = step.id
        else:
            real = aliases.resolve(step.name, self._catalog.steps)
            entry = {"uses": aliases.short(real or step.name)}
            if real is None and phases.find(step.name, self._catalog) is None:
                index = f"{self._catalog} has no step of this name"
                self._draft.todo.append(f"{step.name}: {index}")
        return {**entry, "with": dict(step.with_)} if step.with_ else entry

    def _renewed(self, listed: Sequence[Step]) -> list[Step]:
        """The steps with those that an old step has been split into."""
        steps = list(listed)
        for old, (further, after, why) in ADDED_STEPS.items():
            names = [step.name for step in steps]
            if old not in names or further in names or old in self._catalog.steps or further not in self._catalog.steps:
                continue
            place = next((names.index(name) + 1 for name in after if name in names), None)
            if place is not None:
                steps.insert(place, Step(further, why=why))
        return steps

    def _injected(self, listed: Sequence[Step]) -> Iterator[Step]:
        """The steps with those that are injected around them. FINN goes by the names of functions."""
        tables = [self._build.injected.get(f"inject_steps_{side}", {}) for side in ("before", "after")]
        before, after = ({self._known(name): steps for name, steps in table.items()} for table in tables)
        names = [self._known(step.name) for step in listed]
        for name, step in zip(names, listed, strict=True):
            yield from before.get(name, ())
            yield step
            yield from after.get(name, ())
        for table in tables:
            for name, steps in table.items():
                if self._known(name) not in names:
                    what = f"{', '.join(step.name for step in steps)}, injected at {name}"
                    self._draft.dropped.append((what, "no such step is listed, so FINN does not run it either"))

    def _until(self, listed: Sequence[Step]) -> Sequence[Step]:
        stop = self._values.get("stop_step")
        names = [self._known(step.id or step.name) for step in listed]
        if not stop:
            return listed
        found = self._known(str(stop)) in names
        reason = "the list of steps ends there" if found else "no such step is listed"
        self._draft.dropped.append((f"stop_step: {stop}", reason))
        return listed[: names.index(self._known(str(stop))) + 1] if found else listed

    def _known(self, name: str) -> str:
        """A step by the name of its function, old names as the present ones."""
        function = name.rpartition(".")[2]
        return aliases.resolve(function, self._catalog.steps) or function

    # -- verification -------------------------------------------------------------------------------------------------

    def _verification(self, asked: Mapping[str, Any], carried: dict[str, Any]) -> None:
        """FINN's own verification as `verify:`, measured by finnyaml after the same steps."""
        known = self._catalog.fields.get("verify_steps")
        points = self._usable(known, asked.get("verify_steps"))[1] if known and asked.get("verify_steps") else []
        if not points:
            for name in asked.keys() - {"verify_steps"}:
                reason = "no verification step is asked for, so FINN reads none of it"
                self._draft.dropped.append((f"{name}: {_flow(_shown(asked[name]))}", reason))
            return
        files = [asked.get(name) or File(self._build.folder / default) for name, default in _NPY.items()]
        inputs, expected = (file if isinstance(file, File) else File(self._build.folder / str(file)) for file in files)
        atol, rtol = (asked.get(name, self._default(name)) for name in ("verification_atol", "verification_rtol"))
        tolerance = {key: value for key, value in (("atol", atol), ("rtol", rtol)) if value is not None}
        section: dict[str, Any] = {
            "data": {"inputs": self._file(inputs)},
            "reference": {"npy": self._file(expected)},
            "metric": "max_abs",
            "tolerance": tolerance or {"atol": 0.001},
            "points": [self._point(point) for point in points],
        }
        missing = [self._relative(file.path) for file in (inputs, expected) if not file.there]
        if missing:
            told = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not there"
            self._draft.off["verify"] = (section, f"{told}: put {'it' if len(missing) == 1 else 'them'} there")
            self._draft.todo.append(f"verification at {len(points)} points is switched off: {told}")
            return
        self._draft.sections["verify"] = section

    def _default(self, name: str) -> Any:
        found = self._catalog.fields.get(name)
        return None if found is None else found.default

    def _point(self, point: str) -> Any:
        """A point that this FINN runs in a step of the list; else the step that ran it when the script was written."""
        step = self._catalog.points.get(point)
        listed = [entry if isinstance(entry, str) else entry["uses"] for entry in self._listed()]
        if step is not None and aliases.short(step) in listed:
            return point
        before = POINTS.get(point)
        if before is not None and aliases.short(before) in listed:
            told = f"this FINN runs {point} in {aliases.short(step)}, which is not listed: " if step else ""
            self._draft.todo.append(
                f"{point} is measured after {aliases.short(before)}; {told.rstrip(': ')}".rstrip("; ")
            )
            return aliases.short(before)
        return point

    def _listed(self) -> Sequence[Any]:
        steps = self._draft.sections["steps"]
        return [aliases.short(name) for name in self._catalog.flows[steps]] if isinstance(steps, str) else steps


_NPY = {"verify_input_npy": "input.npy", "verify_expected_output_npy": "expected_output.npy"}


def _shown(value: Any) -> Any:
    return value.path.name if isinstance(value, File) else value


def _flow(value: Any) -> str:
    text = str(_shown(value))
    return text if len(text) < 60 else f"{text[:57]}..."


def copy_files(made: Draft) -> list[Path]:
    """Put beside the recipe what the script made; the names of these files."""
    for source, target in made.copies:
        shutil.copyfile(source, target)
    return [target for _, target in made.copies]
