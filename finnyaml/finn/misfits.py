"""Folding, specialize and FIFO settings that the model cannot take are errors. Runs inside workers.

FINN warns at most when a named node does not exist, and fails much later, without saying which setting, when PE or
SIMD do not divide a layer. So its two transformations that apply such files are checked at the moment they run, when
the node names are the ones the user has to write.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from finnyaml.errors import FinnyamlError
from finnyaml.worker.job import Misfit

DIMENSIONS = {
    "PE": ("MH", "NumChannels", "Channels", "ChannelsPerStream", "Labels", "OFMChannels"),
    "SIMD": ("MW", "IFMChannels", "NumChannels", "Channels", "Kernel"),
}
"""The layer attributes that PE and SIMD have to divide, for the message; whether they fit is asked from FINN."""


class ConfigMisfit(FinnyamlError):
    """Entries of a config file that match no node, name no attribute, or do not divide."""

    def __init__(self, misfits: Sequence[Misfit]) -> None:
        super().__init__("; ".join(misfit.message for misfit in misfits), hint=misfits[0].hint)
        self.misfits = tuple(misfits)


def install() -> None:
    """Check every configuration that FINN applies from now on in this process."""
    for module, name in (
        ("qonnx.transformation.general", "ApplyConfig"),
        ("finn.transformation.general", "ApplyConfig"),
    ):
        transformation = getattr(_optional(module), name, None)
        if transformation is not None:
            _wrap(transformation, _check_before_apply, _check_after_apply)
    fifo = getattr(_optional("finn.transformation.fpgadataflow.set_fifo_depths"), "ApplyFIFODepthsFromFile", None)
    if fifo is not None:
        _wrap(fifo, _check_fifos, lambda *_: None)


def _optional(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def _wrap(transformation: Any, before: Any, after: Any) -> None:
    original = transformation.apply
    if getattr(original, "_finnyaml", False):
        return

    @functools.wraps(original)
    def apply(self: Any, model: Any) -> Any:
        before(self, model)
        result = original(self, model)
        after(self, result[0])
        return result

    apply._finnyaml = True  # type: ignore[attr-defined]
    transformation.apply = apply


def _settings(transformation: Any) -> tuple[str, Mapping[str, Any]] | None:
    """(configuration field, content) of the file that a transformation applies; None for one that FINN made up."""
    source = getattr(transformation, "config", None) or getattr(transformation, "fifo_config_file", None)
    if not isinstance(source, (str, Path)) or Path(source).parent.name != "inputs":
        return None
    return Path(source).stem, json.loads(Path(source).read_text())


def _check_before_apply(transformation: Any, model: Any) -> None:
    settings = _settings(transformation)
    if settings is None:
        return
    field, entries = settings
    nodes = dict(_nodes(model.graph, ""))
    misfits: list[Misfit] = []
    for name, attributes in entries.items():
        if name == "Defaults":
            misfits += _unmatched_defaults(field, nodes, attributes)
        elif name not in nodes:
            misfits.append(_unknown_node(field, name, list(nodes)))
        else:
            misfits += _unknown_attributes(field, name, nodes[name], attributes)
    if misfits:
        raise ConfigMisfit(misfits)


def _unmatched_defaults(field: str, nodes: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[Misfit]:
    present = sorted({node.op_type for node in nodes.values()})
    for attribute, pairs in defaults.items():
        for wanted in pairs[1::2]:
            for op_type in [] if wanted == "all" else wanted:
                if op_type != "all" and op_type not in present:
                    close = difflib.get_close_matches(op_type, present, n=2)
                    hint = f"did you mean {' or '.join(close)}?" if close else f"the model has: {', '.join(present)}"
                    yield Misfit(field, ("Defaults", attribute), f"no layer of the model is a {op_type}", hint)


def _unknown_node(field: str, name: str, nodes: Sequence[str]) -> Misfit:
    close = difflib.get_close_matches(name, nodes, n=3, cutoff=0.6)
    where = "before specialisation (MVAU_0)" if field == "specialize_layers_config_file" else "at this step"
    hint = f"did you mean {' or '.join(close)}?" if close else f"the nodes {where} are: {', '.join(sorted(nodes))}"
    return Misfit(field, (name,), f"{name} is no node of the model {where}", hint)


def _unknown_attributes(field: str, name: str, node: Any, attributes: Mapping[str, Any]) -> Iterator[Misfit]:
    known = _attributes_of(node)
    if known is None:
        yield Misfit(field, (name,), f"{name} is a plain ONNX {node.op_type}: FINN cannot configure it")
        return
    for attribute in attributes:
        if attribute not in known:
            close = difflib.get_close_matches(attribute, known, n=2)
            hint = f"did you mean {' or '.join(close)}?" if close else f"it has: {', '.join(sorted(known))}"
            yield Misfit(field, (name, attribute), f"{name} ({node.op_type}) has no attribute {attribute}", hint)


def _check_after_apply(transformation: Any, model: Any) -> None:
    """Ask FINN for the folded shapes of each named layer: it asserts that PE and SIMD divide."""
    settings = _settings(transformation)
    if settings is None:
        return
    field, entries = settings
    nodes = dict(_nodes(model.graph, ""))
    misfits: list[Misfit] = []
    for name, attributes in entries.items():
        if name in nodes and isinstance(attributes, Mapping) and DIMENSIONS.keys() & attributes.keys():
            misfits += _indivisible(field, name, nodes[name], attributes)
    if misfits:
        raise ConfigMisfit(misfits)


def _indivisible(field: str, name: str, node: Any, attributes: Mapping[str, Any]) -> Iterator[Misfit]:
    from qonnx.custom_op.registry import getCustomOp

    layer = getCustomOp(node)
    refusal = _refusal(layer)
    if refusal is None:
        return
    known = _attributes_of(node) or {}
    for attribute in sorted(DIMENSIONS.keys() & attributes.keys()):
        factor = attributes[attribute]
        for dimension in DIMENSIONS[attribute]:
            size = layer.get_nodeattr(dimension) if dimension in known else None
            if isinstance(size, int) and size % factor:
                message = f"{name}: {attribute} {factor} does not divide {dimension} {size}"
                yield Misfit(field, (name, attribute), message, f"divisors of {size}: {_divisors(size)}")
                return
    if refusal:
        yield Misfit(field, (name,), f"{name}: FINN refuses this folding: {refusal}")


def _refusal(layer: Any) -> str | None:
    """Why a layer cannot be folded so: FINN's own words, or nothing but that the folded stream loses values.

    Some layers assert when they are asked for their folded shapes; others divide with a remainder and go on.
    """
    try:
        for folded, normal in (
            (layer.get_folded_input_shape(), layer.get_normal_input_shape()),
            (layer.get_folded_output_shape(), layer.get_normal_output_shape()),
        ):
            if math.prod(folded) != math.prod(normal):
                return ""
    except Exception as error:  # an assertion or an error class of FINN, depending on its version
        return str(error) if isinstance(error, AssertionError) or type(error).__module__.startswith("finn.") else None
    return None


def _divisors(size: int) -> str:
    return ", ".join(str(factor) for factor in range(1, size + 1) if size % factor == 0)


def _check_fifos(transformation: Any, model: Any) -> None:
    settings = _settings(transformation)
    if settings is None:
        return
    field, entries = settings
    nodes = [node.name for node in model.graph.node if node.op_type.startswith("StreamingFIFO")]
    unknown = [name for name in entries.get("fifo_depths", {}) if name not in nodes]
    if unknown:
        raise ConfigMisfit([_unknown_node(field, name, nodes) for name in unknown])


def _nodes(graph: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Nodes by the names that FINN's configs use: those of a subgraph carry the path that leads to it."""
    for node in graph.node:
        name = f"{prefix}_{node.name}" if prefix else node.name
        yield name, node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g, f"{name}_{attribute.name}")


def _attributes_of(node: Any) -> Mapping[str, Any] | None:
    from qonnx.custom_op.registry import getCustomOp, is_custom_op

    if not is_custom_op(node.domain, node.op_type):
        return None
    return getCustomOp(node).get_nodeattr_types()  # type: ignore[no-any-return]
