"""What FINN has not made hardware of, and what it should not have."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import NodeProto

from finnyaml.graph.view import View, attributes, is_hardware, kind
from finnyaml.lint.catalogue import Finding
from finnyaml.lint.left import LINEAR, why_left
from finnyaml.lint.rules import Stage, checks, finding


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
        left = why_left(view, node)
        yield finding(
            "node-between-hardware-layers",
            f"{node.name} ({node.op_type}) is not converted and stands between hardware layers, so the accelerator "
            f"would fall into parts (cycle-free graph violated): {left.reason}",
            node=node.name,
            hint=left.hint,
            repair=left.repair,
        )


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
        if _ends(view, node):
            last = (
                "it ends the network: the step leave_to_host after convert_to_hw leaves it to the host, exact; or end "
                "in `postprocess: [top_k: 1]`"
            )
            yield finding("float-in-dataflow", message, node=node.name, hint=last, settled_by=("leave_to_host",))
        else:
            yield finding("float-in-dataflow", message, node=node.name, hint=hint, settled_by=("streamline_branches",))


def _ends(view: View, node: NodeProto) -> bool:
    """Whether behind a node there are only further scales, biases and functions, to the end of the network."""
    todo = [node]
    while todo:
        one = todo.pop()
        if kind(one).removeprefix("Elementwise") not in _HOST:
            return False
        todo += [user for tensor in one.output for user in view.consumers(tensor)]
    return True


_HOST = frozenset((*LINEAR, "HWSoftmax", "LabelSelect", "PWPolyF", "Sigmoid", "Softmax", "Tanh", "TopK"))
"""What a host computes as well at the end, by the names without `Elementwise`."""


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
