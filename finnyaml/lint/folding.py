"""How much of a layer is computed at once, and how fast that is."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from onnx import NodeProto
from qonnx.custom_op.registry import getCustomOp

from finnyaml.finn.invalid_settings import attributes_for, defaults_for, indivisible, refusal
from finnyaml.graph.surgery import set_attributes
from finnyaml.graph.view import View, attributes, is_hardware, kind, style
from finnyaml.lint.catalogue import Finding
from finnyaml.lint.rules import Stage, checks, finding

APPLIED = "step_apply_folding_config"
DECIDED = (APPLIED, "step_minimize_bit_width", "step_generate_estimate_reports", "step_hw_codegen")
"""Once one of these has run, nobody folds any more."""
MATRIX = ("MVAU", "VVAU")


def configured(view: View, stage: Stage) -> list[NodeProto]:
    """The specialised layers with the attributes that they will have once the recipe's folding is applied to them.

    Copies where the folding has something to say; the graph is not changed.
    """
    entries = {} if stage.past(APPLIED) else stage.config.get("folding") or {}
    return [_configured(node, entries) for node in view.nodes if style(node)]


def _configured(node: NodeProto, entries: Mapping[str, Any]) -> NodeProto:
    wanted = attributes_for(node, entries)
    if not wanted:
        return node
    changed = copy.deepcopy(node)
    set_attributes(changed, **wanted)
    return changed


@checks("folding-does-not-divide")
def _divides(view: View, stage: Stage) -> Iterator[Finding]:
    """Asked from FINN: the folded streams of a layer have to hold as many values as the layer takes and gives."""
    for node in configured(view, stage):
        reason = indivisible(view.layer(node), attributes(node))
        if reason is not None:
            asked = node.name in (stage.config.get("folding") or {})
            yield finding(
                "folding-does-not-divide",
                f"{node.name}: {reason[1]}",
                node=node.name,
                hint=reason[2],
                pointer=("folding", "nodes", node.name) if asked else None,
            )


@checks("no-folding")
def _folded(view: View, stage: Stage) -> Iterator[Finding]:
    asked = stage.config.get("folding") or stage.config.get("target_fps")
    matrices = [node for node in view.nodes if style(node) and kind(node) in MATRIX]
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
    folded = any(map(stage.past, ("step_target_fps_parallelization", "optimize_folding", APPLIED)))
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


@checks("unnamed-bottleneck")
def _unnamed(view: View, stage: Stage) -> Iterator[Finding]:
    """A layer that the folding does not name stays as FINN made it, also where older versions had no such layer."""
    entries = stage.config.get("folding") or {}
    if not entries or stage.config.get("target_fps") or not stage.past(APPLIED):
        return
    layers = _cycles(view)
    named = [pair for pair in layers if pair[0].name in entries or defaults_for(pair[0].op_type, entries)]
    if not named:
        return
    slowest, cycles = max(layers, key=lambda pair: pair[1])
    pace = max(named, key=lambda pair: pair[1])
    better = _faster(slowest, pace[1]) if cycles > pace[1] else None
    if better is None:
        return
    attribute, value, left = better
    yield finding(
        "unnamed-bottleneck",
        f"{slowest.name} needs {cycles:,} cycles per frame{_rate(cycles, stage)}, and the folding does not name it; "
        f"the slowest layer that it names, {pace[0].name}, needs {pace[1]:,}",
        node=slowest.name,
        hint=f"add it to the folding: `{slowest.name}: {{{attribute}: {value}}}` makes it {left:,} cycles",
        pointer=("folding",),
    )


def _faster(node: NodeProto, pace: int) -> tuple[str, int, int] | None:
    """How a layer is folded to need no more cycles than `pace`, or else the fewest: attribute, value, its cycles."""
    changed = copy.deepcopy(node)
    layer = getCustomOp(changed)
    attribute = next((name for name in ("PE", "SIMD") if name in layer.get_nodeattr_types()), None)
    if attribute is None:
        return None
    now = layer.get_nodeattr(attribute)
    best, least = now, int(layer.get_exp_cycles())
    for value in range(now + 1, max(layer.get_normal_input_shape()[-1], layer.get_normal_output_shape()[-1]) + 1):
        layer.set_nodeattr(attribute, value)
        if least > pace and refusal(layer) is None and layer.get_exp_cycles() < least:
            best, least = value, int(layer.get_exp_cycles())
    return (attribute, best, least) if best != now else None


def _cycles(view: View) -> list[tuple[NodeProto, int]]:
    """FINN's estimate of the cycles that each hardware layer needs for one frame."""
    layers = [(node, view.layer(node)) for node in view.nodes if is_hardware(node)]
    return [(node, int(layer.get_exp_cycles())) for node, layer in layers if hasattr(layer, "get_exp_cycles")]


def _rate(cycles: int, stage: Stage) -> str:
    clock = stage.config.get("synth_clk_period_ns")
    return f", {1e9 / clock / cycles:,.1f} frames a second" if clock and cycles else ""
