"""`finnyaml doctor`: what this machine has, as a table."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from finnyaml.cli.arguments import Json, StoreOption
from finnyaml.cli.console import show
from finnyaml.errors import ExitCode
from finnyaml.text import Whole

if TYPE_CHECKING:
    from finnyaml.tools.doctor import Check, Report

STATES = {"found": ("ok", "green"), "note": ("note", "yellow"), "missing": ("missing", "red")}
"""How each state is shown."""


def doctor(as_json: Json = False, store: StoreOption = None) -> None:
    """Say what this machine has for builds.

    Looks at Python, FINN, Vivado, Vitis HLS, licences, the store.

    Says what each enables, and what to do where one is missing. FINN is imported, which takes some 10 s.
    Exit code 4 where nothing can be built: no FINN that imports, or a store that cannot be written.
    """
    from finnyaml.engine import installed
    from finnyaml.engine.session import store_root
    from finnyaml.tools.doctor import examine

    root = store_root(store)
    report = replace(examine(root, os.environ), site=tuple(installed.of_site(Path())))
    if verdict(report) is ExitCode.OK:
        report = replace(report, packages=(*report.packages, installed.imported(root)))
    show(asdict(report) if as_json else None, _lines(report))
    raise typer.Exit(verdict(report))


def verdict(report: Report) -> ExitCode:
    """Nothing can be built without FINN that imports, or without a store."""
    finn = [check.state for check in report.packages if check.name.startswith("FINN")]
    return ExitCode.TOOL_MISSING if "missing" in (*finn, report.store.state) else ExitCode.OK


def _lines(report: Report) -> Iterator[str]:
    """The report to read, coloured on a terminal."""
    groups = {
        "Python": (report.python, *report.packages),
        "Tools: needed by the steps that say so (`finnyaml steps list`)": report.tools,
        "Store and recording": (report.store, report.recording),
        **({"Site": report.site} if report.site else {}),
    }
    width = max(len(check.name) for checks in groups.values() for check in checks)
    versions = max(len(check.version or "") for checks in groups.values() for check in checks)
    for title, checks in groups.items():
        yield _styled(title, bold=True)
        for check in checks:
            yield from _check(check, width, versions)
        yield ""
    yield _summary(report)


def _check(check: Check, width: int, versions: int) -> Iterator[str]:
    """One line, and where something is not as it should be, below it what it is for and what to do."""
    word, colour = STATES[check.state]
    state = _styled(word.ljust(7), fg=colour)
    where = re.sub(rf"^{re.escape(str(Path.home()))}(?=/)", "~", check.where or "")
    yield Whole(f"  {state}  {check.name.ljust(width)}  {(check.version or '-').ljust(versions)}  {where}".rstrip())
    if check.note:
        yield f"           {check.note}"
    if check.state != "found":
        yield f"           for {check.enables}"
        if check.hint:
            yield f"           -> {check.hint}"


def _summary(report: Report) -> str:
    if verdict(report) is not ExitCode.OK:
        return "Nothing can be built here: see what is missing above."
    if all(check.state != "missing" for check in report.tools):
        return "Everything is here."
    return "Builds run here, except for steps whose tools are missing: `finnyaml plan RECIPE` says which these are."


def _styled(text: str, **style: Any) -> str:
    plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR")
    return text if plain else typer.style(text, **style)
