"""`python -m tests.fuzz [TARGET ...]`: look at many damaged inputs, and say what was not as it must be.

Input number n of a seed is always the same one. One that shows a fault is written to `--found`; once the fault is
mended it belongs into `tests/fuzz/corpus`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.fuzz.targets import TARGETS
from tests.project import warm

LOOK = [sys.executable, "-m", "tests.fuzz.look"]


def main() -> int:
    """Run the targets that the command line names; 1 where there was a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("targets", nargs="*", metavar="|".join(TARGETS), help="default: all")
    parser.add_argument("--count", type=int, default=1000, metavar="N", help="inputs for each target (default: 1000)")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="the number of the first input")
    parser.add_argument("--seed", default="0", help="other inputs for another seed")
    parser.add_argument("--processes", type=int, default=2, metavar="N")
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"), help="where inputs with a fault are written")
    asked = parser.parse_args()
    names = asked.targets or [*TARGETS]
    if unknown := {*names} - TARGETS.keys():
        parser.error(f"no target {', '.join(sorted(unknown))}; there are: {', '.join(TARGETS)}")
    with tempfile.TemporaryDirectory(prefix="finnyaml-fuzz-") as folder:
        store = warm(Path(folder))
        faulty = [name for name in names if _Run(name, Path(folder, name), store, asked).told()]
    return 1 if faulty else 0


class _Run:
    """The inputs of one target, shared among some processes."""

    def __init__(self, name: str, folder: Path, warm: Path, asked: argparse.Namespace) -> None:
        self._name, self._folder, self._warm, self._asked = name, folder, warm, asked
        self._counts, self._longest = Counter[str](), 0.0
        self._found: set[str | None] = {None}

    def told(self) -> bool:
        """Look at all of them and print how many there were; whether there was a fault."""
        started = time.monotonic()
        with ThreadPoolExecutor(self._asked.processes) as pool:
            list(pool.map(self._share, range(self._asked.processes)))
        counts = ", ".join(f"{self._counts[what]:,} {what}" for what in ("taken", "refused", "faults"))
        seconds = time.monotonic() - started
        all_of_them = f"{self._counts.total():,} inputs in {seconds:,.0f} s"
        print(f"{self._name}: {all_of_them}: {counts}; the longest took {self._longest:.2f} s", flush=True)
        return self._counts["faults"] > 0

    def _share(self, share: int) -> None:
        first, step = self._asked.first + share, self._asked.processes
        end = self._asked.first + self._asked.count
        while first < end:
            folder = self._folder / f"{share}-{first}"
            folder.mkdir(parents=True)
            place = map(str, (self._name, folder, self._warm, self._asked.seed, first, end, step))
            with (
                (folder / "stderr").open("w") as stderr,  # native libraries have much to say of damaged files
                subprocess.Popen([*LOOK, *place], stdout=subprocess.PIPE, stderr=stderr, text=True) as child,
            ):
                assert child.stdout is not None
                for line in child.stdout:
                    self._take(folder, json.loads(line))
            if child.returncode == 0:
                return
            numbers = [int(path.name.partition("-")[0]) for path in folder.glob("[0-9]*-*")]
            if not numbers:
                raise SystemExit((folder / "stderr").read_text())
            (last,) = folder.glob(f"{max(numbers)}-*")
            what = f"it ended the process ({child.returncode})"
            self._take(folder, {"fault": [last.name, what, what], "counts": {"faults": 1}})
            first = max(numbers) + step

    def _take(self, folder: Path, told: dict[str, Any]) -> None:
        """What one line of a process says."""
        self._counts.update(told.get("counts", {}))
        self._longest = max(self._longest, told.get("longest", 0.0))
        name, what, where = told.get("fault", ("", "", None))
        if where in self._found:
            return
        self._found.add(where)
        number, _, kind = name.partition("-")
        data = (folder / name).read_bytes()
        path = self._asked.found / self._name / f"{kind}-{hashlib.sha256(data).hexdigest()[:8]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        print(f"{self._name} {number}: {what}\n  {where}\n  {path}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
