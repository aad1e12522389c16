"""Layers that FINN has hardware for, but not in the form in which PyTorch exports them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from finnyaml.graph.view import View, attributes, is_hardware, name
from finnyaml.lint.catalogue import Finding
from finnyaml.lint.rules import Stage, checks, finding

AVERAGES = frozenset(("AveragePool", "GlobalAveragePool", "ReduceMean"))


@dataclass(frozen=True)
class Window:
    """The windows of an average: sizes, strides and padding (top, left, bottom, right) of an image."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def plain(self) -> bool:
        """Whether FINN's pooling layer sums over such windows: squares without padding that leave nothing out."""
        size, step = self.kernel[0], self.strides[0]
        return {*self.kernel, size} == {size} and {*self.strides} == {step} and step <= size and not any(self.pads)


def window(view: View, node: Any) -> Window | str | None:
    """The windows of an average over an image; a sentence on what is in the way of a sum; None: no average."""
    if node.op_type not in AVERAGES:
        return None
    shape, written = view.shape(node.input[0]), attributes(node)
    if len(shape) != 4:
        return f"it averages over {len(shape)} dimensions, and FINN pools images [N, C, H, W]"
    if node.op_type == "AveragePool":
        kernel, strides = tuple(written["kernel_shape"]), tuple(written.get("strides", (1, 1)))
        pads = tuple(written.get("pads", (0, 0, 0, 0)))
        if written.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
            return "it is padded automatically"
        if any(pads) and not written.get("count_include_pad"):
            return "it is padded and does not count the padding (count_include_pad=False), so that its windows differ"
        if written.get("ceil_mode") and _left_out(shape, kernel, strides, pads):
            return "it has ceil_mode, so that its last windows are smaller"
        if tuple(written.get("dilations", (1, 1))) != (1, 1):
            return "it is dilated"
        return Window(kernel, strides, pads)
    if node.op_type == "ReduceMean":
        axes = written.get("axes")
        if axes is None and len(node.input) > 1:
            axes = view.constant(node.input[1])
        if axes is None or sorted(int(axis) % 4 for axis in axes) != [2, 3]:
            return "it does not average over height and width alone"
    return Window((shape[2], shape[3]), (shape[2], shape[3]))


def _left_out(shape: Sequence[int], kernel: Sequence[int], strides: Sequence[int], pads: Sequence[int]) -> bool:
    """Whether whole windows leave something of an image out."""
    padded = [shape[2] + pads[0] + pads[2], shape[3] + pads[1] + pads[3]]
    return any((size - each) % step for size, each, step in zip(padded, kernel, strides, strict=True))


def why_not_repeating(view: View, node: Any) -> str | None:
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


def _repeats(view: View, node: Any) -> bool:
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
        ramp: np.ndarray = np.arange(before, dtype=np.float32).reshape(
            [-1 if other == axis else 1 for other in range(4)]
        )
        given = np.ascontiguousarray(np.broadcast_to(ramp, shape))
        got = session.run(None, {str(node.input[0]): given})[0]
        wanted = given
        for other, factor in enumerate(np.array(made) // np.array(shape)):
            wanted = np.repeat(wanted, factor, axis=other)
        if after != before and not np.array_equal(got, wanted):
            return False
    return True


WINDOWED = frozenset(("AveragePool", "Conv", "ConvTranspose", "MaxPool"))
"""Operators whose attributes speak of spatial dimensions."""


def is_one_dimensional(view: View, node: Any) -> bool:
    """Whether a node is a convolution or a pooling along one dimension."""
    if node.op_type == "ReduceMean":
        return len(view.shape(node.input[0])) == 3 and not is_hardware(node) and _is_spatial(view, node)
    return node.op_type in WINDOWED and len(view.shape(node.output[0])) == 3


def _is_spatial(view: View, node: Any) -> bool:
    """Whether what is averaged comes from a convolution or a pooling along one dimension."""
    tensor, maker = str(node.input[0]), view.producer(str(node.input[0]))
    while maker is not None and len(view.shape(tensor)) == 3:
        if maker.op_type in WINDOWED:
            return True
        inputs = view.dynamic_inputs(maker)
        tensor = inputs[0] if inputs else ""
        maker = view.producer(tensor)
    return False


def scale_of_one(view: View, node: Any) -> bool:
    """Whether a node multiplies by, or divides by, one constant number."""
    constants = [view.constant(tensor) for tensor in node.input if view.is_constant(tensor)]
    one = len(constants) == 1 and constants[0] is not None and constants[0].size == 1
    return one and (node.op_type == "Mul" or (node.op_type == "Div" and view.is_constant(node.input[1])))


def holds_integers(view: View, tensor: str) -> bool:
    """Whether a tensor holds integers, which its annotation alone does not say: qonnx takes INT8 / 128 for INT8."""
    maker = view.producer(tensor)
    divided = maker is not None and maker.op_type in ("Div", "Mul") and not _of_integers(view, maker)
    return bool(view.datatype(tensor).is_integer()) and not divided


def _of_integers(view: View, node: Any) -> bool:
    """Whether all constants that a product has are integers; a quotient never counts."""
    constants = [view.constant(tensor) for tensor in node.input if view.is_constant(tensor)]
    return node.op_type == "Mul" and all(value is None or bool((value == np.rint(value)).all()) for value in constants)


@dataclass(frozen=True)
class Part:
    """A part of the channels that one layer reads: the layer, the first channel of the part, and how many there are."""

    layer: Any
    start: int
    channels: int


def part_of(view: View, node: Any) -> Part | None:
    """The one layer that reads one part of a Split or Slice of channels; None for anything else."""
    if node.op_type not in ("Split", "Slice") or len(view.shape(node.input[0])) < 2:
        return None
    used = [(tensor, user) for tensor in node.output for user in view.consumers(tensor)]
    if len(used) != 1 or any(tensor in view.outputs for tensor in node.output):
        return None
    tensor, layer = used[0]
    weights = view.constant(layer.input[1]) if len(layer.input) > 1 else None
    conv = layer.op_type == "Conv" and int(attributes(layer).get("group", 1)) == 1
    if weights is None or layer.input[0] != tensor or not (conv or layer.op_type == "MatMul"):
        return None
    shape, rank = view.shape(node.input[0]), len(view.shape(node.input[0]))
    axis = 1 if conv else rank - 1
    start = _first_channel(view, node, tensor, axis)
    return None if start is None else Part(layer, start, shape[axis])


def _first_channel(view: View, node: Any, tensor: str, axis: int) -> int | None:
    """Where a part begins along an axis; None where it is cut along another, or in steps."""
    shape = view.shape(node.input[0])
    if node.op_type == "Split":
        if int(attributes(node).get("axis", 0)) % len(shape) != axis:
            return None
        before = list(node.output)[: list(node.output).index(tensor)]
        return sum(view.shape(each)[axis] for each in before)
    operands = [view.constant(each) for each in node.input[1:]]
    if len(operands) < 3 or any(operand is None or operand.size != 1 for operand in operands):
        return None
    start, _, along, *steps = (int(operand.item()) for operand in operands if operand is not None)
    if along % len(shape) != axis or steps not in ([], [1]):
        return None
    return min(start + shape[axis] if start < 0 else start, shape[axis])


def groups_of(view: View, node: Any) -> int:
    """The groups of a convolution that is neither dense nor depthwise; 0 for any other node."""
    groups = int(attributes(node).get("group", 1)) if node.op_type == "Conv" else 1
    if groups == 1:
        return 0
    shapes = view.shape(node.input[0]), view.shape(node.output[0])
    depthwise = len(shapes[0]) > 1 and shapes[0][1] == groups == shapes[1][1]
    return 0 if depthwise else groups


@checks("grouped-convolution")
def _groups(view: View, stage: Stage) -> Iterator[Finding]:
    for node in view.nodes:
        groups = groups_of(view, node)
        if groups:
            yield finding(
                "grouped-convolution",
                f"{name(node)} (Conv) has {groups} groups, and FINN has dense and depthwise convolutions only: "
                "streamline stops there (cannot reshape array)",
                node=name(node),
                hint="insert the step expand_groups after tidy_up: a dense convolution with weights of 0, exact; or "
                "train with groups=1",
            )


@checks("split-of-channels")
def _split(view: View, stage: Stage) -> Iterator[Finding]:
    for node in view.nodes:
        part = part_of(view, node)
        if part is not None:
            yield finding(
                "split-of-channels",
                f"{name(node)} ({node.op_type}) cuts channels off before {name(part.layer)} ({part.layer.op_type}): "
                "FINN leaves it between hardware layers, or sends on a part that nobody reads",
                node=name(node),
                hint="insert the step absorb_splits after tidy_up: the layer reads all channels, with weights of 0: "
                "exact",
            )


@checks("one-dimensional-layer")
def _one_dimensional(view: View, stage: Stage) -> Iterator[Finding]:
    for node in view.nodes:
        if is_one_dimensional(view, node):
            yield finding(
                "one-dimensional-layer",
                f"{name(node)} ({node.op_type}) works along one dimension, and FINN's layers have two: streamline "
                "stops there (list index out of range)",
                node=name(node),
                hint="insert the step lift_to_4d after tidy_up: exact; the data keeps its shape",
            )


@checks("average-not-convertible")
def _average(view: View, stage: Stage) -> Iterator[Finding]:
    for node in view.nodes:
        found = window(view, node)
        if found is None or _is_taken(view, node) or len(view.shape(node.input[0])) == 3:
            continue
        if isinstance(found, str):
            yield finding(
                "average-not-convertible",
                f"{name(node)} ({node.op_type}) has no hardware layer: {found}",
                node=name(node),
                hint="pool without padding (AvgPool2d(2), AdaptiveAvgPool2d(1)), or use max-pooling or a convolution "
                "with a stride",
                repair=None,
            )
        else:
            yield finding(
                "average-not-convertible",
                f"{name(node)} ({node.op_type}) averages, and FINN's pooling layer sums integers: it is left between "
                "hardware layers",
                node=name(node),
                hint="insert the step sum_pools after tidy_up: a sum and one scale, exact",
            )


def _is_taken(view: View, node: Any) -> bool:
    """Whether FINN converts an average as it is: with a truncation behind it; or on the host, with nothing behind."""
    behind = view.consumers(node.output[0])
    if node.op_type == "AveragePool" and [user.op_type for user in behind] == ["Trunc"]:
        return str(attributes(behind[0]).get("rounding_mode", "FLOOR")).upper() == "FLOOR"
    if node.op_type == "GlobalAveragePool":
        return True  # a converter of its own
    return not any(user.op_type in LAYERS for user in view.below(node.output, EVERY))


LAYERS = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul", "MultiThreshold", "Quant", "Trunc"))


class _Every:
    """Contains every operator: `View.below` then goes on through all."""

    def __contains__(self, _: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 1


EVERY = _Every()


@checks("upsampling-not-converted")
def _upsampling(view: View, stage: Stage) -> Iterator[Finding]:
    for node in view.nodes:
        if node.op_type not in ("Resize", "Upsample"):
            continue
        reason = why_not_repeating(view, node)
        if reason is None:
            yield finding(
                "upsampling-not-converted",
                f"{name(node)} ({node.op_type}) repeats pixels. FINN has a layer for it, but its step convert_to_hw "
                "does not convert a Resize, nor one that is not channels last",
                node=name(node),
                hint="insert the step upsample_nearest after streamline: exact",
            )
        else:
            yield finding(
                "upsampling-not-converted",
                f"{name(node)} ({node.op_type}) has no hardware layer: {reason}",
                node=name(node),
                hint="use nn.Upsample(scale_factor=2, mode='nearest'), or a transposed convolution",
                repair=None,
            )


@checks("transposed-convolution")
def _transposed(view: View, stage: Stage) -> Iterator[Finding]:
    for node in view.nodes:
        if node.op_type == "ConvTranspose" and len(view.shape(node.output[0])) == 4:
            groups = int(attributes(node).get("group", 1))
            yield finding(
                "transposed-convolution",
                f"{name(node)} (ConvTranspose) is not converted by FINN's flow"
                + (f", and with {groups} groups by nothing" if groups > 1 else ""),
                node=name(node),
                hint="use groups=1, or nearest upsampling and a convolution"
                if groups > 1
                else "insert the step lower_transposed_convolutions after tidy_up: exact",
                **({"repair": None} if groups > 1 else {}),
            )
