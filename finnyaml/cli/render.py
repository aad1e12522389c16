"""What people see. Plain lines when piped, live progress on a terminal; both made from the same events."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from finnyaml.cli import accuracy
from finnyaml.cli.lines import line_of
from finnyaml.cli.live import Live
from finnyaml.engine.events import Event
from finnyaml.errors import FinnyamlError, Problem, RecipeError
from finnyaml.recipe.snippet import render_problems
from finnyaml.text import duration, relative, size

if TYPE_CHECKING:
    from typing_extensions import Self


class Progress(Protocol):
    """A view of a running build."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def on_event(self, event: Event) -> None:
        """Show one event."""


class Console:
    """Where output goes: `out` for results, `err` for everything about how it went. `quiet` drops progress."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet

    def out(self, text: str) -> None:
        """Print a result, unless it goes out as JSON."""
        if not self.quiet:
            print(text, flush=True)

    def always(self, text: str) -> None:
        """Tell what must not be missed."""
        print(text, file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """Tell something beside the result."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def problems(self, problems: Iterable[Problem]) -> None:
        """Show problems with their place, always."""
        listed = list(problems)
        if listed:
            print(render_problems(listed), file=sys.stderr)

    def error(self, error: FinnyamlError) -> None:
        """Show an error that ends the command."""
        if isinstance(error, RecipeError):
            self.problems(error.problems)
            return
        where = f"{error.where}: " if error.where else ""
        print(f"{where}error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  hint: {error.hint}", file=sys.stderr)

    def progress(self, verbose: bool = False) -> Progress:
        """The view of a build; `verbose` also shows what its steps print."""
        if not self.quiet and sys.stderr.isatty() and not verbose and os.environ.get("TERM") != "dumb":
            return Live()
        return _Lines(None if self.quiet else sys.stderr, verbose)


class _Lines:
    """Plain lines to a stream, if there is one; `verbose` shows what the steps print too, as it comes."""

    def __init__(self, stream: TextIO | None, verbose: bool) -> None:
        self._width = 0
        self._stream = stream
        self._verbose = verbose
        self._logs = Path()
        self._ended: dict[str, threading.Event] = {}
        self._tails: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for ended in self._ended.values():
            ended.set()
        for tail in self._tails:
            tail.join(timeout=1)

    def on_event(self, event: Event) -> None:
        """Print the event's line."""
        if event["event"] == "run_started":
            self._width = max(map(len, event["tasks"]), default=0)
            self._logs = Path(event["run"], "logs")
        if self._verbose:
            self._follow(event)
        line = line_of(event, self._width)
        if line is not None and self._stream is not None:
            print(line, file=self._stream, flush=True)

    def _follow(self, event: Event) -> None:
        task = str(event.get("task", ""))
        if event["event"] == "task_started":
            self._ended[task] = threading.Event()
            tail = threading.Thread(target=_tail, args=(self._logs / f"{task}.log", self._ended[task]), daemon=True)
            self._tails.append(tail)
            tail.start()
        elif event["event"] in ("task_finished", "task_failed") and task in self._ended:
            self._ended[task].set()


def _tail(path: Path, ended: threading.Event) -> None:
    """Copy a growing log to standard error until its task has ended."""
    position = 0
    while True:
        last = ended.wait(0.2)
        if path.exists():
            with path.open(errors="replace") as file:
                file.seek(position)
                text = file.read()
                position = file.tell()
            if text:
                sys.stderr.write("".join(f"    | {line}\n" for line in text.splitlines()))
        if last:
            return


def summary_lines(result: Mapping[str, Any], written: int) -> list[str]:
    """The end of a build in a few lines."""
    if {task["state"] for task in result["tasks"].values()} == {"cached"} and not written:
        return up_to_date_lines(result)
    states = [task["state"] for task in result["tasks"].values() if not task["looks"]]
    counts = {
        state: states.count(state) for state in ("ran", "cached", "failed", "blocked", "not run") if state in states
    }
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    good = result["exit_code"] == 0
    lines = [f"{result['name']} {'is built' if good else 'is not complete'}: {told}, in {duration(result['seconds'])}"]
    lines += [*_figures_lines(result), *accuracy.lines(result), *_bundle_lines(result)]
    if good or written:
        lines.append(f"  results: {relative(Path(result['workspace']))}")
    return lines


def up_to_date_lines(result: Mapping[str, Any]) -> list[str]:
    """What is said when there is nothing to do."""
    steps = sum(not task["looks"] for task in result["tasks"].values())
    told = f"{result['name']} is up to date: {steps} steps"
    figures = [*_figures_lines(result), *accuracy.lines(result), *_bundle_lines(result)]
    return [told, *figures, f"  results: {relative(Path(result['workspace']))}"]


def _figures_lines(result: Mapping[str, Any]) -> list[str]:
    found = {name: task["key_figures"] for name, task in result["tasks"].items() if task.get("key_figures")}
    return [f"  {name}: {figures_line(item)}" for name, item in found.items()]


def _bundle_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Where each deployment bundle lies, and what it lacks."""
    for name, task in result["tasks"].items():
        found = task.get("figures", {}).get("bundle")
        if found:
            target = name.partition(".")[2]  # several targets have a folder each
            path = Path(result["workspace"], target, "bundle", f"{found['name']}.tar.gz")
            lacks = f"; missing: {', '.join(found['missing'])}" if found["missing"] else ""
            yield f"  bundle: {relative(path)} ({size(found['bytes'])}{lacks})"


def figures_line(found: Mapping[str, Any]) -> str:
    """Key figures in one line, rounded for people."""
    return ", ".join(
        f"{name} {value:,.0f}" if isinstance(value, (int, float)) else f"{name} {value}"
        for name, value in found.items()
    )
