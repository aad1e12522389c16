"""Settings for nodes that the last build did not have: found before a build, not a minute into it.

Only as warnings, because the next build may have other nodes. The build itself refuses what does not fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from finnyaml.engine import workspace
from finnyaml.engine.workspace import load_json
from finnyaml.errors import Problem
from finnyaml.finn.entries import DEFAULTS, advice, apply_renames, is_converter, is_fifo
from finnyaml.plan.graph import Plan
from finnyaml.recipe.settings_files import place_in, read_settings

FILES = {"folding": "final_hw_config.json", "specialize": "template_specialize_layers_config.json"}
"""By section: the file of a finished build that names the nodes as the section does."""


def unmatched(plan: Plan) -> Iterator[Problem]:
    """A warning for every entry that names none of the nodes of the last build, at its line."""
    recipe = plan.recipe
    folders = {recipe.workspace, *(workspace.folder_of(plan, end) for end in plan.targets.values())}
    for section, file in FILES.items():
        content: Mapping[str, Any] = getattr(recipe.settings, section)
        known = {name for folder in folders for name in load_json(folder / file)} - {DEFAULTS}
        if not known or content.get("unknown") == "warn":
            continue
        for name in content.get("nodes") or {}:
            if name not in known and content["nodes"][name] is not None:
                where = recipe.at((section, "nodes", name))
                yield Problem(_message(name), where, advice(section, name, known), "warning")
        if content.get("file"):
            yield from _in_file(section, content, known)


def _in_file(section: str, content: Mapping[str, Any], known: set[str]) -> Iterator[Problem]:
    path = Path(content["file"])
    try:
        entries = read_settings(path)
    except (OSError, ValueError):
        return
    renames = content.get("rename") or {}
    removed = {name for name, value in (content.get("nodes") or {}).items() if value is None}
    for written in entries if isinstance(entries, dict) else ():
        for name in apply_renames({written: None}, renames)[0]:
            if name in known or name in removed or name == DEFAULTS or is_fifo(name) or is_converter(name):
                continue
            yield Problem(_message(name), place_in(path, written), advice(section, name, known), "warning")


def _message(name: str) -> str:
    return f"the last build had no node {name}"
