"""Folding, specialize and FIFO settings that the model cannot take are errors. Runs inside workers.

FINN warns at most when a named node does not exist, and fails much later, without saying which setting, when PE or
SIMD do not divide a layer. So its two transformations that apply such files are checked at the moment they run, when
the node names are the ones the user has to write.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from qonnx.custom_op import registry
from qonnx.custom_op.registry import getCustomOp

from finnyaml.errors import FinnyamlError, InvalidSetting
from finnyaml.finn.entries import DEFAULTS, advice, renewed
from finnyaml.text import did_you_mean

DIMENSIONS = {
    "PE": ("MH", "NumChannels", "Channels", "ChannelsPerStream", "Labels", "OFMChannels"),
    "SIMD": ("MW", "IFMChannels", "NumChannels", "Channels", "Kernel"),
}
"""The layer attributes that PE and SIMD have to divide, for the message; whether they fit is asked from FINN."""


Check = Callable[[str, Mapping[str, Any], Mapping[str, Any]], Iterator[InvalidSetting]]
"""From a configuration field, the entries of its file and the nodes of the model by name, to what does not fit."""


class InvalidSettings(FinnyamlError):
    """Entries of a config file that match no node, name no attribute, or do not divide."""

    def __init__(self, invalid_settings: Sequence[InvalidSetting]) -> None:
        super().__init__("; ".join(invalid.message for invalid in invalid_settings), hint=invalid_settings[0].hint)
        self.invalid_settings = tuple(invalid_settings)


def install() -> None:
    """Check every configuration that FINN applies from now on in this process."""
    for module in ("qonnx.transformation.general", "finn.transformation.general"):
        _watch(module, "ApplyConfig", before=_unmatched, after=_indivisible)
    _watch("finn.transformation.fpgadataflow.set_fifo_depths", "ApplyFIFODepthsFromFile", before=_unmatched_fifos)


def checked(file: Path, model: Any) -> Mapping[str, Any]:
    """The entries of a file of the recipe for the nodes of a model, refused as they are where FINN applies the file.

    Raises InvalidSettings: entries for nodes or attributes that are not there.
    """
    field, *words = file.name.split(".")
    entries, nodes = json.loads(file.read_text()), dict(_nodes(model.graph, ""))
    entries = _without_unknown(field, entries, nodes) if "lenient" in words else entries
    _refuse(_unmatched(field, entries, nodes))
    return entries


def _watch(module: str, name: str, *, before: Check, after: Check | None = None) -> None:
    """Run checks around a transformation of FINN, where this FINN has it, whenever it applies a file of the recipe."""
    transformation = None
    with contextlib.suppress(ImportError):
        transformation = getattr(importlib.import_module(module), name, None)
    if transformation is None or getattr(transformation.apply, "_finnyaml", False):
        return
    original = transformation.apply

    @functools.wraps(original)
    def apply(self: Any, model: Any) -> Any:
        found = _settings(self)
        settings = None
        if found is not None:
            nodes = dict(_nodes(model.graph, ""))
            settings = (found[0], _without_unknown(*found[:2], nodes) if found[2] else found[1])
            _refuse(before(*settings, nodes))
        result = original(self, model)
        if settings is not None and after is not None:
            _refuse(after(*settings, dict(_nodes(result[0].graph, ""))))
        return result

    apply._finnyaml = True  # type: ignore[attr-defined]
    transformation.apply = apply


def _without_unknown(field: str, entries: Mapping[str, Any], nodes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entries for nodes that are there; the others are said in the log of the step."""
    if field == "fifo_config_file":
        return {key: _known(value, nodes) if isinstance(value, Mapping) else value for key, value in entries.items()}
    return _known(entries, nodes)


def _known(entries: Mapping[str, Any], nodes: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in entries:
        if name != DEFAULTS and name not in nodes:
            print(f"left out: {name} is not a node of the model here")
    return {name: value for name, value in entries.items() if name == DEFAULTS or name in nodes}


def _refuse(invalid_settings: Iterable[InvalidSetting]) -> None:
    if found := list(invalid_settings):
        raise InvalidSettings(found)


def _settings(transformation: Any) -> tuple[str, Mapping[str, Any], bool] | None:
    """(configuration field, content, whether unknown nodes are left out) of the file that a transformation applies.

    None for one that FINN made up.
    """
    source = getattr(transformation, "config", None) or getattr(transformation, "fifo_config_file", None)
    if not isinstance(source, (str, Path)) or Path(source).parent.name != "inputs":
        return None
    field, *words = Path(source).name.split(".")
    return field, json.loads(Path(source).read_text()), "lenient" in words


def _unmatched(field: str, entries: Mapping[str, Any], nodes: Mapping[str, Any]) -> Iterator[InvalidSetting]:
    """Entries for nodes or attributes that do not exist."""
    for name, attributes in entries.items():
        if name == "Defaults":
            yield from _unmatched_defaults(field, nodes, attributes)
        elif name not in nodes:
            yield _unknown_node(field, name, list(nodes))
        else:
            yield from _unknown_attributes(field, name, nodes[name], attributes)


def _unmatched_defaults(field: str, nodes: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[InvalidSetting]:
    present = sorted({node.op_type for node in nodes.values()})
    for attribute, pairs in defaults.items():
        for wanted in pairs[1::2]:
            for op_type in [] if wanted == "all" else wanted:
                if op_type != "all" and op_type not in present:
                    hint = did_you_mean(op_type, present, 2, else_="the model has")
                    yield InvalidSetting(field, ("Defaults", attribute), f"no layer of the model is a {op_type}", hint)


def _unknown_node(field: str, name: str, nodes: Sequence[str]) -> InvalidSetting:
    where = "before specialisation (MVAU_0)" if field == "specialize_layers_config_file" else "at this step"
    hint = did_you_mean(name, nodes, 3, else_=f"the nodes {where} are")
    section = field.partition("_")[0]
    if section in ("folding", "specialize"):
        hint = f"{hint}; from a file: {advice(section, name, nodes)}"
    return InvalidSetting(field, (name,), f"{name} is not a node of the model {where}", hint)


def _unknown_attributes(field: str, name: str, node: Any, attributes: Mapping[str, Any]) -> Iterator[InvalidSetting]:
    if not _is_custom(node):
        yield InvalidSetting(field, (name,), f"{name} is a plain ONNX {node.op_type}: FINN cannot configure it")
        return
    known = getCustomOp(node).get_nodeattr_types()
    for attribute, value in attributes.items():
        new, written = renewed(attribute, value)
        now = f"write {new}: {written}, as it is called now; `finnyaml import` does it for a whole file"
        if attribute not in known:
            hint = now if new in known else did_you_mean(attribute, known, 2, else_="it has")
            message = f"{name} ({node.op_type}) has no attribute {attribute}"
            yield InvalidSetting(field, (name, attribute), message, hint)
            continue
        kind, _, _, *choices = known[attribute]
        allowed = sorted(choices[0], key=str) if choices and choices[0] is not None else None
        if allowed is not None and value not in allowed:
            hint = now if written in allowed else f"it has {', '.join(map(str, allowed))}"
            message = f"{name} ({node.op_type}): {value!r} is not a value of {attribute}"
            yield InvalidSetting(field, (name, attribute), message, hint)
        elif not _is_of(kind, value):
            message = f"{name} ({node.op_type}): {attribute} takes {_KINDS[kind][1]}, not {value!r}"
            yield InvalidSetting(field, (name, attribute), message)


_KINDS: Mapping[str, tuple[Any, str]] = {
    "i": (int, "a whole number"),
    "s": (str, "a text"),
    "ints": (int, "a list of whole numbers"),
    "strings": (str, "a list of texts"),
}
"""Kinds of attributes by ONNX's letters: the Python type of the value, or of each in a list, and words for it."""


def _is_of(kind: str, value: Any) -> bool:
    """Whether a value is of the kind of an attribute, as far as we know the kind."""
    if kind not in _KINDS:
        return True
    wanted, _ = _KINDS[kind]
    if kind in ("i", "s"):
        return isinstance(value, wanted)
    return isinstance(value, list) and all(isinstance(item, wanted) for item in value)


def _is_custom(node: Any) -> bool:
    """Whether QONNX or FINN has a class for the node. The qonnx of FINN 0.10 asks for its domain only."""
    known = getattr(registry, "is_custom_op", None)
    return bool(known(node.domain, node.op_type) if known is not None else node.domain not in ("", "ai.onnx"))


def _indivisible(field: str, entries: Mapping[str, Any], nodes: Mapping[str, Any]) -> Iterator[InvalidSetting]:
    """Layers whose PE or SIMD, as given, do not divide what they fold."""
    for name, attributes in entries.items():
        if name in nodes and isinstance(attributes, Mapping) and DIMENSIONS.keys() & attributes.keys():
            reason = indivisible(getCustomOp(nodes[name]), attributes)
            if reason is not None:
                attribute, message, hint = reason
                path = (name,) if attribute is None else (name, attribute)
                yield InvalidSetting(field, path, f"{name}: {message}", hint)


def indivisible(layer: Any, attributes: Mapping[str, Any]) -> tuple[str | None, str, str | None] | None:
    """Why a layer cannot be folded as it says; None where it can.

    The attribute to blame among `attributes` (None: FINN does not say), a sentence, and what to do.
    """
    refused = refusal(layer)
    if refused is None:
        return None
    known = layer.get_nodeattr_types()
    for attribute in sorted(DIMENSIONS.keys() & attributes.keys()):
        factor = attributes[attribute]
        for dimension in DIMENSIONS[attribute]:
            size = layer.get_nodeattr(dimension) if dimension in known else None
            if isinstance(size, int) and size % factor:
                divisors = ", ".join(str(number) for number in range(1, size + 1) if size % number == 0)
                return (
                    attribute,
                    f"{attribute} {factor} does not divide {dimension} {size}",
                    f"divisors of {size}: {divisors}",
                )
    return (None, f"FINN refuses this folding: {refused}", None) if refused else None


def refusal(layer: Any) -> str | None:
    """Why a layer cannot be folded so: FINN's own words, or "" where the folded stream loses values; None if it can.

    Some layers assert when they are asked for their folded shapes; others divide with a remainder and go on.
    """
    try:
        fits = math.prod(layer.get_folded_input_shape()) == math.prod(layer.get_normal_input_shape())
        fits &= math.prod(layer.get_folded_output_shape()) == math.prod(layer.get_normal_output_shape())
        return None if fits else ""
    except Exception as error:
        return str(error) if is_refusal(error) else None


def is_refusal(error: Exception) -> bool:
    """Whether FINN says no by this error: an assertion or an error class of its own, depending on its version."""
    return isinstance(error, AssertionError) or type(error).__module__.startswith("finn.")


def attributes_for(node: Any, entries: Mapping[str, Any]) -> dict[str, Any]:
    """What a file in FINN's format says of a node, by its own name before its type: values by attribute."""
    return {**defaults_for(node.op_type, entries), **(entries.get(node.name) or {})}


def defaults_for(op_type: str, entries: Mapping[str, Any]) -> dict[str, Any]:
    """What the `Defaults` of a file in FINN's format say of layers of a type: values by attribute."""
    found = {}
    for attribute, pairs in (entries.get("Defaults") or {}).items():
        for value, kinds in zip(pairs[::2], pairs[1::2], strict=False):
            if kinds == "all" or "all" in kinds or op_type in kinds:
                found[attribute] = value
    return found


def _unmatched_fifos(field: str, entries: Mapping[str, Any], nodes: Mapping[str, Any]) -> Iterator[InvalidSetting]:
    """Depths for FIFOs that do not exist."""
    fifos = [name for name, node in nodes.items() if node.op_type.startswith("StreamingFIFO")]
    for name in entries.get("fifo_depths", {}):
        if name not in fifos:
            yield _unknown_node(field, name, fifos)


def _nodes(graph: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Nodes by the names that FINN's configs use: those of a subgraph carry the path that leads to it."""
    for node in graph.node:
        name = f"{prefix}_{node.name}" if prefix else node.name
        yield name, node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g, f"{name}_{attribute.name}")
