"""Networks of a few values in QONNX' dialect, as Brevitas exports them: every kind of layer, block and ending."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_shapes import InferShapes

from finnyaml.steps.joined import cast_mixed
from tests.lint.graphs import QONNX, Net

STEP = 0.2347
"""The scale of weights: odd, so that no sum lies right between two values of a quantizer."""


class Network(Net):
    """A network that grows layer by layer; `x` is always the last tensor."""

    def __init__(self, *shape: int, datatype: str = "UINT4") -> None:
        super().__init__(shape, datatype)
        self.x = "x"

    def then(self, kind: str, *operands: str, **attributes: Any) -> Network:
        """An operator of ONNX on the last tensor."""
        self.x = self.node(kind, self.x, *operands, **attributes)
        return self

    def quant(
        self,
        bits: int = 3,
        scale: Any = 0.25,
        zero: float = 0.0,
        signed: bool = True,
        rounding: str = "ROUND",
        narrow: bool = False,
    ) -> Network:
        """A quantizer of activations."""
        self.x = self._quant(self.x, bits, scale, zero, signed, rounding, narrow)
        return self

    def relu(self, bits: int = 3, scale: Any = 0.5) -> Network:
        """A quantized ReLU."""
        return self.then("Relu").quant(bits, scale, signed=False)

    def conv(
        self, inputs: int, outputs: int, *size: int, group: int = 1, kind: str = "Conv", **attributes: Any
    ) -> Network:
        """A convolution (`size`: of its kernel) with quantized weights of 3 bits."""
        shape = (inputs, outputs // group) if kind == "ConvTranspose" else (outputs, inputs // group)
        weights = self.weights(*shape, *size)
        written = {
            "kernel_shape": list(size),
            "strides": [1] * len(size),
            "pads": [0] * (2 * len(size)),
            "dilations": [1] * len(size),
            "group": group,
            **attributes,
        }
        return self.then(kind, weights, **written)

    def binary(self, inputs: int, outputs: int, *size: int, **attributes: Any) -> Network:
        """A convolution with weights of -1 and +1."""
        values = self.constant(self.random.choice([-1.0, 1.0], (outputs, inputs, *size)))
        weights = self.node("BipolarQuant", values, self.constant(1.0), domain=QONNX)
        written = {"strides": [1, 1], "pads": [0] * 4, "dilations": [1, 1], "group": 1, **attributes}
        return self.then("Conv", weights, kernel_shape=list(size), **written)

    def dense(self, inputs: int, outputs: int) -> Network:
        """A dense layer without bias."""
        return self.then("MatMul", self.weights(inputs, outputs))

    def flat(self, size: int) -> Network:  # type: ignore[override]
        """All values in one row."""
        return self.then("Reshape", self.constant([1, size], kind=np.int64))

    def pool(self, kind: str, *size: int, **attributes: Any) -> Network:  # type: ignore[override]
        """A pooling without padding, its stride its kernel."""
        written = {"kernel_shape": list(size), "strides": list(size), "pads": [0] * (2 * len(size)), **attributes}
        return self.then(kind, **written)

    def sign(self) -> Network:  # type: ignore[override]
        """A binary quantizer."""
        self.x = self.node("BipolarQuant", self.x, self.constant(1.0), domain=QONNX)
        return self

    def trunc(self, bits_in: int, bits_out: int, scale: float, rounding: str) -> Network:
        """A truncation of QONNX' second form."""
        out = scale * 2 ** (bits_in - bits_out)
        operands = [self.constant(value) for value in (scale, 0.0, float(bits_in), out, float(bits_out))]
        written = {"rounding_mode": rounding, "signed": 0, "narrow": 0}
        self.x = self.node("Trunc", self.x, *operands, domain=QONNX, **written)
        return self

    def weights(self, *shape: int) -> str:
        """Quantized weights, -3 to 3 steps."""
        values = self.random.integers(-3, 4, shape)
        values.reshape(-1)[:2] = (3, -2)
        return self._quant(self.constant(values * STEP), 3, STEP, 0.0, True, "ROUND", True)

    def _quant(self, x: str, bits: int, scale: Any, zero: float, signed: bool, rounding: str, narrow: bool) -> str:
        operands = [self.constant(value) for value in (scale, zero, float(bits))]
        written = {"signed": int(signed), "narrow": int(narrow), "rounding_mode": rounding}
        return self.node("Quant", x, *operands, domain=QONNX, **written)

    def done(self) -> ModelWrapper:
        """The model, as the step `model` leaves it."""
        from qonnx.util.cleanup import cleanup_model

        model = self.model(self.x, tidy=False)
        if self.nodes[-1].op_type == "TopK":
            model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
        for entry in model.model.opset_import:
            if entry.domain == "":
                entry.version = 20
            elif entry.domain == QONNX:
                entry.version = 2
        model.model.ir_version = 9
        model = cleanup_model(model.transform(InferShapes()))
        cast_mixed(model)
        return model
