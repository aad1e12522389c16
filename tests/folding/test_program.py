"""The integer program beside every choice there is: what it calls best is best."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from random import Random

import pytest

from finnyaml.folding.program import Choice, Costs, Edge, Goal, NoSolution, Option, Program, Unit

WEIGHTS: Costs = (1.0, 80.0, 300.0, 30.0)


def drawn(seed: int, units: int = 4) -> Program:
    """A small network with a fork and a join, whose options and converters are drawn."""
    chance = Random(seed)
    wires = [(0, 0, 1, 0), (0, 1, 2, 0), (1, 0, 3, 0), (2, 0, 3, 1)] if units == 4 else [(0, 0, 1, 0), (1, 0, 2, 0)]
    made = []
    for unit in range(units):
        ports = [sum(wire[side] == unit for wire in wires) for side in (2, 0)]
        options = []
        for _ in range(chance.randint(3, 5)):
            widths = [tuple(chance.choice((1, 2, 3, 4)) for _ in range(count)) for count in ports]
            costs = (chance.randint(1, 500), chance.randint(0, 5), 0.0, chance.randint(0, 9))
            options.append(Option({}, chance.randint(1, 30) * 10, costs, chance.randint(1, 9), *widths))
        made.append(Unit(str(unit), tuple(options)))

    def between(sent: int, read: int) -> Costs | None:
        """A FIFO, and a converter with another one where the widths differ."""
        if max(sent, read) % min(sent, read):
            return None
        return (3.0 * sent + (0.0 if sent == read else 20.0 * max(sent, read) + 3.0 * read), 0.0, 0.0, 0.0)

    return Program(made, [Edge(*wire, between) for wire in wires])


def every(program: Program, goal: Goal) -> Iterator[tuple[float, int]]:
    """The weighted sum and the cycles of each choice that keeps the limits."""
    for chosen in itertools.product(*(unit.options for unit in program.units)):
        between = [
            edge.between(sent, read)
            for edge in program.edges
            for sent, read in [(chosen[edge.source].outputs[edge.output], chosen[edge.target].inputs[edge.input])]
        ]
        if None in between:
            continue
        costs = [sum(each) for each in zip(*(option.costs for option in chosen), *filter(None, between), strict=True)]
        passed: list[int] = []
        for unit, option in enumerate(chosen):
            before = [passed[edge.source] for edge in program.edges if edge.target == unit]
            passed.append(max(before, default=0) + option.latency)
        cycles = max(option.cycles for option in chosen)
        if any(most is not None and cost > most for cost, most in zip(costs, goal.budget, strict=True)):
            continue
        if cycles <= (goal.cycles or math.inf) and max(passed) <= (goal.latency or math.inf):
            yield math.fsum(weight * cost for weight, cost in zip(goal.weights, costs, strict=True)), cycles


def goals(seed: int) -> Iterator[Goal]:
    chance = Random(seed)
    yield Goal(WEIGHTS)
    yield Goal((1.0, 0.0, 0.0, 0.0), cycles=chance.randint(8, 30) * 10)
    yield Goal(WEIGHTS, (chance.randint(300, 1200), chance.randint(4, 12), None, None), cycles=250)
    yield Goal(WEIGHTS, (None, None, None, chance.randint(8, 24)), latency=chance.randint(8, 20))


def found(choice: Choice) -> tuple[float, bool]:
    return choice.value, choice.gap == 0 and choice.bound == pytest.approx(choice.value)


@pytest.mark.parametrize("seed", range(12))
def test_the_cheapest_is_the_cheapest_of_all(seed: int) -> None:
    program = drawn(seed, 4 if seed % 3 else 3)
    for goal in goals(seed):
        least = min((value for value, _ in every(program, goal)), default=None)
        if least is None:
            with pytest.raises(NoSolution):
                program.best(goal)
        else:
            assert found(program.best(goal)) == (pytest.approx(least), True)


@pytest.mark.parametrize("seed", range(12))
def test_the_fastest_is_the_fastest_of_all_and_of_those_the_cheapest(seed: int) -> None:
    program = drawn(seed, 4 if seed % 3 else 3)
    for goal in goals(seed):
        best = min(((cycles, value) for value, cycles in every(program, goal)), default=None)
        if best is None:
            with pytest.raises(NoSolution):
                program.fastest(goal)
        else:
            choice = program.fastest(goal)
            assert (choice.cycles, choice.value) == (best[0], pytest.approx(best[1]))


def test_what_stands_between_two_widths_counts() -> None:
    narrow, wide = (
        Option({}, 9, (10.0, 0.0, 0.0, 0.0), outputs=(1,)),
        Option({}, 9, (15.0, 0.0, 0.0, 0.0), outputs=(4,)),
    )
    reader = Option({}, 9, (10.0, 0.0, 0.0, 0.0), inputs=(4,))
    program = Program(
        [Unit("a", (narrow, wide)), Unit("b", (reader,))],
        [Edge(0, 0, 1, 0, lambda sent, read: (1.0 if sent == read else 7.0, 0.0, 0.0, 0.0))],
    )
    choice = program.best(Goal(WEIGHTS))
    assert (choice.options[0], choice.converters, choice.costs[0]) == (wide, 0, 26.0)
