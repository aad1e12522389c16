"""How the tasks that make the deployment bundle run, inside a worker."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from finnyaml.bundle import derive
from finnyaml.bundle.assemble import assemble
from finnyaml.finn import identity, target
from finnyaml.store.digests import digest_of
from finnyaml.worker.context import Context, input_spec, needed_model
from finnyaml.worker.inputs import data_set, parent_of, whole_graph

DRIVER = "out/driver"
"""Where FINN leaves its driver."""


def contract(context: Context) -> None:
    """Derive the contract of the accelerator; export its graphs and golden samples beside it."""
    params = context.params
    model = needed_model(context)
    folder = _empty(context.root / params["folder"])
    driver = context.root / DRIVER
    derive.write(
        whole_graph(context, model),
        model,
        parent_of(context),
        data_set(context, params["data"]) if params["data"] else None,
        folder,
        spec=input_spec(params),
        stages=params["stages"],
        samples=params["golden"],
        driver_folder=driver if driver.is_dir() else None,
    )


def bundle(context: Context) -> None:
    """Put the bundle together from the contract, the reports of the build and the templates."""
    params = context.params
    folder = context.root / params["folder"] / params["name"]
    parts = context.root / params["parts"]
    templates = params["templates"]
    assemble(
        context.root,
        parts,
        folder,
        name=params["name"],
        recipe={"digest": digest_of(params["recipe"]), "resolved": params["recipe"]},
        built_with=_built_with(),
        target_info=target.of(context.config()),
        points=[_measurement(context, step) for step in params["points"]],
        artifacts={step: context.digests[step] for step in params["steps"]},
        templates=context.file(templates) if templates else None,
        files=[{"template": template, "to": to} for to, template in params["files"].items()],
        vars=params["vars"],
    )
    shutil.rmtree(parts)
    context.metrics["bundle"] = {
        "name": params["name"],
        "bytes": folder.with_name(f"{folder.name}.tar.gz").stat().st_size,
        "missing": [item["what"] for item in json.loads((folder / "bundle.json").read_text())["missing"]],
    }


def _built_with() -> dict[str, Any]:
    """What built it, as far as a result depends on it: all of it is in the key of the task."""
    from finnyaml import __version__

    distribution, version = identity.distribution_of_finn()
    packages = identity.versions()
    python = packages.pop("python")
    return {
        "finnyaml": __version__,
        "finn": {"distribution": distribution, "version": version},
        "python": python,
        "packages": packages,
        "tools": {},
    }


def _measurement(context: Context, step: str) -> dict[str, Any]:
    path = context.root / "out" / "verification" / f"{step}.json"
    return {"step": step, **json.loads(path.read_text())}


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
