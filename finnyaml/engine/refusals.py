"""Results that must not be accepted although their step ended well."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from finnyaml.plan.status import Built
from finnyaml.plan.task import Task
from finnyaml.verify import gates
from finnyaml.worker.job import Failure

GATE = "VerificationFailed"
"""The failure type of a stopped gate: it has an exit code of its own."""

_VERDICT = re.compile(
    r"out/verification_output/verify_(?P<point>\w+?)_(?P<sample>\d+)_(?P<verdict>SUCCESS|FAIL)\.np[yz]"
)


def refuse(task: Task, built: Built) -> Failure | None:
    """Why the result of a task is not accepted; None where it is."""
    return (
        _unread_settings(task, built.trace.reads.get("config", ()))
        or _failed_verification(built.artifact.files)
        or _never_verified(task, built)
        or _stopped(task, built)
    )


def _never_verified(task: Task, built: Built) -> Failure | None:
    """FINN skips some of its verifications on some graphs, without a word."""
    skipped = points_that_never_ran(task.verifies, {task.id: built})
    if not skipped:
        return None
    return Failure(
        GATE,
        f"FINN did not run its verification {', '.join(skipped)} in {task.uses}: this graph is not verified",
        "its log says why; leave the point out where FINN cannot run it",
    )


def measurement(built: Built) -> Mapping[str, Any] | None:
    """What a verification point measured; None for other tasks."""
    found: Mapping[str, Any] | None = built.trace.info.get("metrics", {}).get("measurement")
    return found


def verdict(task: Task, built: Built) -> gates.Verdict | None:
    """What the gate of a verification point says; None for other tasks."""
    measured = measurement(built)
    return gates.verdict(task.gate, measured) if task.gate is not None and measured is not None else None


def counts(gate: gates.Gate, found: gates.Verdict) -> bool:
    """Whether this is a failure. A point that is there by default may be impossible here, one asked for may not."""
    return found.state == "failed" or (found.state == "not verified" and gate.asked)


def _stopped(task: Task, built: Built) -> Failure | None:
    """A gate that stops the build. A point that the recipe asks for and that cannot run here stops it too."""
    gate, found = task.gate, verdict(task, built)
    if gate is None or found is None or gate.on_fail != "stop" or not counts(gate, found):
        return None
    if found.state == "failed":
        hint = "where a step is meant to change the outputs, let it say so: `expect: change`" if found.changed else None
        return Failure(GATE, f"after {task.checks}, {'; '.join(found.reasons)}", hint)
    hint = "leave the point out, or give it `on_fail: warn`: it then counts as not verified, never as passed"
    return Failure(GATE, f"{task.checks} is not verified: {'; '.join(found.reasons)}", hint)


def _unread_settings(task: Task, config_reads: Collection[str]) -> Failure | None:
    """What `with:` sets on a FINN step that never reads it would be ignored without a word."""
    unread = sorted(task.own_settings.difference(config_reads))
    if not unread or task.declared.users_code:
        return None
    return Failure(
        "UnreadSetting",
        f"`with:` sets {', '.join(unread)}, which {task.uses} never reads",
        f"put it on the step that reads it; {task.uses} reads: {', '.join(sorted(config_reads)) or 'nothing'}",
    )


def _failed_verification(files: Iterable[str]) -> Failure | None:
    """FINN's own verification leaves a file that says FAIL, and goes on; here it stops the build."""
    failed = sorted({match["point"] for match in _verdicts(files) if match["verdict"] == "FAIL"})
    if not failed:
        return None
    return Failure(
        GATE,
        f"FINN's verification {', '.join(failed)} failed: the model no longer gives the expected output",
        "its outputs are in verification_output/ of the run's folder (beside the logs); the step before is still right",
    )


def points_that_never_ran(wanted: Iterable[str], built: Mapping[str, Built]) -> list[str]:
    """FINN's verification points that were asked for and that none of these tasks had: they passed by not running."""
    ran = {match["point"] for item in built.values() for match in _verdicts(item.artifact.files)}
    return [point for point in wanted if point not in ran]


def _verdicts(files: Iterable[str]) -> Iterator[re.Match[str]]:
    return filter(None, map(_VERDICT.fullmatch, files))
