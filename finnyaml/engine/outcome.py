"""What became of a run, as the engine hands it on, and what that means for the shell."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finnyaml.engine import lints, refusals
from finnyaml.engine.session import Session
from finnyaml.errors import ExitCode, Problem
from finnyaml.plan.select import Selection
from finnyaml.plan.status import Built, Status
from finnyaml.verify.gates import Verdict
from finnyaml.worker.job import Failure


@dataclass
class Outcome:
    """What became of the selected tasks."""

    built: dict[str, Built] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    failed: dict[str, Failure] = field(default_factory=dict)
    blocked: dict[str, Status] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    """Tasks that did not run, each with the failed or blocked task it needed."""
    unverified: list[str] = field(default_factory=list)
    """FINN's verification points that the recipe asks for and that no step of a complete build had."""
    cut_short: bool = False
    """Whether another variant failed before this one was through, and all were to end then."""
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """What the gate of each verification point said, also of those that stopped the build."""
    deferred: list[str] = field(default_factory=list)
    """Points with `on_fail: defer` that did not pass: the build goes on, and has failed in the end."""
    measured: dict[str, Built] = field(default_factory=dict)
    """The verification points that were measured, whatever their gates said."""
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Per task: key parts, reads and metrics, for the record of the last build."""

    @property
    def there(self) -> Mapping[str, Built]:
        """What others can be run on: also points whose gates said no, to be compared with."""
        return ChainMap(self.built, self.measured)  # a view: it is asked for every task of every pass

    @property
    def nothing_verified(self) -> bool:
        """Whether there are verification points and not one of them could be measured."""
        return bool(self.verdicts) and all(found.state == "not verified" for found in self.verdicts.values())

    @property
    def code(self) -> ExitCode:
        """The exit code of a build that ended so."""
        stopped = any(failure.type == refusals.GATE for failure in self.failed.values())
        if stopped or self.unverified or self.deferred or self.nothing_verified:
            return ExitCode.GATE_STOPPED
        if not self.failed and self.cut_short:
            return ExitCode.STEP_FAILED
        if not self.failed:
            return ExitCode.TOOL_MISSING if self.blocked else ExitCode.OK
        if all(failure.type == "ToolMissing" for failure in self.failed.values()):
            return ExitCode.TOOL_MISSING
        bad_input = all(failure.invalid_settings or failure.type == lints.ERROR for failure in self.failed.values())
        return ExitCode.BAD_INPUT if bad_input else ExitCode.STEP_FAILED


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
class Repeated:
    """What became of a task that ran a second time.

    `differing` says in words what is not as it was; `known`: the recipe says that it differs (`pure: false`).
    """

    task: str
    differing: tuple[str, ...] = ()
    known: bool = False
    failure: Failure | None = None


@dataclass(frozen=True)
class Report:
    """What became of a build, or of a search for a loss.

    `record` is the JSON form that lies as run.json in `folder`: the data that views are made from. `code` is what the
    command line gives the shell. `bisected` says where failed gates lost it. `warnings` are what lint rules find in
    the graphs that are built, and points of FINN's own verification that never ran. `notes` tell what else the user
    has to know. `written` counts the files that the workspace got. `repeated` are the tasks that ran a second time.
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
    repeated: tuple[Repeated, ...] = ()
