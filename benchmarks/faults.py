"""What finnyaml does when things go wrong, many times over: `python -m benchmarks faults [KIND ...]`.

Unlike the other benchmarks it measures no time. A round that is not as it must be is printed with its number;
`--first N --count 1` repeats it, as far as chance goes: the moment of a `kill` is never the same.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.bench import machine
from tests.faults.kinds import KINDS, chance
from tests.faults.sound import Sound
from tests.project import Project, warm


def main(arguments: Sequence[str]) -> int:
    """Run the kinds that the command line names; 1 where a round was not as it must be."""
    listed = "\n".join(f"  {name:12} {kind.count:5} times: {kind.what}" for name, kind in KINDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks faults",
        description=f"Break things, many times over:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="default: all")
    parser.add_argument("--count", type=int, metavar="N", help="rounds of each kind (default: as above)")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="the number of the first round")
    parser.add_argument("--seed", default="0", help="other rounds for another seed")
    asked = parser.parse_args(arguments)
    names = asked.kinds or [*KINDS]
    if unknown := sorted({*names} - KINDS.keys()):
        parser.error(f"no kind {', '.join(unknown)}; there are: {', '.join(KINDS)}")
    print(machine(), flush=True)
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="finnyaml-faults-") as folder:
        store = warm(Path(folder))

        @functools.cache
        def sound(prepare: Callable[[Project], None]) -> Sound:
            return Sound(Path(folder, prepare.__name__, "now"), store, prepare)

        for name in names:
            wrong += _tried(name, sound(KINDS[name].prepare), asked)
    return 1 if wrong else 0


def _tried(name: str, sound: Sound, asked: argparse.Namespace) -> int:
    """Run the rounds of one kind and print what came of them; how many were not as they must be."""
    started, outcomes, wrong = time.monotonic(), Counter[str](), 0
    attempt = KINDS[name].make(sound)
    count = KINDS[name].count if asked.count is None else asked.count
    for number in range(asked.first, asked.first + count):
        try:
            outcomes[attempt(chance(asked.seed, number))] += 1
        except Exception as error:
            wrong += 1
            print(f"{name}, round {number}: {type(error).__name__}: {error}", flush=True)
    listed = ", ".join(f"{outcome}: {times}" for outcome, times in outcomes.most_common())
    print(f"{name}: {count} rounds in {time.monotonic() - started:.0f} s, {wrong} wrong. {listed}", flush=True)
    return wrong
