"""What keeps a build from starting: tools that are not here, and a store in whose path FINN's scripts break."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from finnyaml.errors import FinnyamlError, ToolMissing
from finnyaml.plan.graph import Plan
from finnyaml.plan.status import Status
from finnyaml.plan.without_vivado import for_verification
from finnyaml.tools import registry


def check_tools(statuses: Mapping[str, Status], plan: Plan) -> None:
    """Raises ToolMissing where a selected task needs a tool that is not here."""
    blocked = {name: status for name, status in statuses.items() if status.missing}
    if not blocked:
        return
    lines = []
    for tool in sorted({tool for status in blocked.values() for tool in status.missing}):
        steps = ", ".join(name for name, status in blocked.items() if tool in status.missing)
        asking = [plan.tasks[name] for name, status in blocked.items() if tool in status.missing]
        why = [for_verification(task, tool, plan.catalog) for task in asking]
        # Where all need it only for that, it is what to do; else the tool is needed anyway.
        extra = f"; {why[0]}" if all(why) else ""
        lines.append(f"{steps}: {tool} is missing ({registry.tool(tool).hint}){extra}")
    before = plan.tasks[next(iter(blocked))].needs
    hint = f"`--keep-going` builds what can be built here; `--to {before[0]}` stops before it" if before else None
    raise ToolMissing("these steps cannot run here, so nothing was started:\n  " + "\n  ".join(lines), hint=hint)


def check_blanks(statuses: Mapping[str, Status], plan: Plan, work: Path) -> None:
    """Raises FinnyamlError where a step with tools would work below a path with blanks.

    Steps work in the folder `work`, mostly one of the store, and FINN's scripts leave the paths that they hand to tools
    unquoted.
    """
    calling = [name for name, status in statuses.items() if status.state != "cached" and plan.tasks[name].tools]
    calling = [name for name in calling if not plan.tasks[name].declared.users_code and not statuses[name].missing]
    if calling and len(str(work).split()) > 1:
        raise FinnyamlError(
            f"{calling[0]} cannot run below {work}: FINN's scripts for its tools fail on blanks in a path",
            hint="put the store elsewhere: `--store FOLDER`, or FINNYAML_STORE",
        )
