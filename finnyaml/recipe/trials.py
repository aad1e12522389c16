"""The combinations that a search has tried: kept beside the workspaces, so that all commands know the same variants."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finnyaml.files import content

FILE = "search.json"
"""In the output folder of a recipe with a `search`."""


def key_of(values: Mapping[str, Any]) -> str:
    """One text for each combination of values, in whatever order they come."""
    return json.dumps(dict(values), sort_keys=True)


def tried(output: Path) -> tuple[Mapping[str, Any], ...] | None:
    """The values of each, in the order of the search; None where nothing was tried, or the file cannot be read."""
    try:
        trials = json.loads(content(output / FILE))["trials"]
        return tuple(dict(trial["values"]) for trial in trials) or None
    except (OSError, ValueError, KeyError, TypeError):
        return None
