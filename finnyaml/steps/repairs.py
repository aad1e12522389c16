"""Exact repairs, as steps of finnyaml: the network computes what it was trained to compute. Runs in workers.

Each takes a model (not changed) and returns a new one with sentences on what is different; one that finds nothing to
repair returns the model as it is. A case in which a repair would not be exact is refused.
"""

from __future__ import annotations

import copy

import numpy as np
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_datatypes import InferDataTypes

from finnyaml.errors import StepFailed
from finnyaml.graph.operators import PASSING
from finnyaml.graph.surgery import Node, Repaired, free_name, set_attributes, store_constant
from finnyaml.graph.view import View, attributes, name
from finnyaml.lint.matrices import widened
from finnyaml.lint.padding import Padded, unrepresentable
from finnyaml.lint.thresholds import mislabelled, negative_on_unsigned
from finnyaml.steps.bipolar import refuse_source, yield_int2


def represent_padding(model: ModelWrapper) -> Repaired:
    """Let activations of -1 and +1 that are padded with 0 have a 0.

    Every bipolar MultiThreshold whose output reaches a padding with 0, directly or through pooling and the like,
    yields INT2 instead: with its one threshold doubled, out_scale 1 and out_bias -1, it gives -1 or +1 as before, and
    the padding has a value to stand for it. Belongs after `tidy_up`, before `streamline`.

    Raises:
        StepFailed: XNOR arithmetic is there already, or the values that are padded do not come from a bipolar
            MultiThreshold (2 * [x >= t] - 1), or the network's output would change its data type.
    """
    model = copy.deepcopy(model)
    view = View(model)
    padded = list(unrepresentable(view))
    if not padded:
        return Repaired(model, ())
    for place in padded:
        _refuse_padding(place)
    sources = {id(source): source for place in padded for source in place.sources}
    _with_partners(view, sources)
    nodes = [node for node in view.nodes if id(node) in sources]
    for node in nodes:
        refuse_source("represent_padding", view, node, "padded with 0")
    yield_int2(model, view, nodes)
    changes = []
    for node in nodes:
        reached = [name(place.node) for place in padded if any(source is node for source in place.sources)]
        why = f"padded with 0 by {', '.join(reached)}" if reached else "joined with such values"
        changes.append(f"{name(node)} yields INT2 (-1 or +1, {why}) instead of BIPOLAR")
    model = model.transform(InferDataTypes())
    left = [name(place.node) for place in unrepresentable(View(model))]
    if left:
        raise StepFailed(f"represent_padding: {', '.join(left)} would still be padded with a value that does not exist")
    assert all(attributes(node)["out_dtype"] == "INT2" for node in nodes)
    return Repaired(model, tuple(changes))


def _refuse_padding(place: Padded) -> None:
    if not place.sources:
        raise StepFailed(
            f"represent_padding: {name(place.node)} is followed by XNOR arithmetic, where 0 means -1 already",
            hint="run it earlier: after tidy_up, before streamline",
        )
    if place.value != 0:
        raise StepFailed(
            f"represent_padding: {name(place.node)} pads bipolar values with {place.value:g}, not with 0",
            hint="pad with 0, -1 or +1",
        )
    if None in place.sources:
        raise StepFailed(
            f"represent_padding: {name(place.node)} pads the graph input {place.tensor}, which is bipolar",
            hint="say model: {input: {datatype: INT2}}",
        )


def _with_partners(view: View, sources: dict[int, Node]) -> None:
    """Add the bipolar thresholds whose values are concatenated with those of `sources`.

    QONNX takes the data type of a Concat from its first input: with mixed inputs it would be right by chance only.
    """
    groups: list[set[int]] = []
    nodes: dict[int, Node] = {}
    for node in view.nodes:
        if node.op_type != "Concat":
            continue
        todo, group = list(node.input), set()
        while todo:
            producer = view.producer(todo.pop())
            if producer is None:
                continue
            if producer.op_type in PASSING:
                todo += producer.input if producer.op_type == "Concat" else producer.input[:1]
            elif producer.op_type == "MultiThreshold" and attributes(producer).get("out_dtype") == "BIPOLAR":
                group.add(id(producer))
                nodes[id(producer)] = producer
        groups.append(group)
    grown = True
    while grown:
        wanted = {key for group in groups if group & sources.keys() for key in group} - sources.keys()
        sources.update((key, nodes[key]) for key in wanted)
        grown = bool(wanted)


def correct_annotations(model: ModelWrapper) -> Repaired:
    """Give each MultiThreshold the data type of the values that it yields, where it claims another.

    What it yields is out_bias to out_bias + out_scale * thresholds. A signed type for values that are never negative
    (INT2 for 0, 1, 2) becomes the unsigned one, a type that is too narrow the smallest that is not; then all data
    types behind it are inferred anew. No value changes. Belongs after `streamline`, where biases have been absorbed.

    Raises:
        StepFailed: XNOR arithmetic needs the output of such a layer as bits.
    """
    model = copy.deepcopy(model)
    view = View(model)
    changes = []
    for node in view.nodes:
        found = mislabelled(view, node)
        if found is None:
            continue
        low, high, right = found
        if any(consumer.op_type == "XnorPopcountMatMul" for consumer in view.consumers(node.output[0])):
            raise StepFailed(f"correct_annotations: XNOR arithmetic needs bits, but {name(node)} yields up to {high}")
        claimed = attributes(node)["out_dtype"]
        set_attributes(node, out_dtype=right.name)
        model.set_tensor_datatype(node.output[0], DataType[right.name])
        changes.append(f"{name(node)} yields {low} to {high}: {right.name} instead of {claimed}")
    return Repaired(model.transform(InferDataTypes()) if changes else model, tuple(changes))


def clip_thresholds(model: ModelWrapper) -> Repaired:
    """Raise the negative thresholds of layers with an unsigned input to 0, which no value is below either.

    A value that is never negative reaches a threshold of 0 exactly when it reaches a negative one: always. FINN does
    the same later, but asserts before that there are none. Belongs after `streamline`.
    """
    model = copy.deepcopy(model)
    view = View(model)
    taken = set(model.get_all_tensor_names())
    nodes = [node for node in view.nodes if negative_on_unsigned(view, node)]
    changes = []
    for node in nodes:
        old = str(node.input[1])
        values = view.constant(old)
        assert values is not None
        shared = any(user not in nodes for user in view.consumers(old))
        new = free_name(f"{old}_clipped", taken) if shared else old
        store_constant(model, new, np.maximum(values, 0), like=old)
        node.input[1] = new
        datatype = view.datatype(node.input[0]).name
        changes.append(
            f"{np.count_nonzero(values < 0)} negative thresholds of {name(node)} are 0 (its input is {datatype})"
        )
    return Repaired(model, tuple(changes))


def keep_bipolar_weights(model: ModelWrapper) -> Repaired:
    """Store weights of -1 and +1 in one bit again, where FINN's bit-width minimisation made two of it.

    Only in HLS matrix layers (`MVAU_hls`) whose inputs are integers but not bipolar or binary: there FINN's template
    adds or subtracts the input. And only weights that stay what they are, neither streamed in nor writeable. Belongs
    after the last `minimize_bit_width`.
    """
    model = copy.deepcopy(model)
    view = View(model)
    changes = []
    for node in view.nodes:
        if widened(view, node):
            set_attributes(node, weightDataType="BIPOLAR")
            model.set_tensor_datatype(node.input[1], DataType["BIPOLAR"])
            changes.append(f"the weights of {name(node)} are BIPOLAR (1 bit) instead of INT2")
    return Repaired(model, tuple(changes))
