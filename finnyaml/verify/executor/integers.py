"""Convolutions of small integers followed by one threshold per channel, in 8-bit arithmetic: several times faster.

The threshold becomes the bias of the convolution's 32-bit sum, its comparison the saturation of the result to 8 bits:
what is not 0 has reached it. Exact: every sum is held exactly, and one of 1 or more stays 1 or more.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto, TensorProto, helper

from finnyaml.verify.executor.interval import EXACT, Interval

PAIR = 2**15 - 1  # what the sum of two products may reach where the processor adds them in 16 bits


@dataclass(frozen=True)
class Chain:
    """Conv, then perhaps Transpose and Add of a constant, then GreaterOrEqual; all before the last used once."""

    conv: NodeProto
    transpose: NodeProto | None
    nodes: tuple[NodeProto, ...]
    thresholds: np.ndarray  # of the convolution's sum, per channel, integer


def in_bytes(
    nodes: list[NodeProto], constants: dict[str, np.ndarray], bounds: Mapping[str, Interval], kept: Collection[str]
) -> list[NodeProto]:
    """The nodes, thresholded convolutions in 8 bits where that is exact; `constants` gains the new ones.

    bounds: of the tensors. kept: tensors that must stay available.
    """
    consumers: dict[str, list[NodeProto]] = defaultdict(list)
    for node in nodes:
        for tensor in node.input:
            consumers[tensor].append(node)
    producers = {t: n for n in nodes for t in n.output}
    uses = Counter({t: len(c) for t, c in consumers.items()})
    uses.update(kept)
    made: dict[str, list[NodeProto]] = {}
    dead: set[str] = set()
    for node in nodes:
        if node.op_type != "Conv":
            continue
        image = bounds.get(_untransposed(node.input[0], producers))
        chain = _chain(node, consumers, uses, constants) if image is not None else None
        if image is None or chain is None or not _fits(image, constants[node.input[1]]):
            continue
        made[chain.nodes[-1].output[0]] = _converted(chain, image, constants)
        dead.update(n.output[0] for n in chain.nodes)
    return [n for old in nodes if (t := old.output[0]) not in dead or t in made for n in made.get(t, [old])]


def _untransposed(tensor: str, producers: Mapping[str, NodeProto]) -> str:
    node = producers.get(tensor)
    return node.input[0] if node is not None and node.op_type == "Transpose" else tensor


def _fits(image: Interval, weights: np.ndarray) -> bool:
    """Whether image and weights are integers of 8 bits whose products add up without overflow on any processor."""
    low, high = min(image.low, 0.0), max(image.high, 0.0)
    if not image.is_integer or high - low > 255 or np.any(weights % 1 != 0):
        return False
    return bool(2 * (high - low) * np.abs(weights).max() <= PAIR)


def _chain(
    conv: NodeProto, consumers: Mapping[str, list[NodeProto]], uses: Counter[str], constants: Mapping[str, np.ndarray]
) -> Chain | None:
    weights = constants.get(conv.input[1])
    if weights is None or weights.ndim != 4:
        return None
    channels, axis = weights.shape[0], 1
    offset = np.zeros(channels)
    if len(conv.input) > 2 and conv.input[2]:
        if conv.input[2] not in constants:
            return None
        offset = offset + constants[conv.input[2]]
    transpose, nodes, node = None, [conv], conv
    while True:
        following = consumers.get(node.output[0], [])
        if uses[node.output[0]] != 1 or not following:
            return None
        node = following[0]
        nodes.append(node)
        if node.op_type == "Transpose" and transpose is None:
            permutation = next(list(a.ints) for a in node.attribute if a.name == "perm")
            transpose, axis = node, permutation.index(1)
            continue
        if node.op_type not in ("Add", "GreaterOrEqual"):
            return None
        left, right = node.input
        if node.op_type == "Add" and left in constants:
            left, right = right, left
        operand = _per_channel(constants.get(right), axis, channels) if left == nodes[-2].output[0] else None
        if operand is None:
            return None
        if node.op_type == "GreaterOrEqual":
            break
        offset = offset + operand
    if np.any(offset % 1 != 0):
        return None
    thresholds = np.clip(np.ceil(operand - offset), -EXACT, EXACT)
    return Chain(conv, transpose, tuple(nodes), thresholds)


def _per_channel(value: np.ndarray | None, axis: int, channels: int) -> np.ndarray | None:
    """A constant operand as one number per channel, if it is that; `axis`: that of the channels in 4 dimensions."""
    if value is None or np.isnan(value).any():
        return None
    if value.size == 1:
        return np.full(channels, float(value.reshape(())))
    full = value.reshape((1,) * (4 - value.ndim) + value.shape)
    return full.reshape(-1).astype(np.float64) if full.size == full.shape[axis] == channels else None


def _converted(chain: Chain, image: Interval, constants: dict[str, np.ndarray]) -> list[NodeProto]:
    name, conv = chain.nodes[-1].output[0], chain.conv
    zero = -min(image.low, 0.0)
    known = {
        "zero": np.uint8(zero),
        "shift": np.float32(zero),
        "one": np.float32(1),
        "weights": constants[conv.input[1]].astype(np.int8),
        "weights-zero": np.int8(0),
        "output-zero": np.uint8(0),
        "bias": (1 - chain.thresholds).astype(np.int32),
    }
    given = {short: f"{name}~byte-{short}" for short in known}
    constants.update({given[short]: np.asarray(value) for short, value in known.items()})
    nodes = []
    image_name = conv.input[0]
    if zero:
        nodes.append(helper.make_node("Add", [image_name, given["shift"]], [f"{name}~shifted"]))
        image_name = f"{name}~shifted"
    nodes.append(helper.make_node("Cast", [image_name], [f"{name}~bytes"], to=TensorProto.UINT8))
    inputs = [f"{name}~bytes", given["one"], given["zero"], given["weights"], given["one"], given["weights-zero"]]
    inputs += [given["one"], given["output-zero"], given["bias"]]
    quantised = helper.make_node("QLinearConv", inputs, [f"{name}~sums"])
    quantised.attribute.extend(conv.attribute)
    nodes.append(quantised)
    reached = f"{name}~sums"
    if chain.transpose is not None:
        moved = NodeProto()
        moved.CopyFrom(chain.transpose)
        moved.input[:], moved.output[:] = [reached], [f"{name}~moved"]
        nodes.append(moved)
        reached = f"{name}~moved"
    return [*nodes, helper.make_node("Cast", [reached], [name], to=TensorProto.BOOL)]
