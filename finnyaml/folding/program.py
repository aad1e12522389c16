"""The choice of a folding as an integer program: one option for each unit, converters between them, limits on sums.

Pure numbers: what a unit is and what an option costs is known by `finnyaml.folding.options`. Solved by HiGHS, through
SciPy, with a proof: the result says how far the best possible may still be.
"""

from __future__ import annotations

import bisect
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

RESOURCES = ("lut", "bram", "uram", "dsp")
"""What options cost, in this order: LUTs, block RAMs of 18 kbit, UltraRAMs, DSP slices."""

Costs = tuple[float, float, float, float]
"""An amount of each of `RESOURCES`."""

NOTHING: Costs = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Option:
    """One way to build a unit.

    settings: per node its attributes. cycles: of the unit's slowest layer for a frame. latency: cycles that it adds to
    a frame's way. inputs, outputs: the width of each stream that another unit is connected to, in values of the
    tensor that arrive in one cycle. by_finn: why costs are FINN's estimate; "" where they are not. synthesised: whether
    they were measured on these very layers.
    """

    settings: Mapping[str, Mapping[str, Any]]
    cycles: int
    costs: Costs = NOTHING
    latency: int = 0
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    by_finn: str = ""
    synthesised: bool = False


@dataclass(frozen=True)
class Unit:
    """Layers that are folded together: most often one. `options` is not empty."""

    name: str
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Edge:
    """A stream from one unit's output to another's input, and what stands on it.

    between: for a width of the output and one of the input, both in values in a cycle: what FIFOs and perhaps a
    converter cost; None where FINN has no converter for the two.
    """

    source: int
    output: int
    target: int
    input: int
    between: Callable[[int, int], Costs | None]


@dataclass(frozen=True)
class Goal:
    """What is wanted: the least weighted sum of resources within limits.

    weights: of one unit of each resource. budget: at most this much of each (None: no limit). cycles: no unit may take
    more for a frame. latency: at most this sum along any way.
    """

    weights: Costs
    budget: tuple[float | None, float | None, float | None, float | None] = (None, None, None, None)
    cycles: int | None = None
    latency: int | None = None


@dataclass(frozen=True)
class Choice:
    """What was chosen: `options` for each unit in order, with what stands on the streams in `costs`.

    bound: no choice has a smaller weighted sum than this; equal to `value` (within rounding) where it is proven best.
    """

    options: tuple[Option, ...]
    costs: Costs
    converters: int
    value: float
    bound: float

    def widths(self, edge: Edge) -> tuple[int, int]:
        """What is sent and what is read at once at the ends of an edge."""
        return self.options[edge.source].outputs[edge.output], self.options[edge.target].inputs[edge.input]

    @property
    def cycles(self) -> int:
        """Of the slowest unit: a frame leaves every so many cycles."""
        return max(option.cycles for option in self.options)

    @property
    def gap(self) -> float:
        """By how much of its value the choice may be worse than the best: 0 where it is proven best."""
        return max(0.0, self.value - self.bound) / max(abs(self.value), 1e-9) if self.value - self.bound > 1e-6 else 0.0


class NoSolution(Exception):
    """No choice keeps the limits."""


class NotSolved(Exception):
    """The time was up before any choice that keeps the limits was found."""


@dataclass
class Program:
    """Units and the streams between them; asked for the best choice under several goals."""

    units: Sequence[Unit]
    edges: Sequence[Edge]
    seconds: float = 60.0
    """How long the solver may look for each answer."""

    def best(self, goal: Goal) -> Choice:
        """The choice with the least weighted sum of resources within the limits.

        Raises:
            NoSolution: there is none, which is proven.
            NotSolved: none was found in time.
        """
        return _Solving(self, goal).solve()

    def fastest(self, goal: Goal) -> Choice:
        """The choice that needs the fewest cycles for a frame within the limits; of those, the cheapest.

        Raises as `best`.
        """
        paces = self.paces()
        if goal.cycles is not None:
            paces = [pace for pace in paces if pace <= goal.cycles]
        if not paces:
            raise NoSolution

        # Whether shares of options would do is quickly asked, and hardly ever yes where whole ones will not do.
        first = bisect.bisect_left(paces, True, key=lambda pace: _possible(self, _within(goal, pace)))
        for pace in paces[first:]:
            with contextlib.suppress(NoSolution):
                return self.best(_within(goal, pace))
        raise NoSolution

    def paces(self) -> list[int]:
        """Cycles for a frame that some choice can have, the fewest first: no unit has an option below the first."""
        least = max(min(option.cycles for option in unit.options) for unit in self.units)
        return sorted({option.cycles for unit in self.units for option in unit.options if option.cycles >= least})


def _possible(program: Program, goal: Goal) -> bool:
    """Whether the limits can be kept where options may be mixed: where they cannot, no choice keeps them."""
    try:
        return _Solving(program, goal).relaxed()
    except NoSolution:
        return False


def _within(goal: Goal, cycles: int) -> Goal:
    return Goal(goal.weights, goal.budget, cycles, goal.latency)


class _Solving:
    """One program in the solver's words.

    Variables: for each unit and option whether it is taken; for each edge and pair of widths whether it has them; and
    where the latency is limited, when a frame has passed each unit. The pairs of widths need not be integers: with
    sums that must agree at both ends they are, once the options are.
    """

    def __init__(self, program: Program, goal: Goal) -> None:
        self._program, self._goal = program, goal
        limit = goal.cycles
        self._options = [
            _useful(unit.options if limit is None else [item for item in unit.options if item.cycles <= limit], goal)
            for unit in program.units
        ]
        if not all(self._options):
            raise NoSolution
        self._columns: list[Costs] = []
        self._integer: list[int] = []
        self._upper: list[float] = []
        self._rows: list[tuple[dict[int, float], float, float]] = []

        self._taken = self._units()
        self._edges(self._taken)
        self._budgets()
        if goal.latency is not None:
            self._latencies(self._taken, goal.latency)

    def relaxed(self) -> bool:
        """Whether there is a solution in shares of options."""
        return bool(self._run(whole=False).status == 0)

    def solve(self) -> Choice:
        """The best choice. Raises NoSolution, NotSolved."""
        result = self._run(whole=True)
        if result.x is None:
            raise NoSolution if result.status == 2 else NotSolved
        chosen = tuple(
            options[int(np.argmax(result.x[list(columns)]))]
            for options, columns in zip(self._options, self._taken, strict=True)
        )
        costs, converters = self._total(chosen)
        value = float(np.dot(self._goal.weights, costs))
        # A bound of the solver is below what it found; what it found is the chosen options' own sum.
        bound = (
            value if result.status == 0 and result.mip_gap in (None, 0.0) else min(value, float(result.mip_dual_bound))
        )
        return Choice(chosen, costs, converters, value, bound)

    def _column(self, costs: Costs, *, whole: bool, upper: float = 1.0) -> int:
        self._columns.append(costs)
        self._integer.append(int(whole))
        self._upper.append(upper)
        return len(self._columns) - 1

    def _units(self) -> list[list[int]]:
        taken = []
        for options in self._options:
            columns = [self._column(option.costs, whole=True) for option in options]
            self._rows.append((dict.fromkeys(columns, 1.0), 1.0, 1.0))
            taken.append(columns)
        return taken

    def _edges(self, taken: list[list[int]]) -> None:
        for edge in self._program.edges:
            sent = self._by_width(taken[edge.source], self._options[edge.source], "outputs", edge.output)
            read = self._by_width(taken[edge.target], self._options[edge.target], "inputs", edge.input)
            leaving: dict[int, dict[int, float]] = {
                width: dict.fromkeys(columns, -1.0) for width, columns in sent.items()
            }
            arriving: dict[int, dict[int, float]] = {
                width: dict.fromkeys(columns, -1.0) for width, columns in read.items()
            }
            for width_out in sent:
                for width_in in read:
                    costs = edge.between(width_out, width_in)
                    if costs is not None:
                        column = self._column(costs, whole=False)
                        leaving[width_out][column] = arriving[width_in][column] = 1.0
            self._rows += [(row, 0.0, 0.0) for row in (*leaving.values(), *arriving.values())]

    @staticmethod
    def _by_width(columns: list[int], options: Sequence[Option], side: str, port: int) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for column, option in zip(columns, options, strict=True):
            found.setdefault(getattr(option, side)[port], []).append(column)
        return found

    def _budgets(self) -> None:
        for index, most in enumerate(self._goal.budget):
            if most is not None:
                row = {at: costs[index] for at, costs in enumerate(self._columns) if costs[index]}
                self._rows.append((row, -np.inf, most))

    def _latencies(self, taken: list[list[int]], most: int) -> None:
        """A frame has passed a unit no earlier than those before it, and its own latency later."""
        passed = [self._column(NOTHING, whole=False, upper=float(most)) for _ in taken]
        for unit, columns in enumerate(taken):
            own = {at: -float(option.latency) for at, option in zip(columns, self._options[unit], strict=True)}
            before = [edge.source for edge in self._program.edges if edge.target == unit]
            for source in before:
                self._rows.append(({passed[unit]: 1.0, passed[source]: -1.0, **own}, 0.0, np.inf))
            if not before:
                self._rows.append(({passed[unit]: 1.0, **own}, 0.0, np.inf))

    def _run(self, *, whole: bool) -> Any:
        weights = np.asarray(self._goal.weights)
        objective = np.array([float(np.dot(weights, costs)) for costs in self._columns])
        entries = [(r, c, v) for r, (row, _, _) in enumerate(self._rows) for c, v in row.items()]
        rows, columns, values = zip(*entries, strict=True)
        matrix = coo_array((values, (rows, columns)), shape=(len(self._rows), len(self._columns)))
        limits = LinearConstraint(
            matrix.tocsr(), [low for _, low, _ in self._rows], [high for _, _, high in self._rows]
        )
        options = {"time_limit": self._program.seconds, "mip_rel_gap": 0.0}
        return milp(
            objective,
            integrality=self._integer if whole else None,
            bounds=Bounds(0.0, self._upper),
            constraints=limits,
            options=options,
        )

    def _total(self, chosen: Sequence[Option]) -> tuple[Costs, int]:
        costs = [np.asarray(option.costs) for option in chosen]
        converters = 0
        for edge in self._program.edges:
            widths = chosen[edge.source].outputs[edge.output], chosen[edge.target].inputs[edge.input]
            between = edge.between(*widths)
            assert between is not None, "the solver chose two widths that nothing converts"
            costs.append(np.asarray(between))
            converters += widths[0] != widths[1]
        lut, bram, uram, dsp = np.sum(costs, axis=0).tolist()
        return (lut, bram, uram, dsp), converters


def _useful(options: Sequence[Option], goal: Goal) -> list[Option]:
    """The options without those to which another of the same widths is nowhere worse: no best choice needs them."""
    counted = [at for at, weight in enumerate(goal.weights) if weight or goal.budget[at] is not None]

    def measures(option: Option) -> tuple[float, ...]:
        return (*(option.costs[at] for at in counted), *((option.latency,) if goal.latency is not None else ()))

    kept: dict[tuple[tuple[int, ...], tuple[int, ...]], list[tuple[tuple[float, ...], Option]]] = {}
    for option in sorted(options, key=lambda item: (measures(item), item.cycles)):
        found, same = measures(option), kept.setdefault((option.inputs, option.outputs), [])
        if not any(all(a <= b for a, b in zip(other, found, strict=True)) for other, _ in same):
            same.append((found, option))
    return [option for group in kept.values() for _, option in group]
