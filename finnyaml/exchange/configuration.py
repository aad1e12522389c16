"""From configuration files to builds: FINN's JSON, finn-plus' YAML, its benchmarks, and blueprints of Brainsmith."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import yaml

from finnyaml.errors import Problem, RecipeError, Where
from finnyaml.exchange.build import Build, File, Step
from finnyaml.recipe.matrix import MOST
from finnyaml.recipe.settings_files import place_in
from finnyaml.recipe.words import kind

STEM_WORDS = frozenset(("output", "outputs", "out", "build", "finn_build_output", "model", "export", "finn", "results"))
"""Names of folders and models that say nothing."""

CONFIG = "dataflow_build_config.json"
FILES = ("folding_config_file", "specialize_layers_config_file", "fifo_config_file")
INJECTED = ("inject_steps_before", "inject_steps_after")
ARRAYS = ("verify_input_npy", "verify_expected_output_npy")

_BENCH_ONLY = {
    "experiments_config": "experiments on boards are not a part of a build",
    "experiments_config_path": "experiments on boards are not a part of a build",
    "validation_dataset": "`verify: {data: ...}` measures accuracy on a data set",
    "model_dir": "its model.onnx, inp.npy and out.npy are in `model:` and `verify:`",
    "fpga_part": "",
}
_OUTPUTS = {
    "estimates": ["estimate_reports"],
    "rtl": ["estimate_reports", "stitched_ip", "rtlsim_performance"],
    "bitfile": ["estimate_reports", "stitched_ip", "bitfile", "pynq_driver", "deployment_package"],
}
"""Products of a blueprint in FINN's words."""


def name_of(output: Any, model: Path | None, folder: Path) -> str:
    """What a build is called: its output folder, else its model, else its folder, whichever says something."""
    candidates = [re.sub(r"\A(output|out|build)[_-]", "", Path(str(output)).name)] if output else []
    candidates += [model.stem] if model is not None else []
    for candidate in (*candidates, folder.resolve().name):
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", candidate).strip("-.")[:100]
        if name and name.lower() not in STEM_WORDS:
            return name
    return "network"


def read(path: Path, model: Path | None = None) -> list[Build]:
    """The builds of a configuration file, or of a folder with one. RecipeError where it is neither."""
    if path.is_dir():
        return [read_folder(path, model)]
    data = load(path)
    if isinstance(data, list):
        return list(_bench(data, path, model))
    if isinstance(data, dict) and ("design_space" in data or "clock_ns" in data or "extends" in data):
        return list(_blueprint(data, path, model))
    if isinstance(data, dict):
        folder = path.parent
        found = model or (_relative(folder, data["model_path"]) if data.get("model_path") else _beside(folder))
        return [_flat(data, path, found, stem=path.stem)]
    raise RecipeError(
        [Problem(f"{path} is not a configuration: it holds neither a mapping nor a list", Where(path, 1, 1))]
    )


def read_folder(folder: Path, model: Path | None = None) -> Build:
    """The build of a folder as FINN's `build_dataflow_directory` takes it: a configuration and a model."""
    config = folder / CONFIG
    if not config.is_file():
        raise RecipeError(
            [Problem(f"there is no {CONFIG} in {folder}", hint="name the file that has the configuration")]
        )
    return _flat(load(config), config, model or folder / "model.onnx", stem=folder.resolve().name)


def load(path: Path) -> Any:
    """The content of a JSON or YAML file. RecipeError with the place where it is neither."""
    try:
        text = path.read_text("utf-8")
        if path.suffix == ".json":
            return json.loads(text, object_pairs_hook=lambda items: _once(items, path))
        return yaml.safe_load(text)
    except json.JSONDecodeError as error:
        where = Where(path, error.lineno, error.colno)
        raise RecipeError([Problem(f"{path.name} is not valid JSON: {error.msg}", where)]) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = Where(path, mark.line + 1, mark.column + 1) if mark else Where(path, 1, 1)
        raise RecipeError(
            [Problem(f"{path.name} is not valid YAML: {getattr(error, 'problem', error)}", where)]
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise RecipeError([Problem(f"cannot read {path}: {error}")]) from error


def _once(items: Sequence[tuple[str, Any]], path: Path) -> dict[str, Any]:
    """An object of JSON. RecipeError where it has a key twice: only the last would hold."""
    found = dict(items)
    for key in found:
        if len(found) < len(items) and sum(key == other for other, _ in items) > 1:
            message = f"{path.name} has the key {key!r} twice"
            raise RecipeError([Problem(message, place_in(path, key), "JSON keeps only the last: remove one")])
    return found


def _within(data: Mapping[str, Any], name: str, path: Path, wanted: type) -> Any:
    """A mapping or a list in a file, empty where there is none. RecipeError where it is something else."""
    found = data.get(name) or wanted()
    if not isinstance(found, wanted):
        what = "a mapping" if wanted is dict else "a list"
        raise RecipeError([Problem(f"{path.name}: {name} has to be {what}, not {kind(found)}", place_in(path, name))])
    return found


def _combinations(lists: Sequence[Sequence[Any]], path: Path) -> Iterator[tuple[Any, ...]]:
    """One of each list, in all ways. RecipeError where that is more than a recipe may have variants."""
    if (number := prod(map(len, lists))) > MOST:
        message = f"{path.name} stands for {number:,} builds, and at most {MOST} are written"
        raise RecipeError([Problem(message, Where(path, 1, 1), "leave values out, or make several files of it")])
    return itertools.product(*lists)


def _flat(data: Any, path: Path, model: Path | None, stem: str, **more: Any) -> Build:
    """The configuration in a file as FINN's class of settings has it."""
    if not isinstance(data, dict):
        raise RecipeError([Problem(f"the configuration in {path} is not a mapping", Where(path, 1, 1))])
    folder, values = path.parent, dict(data)
    steps = None if values.get("steps") is None else _within(values, "steps", path, list)
    for name in ("steps", "model_path"):
        values.pop(name, None)
    for name in (*FILES, *ARRAYS):
        if values.get(name) is not None:
            values[name] = File(_relative(folder, values[name]))
    injected = {name: _within(values, name, path, dict) for name in INJECTED if values.get(name)}
    values = {name: value for name, value in values.items() if name not in INJECTED}
    name = name_of(values.get("output_dir"), model, folder)
    return Build(
        name=more.pop("name", name if name != "network" else stem),
        folder=folder,
        model=File(model) if model else None,
        values=values,
        steps=None if steps is None else tuple(_step(item, folder) for item in steps),
        injected={
            side: {name: tuple(_step(item, folder) for item in _within(table, name, path, list)) for name in table}
            for side, table in injected.items()
        },
        **more,
    )


def _step(text: Any, folder: Path) -> Step:
    """A step of a configuration: a name, or a dotted one for code."""
    name = str(text)
    if "." not in name:
        return Step(name)
    module, _, function = name.rpartition(".")
    own = folder.joinpath(*module.split(".")).with_suffix(".py")
    return Step(name, f"{own if own.is_file() else module}:{function}")


def _relative(folder: Path, value: Any) -> Path:
    path = Path(str(value))
    return path if path.is_absolute() else folder / path


def _beside(folder: Path) -> Path | None:
    return folder / "model.onnx" if (folder / "model.onnx").is_file() else None


# -- benchmarks of finn-plus ------------------------------------------------------------------------------------------


def _bench(data: Sequence[Any], path: Path, model: Path | None) -> Iterator[Build]:
    """Every combination of the values that each mapping of a benchmark lists."""
    builds = []
    for index, item in enumerate(data):
        if not isinstance(item, dict) or not all(isinstance(values, list) for values in item.values()):
            message = f"entry {index + 1} of {path.name} is not a mapping of lists, as finn-plus' benchmarks are"
            raise RecipeError([Problem(message, Where(path, 1, 1))])
        for combination in _combinations([*item.values()], path):
            builds.append((item, dict(zip(item, combination, strict=True))))
    if not builds:
        raise RecipeError([Problem(f"{path.name} has no build: a list in it is empty", Where(path, 1, 1))])
    for item, values in builds:
        yield _run_of(item, values, path, model)


def _run_of(item: Mapping[str, Any], values: dict[str, Any], path: Path, model: Path | None) -> Build:
    dut = str(values.pop("dut", path.stem))
    base = _dut(dut, path)
    dropped = [
        (f"dut: {dut}", "what it stands for is written out" if base else "its definition is a class of finn-plus")
    ]
    for name, reason in _BENCH_ONLY.items():
        if name in values and reason:
            value = values.pop(name)
            if name == "model_dir":
                folder = _relative(path.parent, value)
                values |= {"model_path": str(folder / "model.onnx"), "verify_input_npy": str(folder / "inp.npy")}
                values["verify_expected_output_npy"] = str(folder / "out.npy")
            else:
                dropped.append((f"{name}: {value}", reason))
    if "part" in values:
        values["fpga_part"] = values.pop("part")
    values = {name: None if value == "None" else value for name, value in values.items()}
    merged = {**base, **values}
    source = model or (_relative(path.parent, merged["model_path"]) if merged.get("model_path") else None)
    choices = [name for name, listed in item.items() if len(listed) > 1 and name != "dut"]
    parts = [dut, *([source.stem] if source and dut not in source.stem else [])]
    parts += [
        str(values[name])
        for name in choices
        if name != "model_path" and name in values and not isinstance(values[name], (list, dict))
    ]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(parts)).strip("-.")[:100]
    return _flat(merged, path, source, stem=dut, name=name, dropped=tuple(dropped))


def _dut(name: str, path: Path) -> dict[str, Any]:
    """What a benchmark stands for: the file of that name beside it, or in the installed FINN."""
    from finnyaml.finn.identity import package_root

    root = package_root("finn")
    folders = [path.parent, path.parent / "dut", *([root / "benchmarking" / "dut"] if root else [])]
    for folder in folders:
        for suffix in (".yml", ".yaml"):
            file = folder / f"{name}{suffix}"
            if file.is_file() and file != path:
                found = load(file)
                if isinstance(found, dict):
                    return found
    return {}


# -- blueprints of Brainsmith -----------------------------------------------------------------------------------------


def _blueprint(data: Mapping[str, Any], path: Path, model: Path | None) -> Iterator[Build]:
    """The steps and settings of a blueprint; one build for each choice that its steps leave open."""
    merged = _inherited(data, path, ())
    space = _within(merged, "design_space", path, dict)
    values: dict[str, Any] = dict(_within(merged, "finn_config", path, dict))
    dropped: list[tuple[str, str]] = []
    for name, value in list(values.items()):
        if value is None:
            dropped.append((f"finn_config.{name}: null", "nothing is set"))
            del values[name]
    if "clock_ns" in merged:
        values["synth_clk_period_ns"] = merged["clock_ns"]
    if merged.get("board"):
        values["board"] = merged["board"]
    output = str(merged.get("output", "estimates"))
    values.setdefault("generate_outputs", _OUTPUTS.get(output, ["estimate_reports"]))
    for name in ("start_step", "stop_step"):
        if merged.get(name):
            values[name] = merged[name]
    known = {"name", "description", "extends", "clock_ns", "output", "board", "finn_config", "design_space"}
    reasons = {
        "save_intermediate_models": "finnyaml keeps the model after every step",
        "parallel_builds": "`finnyaml build --jobs N` says it",
        "max_combinations": "one recipe is one build",
    }
    for name in merged.keys() - known - {"start_step", "stop_step"}:
        dropped.append((f"{name}: {merged[name]}", reasons.get(name, "a recipe has no counterpart")))
    for kernel in _within(space, "kernels", path, list):
        shown = next(iter(kernel)) if isinstance(kernel, dict) else kernel
        dropped.append((f"kernel {shown}", "FINN chooses layers itself; `specialize:` says in which style"))
    for other in space.keys() - {"kernels", "steps"}:
        dropped.append((f"design_space.{other}: {space[other]}", "a recipe has no counterpart"))
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", str(merged.get("name") or path.stem)).strip("-.")[:100]
    options = [_options(item) for item in _within(space, "steps", path, list)]
    choices = [*_combinations(options, path)]
    for number, chosen in enumerate(choices, 1):
        steps = tuple(Step(item.removeprefix("finn:")) for item in chosen if item is not None)
        title = name if len(choices) == 1 else f"{name}-{number}"
        yield Build(
            name=title,
            folder=path.parent,
            model=File(model) if model else None,
            values=values,
            steps=steps if space.get("steps") else None,
            description=merged.get("description"),
            dropped=tuple(sorted(dropped)),
        )


def _options(item: Any) -> list[str | None]:
    """One step, or the steps of which a blueprint takes one; `~` and null stand for none."""
    listed = item if isinstance(item, list) else [item]
    return [None if one in (None, "~", "") else str(one) for one in listed]


def _inherited(data: Mapping[str, Any], path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """A blueprint laid over those that it extends; operations on their steps done."""
    parent: dict[str, Any] = {}
    if data.get("extends"):
        file = _relative(path.parent, re.sub(r"\A\$\{\w+\}/", "", str(data["extends"])))
        if file in (path, *above):
            raise RecipeError([Problem(f"{path.name} extends itself", place_in(path, "extends"))])
        if not file.is_file():
            message = f"{path.name} extends {data['extends']}, which is not there"
            raise RecipeError([Problem(message, place_in(path, "extends"), "put it there, or write its steps here")])
        found = load(file)
        if not isinstance(found, dict):
            raise RecipeError([Problem(f"{file.name} is not a blueprint: it holds {kind(found)}", Where(file, 1, 1))])
        parent = _inherited(found, file, (*above, path))
    merged = {**parent, **data}
    for section in ("finn_config", "design_space"):
        merged[section] = {**parent.get(section, {}), **_within(data, section, path, dict)}
    space = _within(data, "design_space", path, dict)
    own = _within(space, "steps", path, list) if space.get("steps") is not None else None
    base = list(parent.get("design_space", {}).get("steps") or ())
    if own is not None:
        merged["design_space"]["steps"] = _edited(base, own, path)
    return merged


def _edited(base: list[Any], own: Sequence[Any], path: Path) -> list[Any]:
    """The steps of a blueprint: a list of its own, or operations on that of the one it extends."""
    operations = [item for item in own if isinstance(item, dict)]
    steps = [item for item in own if not isinstance(item, dict)] or base
    for operation in operations:
        for word, argument in operation.items():
            what = operation.get("insert", operation.get("with"))
            if word in ("insert", "with"):
                continue
            if isinstance(argument, dict):
                what = argument.get("insert", argument.get("with"))
            new = what if isinstance(what, list) else [what]
            place = steps.index(argument) if not isinstance(argument, dict) and argument in steps else None
            if word == "at_start":
                steps = [*new, *steps]
            elif word == "at_end":
                steps = [*steps, *new]
            elif place is None:
                message = f"{path.name}: {word} {argument!r} finds no such step"
                raise RecipeError([Problem(message, Where(path, 1, 1))])
            elif word == "after":
                steps = [*steps[: place + 1], *new, *steps[place + 1 :]]
            elif word == "before":
                steps = [*steps[:place], *new, *steps[place:]]
            elif word == "replace":
                steps = [*steps[:place], *new, *steps[place + 1 :]]
            elif word == "remove":
                steps = [*steps[:place], *steps[place + 1 :]]
            else:
                raise RecipeError([Problem(f"{path.name}: there is no operation {word!r} on steps", Where(path, 1, 1))])
    return steps
