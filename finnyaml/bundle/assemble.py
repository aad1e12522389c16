"""A bundle folder from what a build left behind and what was derived from its graphs."""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finnyaml import accelerator
from finnyaml.accelerator.contract import FORMAT
from finnyaml.accelerator.errors import AcceleratorError
from finnyaml.bundle import bitfiles, build_results
from finnyaml.bundle.render import Templates, read_templates
from finnyaml.bundle.write import finish
from finnyaml.errors import StepFailed

LEFT_OUT = ("__pycache__", ".git")


def assemble(
    root: Path,
    parts: Path,
    target: Path,
    *,
    name: str,
    recipe: Mapping[str, Any],
    built_with: Mapping[str, Any],
    target_info: Mapping[str, Any],
    points: Sequence[Mapping[str, Any]],
    artifacts: Mapping[str, str],
    templates: Path | None = None,
    files: Sequence[Mapping[str, str]] = (),
    vars: Mapping[str, Any] | None = None,
) -> None:
    """Write the bundle folder `target`, which replaces one that is there, and `<its name>.tar.gz` beside it.

    root: the sandbox; what FINN left is below `root/out` (report, bitfile, driver). parts: what was derived from the
    graphs: `contract.json` (`contract`, `driver`, `golden`) and the folders graphs/, golden/ and driver/.

    recipe: `digest` and `resolved`. built_with: `finnyaml`, `finn`, `python`, `packages`, `tools`. target_info:
    `platform`, `shell`, `board`, `part`, `clock_mhz` (the requested one), `instrumentation`. points: the measurements
    in the order of the build (see `build_results.accuracy`). artifacts: digests by name.

    templates: the folder of the recipe's own templates. files: what to make from them, each `template` and `to`, its
    path in the bundle (checked by `finnyaml.recipe.bundle`). vars: what they may use besides bundle.json.
    Raises StepFailed: a template that cannot be filled in, a bitfile or driver that is not of this accelerator.
    """
    found = build_results.read_json(parts / "contract.json")
    out, report = root / "out", root / "out" / "report"
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)
    for folder in ("graphs", "golden", "driver"):
        copy_tree(parts / folder, target / folder)
    copy_tree(out / "driver", target / "driver")
    copy_tree(Path(accelerator.__file__).parent, target / "accelerator")

    clock = {"requested_mhz": target_info["clock_mhz"], "achieved_mhz": None, "source": None}
    clock["slack_ns"] = build_results.slack(report)
    where = {**{key: target_info[key] for key in ("platform", "shell", "board", "part")}, "clock": clock}
    data: dict[str, Any] = {
        "format": FORMAT,
        "name": name,
        "recipe": dict(recipe),
        "built_with": dict(built_with),
        "target": where,
        "resources": build_results.resources(report),
        "performance": build_results.performance(report, target_info["clock_mhz"]),
        "accuracy": build_results.accuracy(points),
        "contract": found["contract"],
        "driver": build_results.driver(
            target, found["contract"], found["driver"], where, instrumentation=target_info["instrumentation"]
        ),
        "golden": found["golden"],
        "missing": [],
        "attached": None,
        "artifacts": dict(artifacts),
        "templates": {"vars": dict(vars or {}), "files": [dict(entry) for entry in files]},
    }
    bitfile = bitfiles.built(out / "bitfile")
    if bitfile is not None:
        try:
            bitfiles.place(target, data, bitfile, bitfile.with_suffix(".hwh"))
            bitfiles.check(target, data)
        except AcceleratorError as error:
            raise StepFailed(f"FINN's bitfile: {error.name}: {error.message}", hint=error.hint) from error
    data["missing"] = build_results.missing(data)
    own = read_templates(templates) if templates is not None else {}
    finish(target, data, Templates(own, templates.name if templates is not None else "templates"))


def copy_tree(source: Path, target: Path) -> None:
    """All files of a folder, if there is one; not a byte of them is changed.

    Raises StepFailed: one is there already, and differs.
    """
    try:
        entries = sorted(source.iterdir())
    except FileNotFoundError:
        return
    target.mkdir(parents=True, exist_ok=True)
    for path in entries:
        if path.name in LEFT_OUT:
            continue
        place = target / path.name
        if path.is_dir():
            copy_tree(path, place)
        elif not place.exists():
            shutil.copyfile(path, place)
        elif not filecmp.cmp(path, place, shallow=False):
            raise StepFailed(
                f"FINN's {target.name}/{path.name} is not what the accelerator's graph gives",
                hint="step_make_driver ran on another graph: let it run last, after all steps that change the graph",
            )
