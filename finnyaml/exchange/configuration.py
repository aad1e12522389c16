"""From configuration files to builds: FINN's JSON, finn-plus' YAML, its benchmarks, and blueprints of Brainsmith."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from finnyaml.errors import Problem, RecipeError, Where
from finnyaml.exchange.build import Build, File, Step

STEM_WORDS = frozenset(("output", "outputs", "out", "build", "finn_build_output", "model", "export", "finn", "results"))
"""Names of folders and models that say nothing."""

CONFIG = "dataflow_build_config.json"
FILES = ("folding_config_file", "specialize_layers_config_file", "fifo_config_file")
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
    candidates = [re.sub(r"\A(output|build)[_-]", "", Path(str(output)).name)] if output else []
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
    if isinstance(data, dict) and ("design_space" in data or "clock_ns" in data):
        return list(_blueprint(data, path, model))
    if isinstance(data, dict):
        folder = path.parent
        found = model or (_relative(folder, data["model_path"]) if data.get("model_path") else _beside(folder))
        return [_flat(data, folder, found, stem=path.stem)]
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
    return _flat(load(config), folder, model or folder / "model.onnx", stem=folder.resolve().name)


def load(path: Path) -> Any:
    """The content of a JSON or YAML file. RecipeError with the place where it is neither."""
    try:
        text = path.read_text("utf-8")
        if path.suffix == ".json":
            return json.loads(text)
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


def _flat(data: Any, folder: Path, model: Path | None, stem: str, **more: Any) -> Build:
    """A configuration as FINN's class of settings has it."""
    if not isinstance(data, dict):
        raise RecipeError([Problem(f"the configuration in {folder} is not a mapping")])
    values = dict(data)
    steps = values.pop("steps", None)
    values.pop("model_path", None)
    for name in (*FILES, *ARRAYS):
        if values.get(name) is not None:
            values[name] = File(_relative(folder, values[name]))
    injected = {name: values.pop(name) for name in ("inject_steps_before", "inject_steps_after") if values.get(name)}
    name = name_of(values.get("output_dir"), model, folder)
    return Build(
        name=more.pop("name", name if name != "network" else stem),
        folder=folder,
        model=File(model) if model else None,
        values=values,
        steps=None if steps is None else tuple(_step(item, folder) for item in steps),
        injected={
            side: {anchor: tuple(_step(item, folder) for item in listed) for anchor, listed in table.items()}
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
        for combination in itertools.product(*item.values()):
            builds.append((item, dict(zip(item, combination, strict=True))))
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
    return _flat(merged, path.parent, source, stem=dut, name=name, dropped=tuple(dropped))


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
    space = merged.get("design_space") or {}
    values: dict[str, Any] = dict(merged.get("finn_config") or {})
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
    for kernel in space.get("kernels") or ():
        shown = next(iter(kernel)) if isinstance(kernel, dict) else kernel
        dropped.append((f"kernel {shown}", "FINN chooses layers itself; `specialize:` says in which style"))
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", str(merged.get("name") or path.stem)).strip("-.")[:100]
    options = [_options(item) for item in space.get("steps") or ()]
    for number, chosen in enumerate(itertools.product(*options), 1):
        steps = tuple(Step(item.removeprefix("finn:")) for item in chosen if item is not None)
        title = name if len(list(itertools.product(*options))) == 1 else f"{name}-{number}"
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
        if file in above or not file.is_file():
            what = "extends itself" if file in above else f"extends {data['extends']}, which is not there"
            raise RecipeError(
                [Problem(f"{path.name} {what}", Where(path, 1, 1), "put it there, or write its steps here")]
            )
        parent = _inherited(load(file), file, (*above, file))
    merged = {**parent, **data}
    for section in ("finn_config", "design_space"):
        merged[section] = {**(parent.get(section) or {}), **(data.get(section) or {})}
    own = (data.get("design_space") or {}).get("steps")
    base = list((parent.get("design_space") or {}).get("steps") or ())
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
