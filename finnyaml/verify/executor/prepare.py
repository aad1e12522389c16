"""The graph as it is executed: partitions inlined, specialised layers turned back, constants computed."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import GraphProto, NodeProto, numpy_helper

from finnyaml.finn.door import register_reshape
from finnyaml.finn.kernels import kernels
from finnyaml.finn.partitions import memory_of
from finnyaml.graph import view
from finnyaml.graph.operators import HARDWARE, PARTITION
from finnyaml.verify.executor.base import Broken, NotExecutable

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

PARTITIONS = (PARTITION, "GenericPartition")
SPECIALISED = (f"{HARDWARE}.hls", f"{HARDWARE}.rtl")
# layers that only move the stream and have no form before specialisation
PLUMBING = {"CheckSum_hls", "IODMA_hls", "TLastMarker_hls"}
# layers whose output is their input
THROUGH = ("Identity", "StreamingDataWidthConverter", "StreamingFIFO")
WINDOWS = ("ConvolutionInputGenerator", "Im2Col")


def prepare(model: ModelWrapper) -> ModelWrapper:
    """A copy of the model with its partitions inlined and its specialised layers turned back."""
    model = copy.deepcopy(model)
    model.set_metadata_prop("exec_mode", "")
    while node := next((n for n in model.graph.node if n.op_type in PARTITIONS), None):
        child = _child(node)
        names = {t: f"{node.name}_{t}" for t in _tensors(child.graph)}
        names |= {a.name: b for a, b in zip(child.graph.input, node.input, strict=False)}
        names |= {a.name: b for a, b in zip(child.graph.output, node.output, strict=False)}
        for inside in child.graph.node:
            inside.name = f"{node.name}_{inside.name}"
        _rename(child.graph, names)
        _inline(model, node, child)
    _restore_weights(model)
    _despecialise(model)
    _windows_before_units(model)
    if any(model.get_tensor_shape(tensor) is None for node in model.graph.node for tensor in node.output if tensor):
        from qonnx.transformation.infer_shapes import InferShapes

        model = model.transform(InferShapes())  # a step of the user's put a node in and no shape
    return model


def whole_model(model: ModelWrapper, parent: ModelWrapper) -> ModelWrapper:
    """The dataflow parent with `model` in the place of its only StreamingDataflowPartition.

    Tensors and nodes of `model` keep their names; those of the parent that collide with them get the prefix `parent_`.
    """
    whole = copy.deepcopy(parent)
    partitions = [n for n in whole.graph.node if n.op_type == PARTITION]
    if len(partitions) != 1:
        raise NotExecutable(f"the dataflow parent has {len(partitions)} dataflow partitions; it must have one")
    node = partitions[0]
    if len(node.input) != len(model.graph.input) or len(node.output) != len(model.graph.output):
        raise NotExecutable("the partition in the dataflow parent has other inputs or outputs than the model")
    names = {a: b.name for a, b in zip(node.input, model.graph.input, strict=True)}
    names |= {a: b.name for a, b in zip(node.output, model.graph.output, strict=True)}
    taken = set(_tensors(model.graph))
    for tensor in _tensors(whole.graph):
        if tensor not in names and tensor in taken:
            names[tensor] = f"parent_{tensor}"
    inside = {n.name for n in model.graph.node}
    for other in whole.graph.node:
        if other.name in inside:
            other.name = f"parent_{other.name}"
    _rename(whole.graph, names)
    _inline(whole, node, model)
    return whole


def _child(node: NodeProto) -> ModelWrapper:
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.custom_op.registry import getCustomOp

    path = getCustomOp(node).get_nodeattr("model")
    try:
        return ModelWrapper(path)
    except (OSError, AssertionError) as error:  # qonnx asserts that the file is there
        raise NotExecutable(f"the model of the partition {node.name} cannot be read: {error}") from error


def _tensors(graph: GraphProto) -> Iterable[str]:
    for node in graph.node:
        yield from (t for t in (*node.input, *node.output) if t)
    for named in (*graph.input, *graph.output, *graph.initializer):
        yield named.name


def _rename(graph: GraphProto, names: Mapping[str, str]) -> None:
    """Give the tensors of a graph new names (in place)."""
    for node in graph.node:
        node.input[:] = [names.get(t, t) for t in node.input]
        node.output[:] = [names.get(t, t) for t in node.output]
    for named in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        named.name = names.get(named.name, named.name)
    for annotation in graph.quantization_annotation:
        annotation.tensor_name = names.get(annotation.tensor_name, annotation.tensor_name)


def _inline(model: ModelWrapper, node: NodeProto, child: ModelWrapper) -> None:
    """Put the child's graph in the place of a node of the model (in place); their tensors must fit by name."""
    graph, inner = model.graph, child.graph
    place = list(graph.node).index(node)
    after = list(graph.node)[place + 1 :]
    del graph.node[place:]
    graph.node.extend([*inner.node, *after])
    graph.initializer.extend(inner.initializer)
    known = {v.name for v in (*graph.input, *graph.output, *graph.value_info)}
    graph.value_info.extend(v for v in (*inner.input, *inner.output, *inner.value_info) if v.name not in known)
    # Where both say of what type a tensor is, the child is newer: steps narrow types in it, not around it.
    annotated = {a.tensor_name for a in inner.quantization_annotation}
    kept = [a for a in graph.quantization_annotation if a.tensor_name not in annotated]
    del graph.quantization_annotation[:]
    graph.quantization_annotation.extend([*kept, *inner.quantization_annotation])
    versions = {o.domain for o in model.model.opset_import}
    model.model.opset_import.extend(o for o in child.model.opset_import if o.domain not in versions)


def _restore_weights(model: ModelWrapper) -> None:
    """Give layers whose weights a DMA engine streams from memory the weights themselves, in its place (in place).

    There are such engines only in the partitions of FINN's synthesis. Their memory holds the weights in the order of
    the stream, which FINN's Python of the layers does not know.
    """
    for engine in [n for n in model.graph.node if n.op_type == "IODMA_hls"]:
        if view.attributes(engine).get("burstMode") != "wrap":
            continue
        layer = model.find_consumer(engine.output[0])
        while layer is not None and view.kind(layer) in THROUGH:
            layer = model.find_consumer(layer.output[0])
        memory = model.get_initializer(engine.input[0])
        if layer is None or not layer.op_type.startswith("MVAU") or memory is None:
            raise NotExecutable(f"{engine.name} streams weights to a layer that is not known")
        weights = f"{layer.name}_weights"
        model.set_initializer(weights, _unstreamed(memory, layer))
        model.set_tensor_datatype(weights, model.get_tensor_datatype(engine.input[0]))
        layer.input[1] = weights
        model.graph.node.remove(engine)


def _unstreamed(memory: np.ndarray, layer: NodeProto) -> np.ndarray:
    """Weights [MW, MH] from the memory that FINN made of them; what it makes of numbers tells their order."""
    from qonnx.custom_op.registry import getCustomOp

    instance = getCustomOp(layer)
    height, width = (instance.get_nodeattr(name) for name in ("MW", "MH"))
    numbers: np.ndarray = np.arange(height * width, dtype=np.float32)
    if numbers.size > 1 << 24:
        raise NotExecutable(f"{layer.name} has more external weights than float32 can number")
    order: np.ndarray = memory_of(instance, numbers.reshape(height, width)).astype(np.int64)
    weights: np.ndarray = np.zeros(height * width, np.float32)
    weights[order.reshape(-1)] = memory.reshape(-1)
    return weights.reshape(height, width)


def _despecialise(model: ModelWrapper) -> None:
    """Turn layers of FINN's hls and rtl domains back to those before specialisation (in place)."""
    from qonnx.custom_op.registry import getCustomOp

    if any(node.op_type.startswith("Reshape") and node.domain.startswith(HARDWARE) for node in model.graph.node):
        register_reshape()
    computes = {kernel: layer for layer, kernel in kernels().items()}
    for node in model.graph.node:
        if node.domain not in SPECIALISED:
            continue
        if node.op_type in PLUMBING:
            node.op_type, node.domain = "Identity", ""
            del node.attribute[:]
            continue
        before = NodeProto()
        before.CopyFrom(node)
        node.op_type, node.domain = computes.get(node.op_type, node.op_type.rsplit("_", 1)[0]), HARDWARE
        # without it the layer executes as Python, not as a simulation
        kept = [a for a in node.attribute if a.name != "exec_mode"]
        del node.attribute[:]
        node.attribute.extend(kept)
        try:
            instance = getCustomOp(node)
        except KeyError:
            node.CopyFrom(before)
            continue
        modes = instance.get_nodeattr_types().get("exec_mode", ())
        if len(modes) > 3 and "python" in modes[3]:
            instance.set_nodeattr("exec_mode", "python")


def _windows_before_units(model: ModelWrapper) -> None:
    """Let every VVAU read its sliding window itself, past FIFOs and width converters (in place).

    FINN's Python takes any other input for a stream in the hardware's order, which its Python windows never make.
    """
    producers = {t: n for n in model.graph.node for t in n.output}
    for node in model.graph.node:
        if node.op_type != "VVAU":
            continue
        producer = producers.get(node.input[0])
        while producer is not None and producer.op_type in THROUGH:
            producer = producers.get(producer.input[0])
        if producer is not None and producer.op_type in WINDOWS:
            node.input[0] = producer.output[0]


def run_node(model: ModelWrapper, node: NodeProto, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Execute one node as qonnx's `execute_onnx` does, integer tensors rounded.

    Values and the outputs returned are by tensor, with its annotated shape, float32.
    """
    from qonnx.core.onnx_exec import execute_node

    opset = view.opsets(model).get(node.domain, view.preferred_opset())
    context = {t: values[t] for t in node.input if t}
    for tensor in node.output:
        shape = model.get_tensor_shape(tensor)
        context[tensor] = np.zeros(shape if shape is not None else (), np.float32)
    try:
        execute_node(node, context, model.graph, opset_version=opset)  # its place differs between versions
    except Exception as error:
        # Of FINN's layers some need code that is compiled first; ONNX's own operators need nothing.
        kind = NotExecutable if node.domain else Broken
        raise kind(f"{node.op_type} {view.name(node)} cannot be executed: {error}") from error
    return {t: sanitised(np.asarray(context[t]), model.get_tensor_datatype(t), t) for t in node.output if t}


def sanitised(value: np.ndarray, datatype: Any, tensor: str) -> np.ndarray:
    """What qonnx makes of a tensor, of any shape, annotated as integer: rounded where nearly integer, else refused."""
    if not datatype.is_integer():
        return value
    rounded: np.ndarray = np.round(value)
    refuse_rounding(float(np.abs(value - rounded).max(initial=0.0)), datatype, tensor)
    return rounded


def refuse_rounding(error: float, datatype: Any, tensor: str) -> None:
    """Broken if values of an integer tensor are further from integers than qonnx tolerates."""
    from qonnx.util.basic import get_execution_error_thresh

    if not error <= get_execution_error_thresh():
        raise Broken(
            f"{tensor} is annotated {datatype.name} but holds values that are not integers (off by up to {error:.3g})",
            hint="qonnx refuses to execute this too; correct the annotation, or the scale of the data",
        )


def constants(model: ModelWrapper) -> tuple[dict[str, np.ndarray], list[NodeProto]]:
    """All tensors that do not depend on the input, with their shapes, by name; and the nodes that do, in order."""
    stored = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    known = {name: sanitised(value, model.get_tensor_datatype(name), name) for name, value in stored.items()}
    live = []
    for node in model.graph.node:
        if node.op_type == "Shape" and node.domain in ("", "ai.onnx") and node.input[0] not in known:
            shape = model.get_tensor_shape(node.input[0])
            if shape is not None:
                known |= run_node(model, node, {node.input[0]: np.zeros(shape, np.float32)})
                continue
        if all(t in known for t in node.input if t):
            known |= run_node(model, node, known)
        else:
            live.append(node)
    return known, live


def needed(nodes: list[NodeProto], wanted: Iterable[str]) -> list[NodeProto]:
    """The nodes that the wanted tensors depend on, in order."""
    tensors, kept = set(wanted), []
    for node in reversed(nodes):
        if tensors.intersection(node.output):
            kept.append(node)
            tensors.update(node.input)
    return kept[::-1]
