"""Transposed convolutions become convolutions over an image with zeros between its pixels, exactly. Runs in workers."""

from __future__ import annotations

import copy

import numpy as np
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.general import RemoveUnusedTensors
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes

from finnyaml.errors import StepFailed
from finnyaml.graph.operators import HARDWARE
from finnyaml.graph.surgery import Node, Repaired, free_name, store_constant
from finnyaml.graph.view import View, attributes, name
from finnyaml.lint.layers import holds_integers, scale_of_one


def lower_transposed_convolutions(model: ModelWrapper) -> Repaired:
    """Make each ConvTranspose FINN's layer that puts zeros between pixels, and a convolution with the weights turned.

    A scale of one number before it moves behind it, so that the layer gets integers. Belongs after `tidy_up`, before
    `streamline`.

    Raises:
        StepFailed: groups, a bias inside, weights that are computed, or an input that is not integer.
    """
    model = copy.deepcopy(model)
    changes = []
    for node in [node for node in model.graph.node if node.op_type == "ConvTranspose"]:
        _lower(model, node)
        changes.append(f"{name(node)} (ConvTranspose) is a convolution over an image with zeros between its pixels")
    if changes:
        model = model.transform(RemoveUnusedTensors()).transform(InferShapes()).transform(InferDataTypes())
    return Repaired(model, tuple(changes))


def _lower(model: ModelWrapper, node: Node) -> None:
    view = View(model)
    taken = set(model.get_all_tensor_names())
    source, scale = str(node.input[0]), view.producer(str(node.input[0]))
    if not holds_integers(view, source) and scale is not None and scale_of_one(view, scale):
        source = view.dynamic_inputs(scale)[0]
    else:
        scale = None
    _refuse(view, node, source)
    written, shape = attributes(node), view.shape(source)
    weights = view.constant(node.input[1])
    assert weights is not None
    kernel = weights.shape[2:]
    strides, dilations = list(written.get("strides", (1, 1))), list(written.get("dilations", (1, 1)))
    before = [dilations[axis] * (kernel[axis] - 1) for axis in (0, 1)]
    pads, more = list(written.get("pads", (0, 0, 0, 0))), list(written.get("output_padding", (0, 0)))
    around = [before[0] - pads[0], before[1] - pads[1], before[0] - pads[2] + more[0], before[1] - pads[3] + more[1]]
    if min(around) < 0:
        raise StepFailed(f"lower_transposed_convolutions: {name(node)} is padded by more than its kernel reaches")
    batch, channels, height, width = shape
    stuffed = [batch, (height - 1) * strides[0] + 1, (width - 1) * strides[1] + 1, channels]
    turned = free_name(f"{node.input[1]}_turned", taken)
    kernels = np.ascontiguousarray(np.moveaxis(np.rot90(weights, 2, (2, 3)), 0, 1))
    store_constant(model, turned, kernels, like=node.input[1])
    result = str(node.output[0])
    last, zeros, spread, image = (free_name(f"{result}_{what}", taken) for what in ("in", "nhwc", "zeros", "image"))
    pixels = {"ImgDim": [height, width], "Stride": strides, "NumChannels": channels, "SIMD": 1, "numInputVectors": 1}
    kind = view.datatype(source).name
    made = [
        helper.make_node("Transpose", [source], [zeros], perm=[0, 2, 3, 1]),
        helper.make_node(
            "FMPadding_Pixel",
            [zeros],
            [spread],
            domain=HARDWARE,
            backend="fpgadataflow",
            inputDataType=kind,
            **pixels,
        ),
        helper.make_node("Transpose", [spread], [image], perm=[0, 3, 1, 2]),
        helper.make_node(
            "Conv",
            [image, turned],
            [last if scale is not None else result],
            kernel_shape=list(kernel),
            strides=[1, 1],
            dilations=dilations,
            pads=around,
            group=1,
        ),
    ]
    if scale is not None:
        model.set_tensor_shape(last, list(view.shape(result)))
        constant = next(tensor for tensor in scale.input if view.is_constant(tensor))
        made.append(helper.make_node(scale.op_type, [last, constant], [result]))
    for tensor, sizes in ((zeros, [batch, height, width, channels]), (spread, stuffed)):
        model.set_tensor_shape(tensor, sizes)
    model.set_tensor_shape(image, [stuffed[0], stuffed[3], stuffed[1], stuffed[2]])
    for tensor in (zeros, spread, image):
        model.set_tensor_datatype(tensor, view.datatype(source))
    index = next(index for index, other in enumerate(model.graph.node) if other.output[:1] == node.output[:1])
    model.graph.node.remove(node)
    for offset, new in enumerate(made):
        new.metadata_props.extend(node.metadata_props)
        model.graph.node.insert(index + offset, new)
    if scale is not None and not any(scale.output[0] in other.input for other in model.graph.node):
        model.graph.node.remove(scale)
    if all(entry.domain != HARDWARE for entry in model.model.opset_import):
        model.model.opset_import.add(domain=HARDWARE, version=1)


def _refuse(view: View, node: Node, source: str) -> None:
    head = f"lower_transposed_convolutions: {name(node)}"
    if len(view.shape(source)) != 4:
        raise StepFailed(f"{head} is not two-dimensional", hint="run lift_to_4d before it")
    if attributes(node).get("group", 1) != 1:
        raise StepFailed(f"{head} has groups", hint="use groups=1, or upsampling (nearest) and a convolution")
    if len(node.input) > 2:
        raise StepFailed(f"{head} has its bias inside", hint="run it later: after qonnx_to_finn, which takes it out")
    if not view.is_constant(node.input[1]):
        raise StepFailed(f"{head} has weights that are computed", hint="run it after tidy_up")
    if attributes(node).get("auto_pad", "NOTSET") != "NOTSET":
        raise StepFailed(f"{head} has automatic padding", hint="give the padding as numbers")
    if not holds_integers(view, source):
        raise StepFailed(
            f"{head} gets values that are not integers ({source}), and FINN's layer takes integers",
            hint="put a quantizer with one scale before it",
        )
