"""Why the result of a task may differ from what a clean build gives, although all that its trace says still holds."""

from __future__ import annotations

from finnyaml.plan.task import Task
from finnyaml.store import Trace

IMPURE = "the recipe says `pure: false`"


def doubts(task: Task, trace: Trace) -> tuple[str, ...]:
    """What was not seen when the task ran, and what it asked for that is never the same; what the recipe says of it.

    None where the recipe answers for the task (`pure: true`), or has it run in every build.
    """
    if task.trust.pure or task.trust.always:
        return ()
    said = (IMPURE,) if task.trust.pure is False else ()
    return (*said, *trace.info.get("unseen", ()), *trace.info.get("differs", ()))
