"""What became of a run, as the engine hands it on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnyaml.engine.outcome import Outcome
from finnyaml.engine.session import Session
from finnyaml.errors import ExitCode, Problem
from finnyaml.plan.select import Selection
from finnyaml.worker.job import Failure


@dataclass(frozen=True)
class Bisected:
    """What was found about one failed point: the step that lost it, and (where FINN made that step) where in it.

    `found` is the loss as plain data, `picture` the heat map in the folder of the run.
    """

    point: str
    step: str
    found: Mapping[str, Any] | None = None
    picture: Path | None = None
    failure: Failure | None = None


@dataclass(frozen=True)
class Report:
    """What became of a build, or of a search for a loss.

    `record` is the JSON form that lies as run.json in `folder`: the data that views are made from. `code` is what the
    command line gives the shell. `bisected` says where failed gates lost it. `warnings` are what lint rules find in
    the graphs that are built, and points of FINN's own verification that never ran. `notes` tell what else the user
    has to know. `written` counts the files that the workspace got.
    """

    session: Session
    selection: Selection
    outcome: Outcome
    record: Mapping[str, Any]
    folder: Path
    code: ExitCode
    bisected: tuple[Bisected, ...]
    warnings: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    written: int = 0
