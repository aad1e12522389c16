"""The best folding of a model for what a recipe wants: the program is set up, solved, and told as a report."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onnx import numpy_helper

from finnyaml.errors import StepFailed
from finnyaml.finn import estimates
from finnyaml.finn.alone import Constants
from finnyaml.finn.folding import set_folding
from finnyaml.folding import prices
from finnyaml.folding.costs import MODEL, Pricing
from finnyaml.folding.options import Layers
from finnyaml.folding.program import RESOURCES, Choice, Costs, Goal, NoSolution, NotSolved, Program
from finnyaml.folding.synthesis import Synthesis
from finnyaml.graph.surgery import set_attributes
from finnyaml.lint.rtl import loses_results
from finnyaml.text import counted, few

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

OF_PART = dict(zip(RESOURCES, ("LUT", "BRAM18", "URAM", "DSP"), strict=True))
"""What the amounts of a part are called in `finnyaml.finn.estimates.capacity`."""

LITTLE = 1e-7
"""The weight of what does not count, so that of equal choices the one that needs less of it is taken."""


@dataclass(frozen=True)
class Wanted:
    """`folding: {optimize: ...}` of a recipe.

    minimize: a resource, `share` (of what the part has, summed over resources), or weights by resource; None where
    the frame rate is to be as high as possible. fps: the least frames per second. budget: the most of each resource, as
    a number or as per cent of the part ("60%"). max_latency_ms: of a frame, by FINN's estimate. exclude: nodes that
    keep their folding. costs: by whom (`finnyaml.folding.costs`). seconds: for each answer of the solver.
    """

    minimize: str | Mapping[str, float] | None = None
    fps: int | None = None
    budget: Mapping[str, float | str] | None = None
    max_latency_ms: float | None = None
    exclude: Sequence[str] = ()
    costs: str = MODEL
    seconds: float = 60.0


@dataclass(frozen=True)
class Chosen:
    """A folded model, and how it came about as plain data (docs/how-to/folding.md)."""

    model: ModelWrapper
    report: dict[str, Any]


def choose(
    model: ModelWrapper,
    wanted: Wanted,
    part: str,
    clock_ns: float,
    fixed: Mapping[str, Mapping[str, Any]],
    *,
    rtl_only: bool,
    synthesis: Synthesis | None = None,
) -> Chosen:
    """The best folding that there is, by the cycles and costs of its layers (`finnyaml.folding.options`).

    With a synthesis, the layers of what was found are synthesised and the search goes on with what they take, until
    all that it finds was synthesised before. The same is done for FINN's own folding, so that the two compare.

    Args:
        model: with specialised layers; not changed.
        fixed: per node the attributes that the user has chosen.
        rtl_only: whether converters between layers have to be RTL.
        synthesis: for `costs: synthesis`.

    Raises:
        StepFailed: no folding keeps the limits (with what would be possible), an excluded node is not there, or the
            time was up.
    """
    names = {node.name for node in model.graph.node}
    if unknown := [name for name in wanted.exclude if name not in names]:
        raise StepFailed(f"folding.optimize.exclude: {unknown[0]} is not a node of the model at this step")
    constants = Constants({each.name: numpy_helper.to_array(each) for each in model.graph.initializer})
    pricing = Pricing(part, constants, wanted.costs)
    layers = Layers(model, part, pricing, fixed, wanted.exclude, clock_ns=clock_ns, rtl_only=rtl_only)
    if not layers.units:
        raise StepFailed(
            "no layer of the model is specialised yet, so there is nothing to fold",
            hint="put `target_fps_parallelization` behind `specialize_layers`",
        )
    if empty := [unit.name for unit in layers.units if not unit.options]:
        raise _no_option(empty[0], lossy=empty[0] in layers.lossy)
    rates = _Rates(clock_ns)
    goal = _goal(wanted, part, rates)
    cycles, by_finn = 0, None
    while True:
        program, found = _settled(layers, wanted, goal, rates, pricing, synthesis)
        pace = found.cycles if goal.cycles is None else goal.cycles
        if pace == cycles:
            break
        cycles = pace
        by_finn = _by_finn(model, cycles, part, pricing, rates, wanted, synthesis)
        if synthesis is None:
            break
        layers.price_again()
    folded = copy.deepcopy(model)
    settings = {name: each for option in found.options for name, each in option.settings.items()}
    for node in folded.graph.node:
        if node.name in settings:
            set_attributes(node, **settings[node.name])
    report = {**_told(layers, found, rates), "next": _next(program, goal, found, rates)}
    return Chosen(folded, {"part": part, "clock_ns": clock_ns, **report, "set_folding": by_finn})


def _no_option(name: str, *, lossy: bool) -> StepFailed:
    if lossy:
        return StepFailed(
            f"{name}: in every folding that it may have, FINN's RTL loses results when the next layer waits",
            hint=f"see docs/lints/output-queue-too-short.md; `exclude: [{name}]` keeps the folding that it has",
        )
    return StepFailed(
        f"{name}: no folding of this layer agrees with what `folding: {{nodes, defaults, file}}` says of it",
        hint="take its entry out, or change it so that it divides the layer",
    )


def _settled(
    layers: Layers, wanted: Wanted, goal: Goal, rates: _Rates, pricing: Pricing, synthesis: Synthesis | None
) -> tuple[Program, Choice]:
    """The best choice, by costs that are synthesised wherever it falls. Each round learns of a layer that was not
    known, so there is a last one."""
    while True:
        program = Program(layers.units, layers.edges, wanted.seconds)
        found = _solved(program, wanted, goal, rates)
        if synthesis is None:
            return program, found
        learnt = synthesis.of(layers.built(found), pricing.constants)
        if not learnt:
            return program, found
        pricing.learn(learnt)
        layers.price_again()


def _solved(program: Program, wanted: Wanted, goal: Goal, rates: _Rates) -> Choice:
    try:
        return program.best(goal) if wanted.minimize is not None else program.fastest(goal)
    except NoSolution:
        raise _impossible(program, wanted, goal, rates) from None
    except NotSolved:
        raise StepFailed(
            f"no folding was found in {wanted.seconds:g} s",
            hint="give the solver more time: `folding: {optimize: {seconds: ...}}`",
        ) from None


@dataclass(frozen=True)
class _Rates:
    """Between clock cycles, frames per second and milliseconds."""

    clock_ns: float

    def fps(self, cycles: int) -> float:
        return 1e9 / self.clock_ns / cycles if cycles else math.inf

    def cycles(self, fps: float) -> int:
        return math.floor(1e9 / self.clock_ns / fps + 1e-9)


def _goal(wanted: Wanted, part: str, rates: _Rates) -> Goal:
    capacity = estimates.capacity(part)
    latency = None if wanted.max_latency_ms is None else math.floor(wanted.max_latency_ms * 1e6 / rates.clock_ns)
    cycles = None if wanted.fps is None else rates.cycles(wanted.fps)
    return Goal(
        _weights(wanted.minimize, capacity, part), _budget(wanted.budget or {}, capacity, part), cycles, latency
    )


def _weights(minimize: str | Mapping[str, float] | None, capacity: Mapping[str, int], part: str) -> Costs:
    if minimize is None or minimize == "share":
        # Where nobody knows the part, a BRAM counts as the LUTs that could hold its bits, and so on.
        shares = {name: 1 / capacity[word] for name, word in OF_PART.items() if capacity.get(word)}
        if not shares and minimize == "share":
            raise _unknown_part(part)
        given: Mapping[str, float] = shares or {"lut": 1.0, "bram": 80.0, "uram": 640.0, "dsp": 40.0}
    else:
        given = {minimize: 1.0} if isinstance(minimize, str) else minimize
    lut, bram, uram, dsp = (float(given.get(name, 0.0)) or LITTLE for name in RESOURCES)
    return (lut, bram, uram, dsp)


def _budget(
    budget: Mapping[str, float | str], capacity: Mapping[str, int], part: str
) -> tuple[float | None, float | None, float | None, float | None]:
    def most(name: str) -> float | None:
        value = budget.get(name)
        if not isinstance(value, str):
            return value
        if OF_PART[name] not in capacity:
            raise _unknown_part(part)
        return float(value.rstrip("% ")) / 100 * capacity[OF_PART[name]]

    lut, bram, uram, dsp = map(most, RESOURCES)
    return (lut, bram, uram, dsp)


def _unknown_part(part: str) -> StepFailed:
    return StepFailed(
        f"FINN has no board with the part {part}, so it is not known what the part has",
        hint="give numbers in place of per cent: `budget: {lut: 30000}`, `minimize: {lut: 1, bram: 80}`",
    )


def _impossible(program: Program, wanted: Wanted, goal: Goal, rates: _Rates) -> StepFailed:
    """Why no folding keeps the limits."""
    least, name = max((min(option.cycles for option in unit.options), unit.name) for unit in program.units)
    if goal.cycles is not None and least > goal.cycles:
        return StepFailed(
            f"no folding reaches {wanted.fps:,} frames a second: {name} needs {least:,} cycles for a frame in its "
            f"fastest folding, which is {rates.fps(least):,.0f} frames a second",
            hint="lower folding.optimize.target_fps, shorten target.clock_ns, or make that layer smaller",
        )
    loose = Goal(goal.weights, goal.budget, None, goal.latency)
    try:
        fastest = program.fastest(loose)
    except (NoSolution, NotSolved):
        return StepFailed(
            "no folding at all keeps these limits of folding.optimize",
            hint="raise `budget` or `max_latency_ms`",
        )
    return StepFailed(
        f"no folding within these limits reaches {wanted.fps:,} frames a second; the fastest has "
        f"{rates.fps(fastest.cycles):,.0f}",
        hint="lower folding.optimize.target_fps, or raise `budget` or `max_latency_ms`",
    )


def _told(layers: Layers, found: Choice, rates: _Rates) -> dict[str, Any]:
    chosen = list(zip(layers.units, found.options, strict=True))
    streams = list(_streams(layers, found))
    estimates = {each["name"]: each["finn"] for each in streams if each["finn"]}
    estimates |= {unit.name: option.by_finn for unit, option in chosen if option.by_finn}
    return {
        "proven": found.gap == 0,
        "gap": found.gap,
        **_figures(found, rates),
        "error": prices.typical_error(),
        "by_finn": list(estimates),
        "synthesised": [unit.name for unit, option in chosen if option.synthesised]
        + [each["name"] for each in streams if each["synthesised"]],
        "of": len(chosen) + len(streams),
        "limits": [unit.name for unit, option in chosen if option.cycles == found.cycles],
        "layers": [
            {
                "name": unit.name,
                "options": len(unit.options),
                "cycles": option.cycles,
                **_amounts(option.costs),
                "finn": option.by_finn,
                "synthesised": option.synthesised,
                "settings": {name: dict(each) for name, each in option.settings.items()},
            }
            for unit, option in chosen
        ],
        "streams": streams,
    }


def _streams(layers: Layers, found: Choice) -> Iterator[dict[str, Any]]:
    """What stands between the layers."""
    for at, edge in enumerate(layers.edges):
        sent, read = found.widths(edge)
        cost = layers.stream(at, sent, read)
        name = f"{layers.units[edge.source].name} to {layers.units[edge.target].name}"
        of_whom = {"finn": cost.by_finn, "synthesised": cost.synthesised}
        yield {"name": name, "widths": [sent, read], **_amounts(cost.amounts), **of_whom}


def _figures(found: Choice, rates: _Rates) -> dict[str, Any]:
    return {
        "cycles": found.cycles,
        "fps": round(rates.fps(found.cycles), 1),
        **_amounts(found.costs),
        "converters": found.converters,
    }


def _amounts(amounts: Costs) -> dict[str, float]:
    return {name: round(amount, 3) for name, amount in zip(RESOURCES, amounts, strict=True)}


def _next(program: Program, goal: Goal, found: Choice, rates: _Rates) -> dict[str, Any] | None:
    """The cheapest folding that is faster, whatever the budget; None where no layer can be."""
    faster = [pace for pace in program.paces() if pace < found.cycles]
    if not faster:
        return None
    try:
        return _figures(program.best(Goal(goal.weights, cycles=faster[-1])), rates)
    except (NoSolution, NotSolved):
        return None


def _by_finn(
    model: ModelWrapper,
    cycles: int,
    part: str,
    pricing: Pricing,
    rates: _Rates,
    wanted: Wanted,
    synthesis: Synthesis | None,
) -> dict[str, Any] | None:
    """What FINN's own folding needs for as many frames; None where it does not get there or does not run."""
    folded = set_folding(model, cycles)
    if folded is None:
        return None
    names = [node.name for node in folded.graph.node]
    layers = Layers(folded, part, pricing, {}, names, clock_ns=rates.clock_ns, rtl_only=False)
    if not all(unit.options for unit in layers.units):
        return None
    try:
        only = Goal((1.0, 1.0, 1.0, 1.0))  # each layer has one option
        _, finns = _settled(layers, Wanted("lut", seconds=wanted.seconds), only, rates, pricing, synthesis)
    except StepFailed:
        return None
    lossy = [node.name for node in folded.graph.node if loses_results(node, folded, part, rates.clock_ns)]
    return {**_figures(finns, rates), "loses_results": lossy}


def summary(report: Mapping[str, Any]) -> Iterator[str]:
    """The report in some sentences."""
    proof = "proven to be the best" if report["proven"] else f"within {100 * report['gap']:.2g} % of the best possible"
    yield f"{_shown(report)} {_by_whom(report)}: {proof}"
    limits = report["limits"]
    yield f"limited by {few(limits)}"
    if report["next"]:
        yield f"the next faster folding: {_shown(report['next'])}"
    if report["set_folding"]:
        lossy = report["set_folding"]["loses_results"]
        then = f"; loses results where the next layer waits: {few(lossy)}" if lossy else ""
        yield f"FINN's own SetFolding: {_shown(report['set_folding'])}{then}"


def _by_whom(report: Mapping[str, Any]) -> str:
    estimated, synthesised = report["by_finn"], report["synthesised"]
    said = ["synthesis of each layer by itself"] if synthesised else []
    if fitted := report["of"] - len({*estimated, *synthesised}):
        some = f" for {fitted} of {report['of']} layers and streams" if synthesised else ""
        said.append(f"a model fitted on synthesis (median error {100 * report['error']:.0f} %){some}")
    if estimated:
        said.append(f"FINN's estimate of {few(estimated)}" if said else "FINN's estimate")
    return f"by {', and '.join(said)}"


def _shown(figures: Mapping[str, Any]) -> str:
    amounts = [f"{figures[name]:,.0f} {name.upper()}" for name in RESOURCES if figures[name]]
    made = counted(figures["converters"], "width converter")
    return f"{figures['cycles']:,} cycles, {figures['fps']:,.0f} fps, {', '.join(amounts) or 'no resources'}, {made}"
