"""The streams and FIFOs of FINN's dataflow graph: one stream in, one out, one consumer each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finnyaml.errors import StepFailed
from finnyaml.graph.view import View
from finnyaml.rtl.design import Fifo, Stream
from finnyaml.rtl.netlist import INPUT, OUTPUT

_FIFO = "StreamingFIFO"
_DEPTH = re.compile(r"\bfifo\s*#\(\s*\.DEPTH\((\d+)\)")
_FORK = "FINN's InsertFork duplicates streams; does the flow have convert_to_hw?"
_AGAIN = "hw_codegen makes the code of the layers anew; was something changed after it?"


@dataclass(frozen=True)
class Dataflow:
    """operators: FINN's object of each node, by name. edges, fifos: in the order of the graph, which is topological.

    drivers: the name of each edge by the node and the interface that drive it.
    """

    operators: Mapping[str, Any]
    input: Stream
    output: Stream
    edges: tuple[Stream, ...]
    fifos: tuple[Fifo, ...]
    drivers: Mapping[tuple[str, str], str]


def read(model: ModelWrapper) -> Dataflow:
    """The dataflow of a graph of hardware layers with one input and one output.

    Raises:
        StepFailed: a tensor without or with several consumers; two ends that fold it differently; a FIFO whose code
            has another depth than the graph says.
    """
    view = View(model)
    operators = {node.name: getCustomOp(node) for node in view.nodes}
    edges, drivers = [], {}
    for node in view.nodes:
        masters = operators[node.name].get_verilog_top_module_intf_names()["m_axis"]
        for index, tensor in enumerate(node.output):
            if tensor not in view.outputs:
                edge = _edge(model, operators, node, index)
                edges.append(edge)
                drivers[node.name, str(masters[index][0])] = edge.name
    first, last = _input(model, operators, view.inputs[0]), _output(model, operators, view.outputs[0])
    fifos = tuple(_fifo(model, operators, node) for node in view.nodes if _is_fifo(node))
    return Dataflow(operators, first, last, tuple(edges), fifos, drivers)


def check_widths(streams: Iterable[Stream], widths: Mapping[str, int]) -> None:
    """Compare what FINN says of its streams with the bits that the modules have.

    Raises:
        StepFailed: they differ, or values do not fit.
    """
    for stream in streams:
        needed = stream.folded[-1] * DataType[stream.datatype].bitwidth()
        if stream.width != widths[stream.name] or needed > stream.width or prod(stream.folded) != prod(stream.shape):
            raise StepFailed(
                f"the stream of {stream.tensor} ({stream.name}) has {widths[stream.name]} bits in Verilog; FINN says "
                f"{stream.width}, for {stream.folded[-1]} values of {stream.datatype} at a time",
                hint=_AGAIN,
            )


def _input(model: ModelWrapper, operators: Mapping[str, Any], tensor: str) -> Stream:
    consumer, index = _consumer(model, tensor)
    operator = operators[consumer]
    return Stream(
        name=INPUT,
        tensor=tensor,
        datatype=operator.get_input_datatype(index).name,
        shape=_sizes(operator.get_normal_input_shape(index)),
        folded=_sizes(operator.get_folded_input_shape(index)),
        width=int(operator.get_instream_width_padded(index)),
        producer=None,
        consumer=consumer,
    )


def _output(model: ModelWrapper, operators: Mapping[str, Any], tensor: str) -> Stream:
    producer = model.find_producer(tensor)
    if producer is None or model.find_consumers(tensor):
        found = "is also read by a layer" if producer is not None else "comes from no layer"
        raise StepFailed(f"the accelerator's output {tensor} {found}", hint=_FORK)
    return _driven(operators, producer, list(producer.output).index(tensor), OUTPUT, None)


def _edge(model: ModelWrapper, operators: Mapping[str, Any], node: Any, index: int) -> Stream:
    tensor = node.output[index]
    consumer, place = _consumer(model, tensor)
    stream = _driven(operators, node, index, f"{node.name}_out{index}", consumer)
    taken = _sizes(operators[consumer].get_folded_input_shape(place))
    if (prod(taken[:-1]), taken[-1]) != (stream.beats, stream.folded[-1]):
        raise StepFailed(
            f"{node.name} hands {tensor} over as {list(stream.folded)}, {consumer} takes it as {list(taken)}",
            hint="set_fifo_depths puts the width converters in; does the flow have it, after hw_codegen?",
        )
    return stream


def _driven(operators: Mapping[str, Any], node: Any, index: int, name: str, consumer: str | None) -> Stream:
    operator = operators[node.name]
    return Stream(
        name=name,
        tensor=node.output[index],
        datatype=operator.get_output_datatype(index).name,
        shape=_sizes(operator.get_normal_output_shape(index)),
        folded=_sizes(operator.get_folded_output_shape(index)),
        width=int(operator.get_outstream_width_padded(index)),
        producer=node.name,
        consumer=consumer,
    )


def _consumer(model: ModelWrapper, tensor: str) -> tuple[str, int]:
    consumers = model.find_consumers(tensor)
    if len(consumers) != 1:
        raise StepFailed(f"{len(consumers)} layers read {tensor}; a stream has one", hint=_FORK)
    return consumers[0].name, list(consumers[0].input).index(tensor)


def _fifo(model: ModelWrapper, operators: Mapping[str, Any], node: Any) -> Fifo:
    operator = operators[node.name]
    depth = int(operator.get_nodeattr("depth"))
    code = Path(operator.get_nodeattr("code_gen_dir_ipgen")) / f"{operator.get_nodeattr('gen_top_module')}.v"
    generated = _DEPTH.search(code.read_text(encoding="utf-8")) if code.is_file() else None
    if generated is None or int(generated[1]) != depth:
        found = f"depth {generated[1]}" if generated else "no depth"
        raise StepFailed(f"{node.name} has a depth of {depth}, and its Verilog {found}", hint=_AGAIN)
    above, below = model.find_producer(node.input[0]), model.find_consumer(node.output[0])
    while above is not None and _is_fifo(above):
        above = model.find_producer(above.input[0])
    while below is not None and _is_fifo(below):
        below = model.find_consumer(below.output[0])
    return Fifo(
        node=node.name,
        depth=depth,
        width=int(operator.get_instream_width()),
        ram_style=operator.get_nodeattr("ram_style"),
        producer=above.name if above is not None else None,
        consumer=below.name if below is not None else None,
    )


def _is_fifo(node: Any) -> bool:
    return bool(node.op_type.startswith(_FIFO))


def _sizes(shape: Iterable[Any]) -> tuple[int, ...]:
    return tuple(int(size) for size in shape)
