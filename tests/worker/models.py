"""A small ONNX model with everything that FINN's models carry: paths, a subgraph, annotations, left-over tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def model(paths: str = "/sandbox/build/x", *, scale: float = 2.0) -> onnx.ModelProto:
    """x -> Mul -> MVAU (with a body) -> Add -> y, with `paths` in every attribute that can hold one."""
    values = {name: np.full((1, 4), number, np.float32) for name, number in (("w0", scale), ("w1", 3.0), ("left", 7.0))}
    inner = helper.make_graph(
        [
            helper.make_node("Relu", ["bx"], ["bt"], name="Relu_0"),
            helper.make_node("Im2Col", ["bt"], ["by"], code=paths),
        ],
        "body",
        [helper.make_tensor_value_info("bx", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("by", TensorProto.FLOAT, [1, 4])],
    )
    nodes = [
        helper.make_node("Mul", ["x", "w0"], ["t0"], name="Mul_0"),
        helper.make_node(
            "MVAU_hls",
            ["t0"],
            ["t1"],
            name="MVAU_hls_0",
            domain="finn",
            code_gen_dir_ipgen=paths,
            ip_paths=[paths, "relative"],
            body=inner,
            PE=4,
            inputDataType="INT8",
        ),
        helper.make_node("Add", ["t1", "w1"], ["y"], name="Add_0"),
    ]
    names = ("x", "y", "t0", "t1", "left")
    x, y, *inner_values = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in names)
    weights = [numpy_helper.from_array(array, name) for name, array in values.items()]
    graph = helper.make_graph(nodes, "net", [x], [y], weights, value_info=inner_values)
    for name in ("t0", "w0"):
        annotation = graph.quantization_annotation.add(tensor_name=name)
        annotation.quant_parameter_tensor_names.add(key="finn_datatype", value="INT8")
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("finn", 1)]
    made = helper.make_model(graph, opset_imports=opsets, producer_name="test")
    helper.set_model_props(made, {"vivado_stitch_proj": paths, "loop": "1"})
    return made


TENSORS = ("w0", "w1", "left", "t0", "t1", "bt")
"""The tensors of `model` whose names FINN makes up."""


def renamed(proto: onnx.ModelProto, names: Mapping[str, str]) -> onnx.ModelProto:
    """The same model with other names for its inner tensors."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    graphs = [copy.graph]
    while graphs:
        graph = graphs.pop()
        for item in (*graph.initializer, *graph.value_info):
            item.name = names.get(item.name, item.name)
        for annotation in graph.quantization_annotation:
            annotation.tensor_name = names.get(annotation.tensor_name, annotation.tensor_name)
        for node in graph.node:
            node.input[:] = [names.get(name, name) for name in node.input]
            node.output[:] = [names.get(name, name) for name in node.output]
            graphs += [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    return copy


def strings(proto: onnx.ModelProto) -> list[str]:
    """Every string that can hold a path."""
    found = [item.value for item in proto.metadata_props]
    graphs: list[onnx.GraphProto] = [proto.graph]
    while graphs:
        for node in graphs.pop().node:
            found += [item.value for item in node.metadata_props]
            found += _texts(attribute.s for attribute in node.attribute if attribute.HasField("s"))
            found += _texts(text for attribute in node.attribute for text in attribute.strings)
            graphs += [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    return found


def _texts(data: Iterable[bytes]) -> list[str]:
    return [text.decode() for text in data]
