"""What each layer of a model can be: foldings and kinds of memory that FINN takes, with what each costs.

Everything but the costs is asked from FINN's layers: which attributes they have, which values these may have, whether a
folding fits, cycles and the widths of streams. A layer is set to one option after another, on a copy of its node.
"""

from __future__ import annotations

import copy
import functools
import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from onnx import NodeProto
from qonnx.custom_op.registry import getCustomOp

from finnyaml.finn.cycles import exact_cycles
from finnyaml.finn.invalid_settings import DIMENSIONS, is_refusal, refusal
from finnyaml.folding import costs
from finnyaml.folding.costs import Cost, Pricing
from finnyaml.folding.program import Choice, Costs, Edge, Option, Unit
from finnyaml.graph.surgery import set_attributes
from finnyaml.graph.view import View, attributes, kind, style
from finnyaml.lint.rtl import loses_results

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

STYLES = ("ram_style", "ram_style_thresholds", "resType")
"""Attributes that say of what a layer is made."""

READS_WINDOWS = ("VVAU", "Pool")
"""Layers that read a depthwise sliding window, which has to send as many channels at once as they take."""

WINDOW, WHOLE = "ConvolutionInputGenerator", "parallel_window"
"""The layer that makes windows of an image, and its attribute for a whole window in each cycle."""

MEMORY = "ram_style"
DECIDED = ("block", "distributed")
"""Kinds of memory that are the same whoever synthesises; "auto" is not."""


class Layers:
    """The specialised layers of a model as units of a program, with the streams between them.

    Args:
        model: with specialised layers; not changed.
        part: the FPGA.
        pricing: what layers cost on it.
        fixed: per node, attributes that the user has chosen: no option has others.
        excluded: nodes that stay as they are.
        clock_ns: the clock period.
        rtl_only: whether converters of widths have to be RTL: those of whole-numbered ratios.
    """

    def __init__(
        self,
        model: ModelWrapper,
        part: str,
        pricing: Pricing,
        fixed: Mapping[str, Mapping[str, Any]],
        excluded: Sequence[str],
        *,
        clock_ns: float,
        rtl_only: bool,
    ) -> None:
        self._view = View(model)
        self._part, self._clock_ns = part, clock_ns
        self._pricing = pricing
        self._fixed = fixed
        self._excluded = excluded
        self._rtl_only = rtl_only
        self._nodes = [node for node in self._view.nodes if style(node)]
        self._groups = self._grouped()
        self.lossy: set[str] = set()
        """Units of which foldings were left out because they lose results."""
        self.units = [Unit(group[-1].name, tuple(_known(self._options(group)))) for group in self._groups]
        self._streams: list[_Stream] = []
        self.edges = list(self._edges())

    def stream(self, edge: int, sent: int, read: int) -> Cost:
        """What that costs which stands on an edge between two widths that go together: FIFOs, perhaps a converter."""
        found = self._streams[edge].cost(sent, read)
        assert found is not None
        return found

    def built(self, choice: Choice) -> Iterator[Any]:
        """All layers of a choice as they are set, with the FIFOs and converters between and around them."""
        for group, option in zip(self._groups, choice.options, strict=True):
            layers = _as_chosen(group, option)
            yield from (*layers, *self._fifos(layers))
        for stream, edge in zip(self._streams, self.edges, strict=True):
            yield from costs.between(stream.datatype, *choice.widths(edge))

    def price_again(self) -> None:
        """Take what the pricing has learnt."""
        for at, (group, unit) in enumerate(zip(self._groups, self.units, strict=True)):
            again = (self._option(option.settings, _as_chosen(group, option)) for option in unit.options)
            self.units[at] = Unit(unit.name, tuple(option for option in again if option is not None))
        for stream in self._streams:
            stream.cost.cache_clear()

    def _grouped(self) -> list[list[NodeProto]]:
        """The nodes; a depthwise sliding window together with the layer that reads its windows."""
        groups: list[list[NodeProto]] = []
        for node in self._nodes:
            source = self._view.producer(node.input[0]) if node.input else None
            joined = (
                source is not None
                and kind(node) in READS_WINDOWS
                and kind(source) == WINDOW
                and attributes(source).get("depthwise")
            )
            if joined:
                groups.remove([source])
            groups.append([source, node] if joined else [node])
        return groups

    def _options(self, group: Sequence[NodeProto]) -> Iterator[Option]:
        *before, node = group
        for settings in self._settings(node):
            chosen = {node.name: settings}
            layers = [_set(node, settings)]
            if before:
                window = self._window(before[0], layers[0], settings)
                if window is None:
                    continue
                chosen[before[0].name] = window
                layers.insert(0, _set(before[0], window))
            option = self._option(chosen, layers)
            if option is not None:
                yield option

    def _settings(self, node: NodeProto) -> Iterator[dict[str, Any]]:
        """The attributes that a layer may be given, without those that FINN refuses."""
        layer = getCustomOp(copy.deepcopy(node))
        known, fixed = layer.get_nodeattr_types(), dict(self._fixed.get(node.name, {}))
        if node.name in self._excluded:
            yield fixed
            return
        choices: dict[str, Sequence[Any]] = {name: _factors(layer, name) for name in DIMENSIONS if name in known}
        if kind(node) == WINDOW and WHOLE in known and not attributes(node).get("depthwise"):
            choices[WHOLE] = (0, 1)
        choices |= {name: self._believed(node, name) for name in STYLES if name in known}
        choices |= {name: (value,) for name, value in fixed.items()}
        for values in itertools.product(*choices.values()):
            settings = dict(zip(choices, values, strict=True))
            if fits(_set(node, settings)):
                yield settings

    def _believed(self, node: NodeProto, name: str) -> Sequence[Any]:
        """The kinds of memory that have a price; else the value that a layer has, and others that FINN prices.

        Where another value is nowhere dearer and somewhere cheaper, FINN's estimate does not know what it costs: of RTL
        matrices it counts no LUTs at all, also where their weights lie in LUTs.
        """
        now = getCustomOp(node).get_nodeattr(name)
        allowed = getCustomOp(node).get_nodeattr_types()[name][3]
        if name == MEMORY:
            priced = [value for value in DECIDED if self._pricing.knows(_set(node, {name: value}))]
            if priced:
                return priced
        base = self._pricing.layer(getCustomOp(copy.deepcopy(node))).amounts
        found = [now]
        for value in sorted(allowed - {now, "ultra"}):  # UltraRAM has to be written at run time
            costs = self._pricing.layer(_set(node, {name: value})).amounts
            if any(a > b for a, b in zip(costs, base, strict=True)):
                found.append(value)
        return found

    def _window(self, window: NodeProto, reader: Any, settings: Mapping[str, Any]) -> dict[str, Any] | None:
        """The attributes of a depthwise sliding window for the layer that reads from it."""
        pe, simd = reader.get_nodeattr("PE"), settings.get("SIMD", 1)
        if simd > 1 and pe != reader.get_nodeattr("Channels"):
            return None  # FINN's sliding window sends whole windows of all channels only
        found = {"SIMD": pe, **({WHOLE: int(simd > 1)} if WHOLE in getCustomOp(window).get_nodeattr_types() else {})}
        fixed = self._fixed.get(window.name, {})
        if any(fixed[name] != value for name, value in found.items() if name in fixed):
            return None
        return {**found, **fixed} if fits(_set(window, {**found, **fixed})) else None

    def _option(self, settings: Mapping[str, Mapping[str, Any]], layers: Sequence[Any]) -> Option | None:
        if any(self._loses_results(layer.onnx_node) for layer in layers):
            self.lossy.add(layers[-1].onnx_node.name)
            return None
        cycles = [_cycles(layer) for layer in layers]
        first, last = layers[0], layers[-1]
        inputs = [first.get_folded_input_shape(at)[-1] for at in self._ports(first.onnx_node.input)]
        outputs = [last.get_folded_output_shape(at)[-1] for at in self._ports(last.onnx_node.output, outwards=True)]
        ends = tuple(map(int, inputs)), tuple(map(int, outputs))
        cost = self._pricing.layers([*layers, *self._fifos(layers)])
        return Option(settings, max(cycles), cost.amounts, sum(cycles), *ends, cost.by_finn, cost.synthesised)

    def _loses_results(self, node: NodeProto) -> bool:
        """Whether it is not to be folded so; what the user has excluded stays as it is."""
        if node.name in self._excluded:
            return False
        return loses_results(node, self._view.model, self._part, self._clock_ns)

    def _fifos(self, layers: Sequence[Any]) -> Iterator[Any]:
        """The FIFOs on streams from and to the outside, and between layers of one unit."""
        for at, layer in enumerate(layers):
            node = layer.onnx_node
            if at or node.input[0] in self._view.inputs:
                yield costs.fifo(layer.get_input_datatype(), int(layer.get_folded_input_shape()[-1]))
            for index, tensor in enumerate(node.output):
                if tensor in self._view.outputs:
                    values = int(layer.get_folded_output_shape(index)[-1])
                    yield costs.fifo(layer.get_output_datatype(index), values)

    def _ports(self, tensors: Sequence[str], *, outwards: bool = False) -> list[int]:
        """Which of a layer's tensors are streams from or to another layer."""
        return [at for at, name in enumerate(tensors) if self._other(name, outwards=outwards) is not None]

    def _other(self, tensor: str, *, outwards: bool) -> NodeProto | None:
        found = next(iter(self._view.consumers(tensor)), None) if outwards else self._view.producer(tensor)
        return found if found is not None and style(found) else None

    def _edges(self) -> Iterator[Edge]:
        unit_of = {node.name: at for at, group in enumerate(self._groups) for node in group}
        for at, group in enumerate(self._groups):
            last = group[-1]
            for port, index in enumerate(self._ports(last.output, outwards=True)):
                reader = self._other(last.output[index], outwards=True)
                assert reader is not None
                ends = self._ports(reader.input)
                place = ends.index(list(reader.input).index(last.output[index]))
                stream = self._stream(getCustomOp(last).get_output_datatype(index))
                self._streams.append(stream)
                yield Edge(at, port, unit_of[reader.name], place, stream.amounts)

    def _stream(self, datatype: Any) -> _Stream:
        def cost(sent: int, read: int) -> Cost | None:
            if self._rtl_only and max(sent, read) % min(sent, read):
                return None
            return self._pricing.layers(costs.between(datatype, sent, read))

        return _Stream(datatype, cost)


class _Stream:
    """What stands on one edge, by the widths at its ends; it is asked for often, and kept."""

    def __init__(self, datatype: Any, cost: Callable[[int, int], Cost | None]) -> None:
        self.datatype = datatype
        self.cost = functools.cache(cost)

    def amounts(self, sent: int, read: int) -> Costs | None:
        """Of resources; None for two widths that do not go together."""
        found = self.cost(sent, read)
        return None if found is None else found.amounts


def _as_chosen(group: Sequence[NodeProto], option: Option) -> list[Any]:
    return [_set(node, option.settings[node.name]) for node in group]


def _known(options: Iterable[Option]) -> Iterator[Option]:
    """The options without those that FINN estimates, where the same folding has a price in another kind of memory."""
    options = list(options)

    def folding(option: Option) -> str:
        of_all = {
            name: {key: v for key, v in each.items() if key not in STYLES} for name, each in option.settings.items()
        }
        return json.dumps(of_all, sort_keys=True, default=str)

    known = {folding(option) for option in options if not option.by_finn}
    return (option for option in options if not option.by_finn or folding(option) not in known)


def _cycles(layer: Any) -> int:
    """Cycles for a frame: those of the layer's RTL where they are known, else FINN's estimate."""
    exact = exact_cycles(layer)
    return int(layer.get_exp_cycles()) if exact is None else exact


def fits(layer: Any) -> bool:
    """Whether FINN takes a layer as it is: its folding divides, and it says how many cycles that takes."""
    if refusal(layer) is not None:
        return False
    try:
        return int(layer.get_exp_cycles()) >= 0
    except Exception as error:
        if is_refusal(error):
            return False
        raise


def _set(node: NodeProto, settings: Mapping[str, Any]) -> Any:
    """A layer on a copy of the node with these attributes."""
    changed = copy.deepcopy(node)
    set_attributes(changed, **settings)
    return getCustomOp(changed)


def _factors(layer: Any, name: str) -> list[int]:
    """The values that PE or SIMD may have: divisors of what it has to divide, and of the channels of both streams."""
    known = layer.get_nodeattr_types()
    sizes = {layer.get_normal_input_shape()[-1], layer.get_normal_output_shape()[-1]}
    for dimension in DIMENSIONS[name]:
        value = layer.get_nodeattr(dimension) if dimension in known else 1
        sizes.add(value if isinstance(value, int) else math.prod(value))
    return sorted({factor for size in sizes for factor in range(1, int(size) + 1) if size % factor == 0})
