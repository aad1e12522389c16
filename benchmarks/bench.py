"""What the benchmarks share: throw-away projects, the finnyaml command as a user starts it, clocks and tables."""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

Name = TypeVar("Name", bound=Hashable)

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "recipes" / "digits-cnv"


def clean_environment(**more: str) -> dict[str, str]:
    """This environment, without what would keep Python from caching bytecode: everyone measured may use it."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, **more}


def finnyaml_command() -> list[str]:
    """The `finnyaml` script of this Python environment; `python -m finnyaml` where it is not installed."""
    script = Path(sys.executable).with_name("finnyaml")
    return [str(script)] if script.exists() else [sys.executable, "-m", "finnyaml"]


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[float, str]:
    """Run a command to its end: wall time of the whole process in seconds, and its standard output."""
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} in {folder} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return seconds, done.stdout


@dataclass
class Project:
    """A folder with a `recipe.yaml`, and the store that its builds use."""

    folder: Path
    store: Path

    @classmethod
    def of_digits(cls, folder: Path, store: Path) -> Project:
        """A fresh copy of recipes/digits-cnv, without what was built there, and without the gate that stops it."""
        shutil.copytree(DIGITS, folder, ignore=shutil.ignore_patterns("build", "__pycache__"))
        recipe = folder / "recipe.yaml"
        recipe.write_text(recipe.read_text().partition("\nverify:")[0])
        return cls(folder, store)

    def finnyaml(self, command: str, *options: str, **environment: str) -> tuple[float, str]:
        """Run `finnyaml COMMAND recipe.yaml`: seconds and standard output."""
        own = clean_environment(FINNYAML_STORE=str(self.store), PYTHONPATH=str(ROOT), **environment)
        return run([*finnyaml_command(), command, "recipe.yaml", *options], self.folder, own)

    def build(self, *options: str, **environment: str) -> tuple[float, list[str], dict[str, Any]]:
        """Build by traces (`--json` never takes the quick path): seconds, the tasks that ran, all tasks."""
        seconds, output = self.finnyaml("build", "--json", *options, **environment)
        tasks: dict[str, Any] = json.loads(output)["tasks"]
        return seconds, [name for name, task in tasks.items() if task["state"] == "ran"], tasks


def in_turn(contestants: Mapping[Name, Callable[[], float]], rounds: int) -> dict[Name, list[float]]:
    """Let all contestants run once per round, so that what else the machine does falls on all alike."""
    seconds: dict[Name, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            seconds[name].append(contestant())
    return seconds


def median(values: Iterable[float]) -> float:
    """The middle of some measurements."""
    return statistics.median(values)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a Markdown table, aligned: the first column to the left, numbers to the right."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    for line in (header, rule, *lines[1:]):
        first, *others = zip(line, widths, strict=True)
        print("| " + " | ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]) + " |")
    sys.stdout.flush()


def verdict(what: str, ratio: float, bar: float) -> None:
    """Print whether a ratio is within its bar."""
    print(f"{what}: {ratio:.2f}x, bar {bar:.2f}x: {'met' if ratio <= bar else 'NOT met'}", flush=True)


def machine() -> str:
    """The machine and the day, for a table to be worth something later."""
    model = platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{date.today()}, {model}, {cores} cores, Python {platform.python_version()}, {platform.system()}"
