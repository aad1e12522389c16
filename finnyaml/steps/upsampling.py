"""Nearest upsampling becomes FINN's layer that repeats pixels, exactly. Runs in workers."""

from __future__ import annotations

import copy

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper

from finnyaml.errors import StepFailed
from finnyaml.finn.door import upsampling
from finnyaml.graph.surgery import Node, Repaired
from finnyaml.graph.view import View, attributes, is_hardware, name


def why_not(view: View, node: Node) -> str | None:
    """Why a Resize is not one that repeats pixels, as FINN's layer does; None where it is."""
    mode = str(attributes(node).get("mode", "nearest"))
    if mode != "nearest":
        return f"its mode is {mode}, and FINN repeats pixels (nearest)"
    shape, made = view.shape(node.input[0]), view.shape(node.output[0])
    if len(shape) != 4:
        return f"it has {len(shape)} dimensions, and FINN upsamples images"
    factors = [after / before for before, after in zip(shape, made, strict=True)]
    if any(factor != int(factor) for factor in factors) or sum(factor > 1 for factor in factors) > 2:
        return f"it makes {list(made)} of {list(shape)}: not whole multiples of height and width"
    if any(factors[axis] != 1 for axis in (0, 1)) and any(factors[axis] != 1 for axis in (0, 3)):
        return f"it makes {list(made)} of {list(shape)}: the channels change"
    if not _repeats(view, node):
        return "it does not take the pixel at the same place (coordinate_transformation_mode)"
    return None


def upsample_nearest(model: ModelWrapper) -> Repaired:
    """Make FINN's upsampling layer of every Resize that repeats pixels.

    PyTorch exports `nn.Upsample` as Resize, channels first; FINN has a layer for it, channels last, and its own step
    asks for another operator. Belongs after `streamline`, before `convert_to_hw`.

    Raises:
        StepFailed: a Resize that interpolates, or of values that are not integers.
    """
    model = copy.deepcopy(model)
    view = View(model)
    found = [node for node in view.nodes if node.op_type in ("Resize", "Upsample")]
    if not found:
        return Repaired(model, ())
    for node in found:
        reason = why_not(view, node)
        if reason is not None:
            raise StepFailed(
                f"upsample_nearest: {name(node)}: {reason}",
                hint="use nn.Upsample(scale_factor=2, mode='nearest'), or a transposed convolution",
            )
        if not view.datatype(node.input[0]).is_integer():
            raise StepFailed(
                f"upsample_nearest: {name(node)} gets {view.datatype(node.input[0]).name} values, not integers",
                hint="put a quantizer before the upsampling; and run it later: after streamline",
            )
    changes = [f"{name(node)} is FINN's layer that repeats pixels" for node in found]
    model = upsampling(model)
    left = [node.name for node in model.graph.node if node.op_type in ("Resize", "Upsample") and not is_hardware(node)]
    if left:
        raise StepFailed(f"upsample_nearest: FINN did not convert {', '.join(left)}: its layout is not known")
    return Repaired(model, tuple(changes))


def _repeats(view: View, node: Node) -> bool:
    """Whether a Resize of these sizes repeats each pixel: asked from ONNX Runtime, along each axis that grows."""
    shape, made = view.shape(node.input[0]), view.shape(node.output[0])
    held = []
    for tensor in node.input[1:]:
        value = view.constant(tensor) if tensor else None
        if value is not None:
            held.append(numpy_helper.from_array(value, tensor))
    source = helper.make_tensor_value_info(node.input[0], TensorProto.FLOAT, list(shape))
    result = helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, list(made))
    graph = helper.make_graph([node], "resize", [source], [result], held)
    opsets = [entry for entry in view.model.model.opset_import if entry.domain in ("", "ai.onnx")]
    one = helper.make_model(graph, opset_imports=opsets, ir_version=min(view.model.model.ir_version, 10))
    session = onnxruntime.InferenceSession(one.SerializeToString(), providers=["CPUExecutionProvider"])
    for axis, (before, after) in enumerate(zip(shape, made, strict=True)):
        ramp = np.arange(before, dtype=np.float32).reshape([-1 if other == axis else 1 for other in range(4)])
        given = np.ascontiguousarray(np.broadcast_to(ramp, shape))
        got = session.run(None, {str(node.input[0]): given})[0]
        wanted = given
        for other, factor in enumerate(np.array(made) // np.array(shape)):
            wanted = np.repeat(wanted, factor, axis=other)
        if after != before and not np.array_equal(got, wanted):
            return False
    return True
