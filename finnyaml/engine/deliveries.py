"""Bundles in a workspace that were completed there by hand (`finnyaml bundle attach`): a build must not undo that."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from finnyaml.bundle.names import FACTS
from finnyaml.files import content
from finnyaml.plan import bundles

ASIDE = "attached"
"""Where completed bundles of other builds lie, in the private folder of a workspace."""


@dataclass(frozen=True)
class Delivered:
    """What to do about the bundles that lie in a workspace.

    kept: beginnings of the paths of those that were completed since this very build made them; nothing of them is
    touched. outdated: folders of those that were completed and are of another build.
    """

    kept: tuple[str, ...]
    outdated: tuple[str, ...]


def delivered(root: Path, wanted: Mapping[str, str | None], *, several: bool) -> Delivered:
    """Look at the bundles of the workspace `root`.

    `wanted` maps the paths of a build's files to their SHA-256, and those of other builds' files to None; `several`:
    each target has a folder of its own.
    """
    kept: list[str] = []
    outdated: list[str] = []
    for path in facts_of(wanted, several=several):
        digest, folder = wanted[path], str(PurePosixPath(path).parent)
        if not (root / folder).resolve().is_relative_to(root.resolve()):
            continue  # a link was put in its way; what is behind it is not ours
        made_from = _attached_to(root / path)
        if made_from == digest:
            kept += [f"{folder}/", f"{folder}.tar.gz"]
        elif made_from is not None:
            outdated.append(folder)
    return Delivered(tuple(kept), tuple(outdated))


def set_aside(root: Path, folder: str, private: Path) -> Path:
    """Move a completed bundle out of the way; returns where it lies now. What was attached cannot be made again."""
    name, number = PurePosixPath(folder).name, 1
    while (place := private / ASIDE / f"{name}-{number}").exists():
        number += 1
    place.parent.mkdir(parents=True, exist_ok=True)
    return (root / folder).rename(place)


def found_aside(folder: str, made: str, private: Path) -> Path | None:
    """Where the newest bundle lies that was `folder` and completed from the bundle.json with the SHA-256 `made`."""
    name = re.compile(re.escape(PurePosixPath(folder).name) + r"-(\d+)")
    places = [(int(found[1]), place) for place in (private / ASIDE).glob("*") if (found := name.fullmatch(place.name))]
    return next((place for _, place in sorted(places, reverse=True) if _attached_to(place / FACTS) == made), None)


def put_back(place: Path, target: Path) -> bool:
    """Move a bundle that was set aside to its place, with its archive; False where it is not complete any more."""
    target.parent.mkdir(parents=True, exist_ok=True)
    place.rename(target)
    try:
        from finnyaml.bundle.archives import write_bundle  # here, because it loads numpy

        write_bundle(target, [FACTS, *json.loads(content(target / FACTS))["files"]])
    except (OSError, ValueError, KeyError, TypeError):
        target.rename(place)
        return False
    return True


def facts_of(wanted: Iterable[str], *, several: bool) -> Iterator[str]:
    """The paths of the bundle.json of all bundles among these."""
    return (path for path in wanted if is_bundle(path, several=several) and PurePosixPath(path).name == FACTS)


def is_bundle(path: str, *, several: bool) -> bool:
    """Whether a path in a workspace is of a bundle; with several targets it begins with the name of one."""
    return PurePosixPath(path).parts[several : several + 1] == (PurePosixPath(bundles.FOLDER).name,)


def _attached_to(file: Path) -> str | None:
    """The SHA-256 of the bundle.json that a bitfile was attached to; None where none was."""
    try:
        attached = json.loads(content(file))["attached"]
        return str(attached["to"]) if attached else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
