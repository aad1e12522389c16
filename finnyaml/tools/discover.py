"""Find external tools and their versions.

A version costs a process (Vivado: seconds), so the caller may hand in a memo that lives longer than this process. An
answer holds as long as the executable keeps its path, size and time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from finnyaml.tools import environment, probes, registry
from finnyaml.tools.probes import Found, Missing

__all__ = ["Found", "Memo", "Missing", "find", "missing", "path", "tool_state"]

UNKNOWN = "unknown"
TIMEOUT = 30.0
"""Seconds that a tool gets to tell its version."""


Answer = tuple[str | None, str | None]
"""The version that a tool tells, else why it is not known."""


class Memo(Protocol):
    """What outlives this process, as a store does."""

    def memo(self, name: str) -> Any:
        """What was put under `name`; None where there is nothing."""

    def put_memo(self, name: str, data: Any) -> None:
        """Keep a small JSON document."""


def find(
    tool_name: str, environ: Mapping[str, str] | None = None, memo: Memo | None = None, timeout: float = TIMEOUT
) -> Found | Missing:
    """Look for one tool. Any name will do: one that is not registered is looked for as a command."""
    environ = os.environ if environ is None else environ
    tool = registry.tool(tool_name)
    if not tool.commands:
        return probes.PROBES[tool_name](tool, environ)
    commands = registry.commands(tool_name, environ)
    for command, *arguments in commands:
        path = _which(tool, command, environ)
        if path is not None:
            return Found(tool_name, path, *_version(tool, [path, *arguments], environ, memo, timeout))
    return Missing(tool_name, _reason(tool, commands, environ), tool.hint)


def path(tool_name: str, environ: Mapping[str, str] | None = None) -> str | None:
    """Where a command is, without asking it for its version; None where it is missing."""
    environ = os.environ if environ is None else environ
    tool = registry.tool(tool_name)
    found = (_which(tool, command, environ) for command, *_ in registry.commands(tool_name, environ))
    return next((place for place in found if place is not None), None)


def tool_state(
    names: Iterable[str], environ: Mapping[str, str] | None = None, memo: Memo | None = None
) -> dict[str, str | None]:
    """What a trace records of each tool: its version, "unknown" where it does not say, None where it is missing.

    Optional tools are left out: whether a licence is at hand does not change a result.
    """
    state: dict[str, str | None] = {}
    for name in dict.fromkeys(names):
        if not registry.tool(name).optional:
            found = find(name, environ, memo)
            state[name] = (found.version or UNKNOWN) if isinstance(found, Found) else None
    return state


def missing(
    names: Iterable[str], environ: Mapping[str, str] | None = None, memo: Memo | None = None
) -> tuple[Missing, ...]:
    """The tools among `names` that block a task here."""
    found = (find(name, environ, memo) for name in dict.fromkeys(names) if not registry.tool(name).optional)
    return tuple(item for item in found if isinstance(item, Missing))


def _which(tool: registry.Tool, command: str, environ: Mapping[str, str]) -> str | None:
    override = environ.get("FINN_TOOL_DIR_OVERRIDE")
    if override and tool.dispatched:
        return shutil.which(command, path=override)
    folders = [folder for root in tool.env_roots for folder in environment.bin_folders(root, environ)]
    return shutil.which(command, path=os.pathsep.join([environ.get("PATH", ""), *map(str, folders)]))


def _reason(tool: registry.Tool, commands: tuple[registry.Command, ...], environ: Mapping[str, str]) -> str:
    names = " or ".join(command[0] for command in commands)
    override = environ.get("FINN_TOOL_DIR_OVERRIDE")
    if override and tool.dispatched:
        return f"{names} is not in {override} (FINN_TOOL_DIR_OVERRIDE)"
    roots = [f"{root}={environ[root]}" for root in tool.env_roots if environ.get(root)]
    return f"{names} is not on PATH" + (f", nor below {' or '.join(roots)}" if roots else "")


def _version(
    tool: registry.Tool, command: list[str], environ: Mapping[str, str], memo: Memo | None, timeout: float
) -> Answer:
    stat = Path(command[0]).stat()
    state = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    key = "tool-" + hashlib.sha256(repr((command, state)).encode()).hexdigest()
    if memo is not None and (known := memo.memo(key)) is not None:
        return known["version"], known["note"]
    version, note = _ask(tool, command, environ, timeout)
    if memo is not None:
        memo.put_memo(key, {"version": version, "note": note})
    return version, note


def _ask(tool: registry.Tool, command: list[str], environ: Mapping[str, str], timeout: float) -> Answer:
    """Run `command` once, in an empty folder (tools leave logs where they stand) and a process group of its own.

    Output goes to a file: a child that the tool leaves behind cannot keep us waiting on a pipe.
    """
    import subprocess  # these two are slow to import, and on the quick path the memo knows the answer
    import tempfile

    with tempfile.TemporaryDirectory(prefix="finnyaml-") as folder, tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=dict(environ),
                start_new_session=True,
            )
        except OSError as error:
            return None, f"version unknown: it cannot be run ({error.strerror or error})"
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None, f"version unknown: no answer to {' '.join(command[1:])} within {timeout:g} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        text = output.read(1 << 16).decode("utf-8", "replace")
    if code < 0:
        return None, f"version unknown: it was ended by signal {-code} ({signal.Signals(-code).name})"
    match = re.search(tool.version_pattern, text)
    if match is not None:
        return match[1], None
    said = next((line.strip() for line in text.splitlines() if line.strip()), "nothing")
    return None, f"version unknown: it ended with code {code} and said: {said[:200]}"
