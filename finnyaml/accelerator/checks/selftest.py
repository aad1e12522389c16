"""Whether a bundle, where it is now, is what was built: its files, its outputs, its speed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..devices.clock import promised_mhz
from ..devices.transport import Transport
from ..errors import AcceleratorError
from . import golden as samples
from .digests import add_new, add_running, file_problems, handoff_clock_mhz, hardware_problems
from .faults import Observed, difference, recognised, wrong_rows
from .report import Problem, Run, SelftestReport, Speed

if TYPE_CHECKING:
    from ..accelerator import Accelerator
    from ..contract import Bundle
    from .golden import Golden

BATCH = 256
"""Images that are handed over at once for the throughput."""


SECONDS = 1.0
"""How long each speed is measured."""


def selftest(
    bundle: Bundle,
    opened: Callable[[], Accelerator],
    emulate: bool,
    seconds: float = SECONDS,
    *,
    changed_bitfile: bool = False,
    debug: bool = False,
) -> SelftestReport:
    """Test an accelerator: files, golden samples in several batch sizes, throughput and latency.

    All problems are reported, not only the first, and whatever ends the test early is one of them. `opened` opens it
    once the files have been checked: damage can prevent that, and a board is not opened where its bitfile is damaged
    (unless `changed_bitfile`). `seconds` is how long each speed is measured. `debug` passes errors of others on.
    """
    problems, notes = [*file_problems(bundle)], []
    for problem in hardware_problems(bundle):
        add_new(problems, problem)
    if emulate:  # then nobody needs the bitfile
        absent = [problem for problem in problems if problem.name == "bitfile missing"]
        problems = [problem for problem in problems if problem not in absent]
        notes = [str(problem) for problem in absent[:1]]
    if emulate and bundle.data["driver"]["bitfile"] is None:
        notes.append("bitfile missing: this bundle has none, so only the emulation runs")
    clock = handoff_clock_mhz(bundle)
    device, count = "not opened", 0
    runs: list[Run] = []
    speed = counted = None
    try:
        changed = any(problem.name.startswith("bitfile") for problem in problems)
        if changed and not emulate and not changed_bitfile:
            notes.append("the board was not opened: its bitfile is not the one that was built")
        else:
            accelerator = opened()
            device = accelerator.device.name
            clock = accelerator.device.clock_mhz or clock
            add_running(problems, bundle, accelerator.device)
            golden = samples.load(bundle)
            count = len(golden)
            if any(problem.name == "golden samples changed" for problem in problems):
                notes.append("the golden samples are not those that were built: what differs below may be theirs")
            compare(accelerator, golden, problems, runs)
            speed = measure(accelerator, golden, seconds)
            if bundle.data["driver"]["instrumentation"] and isinstance(accelerator.device, Transport):
                counted = accelerator.device.instrumentation(seconds)
                if not counted["ok"]:
                    notes.append("the instrumentation saw an overflow or an underflow: its figures may be wrong")
    except AcceleratorError as error:
        add_new(problems, Problem.of(error))
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            raise
        problems.append(Problem.unexpected(error))
    return SelftestReport(
        bundle.name,
        device,
        emulate,
        tuple(problems),
        tuple(notes),
        files=len(bundle.data["files"]),
        clock_mhz=clock,
        expected_clock_mhz=promised_mhz(bundle),
        samples=count,
        runs=tuple(runs),
        speed=speed,
        counted=counted,
        estimate=(bundle.data["performance"] or {}).get("estimated"),
    )


def compare(accelerator: Accelerator, golden: Golden, problems: list[Problem], runs: list[Run]) -> None:
    """Run the golden samples and compare everywhere: host's head, accelerator, host's tail, all of them together.

    What is found is added as it is found, so that it is there if the accelerator fails on the way.
    """
    expected = golden.accelerator_outputs
    bundle = accelerator.bundle
    before = len(problems)
    for batch in (1, len(golden)):
        heads = _by(batch, accelerator.head, golden.inputs)
        layout = bundle.accelerator_input.layout
        _add(problems, "host's head differs", difference(golden.accelerator_inputs, heads, layout))
    observed: list[Observed] = []
    try:
        for run in _observe(accelerator, golden.accelerator_inputs):
            observed.append(run)
            wrong = wrong_rows(expected[run.rows], run.got)
            runs.append(Run(run.batch, run.order, tuple(sorted(int(run.rows[row]) for row in wrong))))
    finally:
        failed = [run for run in runs if run.wrong]
        if failed:
            first = observed[runs.index(failed[0])]
            fault = recognised(observed, expected, golden.without_weights)
            some = f"{len(failed)} of {len(runs)} runs ({', '.join(run.order for run in failed)})"
            where = f"all {len(runs)} runs" if len(failed) == len(runs) else some
            text = difference(expected[first.rows], first.got, bundle.accelerator_output.layout, first.rows)
            message = f"{fault.message}\nin {where}: {text}" if fault else f"in {where}: {text}"
            _add(problems, fault.name if fault else "accelerator's outputs differ", message)
    for batch in (1, len(golden)):
        outputs = _by(batch, accelerator.tail, expected)
        _add(problems, "host's tail differs", difference(golden.outputs, outputs, bundle.output.layout))
    if len(problems) == before:  # else these differ for the same reason
        outputs = accelerator.predict(golden.inputs)
        _add(problems, "outputs differ", difference(golden.outputs, outputs, bundle.output.layout))


def measure(accelerator: Accelerator, golden: Golden, seconds: float) -> Speed:
    """The speed on golden samples; each of its four figures is measured for so many seconds."""
    times = -(-BATCH // len(golden))
    images, values = (np.concatenate([array] * times)[:BATCH] for array in (golden.inputs, golden.accelerator_inputs))
    return Speed(
        len(images),
        len(values) / _seconds(lambda: accelerator.run(values), seconds),
        len(images) / _seconds(lambda: accelerator.predict(images), seconds),
        1000 * _seconds(lambda: accelerator.run(values[:1]), seconds),
        1000 * _seconds(lambda: accelerator.predict(images[:1]), seconds),
    )


def _seconds(call: Callable[[], Any], seconds: float) -> float:
    """What a call takes: the median of as many as there is time for, so that an interruption does not count."""
    found: list[float] = []
    while not found or sum(found) < seconds:
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return float(np.median(found))


def _observe(accelerator: Accelerator, values: np.ndarray) -> Iterator[Observed]:
    """Every batch size twice in a row, forwards and backwards: what is left over from an earlier call is then wrong."""
    forwards = np.arange(len(values))
    for batch in sorted({1, min(7, len(values)), len(values)}):
        for rows, order in ((forwards, "in order"), (forwards[::-1], "backwards")):
            size = "one at a time" if batch == 1 else "all at once" if batch == len(values) else f"{batch} at a time"
            yield Observed(batch, f"{size} {order}", rows, _by(batch, accelerator.run, values[rows]))


def _by(batch: int, function: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
    parts = [function(values[start : start + batch]) for start in range(0, len(values), batch)]
    results: np.ndarray = np.concatenate(parts)
    return results


def _add(problems: list[Problem], name: str, message: str) -> None:
    """Add a problem, unless there is nothing to say or it has been said."""
    if message and not any(problem.name == name and problem.message == message for problem in problems):
        problems.append(Problem(name, message))
