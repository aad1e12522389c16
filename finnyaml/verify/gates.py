"""Gates: the rules that say whether a measurement lets the build go on. Light: the command line imports it.

A measurement is the JSON form that `finnyaml.verify.measure` makes. Its gate is not part of the key of its task, so
another limit judges an old measurement anew instead of measuring again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from finnyaml.recipe.model import Limits

USUAL_DROP = 0.01
"""Where a recipe sets no limit for a metric that is a fraction of the samples: one percentage point."""

FEW = 0.05
"""Up to this fraction of the samples, changed outputs can be values that lie exactly on a threshold, where the rounding
of floating point decides. Then predictions may change, too, of up to `FLIPS` of the samples."""

FLIPS = 0.002

MUCH = 0.05
"""No exact flow makes a metric so much better than it is in the reference."""


@dataclass(frozen=True)
class Gate:
    """The limits of one verification point, and what a failure does: `stop`, `warn` or `defer`.

    `asked`: the recipe names this point, so it has to run; a point that is there by default may be impossible here.
    `settled`: no later step sets the datatypes of hardware layers anew, so that values have to fit them now. `exact`:
    the steps since the point before must not change the outputs.
    """

    limits: Limits = field(default_factory=Limits)
    on_fail: str = "stop"
    asked: bool = False
    settled: bool = True
    exact: bool = True


@dataclass(frozen=True)
class Verdict:
    """`state` is `passed`, `failed`, `not verified`, or `measured` where there is no limit to keep.

    `reasons` says why it did not pass, a sentence each; `notes` what else there is to know. `lost`: a limit on what is
    measured is broken, so that there is a place to look for where it happens; `changed`: all that is broken is that
    an exact step changed the outputs.
    """

    state: str
    reasons: tuple[str, ...] = ()
    lost: bool = False
    changed: bool = False
    notes: tuple[str, ...] = ()


def verdict(gate: Gate, measurement: Mapping[str, Any]) -> Verdict:
    """What a gate says of a measurement. A point that could not be measured is never passed."""
    since = measurement.get("broken_since")
    if since is not None and gate.exact:
        reason = f"the graph cannot be executed any more, and after {since} it could: {measurement['reason']}"
        return Verdict("failed", (reason,))
    if measurement["state"] == "not executable":
        return Verdict("not verified", (f"not executable here: {measurement['reason']}",))
    overflows = tuple(_overflows(measurement, settled=gate.settled))
    if measurement["state"] == "reference":  # what the others are compared with
        return Verdict("failed" if overflows else "measured", overflows)
    limited = gate.limits != Limits() or measurement["interval"] is not None
    broken = tuple(_broken(gate.limits, measurement)) if limited else ()
    change, systematic = _change(measurement, exact=gate.exact)
    changed = (change,) if change and systematic and not broken else ()  # what is lost says more
    notes = ((change,) if change and not systematic else ()) + tuple(_at_chance(measurement))
    if strange := tuple(_too_good(measurement)):  # whatever else there is follows from it
        return Verdict("failed", strange)
    reasons = broken + changed + overflows
    state = "failed" if reasons else "passed" if limited else "measured"
    return Verdict(state, reasons, bool(broken or changed), bool(changed and not broken), notes)


def _change(measurement: Mapping[str, Any], *, exact: bool) -> tuple[str, bool]:
    """What changed since the point before; and whether that is a fault: of exact steps, and more than rounding."""
    found = measurement.get("before")
    if not found:
        return "", False
    since = f"since {found['name']}"
    if exact:
        since += ", and the steps between are exact"
    if not found["comparable"]:
        return f"the outputs have another size {since}", exact
    samples, changed, flipped = found["samples"], found["changed"], found["flipped"]
    if not changed:
        return "", False
    of = f"{changed} of {samples}" if changed < samples else f"all {samples}"
    said = f"the outputs of {of} samples changed by up to {float(found['most']):.3g} {since}"
    if flipped:
        said += f"; {flipped} predictions are others" if flipped > 1 else "; 1 prediction is another"
    if found.get("integers"):  # nothing was rounded, before or after
        return said, exact
    many = changed > FEW * samples
    return said, exact and (many if flipped is None else flipped > FLIPS * samples or bool(flipped and many))


def _too_good(measurement: Mapping[str, Any]) -> Iterator[str]:
    """A graph that is much better than its reference: then that is not what the network's author measures."""
    reference, drop = measurement.get("reference"), drop_of(measurement)
    if measurement["interval"] is None or reference is None or drop is None or drop > -MUCH:
        return
    if measurement["interval"][0] > float(reference["value"]):
        yield (
            f"{measurement['metric']} is {measurement['shown']}, and only {reference['shown']} in the reference "
            f"({reference['name']}): the reference does not get the data that it was trained on. Where a step of your "
            "own is the pre-processing, make it the reference of the steps behind it, `verify: {reference: <its id>, "
            "points: [...]}`; or write it as a stage of `preprocess:`"
        )


def _at_chance(measurement: Mapping[str, Any]) -> Iterator[str]:
    """A reference that is no better than guessing."""
    chance, judged = measurement.get("chance"), measurement.get("reference") or measurement
    if chance is None or judged.get("value") is None:
        return
    bound = chance + 2 * math.sqrt(chance * (1 - chance) / measurement["samples"])
    if bound < 1 and float(judged["value"]) <= bound:  # of few samples, all may be right by chance
        which = f"in the reference ({judged['name']})" if "name" in judged else "here"
        yield (
            f"{measurement['metric']} is {judged['shown']} {which}, as good as guessing ({100 * chance:.3g} %): look "
            "whether weights are loaded, whether the data has the values and the layout that the network was trained "
            "on, and whether labels count from 0"
        )


def _overflows(measurement: Mapping[str, Any], *, settled: bool) -> Iterator[str]:
    """Values that leave their type where that is a promise to the FPGA: software computes on, hardware overflows."""
    for item in measurement["violations"]:
        held = f"{item['low']:g} to {item['high']:g}"
        if item["place"] == "input":
            yield f"the data has {held}, which the input's type {item['datatype']} does not hold: it would overflow"
        elif item["place"] == "hardware" and settled:
            yield (
                f"{item['node']} ({item['op_type']}) yields {held}, which its type {item['datatype']} does not hold: "
                "hardware would overflow"
            )


def _broken(limits: Limits, measurement: Mapping[str, Any]) -> Iterator[str]:
    name, value, shown = measurement["metric"], float(measurement["value"]), measurement["shown"]
    if math.isnan(value):  # it is neither above nor below a limit
        yield f"{name} is {shown}, which is not a number, so it keeps no limit"
        return
    fraction = measurement["interval"] is not None
    reference, drop = measurement.get("reference"), drop_of(measurement)
    allowed = USUAL_DROP if fraction and limits == Limits() else limits.max_drop
    if allowed is not None and reference is not None and drop is not None and not drop <= allowed + 1e-12:
        yield (
            f"{name} is {shown}, and {reference['shown']} in the reference ({reference['name']}): it got worse by "
            f"{_amount(drop, fraction=fraction)}, and at most {_amount(allowed, fraction=fraction)} is allowed"
        )
    if limits.min is not None and value < limits.min:
        yield f"{name} is {shown}, and the least allowed is {_level(limits.min, fraction=fraction)}"
    if limits.max is not None and value > limits.max:
        yield f"{name} is {shown}, and the most allowed is {_level(limits.max, fraction=fraction)}"
    if reference is None:
        return
    agreement = measurement.get("agreement")
    if limits.min_agreement is not None and (agreement is None or agreement < limits.min_agreement):
        got = "cannot be told" if agreement is None else f"is {100 * agreement:.1f} %"
        yield f"the agreement with the reference {got}, and the least allowed is {100 * limits.min_agreement:.4g} %"
    outside = measurement.get("outside_tolerance")
    if limits.atol is not None or limits.rtol is not None:
        if outside is None:
            yield "the outputs could not be compared with the reference: their shapes differ"
        elif outside:
            of = f"{outside} of {measurement['samples']} samples"
            yield f"the outputs of {of} are further from the reference than the tolerance allows"


def drop_of(measurement: Mapping[str, Any]) -> float | None:
    """By how much the metric is worse than the reference's own; None where there is no such figure."""
    reference = measurement.get("reference")
    if reference is None or reference.get("value") is None:
        return None
    worse = float(reference["value"]) - float(measurement["value"])
    return worse if measurement["higher_is_better"] else -worse


def _amount(value: float, *, fraction: bool) -> str:
    if not fraction:
        return f"{value:.4g}"
    return "1 point" if value == 0.01 else f"{value * 100:.3g} points"


def _level(value: float, *, fraction: bool) -> str:
    return f"{100 * value:.4g} %" if fraction else f"{value:.4g}"
