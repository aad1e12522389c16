"""`recipe.lock.yaml`: what a build was made of and what came out, as text that diffs well under version control."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from finnyaml import __version__
from finnyaml.engine.figures import key_figures
from finnyaml.engine.session import Session
from finnyaml.errors import FinnyamlError, Problem, RecipeError
from finnyaml.files import content, discard
from finnyaml.recipe.model import Recipe
from finnyaml.store import ObjectDamaged
from finnyaml.store.digests import digest_of

HEADER = "# Written by `finnyaml build --lock`; `finnyaml build --frozen` gives exactly this or nothing.\n"

_AGAIN = "take it from version control again, or let `finnyaml build --lock` write a new one"

SECTIONS = {"tools": "tool", "env": "env", "packages": "package", "inputs": "file", "texts": "text"}
"""What tasks read that is locked, as traces call it."""


def path_of(recipe: Recipe) -> Path:
    """The lock file beside a recipe: `recipe.lock.yaml` for `recipe.yaml`; a variant has its name in it."""
    variant = f".{recipe.variant}" if recipe.variant else ""
    return recipe.path.with_name(f"{recipe.path.stem}{variant}.lock.yaml")


def write(session: Session, records: Mapping[str, Any]) -> None:
    """Record the build that has just succeeded. FinnyamlError where the file cannot be written."""
    text = yaml.safe_dump(_content(session, records), sort_keys=False, allow_unicode=True, width=120)
    path = path_of(session.recipe)
    aside = path.with_suffix(".tmp")
    try:
        discard(aside)
        aside.write_text(HEADER + text)
        aside.replace(path)
    except OSError as error:
        raise FinnyamlError(f"cannot write {path}: {error.strerror}", hint="move away what lies there") from error


def read(recipe: Recipe) -> dict[str, Any]:
    """The lock file of a recipe. Raises RecipeError where there is none, or it cannot be read."""
    path = path_of(recipe)
    try:
        data: dict[str, Any] = yaml.safe_load(content(path, follow=True))
    except FileNotFoundError:
        hint = "`finnyaml build --lock` writes it"
        raise RecipeError([Problem(f"--frozen: there is no {path.name}", hint=hint)]) from None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise RecipeError([Problem(f"{path.name} cannot be read: {error}", hint=_AGAIN)]) from error
    tasks = data.get("tasks") if isinstance(data, dict) else None
    if not isinstance(tasks, dict) or not all(isinstance(task, dict) for task in tasks.values()):
        raise RecipeError([Problem(f"{path.name} is not a lock file of finnyaml", hint=_AGAIN)])
    return data


def check_before(locked: Mapping[str, Any], session: Session) -> None:
    """Refuse to build from anything else than the lock file records. Raises RecipeError with every difference."""
    now = {**_versions(session), **_now(locked, session)}
    then = {key: locked.get(key) for key in now}
    for tool, version in (now.get("tools") or {}).items():
        if version is None:  # not here: then what it made comes from the store, or the build is refused for want of it
            now["tools"][tool] = (locked.get("tools") or {}).get(tool)
    _refuse(_differences(then, now, ""))


def check_after(locked: Mapping[str, Any], records: Mapping[str, Any], session: Session) -> None:
    """Refuse a result that differs from the one recorded. Raises RecipeError with every difference."""
    then = {name: task for name, task in locked["tasks"].items() if name in records}
    now = {name: _task(session, built) for name, built in records.items()}
    _refuse(_differences(then, now, "result of "))


def _content(session: Session, records: Mapping[str, Any]) -> dict[str, Any]:
    read: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    tasks = {name: records[name] for name in session.plan.tasks if name in records}
    for built in tasks.values():
        for section, kind in SECTIONS.items():
            read[section] |= built["reads"].get(kind, {})
    read["inputs"] = {file: digest for file, digest in read["inputs"].items() if not file.startswith("@inputs/")}
    optional = ("packages", "texts")
    ordered = {
        section: dict(sorted(items.items())) for section, items in read.items() if items or section not in optional
    }
    told = {name: _task(session, built) for name, built in tasks.items()}
    return {**_versions(session), **ordered, "tasks": told}


def _task(session: Session, built: Mapping[str, Any]) -> dict[str, Any]:
    measured = built["metrics"].get("measurement")
    if measured is None:
        try:
            found = key_figures(session.store.artifact(built["artifact"]), session.store)
        except ObjectDamaged:
            found = {}
        return {"digest": built["digest"], **found}
    # A measurement has no model of its own: what it found is what has to be found again.
    return {name: measured[name] for name in ("state", "metric", "value", "samples", "agreement") if name in measured}


def _versions(session: Session) -> dict[str, Any]:
    installation = session.installation
    return {
        "finnyaml": __version__,
        "recipe": digest_of(session.recipe.resolved),
        "finn": {
            "distribution": installation.distribution,
            "version": installation.version,
            "digest": installation.digest,
        },
        "libraries": dict(installation.libraries),
    }


def _now(locked: Mapping[str, Any], session: Session) -> dict[str, Any]:
    """What the inputs, tools and environment variables that a lock file names are now."""
    judge = session.judge()
    task = next(iter(session.plan.tasks.values()))
    now = judge.read_values(task, {}, {kind: locked.get(section) or {} for section, kind in SECTIONS.items()})
    return {section: dict(now[kind]) for section, kind in SECTIONS.items() if section in locked}


def _differences(then: Any, now: Any, prefix: str) -> Iterator[str]:
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in sorted({*then, *now}):
            yield from _differences(then.get(key), now.get(key), f"{prefix}{key} ")
    elif then != now:
        yield f"{prefix.strip()}: locked {_short(then)}, now {_short(now)}"


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text[:12] if len(text) == 64 else text


def _refuse(differences: Iterator[str]) -> None:
    problems = [Problem(f"--frozen: {difference}") for difference in differences]
    if problems:
        hint = "`finnyaml build --lock` records the new state, if it is meant to be"
        raise RecipeError([*problems[:-1], Problem(problems[-1].message, hint=hint)])
