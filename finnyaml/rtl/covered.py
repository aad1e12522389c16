"""What the open RTL path takes, and why it refuses the rest. Nothing that is refused here is ever simulated wrongly.

Only words and rules; the facts about layers come from `finnyaml.finn.stitched`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from finnyaml.errors import StepFailed

_SHOWN = 5
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INSIDE = ("internal_decoupled", "internal_embedded")
_VIVADO = "Vivado can take it (toolchain: vivado)"
_PREFER = "`specialize: {prefer: rtl}`"

ATTRIBUTES = (
    "depth_monitor",
    "dynamic_mode",
    "impl_style",
    "mem_mode",
    "mlo_max_iter",
    "pumpedCompute",
    "pumpedMemory",
    "runtime_writeable_weights",
)
"""The node attributes that the rules below look at."""

_LIMITS = {
    "MVAU": "signed weights and activations of at least 2 bits each that fit the DSP, thresholds as layers of their "
    "own (standalone_thresholds: true), no XNOR mode, an accumulator of at most 48 bits; binary networks get there "
    "with `represent_bipolar`, which makes INT2 of BIPOLAR",
    "VVAU": "a Versal part, signed weights of at most 8 bits, thresholds as layers of their own "
    "(standalone_thresholds: true)",
}
"""What FINN's RTL variants need, where there is more than to ask for them."""


@dataclass(frozen=True)
class Layer:
    """A node of FINN's graph.

    style: "rtl", "hls", or "" for what is not a hardware layer. attributes: those of `ATTRIBUTES` that it has. has_rtl:
    FINN has an RTL variant of this operator; has_kernel: finnyaml has one. code: the code that FINN generated is
    there.
    """

    name: str
    op_type: str
    style: str
    attributes: Mapping[str, object]
    has_rtl: bool
    has_kernel: bool
    code: bool


@dataclass(frozen=True)
class _Rule:
    """applies: to which layers; what these are, and what to do, in words."""

    applies: Callable[[Layer], bool]
    what: str
    hint: str


def _on(*names: str) -> Callable[[Layer], bool]:
    return lambda layer: any(layer.attributes.get(name) not in (None, 0, "", "0") for name in names)


_GAUGES = _Rule(
    lambda layer: layer.op_type.startswith("StreamingFIFO") and layer.attributes.get("impl_style") == "virtual",
    "a gauge of FINN's own FIFO sizing, of unbounded depth (impl_style virtual), and no hardware",
    "set_fifo_depths with auto_fifo_strategy force_minimal_fifos makes real FIFOs; rtl.size_fifos sizes them",
)
_OFFLOAD = _Rule(
    lambda layer: layer.op_type in ("FINNLoop", "NodeContainer") or _on("mlo_max_iter")(layer),
    "a loop over layers whose weights come from outside, or a container of designs (FINNLoop, mlo_max_iter)",
    f"leave multi-layer offload out of the build; {_VIVADO}",
)
_RULES = (
    _Rule(
        _on("pumpedMemory", "pumpedCompute"),
        "with memory or multipliers at twice the clock (pumpedMemory, pumpedCompute), where a simulation has one clock",
        "set pumpedMemory and pumpedCompute to 0 in the folding",
    ),
    _Rule(
        _on("runtime_writeable_weights"),
        "with weights that come over AXI-lite at run time (runtime_writeable_weights), and no one to write them",
        "set runtime_writeable_weights to 0 in the folding to simulate it; the real build can have it",
    ),
    _Rule(
        lambda layer: layer.attributes.get("mem_mode", _INSIDE[0]) not in _INSIDE,
        "with weights that come from outside of the design (mem_mode external, external_mem or dynamic)",
        f"set mem_mode to {_INSIDE[0]} in the folding",
    ),
    _Rule(
        _on("dynamic_mode"),
        "configured over AXI-lite at run time (dynamic_mode), and no one to configure it",
        "set dynamic_mode to 0 in the folding",
    ),
    _Rule(
        _on("depth_monitor"),
        "with a port of its own for its fill (depth_monitor)",
        "leave `debug_fifo` out: every simulation reports the fill of every FIFO",
    ),
    _Rule(
        lambda layer: not layer.code,
        "without generated code",
        "the steps need hw_codegen, and set_fifo_depths after it, before this one",
    ),
)


def check(layers: Sequence[Layer], inputs: Sequence[str], outputs: Sequence[str], finn: str) -> None:
    """Refuse what cannot be simulated and synthesised as it will be in hardware.

    inputs, outputs: names of the graph's tensors, without constants. finn: name and version of FINN.
    Raises StepFailed: with all layers that one reason holds for.
    """
    foreign = [layer for layer in layers if not layer.style]
    if foreign or not layers:
        raise StepFailed(
            f"the graph is not one of hardware layers alone: {_listed(foreign) or 'it is empty'}",
            hint="create_dataflow_partition cuts the accelerator out, specialize_layers decides how layers are made",
        )
    odd = [layer for layer in layers if not _NAME.fullmatch(layer.name)]
    if odd:
        raise StepFailed(
            f"{_listed(odd)} cannot be the name of a Verilog module",
            hint="FINN's GiveUniqueNodeNames names layers anew; set_fifo_depths does it",
        )
    for names, word in ((inputs, "inputs"), (outputs, "outputs")):
        if len(names) != 1:
            raise StepFailed(
                f"the accelerator has {len(names)} {word} ({', '.join(names)}); the open RTL path takes one stream in, "
                "one out",
                hint="let the network's inputs meet, and its outputs part, outside of the hardware layers",
            )
    for rule in (_GAUGES, _OFFLOAD):
        _refuse(rule, layers, finn)
    _refuse_hls([layer for layer in layers if layer.style == "hls"], finn)
    for rule in _RULES:
        _refuse(rule, layers, finn)


def _refuse(rule: _Rule, layers: Sequence[Layer], finn: str) -> None:
    found = [layer for layer in layers if rule.applies(layer)]
    if found:
        raise StepFailed(f"not covered by the open RTL path for {finn}: {_listed(found)}, {rule.what}", hint=rule.hint)


def _refuse_hls(layers: Sequence[Layer], finn: str) -> None:
    reasons: dict[str, list[Layer]] = {}
    for layer in layers:
        reasons.setdefault(_why_hls(layer), []).append(layer)
    if reasons:
        why = "; ".join(f"{_listed(each)}: {reason}" for reason, each in reasons.items())
        raise StepFailed(
            f"the open RTL path takes RTL only, and some layers are made by Vitis HLS. In {finn}, {why}",
            hint=f"{_PREFER} chooses RTL wherever there is one, and says for every layer why not where there is none",
        )


def _why_hls(layer: Layer) -> str:
    operator = layer.op_type.removesuffix("_hls")
    if layer.has_kernel:
        return f"{operator} of integers has no RTL variant of FINN's, but one of finnyaml's, which {_PREFER} puts in"
    if layer.has_rtl:
        needs = f", and needs {_LIMITS[operator]}" if operator in _LIMITS else ""
        return f"{operator} has an RTL variant, which was not asked for or does not fit{needs}"
    return f"{operator} has no RTL variant; let the host compute it, if the network allows it"


def _listed(layers: Sequence[Layer]) -> str:
    more = f" and {len(layers) - _SHOWN} more" if len(layers) > _SHOWN else ""
    return ", ".join(layer.name for layer in layers[:_SHOWN]) + more
