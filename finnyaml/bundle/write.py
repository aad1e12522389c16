"""The last steps of every bundle: templates filled in, digests taken, bundle.json written, the archive made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from finnyaml.accelerator.contract import digest_of
from finnyaml.accelerator.files import sha256_of
from finnyaml.bundle import archives
from finnyaml.bundle.names import FACTS, KEPT, OWN, SETTINGS
from finnyaml.bundle.render import ENDING, Templates, builtin_names
from finnyaml.errors import StepFailed
from finnyaml.recipe.schema import schema_path


def finish(folder: Path, data: dict[str, Any], templates: Templates, strangers: Set[str] = frozenset()) -> Path:
    """Complete the bundle in `folder` from `data`, all of bundle.json but `files` and `digest`, which are added to it.

    Returns the archive `<folder>.tar.gz`. `strangers` lie in the folder and are not files of the bundle.
    Raises StepFailed: a template that cannot be filled in, or data that does not fit the schema.
    """
    # All of bundle.json but these two, and the recipe's own `vars`.
    told = {key: value for key, value in data.items() if key not in ("files", "digest")}
    context = {**told, "vars": data["templates"]["vars"]}
    wanted = {name: name + ENDING for name in OWN}
    if data["driver"]["settings"] == SETTINGS and not (folder / SETTINGS).exists():
        wanted[SETTINGS] = SETTINGS + ENDING
    wanted.update({entry["to"]: entry["template"] for entry in data["templates"]["files"]})
    for to, template in wanted.items():
        write(folder / to, templates.render(template, to, context))
    _check_used(templates)
    for name in sorted(templates.used):
        write(folder / KEPT / name, templates.own[name])
    names = sorted(files_of(folder) - {FACTS} - strangers)
    paths = {name: folder / name for name in names}
    data["files"] = {n: {"sha256": sha256_of(path), "bytes": path.stat().st_size} for n, path in paths.items()}
    data["digest"] = write_json(folder, data)
    found = problems(json.loads((folder / FACTS).read_text("utf-8")))
    if found:
        raise StepFailed(f"bundle.json does not fit its schema: {'; '.join(found[:3])}", hint="a defect of finnyaml")
    return archives.write_bundle(folder, [FACTS, *data["files"]])


def files_of(folder: Path) -> set[str]:
    """All files below a bundle's folder, by their paths in it, without what Python leaves there."""
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix() for path in found}


def write_json(folder: Path, data: Mapping[str, Any]) -> str:
    """Write bundle.json, whose keys have a fixed order; returns the digest of the rest, which is its last."""
    ordered = {key: data[key] for key in ORDER if key in data and key != "digest"}
    ordered["digest"] = digest_of(ordered)
    write(folder / FACTS, json.dumps(ordered, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return str(ordered["digest"])


def write(path: Path, text: str) -> None:
    """Write a text file; a script is executable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8", newline="\n")
    path.chmod(0o755 if path.suffix == ".sh" else 0o644)


def problems(data: Any) -> list[str]:
    """What in the data of a bundle.json does not fit its JSON Schema, each with its place."""
    return [f"{error.json_path}: {error.message}" for error in _validator().iter_errors(data)]


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema_path("bundle.schema.json").read_text("utf-8")))


ORDER = (
    "format",
    "name",
    "recipe",
    "built_with",
    "target",
    "resources",
    "performance",
    "accuracy",
    "contract",
    "driver",
    "golden",
    "missing",
    "attached",
    "artifacts",
    "files",
    "templates",
    "digest",
)


def _check_used(templates: Templates) -> None:
    """A template with a misspelt name would be left out without a word."""
    idle = sorted(name for name in templates.own if name.endswith(ENDING) and name not in templates.used)
    if idle:
        raise StepFailed(
            f"{templates.folder}/{idle[0]} is used by nothing",
            hint=f"name it in bundle.files, or as what it is to replace: {', '.join(builtin_names())}",
        )
