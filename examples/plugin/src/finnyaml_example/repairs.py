"""An exact repair."""

import copy

from qonnx.transformation.remove import remove_node_and_rewire

from finnyaml.graph.surgery import Repaired
from finnyaml.graph.view import View, name


def idle_relus(view):
    """The Relu nodes whose input is never negative."""
    return [node for node in view.nodes if node.op_type == "Relu" and view.datatype(node.input[0]).min() >= 0]


def drop_idle_relus(model):
    """Take out every Relu that changes nothing."""
    model = copy.deepcopy(model)
    idle = idle_relus(View(model))
    for node in idle:
        remove_node_and_rewire(model, node)
    return Repaired(model, tuple(f"{name(node)} is taken out: its input is never negative" for node in idle))
