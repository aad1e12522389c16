"""How much of a layer is computed at once, and how fast that is."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any

from onnx import NodeProto, helper

from finnyaml.graph.view import View, attributes, is_hardware, is_specialised, kind
from finnyaml.lint.finding import Finding
from finnyaml.lint.rules import checks, finding
from finnyaml.lint.stage import Stage

APPLIED = "step_apply_folding_config"
DECIDED = (APPLIED, "step_minimize_bit_width", "step_generate_estimate_reports", "step_hw_codegen")
"""Once one of these has run, nobody folds any more."""
MATRIX = ("MVAU", "VVAU")


def configured(view: View, stage: Stage) -> list[NodeProto]:
    """The specialised layers with the attributes that they will have once the recipe's folding is applied to them.

    Copies where the folding has something to say; the graph is not changed.
    """
    entries = stage.config.get("folding") or {}
    if not entries or stage.past(APPLIED):
        return [node for node in view.nodes if is_specialised(node)]
    return [_configured(node, entries) for node in view.nodes if is_specialised(node)]


def _configured(node: NodeProto, entries: Mapping[str, Any]) -> NodeProto:
    wanted = {}
    for attribute, pairs in (entries.get("Defaults") or {}).items():
        for value, kinds in zip(pairs[::2], pairs[1::2], strict=False):
            if kinds == "all" or "all" in kinds or node.op_type in kinds:
                wanted[attribute] = value
    wanted |= entries.get(node.name) or {}
    if not wanted:
        return node
    changed = copy.deepcopy(node)
    kept = [attribute for attribute in node.attribute if attribute.name not in wanted]
    del changed.attribute[:]
    changed.attribute.extend(kept)
    changed.attribute.extend(helper.make_attribute(name, value) for name, value in wanted.items())
    return changed


@checks("folding-does-not-divide")
def _divides(view: View, stage: Stage) -> Iterator[Finding]:
    """Asked from FINN: the folded streams of a layer have to hold as many values as the layer takes and gives."""
    for node in configured(view, stage):
        reason = _indivisible(view, node)
        if reason is not None:
            yield finding(
                "folding-does-not-divide",
                f"{node.name}: {reason[0]}",
                node=node.name,
                hint=reason[1],
                pointer=("folding", "nodes", node.name) if node.name in (stage.config.get("folding") or {}) else None,
            )


def _indivisible(view: View, node: NodeProto) -> tuple[str, str | None] | None:
    from finnyaml.finn.invalid_settings import DIMENSIONS

    layer = view.layer(node)
    refusal = ""
    try:
        streams = (
            (layer.get_folded_input_shape(), layer.get_normal_input_shape()),
            (layer.get_folded_output_shape(), layer.get_normal_output_shape()),
        )
        if all(math.prod(folded) == math.prod(normal) for folded, normal in streams):
            return None
    except Exception as error:  # an assertion or an error class of FINN, depending on its version
        if not isinstance(error, AssertionError) and not type(error).__module__.startswith("finn."):
            return None
        refusal = str(error)
    written = attributes(node)
    for factor in sorted(DIMENSIONS.keys() & written.keys()):
        for dimension in DIMENSIONS[factor]:
            size = written.get(dimension)
            if isinstance(size, int) and size % written[factor]:
                divisors = ", ".join(str(number) for number in range(1, size + 1) if size % number == 0)
                return f"{factor} {written[factor]} does not divide {dimension} {size}", f"divisors: {divisors}"
    return (f"FINN refuses this folding: {refusal}", None) if refusal else None


@checks("no-folding")
def _folded(view: View, stage: Stage) -> Iterator[Finding]:
    asked = stage.config.get("folding") or stage.config.get("target_fps")
    matrices = [node for node in view.nodes if is_specialised(node) and kind(node) in MATRIX]
    if asked or not matrices or not any(stage.past(step) for step in DECIDED):
        return
    if all(attributes(node).get("PE", 1) == 1 and attributes(node).get("SIMD", 1) == 1 for node in matrices):
        slowest, cycles = max(_cycles(view), key=lambda pair: pair[1])
        yield finding(
            "no-folding",
            f"the recipe gives no folding, so every matrix layer computes one product at a time (PE = SIMD = 1): "
            f"{cycles:,} cycles per frame in {slowest.name}{_rate(cycles, stage)}",
            hint="say folding: {target_fps: ...}, or a folding file",
            pointer=("folding",),
        )


@checks("throughput-off-target")
def _throughput(view: View, stage: Stage) -> Iterator[Finding]:
    target, clock = stage.config.get("target_fps"), stage.config.get("synth_clk_period_ns")
    folded = stage.past("step_target_fps_parallelization") or stage.past(APPLIED)
    layers = _cycles(view) if target and clock and folded else []
    if not layers or not target or not clock:
        return
    slowest, cycles = max(layers, key=lambda pair: pair[1])
    if cycles <= 0:
        return
    fps = 1e9 / clock / cycles
    written = attributes(slowest)
    parallel = written.get("PE", 1) * written.get("SIMD", 1)
    folding = ", ".join(f"{name} {written[name]}" for name in ("PE", "SIMD") if name in written)
    told = f"{fps:,.0f} frames a second by FINN's estimate against target_fps {target:,}; slowest layer: {slowest.name}"
    if fps < 0.9 * target:
        hint = "raise mvau_wwidth_max, let two_pass_relaxation be, fold that layer by hand, or shorten clock_ns"
    elif fps > 4 * target and parallel > 1:
        hint = "fold more: the accelerator pays for speed that nobody asked for"
    else:
        return
    message = f"{told} ({folding}), {cycles:,} cycles per frame"
    yield finding("throughput-off-target", message, node=slowest.name, hint=hint, pointer=("folding", "target_fps"))


def _cycles(view: View) -> list[tuple[NodeProto, int]]:
    """FINN's estimate of the cycles that each hardware layer needs for one frame."""
    found = []
    for node in view.nodes:
        if is_hardware(node):
            estimate = getattr(view.layer(node), "get_exp_cycles", None)
            if estimate is not None:
                found.append((node, int(estimate())))
    return found


def _rate(cycles: int, stage: Stage) -> str:
    clock = stage.config.get("synth_clk_period_ns")
    return f", {1e9 / clock / cycles:,.1f} frames a second" if clock and cycles else ""
