"""Transformations that do something wrong, one thing each, as a defect of a compiler would."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.base import Transformation


class _Once(Transformation):
    """Changes the graph once."""

    def apply(self, model: Any) -> Any:
        self.change(model)
        return model, False

    def change(self, model: Any) -> None:
        raise NotImplementedError


def _change_constant(model: Any, node: str, function: Any) -> None:
    name = model.get_node_from_name(node).input[1]
    model.set_initializer(name, np.asarray(function(model.get_initializer(name).copy()), np.float32))


class ShiftThreshold(_Once):
    """Moves the threshold of channel 3 of MultiThreshold_2."""

    def change(self, model):
        def shift(thresholds):
            thresholds[3] += 40
            return thresholds

        _change_constant(model, "MultiThreshold_2", shift)


class SwapChannels(_Once):
    """Swaps output channels 1 and 4 of the second convolution's weights."""

    def change(self, model):
        def swap(weights):
            weights[:, [1, 4]] = weights[:, [4, 1]]
            return weights

        _change_constant(model, "MatMul_1", swap)


class ClipAccumulator(_Once):
    """Clips the product of the first dense layer to INT9."""

    def change(self, model):
        node = model.get_node_from_name("MatMul_3")
        product, clipped = node.output[0], model.make_new_valueinfo_name()
        model.set_tensor_shape(clipped, model.get_tensor_shape(product))
        model.set_tensor_datatype(clipped, DataType["INT9"])
        for consumer in model.find_consumers(product):
            consumer.input[0] = clipped
        bounds = []
        for value in (-256, 255):
            bounds.append(model.make_new_valueinfo_name())
            model.set_initializer(bounds[-1], np.array(value, np.float32))
        model.graph.node.append(helper.make_node("Clip", [product, *bounds], [clipped], name="Clip_0"))
        model.cleanup()


class ChangePadValue(_Once):
    """Pads the second convolution with 1 instead of 0."""

    def change(self, model):
        getCustomOp(model.get_node_from_name("Im2Col_1")).set_nodeattr("pad_value", 1)


class ShiftPadding(_Once):
    """Pads the second convolution one row less above and one more below."""

    def change(self, model):
        getCustomOp(model.get_node_from_name("Im2Col_1")).set_nodeattr("pad_amount", [3, 4, 5, 4])


class ShiftOutputs(_Once):
    """Lets the activation of the second convolution count from 0 instead of -1."""

    def change(self, model):
        getCustomOp(model.get_node_from_name("MultiThreshold_2")).set_nodeattr("out_bias", 0.0)


class RoundThresholdsDown(_Once):
    """Rounds the thresholds of the second convolution down, where only up is exact for integers."""

    def change(self, model):
        _change_constant(model, "MultiThreshold_2", lambda thresholds: np.floor(thresholds - 0.001))


class NarrowThresholds(_Once):
    """Stores the thresholds of the third convolution in INT4, which the accumulator exceeds."""

    def change(self, model):
        _change_constant(model, "MultiThreshold_3", lambda thresholds: np.clip(np.ceil(thresholds), -8, 7))
        model.set_tensor_datatype(model.get_node_from_name("MultiThreshold_3").input[1], DataType["INT4"])


class SwapAndAnnotate(SwapChannels):
    """Swaps channels, and annotates their product with a datatype that it exceeds by far."""

    def change(self, model):
        super().change(model)
        model.set_tensor_datatype(model.get_node_from_name("MatMul_1").output[0], DataType["INT4"])


class ScaleClasses(_Once):
    """Multiplies the scores of the ten classes with different factors, before TopK or FINN's layer for it."""

    def change(self, model):
        (top,) = [node for node in model.graph.node if node.op_type in ("TopK", "LabelSelect")]
        scaled, factors = model.make_new_valueinfo_name(), model.make_new_valueinfo_name()
        shape = model.get_tensor_shape(top.input[0])
        model.set_initializer(factors, np.linspace(0.2, 2, shape[-1], dtype=np.float32))
        model.set_tensor_shape(scaled, shape)
        model.graph.node.append(helper.make_node("Mul", [top.input[0], factors], [scaled], name="Mul_9"))
        top.input[0] = scaled
        model.cleanup()


class ScaleOutput(_Once):
    """Multiplies the output of the graph, the scores of the ten classes, with different factors."""

    def change(self, model):
        (output,) = model.graph.output
        factors, inner = model.make_new_valueinfo_name(), model.make_new_valueinfo_name()
        shape = model.get_tensor_shape(output.name)
        model.set_initializer(factors, np.linspace(0.2, 2, shape[-1], dtype=np.float32))
        model.set_tensor_shape(inner, shape)
        model.find_producer(output.name).output[0] = inner
        model.graph.node.append(helper.make_node("Mul", [inner, factors], [output.name], name="Mul_9"))
        model.set_tensor_datatype(output.name, DataType["FLOAT32"])


class AppendScale(_Once):
    """Multiplies the output of the graph with one factor, which may be 1."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def change(self, model):
        (output,) = model.graph.output
        inner = model.make_new_valueinfo_name()
        model.set_tensor_shape(inner, model.get_tensor_shape(output.name))
        model.find_producer(output.name).output[0] = inner
        model.set_initializer("factor", np.array(self.by, np.float32))
        model.graph.node.append(helper.make_node("Mul", [inner, "factor"], [output.name], name="Mul_9"))
        model.set_tensor_datatype(output.name, DataType["FLOAT32"])


class ScaleLast(AppendScale):
    """Changes that factor."""

    def change(self, model):
        _change_constant(model, "Mul_9", lambda factor: factor * self.by)


class Cut(_Once):
    """Cuts a wire: the graph does not execute any more."""

    def change(self, model):
        model.get_node_from_name("MatMul_1").input[0] = "cut"


class Mend(_Once):
    """Joins the wire again."""

    def change(self, model):
        model.get_node_from_name("MatMul_1").input[0] = model.get_node_from_name("Im2Col_1").output[0]


class Nested(Transformation):
    """Calls other transformations, as Streamline does."""

    def __init__(self, *inner: Transformation) -> None:
        super().__init__()
        self.inner = inner

    def apply(self, model):
        for transformation in self.inner:
            model = model.transform(transformation)
        return model, False
