"""What FINN has not made hardware of, and what it should not have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from onnx import NodeProto

from finnyaml.graph.view import View, attributes, is_hardware, kind
from finnyaml.lint.catalogue import Finding
from finnyaml.lint.rules import Stage, checks, finding

LINEAR = frozenset(("Add", "BatchNormalization", "Div", "Mul", "Sub"))
"""Float operators that streamlining is there to take away, and that FINN maps into hardware where it does not."""


def between_hardware(view: View) -> list[NodeProto]:
    """The nodes that FINN has not converted and that have hardware layers before and behind them."""
    behind: set[str] = set()  # tensors that hardware had a part in
    for node in view.nodes:
        if is_hardware(node) or any(tensor in behind for tensor in node.input):
            behind.update(node.output)
    before: set[str] = set()  # tensors that go into hardware, by whatever way
    for node in reversed(view.nodes):
        if is_hardware(node) or any(tensor in before for tensor in node.output):
            before.update(node.input)
    return [
        node
        for node in view.nodes
        if not is_hardware(node)
        and any(tensor in behind for tensor in node.input)
        and any(tensor in before for tensor in node.output)
    ]


@checks("node-between-hardware-layers")
def _unconverted(view: View, stage: Stage) -> Iterator[Finding]:
    if not any(is_hardware(node) for node in view.nodes):
        return
    for node in between_hardware(view):
        yield finding(
            "node-between-hardware-layers",
            f"{node.name} ({node.op_type}) is not converted and stands between hardware layers, so the accelerator "
            f"would fall into parts (cycle-free graph violated): {_reason(view, node)}",
            node=node.name,
            hint=_REMEDIES.get(node.op_type, "move it to the ends of the graph, or take it out of the network"),
        )


_REMEDIES = {
    "MatMul": "put a quantizer before it, and look for scales that streamlining left there",
    "Transpose": "insert a step with AbsorbTransposeIntoMultiThreshold or AbsorbConsecutiveTransposes after streamline",
    "MaxPool": "insert a step with MakeMaxPoolNHWC after streamline",
    "Conv": "insert a step with LowerConvsToMatMul after streamline",
}


def _reason(view: View, node: NodeProto) -> str:
    """Why FINN left this node as it is."""
    floats = [tensor for tensor in node.input if view.shape(tensor) and not view.datatype(tensor).is_integer()]
    written = attributes(node)
    if node.op_type == "MatMul" and floats:
        return f"its operand {floats[0]} is {view.datatype(floats[0]).name}, and FINN multiplies integers only"
    if node.op_type == "Conv":
        return "streamlining has not lowered it to a matrix product"
    if node.op_type == "BatchNormalization":
        return "streamlining has not absorbed it into thresholds"
    if node.op_type == "MultiThreshold":
        return f"its input is {view.datatype(node.input[0]).name} and its thresholds {_type(view, node.input[1])}"
    if node.op_type in ("MaxPool", "MaxPoolNHWC"):
        return _pooling_reason(view, node, written)
    if node.op_type == "Im2Col":
        if not view.datatype(node.input[0]).is_integer():
            return f"its input is {_type(view, node.input[0])}, and FINN's sliding window takes integers only"
        return "FINN's sliding window does not take these parameters"
    if node.op_type == "Transpose":
        return "the layout changes inside the accelerator, which streamlining should have moved to its ends"
    if node.op_type in LINEAR:
        return f"its operands are {' and '.join(_type(view, tensor) for tensor in node.input)}"
    return f"FINN has no hardware layer for {node.op_type} here"


def _type(view: View, tensor: str) -> str:
    return str(view.datatype(tensor).name)


def _pooling_reason(view: View, node: NodeProto, written: Mapping[str, Any]) -> str:
    if not view.datatype(node.input[0]).is_integer():
        return f"its input is {_type(view, node.input[0])}, and FINN pools integers only"
    kernel, strides = written.get("kernel_shape", ()), written.get("strides", ())
    if any(size < step for size, step in zip(kernel, strides, strict=False)):
        return f"its stride {list(strides)} is larger than its kernel {list(kernel)}"
    if len(view.shape(node.input[0])) != 4:
        return "it does not pool over two dimensions"
    return "FINN has no hardware layer for this pooling"


@checks("float-in-dataflow")
def _float(view: View, stage: Stage) -> Iterator[Finding]:
    hint = (
        "look why streamlining left it (a branch before it, a scale per channel where FINN wants one number, a missing "
        "quantizer); at the output, let the host scale, or end in top_k"
    )
    streamlined = stage.past("step_streamline") and not stage.past("step_convert_to_hw")
    for node in view.nodes:
        if is_hardware(node) and (ports := _float_ports(view, node)):
            message = f"{node.name} computes in floating point ({', '.join(ports)}): FINN maps it without complaint"
        elif streamlined and _left_over(view, node):
            message = f"{node.name} ({node.op_type}) is float and left after streamlining: FINN will map it as such"
        else:
            continue
        yield finding("float-in-dataflow", message, node=node.name, hint=hint)


def _left_over(view: View, node: NodeProto) -> bool:
    """Whether streamlining should have taken this float arithmetic away; before any quantizer it is the host's."""
    is_float = node.op_type in LINEAR and not view.datatype(node.output[0]).is_integer()
    return is_float and _behind_quantizer(view, node)


def _float_ports(view: View, node: NodeProto) -> list[str]:
    """The data types of a hardware layer that are float, by attribute, without those that belong to the input data.

    Thresholds are float until FINN has minimised them.
    """
    found = []
    from_outside = any(tensor in view.inputs for tensor in node.input)
    for name, value in attributes(node).items():
        role = name.lower()
        if not role.endswith(("datatype", "dtype")) or role.startswith(("weight", "acc")):
            continue
        if role.startswith(("input", "lhs")) and from_outside and kind(node) == "Thresholding":
            continue
        if str(value).startswith("FLOAT"):
            found.append(f"{name} {value}")
    return found


def _behind_quantizer(view: View, node: NodeProto) -> bool:
    todo, seen = list(node.input), set()
    while todo:
        tensor = todo.pop()
        producer = view.producer(tensor)
        if producer is None or tensor in seen:
            continue
        seen.add(tensor)
        if producer.op_type in ("MultiThreshold", "Quant", "BipolarQuant"):
            return True
        todo += producer.input
    return False
