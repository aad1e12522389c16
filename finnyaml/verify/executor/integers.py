"""Convolutions of small integers followed by one threshold per channel, in 8-bit arithmetic: several times faster.

The threshold becomes the bias of the convolution's 32-bit sum, its comparison the saturation of the result to 8 bits:
what is not 0 has reached it. Exact: every sum is held exactly, and one of 1 or more stays 1 or more.

A watched sum is not there any more to be watched. But the 8 bits still say how far beyond its threshold the largest one
is, if need be by steps of some units: enough to know that it stays below what its datatype allows (a `Guard`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto, TensorProto, helper

from finnyaml.graph.view import attributes
from finnyaml.verify.executor.interval import Interval, interval, weighted_sum
from finnyaml.verify.executor.watch import Guard

PAIR = 2**15 - 1  # what the sum of two products may reach where the processor adds them in 16 bits


@dataclass(frozen=True)
class Chain:
    """Conv, then perhaps Transpose and Add of a constant, then GreaterOrEqual; all before the last used once."""

    conv: NodeProto
    transpose: NodeProto | None
    nodes: tuple[NodeProto, ...]
    thresholds: np.ndarray  # of the convolution's sum, per channel, integer
    guarded: tuple[str, ...]  # tensors between that must not exceed a limit
    beyond: np.ndarray  # the least of the convolution's sums, per channel, with which one does


@dataclass(frozen=True)
class Steps:
    """How 8 bits hold a sum beyond its threshold: round((sum - threshold + reached) / size), never a tie.

    size: odd. first: the least result for a sum beyond the limit, of all channels, from 1 to 255.
    """

    size: int
    first: int

    @property
    def reached(self) -> int:
        """What becomes of a sum that equals its threshold: it rounds to 1, one less to 0."""
        return (self.size + 1) // 2


def in_bytes(
    nodes: list[NodeProto],
    constants: dict[str, np.ndarray],
    bounds: Mapping[str, Interval],
    kept: Collection[str],
    limits: Mapping[str, float],
) -> tuple[list[NodeProto], list[Guard]]:
    """The nodes, thresholded convolutions in 8 bits where that is exact; `constants` gains the new ones.

    constants: by tensor; kernels are [outputs, channels, height, width], thresholds [outputs or 1, steps].
    bounds: of the tensors. kept: tensors that must stay available. limits: by tensor, what it must not exceed; it stays
    available unless there is a guard for it.
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
    guards: list[Guard] = []
    for node in nodes:
        if node.op_type != "Conv":
            continue
        before = producers.get(node.input[0])
        moved = before if before is not None and before.op_type == "Transpose" else node
        image = bounds.get(moved.input[0])
        weights = constants.get(node.input[1])
        if image is None or weights is None or weights.ndim != 4 or not _fits(image, weights):
            continue
        chain = _chain(node, image, consumers, uses, constants, limits)
        steps = _steps(chain) if chain is not None else None
        if chain is None or steps is None:
            continue
        name = chain.nodes[-1].output[0]
        made[name] = _converted(chain, steps, image, constants)
        if chain.guarded:
            guards.append(Guard(chain.guarded, made[name][-1].output[0], steps.first))
        dead.update(n.output[0] for n in chain.nodes)
    return [n for old in nodes if (t := old.output[0]) not in dead or t in made for n in made.get(t, [old])], guards


def _fits(image: Interval, weights: np.ndarray) -> bool:
    """Whether image and weights are integers of 8 bits whose products add up without overflow on any processor."""
    low, high = min(image.low, 0.0), max(image.high, 0.0)
    if not image.is_integer or high - low > 255 or np.any(weights % 1 != 0):
        return False
    return bool(2 * (high - low) * np.abs(weights).max() <= PAIR)


def _steps(chain: Chain) -> Steps | None:
    """The smallest steps by which 8 bits reach the limits of all channels; None if a limit lies below the threshold."""
    if not chain.guarded:
        return Steps(1, 255)
    beyond = chain.beyond - chain.thresholds
    size = max(int(beyond.max() // 256) // 2 * 2 + 1, 1)
    while (first := np.round((beyond + (size + 1) // 2) / size)).max() > 255:
        size += 2
    return Steps(size, int(first.min())) if first.min() >= 1 else None


def _chain(
    conv: NodeProto,
    image: Interval,
    consumers: Mapping[str, list[NodeProto]],
    uses: Counter[str],
    constants: Mapping[str, np.ndarray],
    limits: Mapping[str, float],
) -> Chain | None:
    weights = constants[conv.input[1]]
    channels, axis = weights.shape[0], 1
    low, high = min(image.low, 0.0), max(image.high, 0.0)  # zeros may be padded
    sums = weighted_sum(interval(low, high, 1), weights, (1, 2, 3))
    offsets: list[np.ndarray] = []
    if len(conv.input) > 2 and conv.input[2]:
        if conv.input[2] not in constants:
            return None
        offsets.append(constants[conv.input[2]])
    transpose, nodes, node = None, [conv], conv
    guarded: list[str] = []
    beyond: np.ndarray = sums.highs + 1
    while True:
        if node.output[0] in limits:
            guarded.append(node.output[0])
            limit = np.full(channels, limits[node.output[0]])
            beyond = np.minimum(beyond, _first(sums, offsets, np.greater, limit))
        following = consumers.get(node.output[0], [])
        if uses[node.output[0]] != 1 or not following:
            return None
        node = following[0]
        nodes.append(node)
        if node.op_type == "Transpose" and transpose is None:
            transpose, axis = node, attributes(node)["perm"].index(1)
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
        offsets.append(operand)
    thresholds = _first(sums, offsets, np.greater_equal, operand)
    return Chain(conv, transpose, tuple(nodes), thresholds, tuple(guarded), beyond)


def _first(sums: Interval, offsets: list[np.ndarray], passes: np.ufunc, limit: np.ndarray) -> np.ndarray:
    """Per channel the least integer sum that passes the limit once the offsets are added in float32; highs + 1 if none.

    A rounded addition keeps the order, so this is a search in it.
    """
    low: np.ndarray = sums.lows
    high: np.ndarray = sums.highs + 1
    while np.any(low < high):
        middle = np.floor((low + high) / 2)
        value: np.ndarray = middle.astype(np.float32)
        for offset in offsets:
            value = value + offset.astype(np.float32)
        passed = passes(value, limit)
        low, high = np.where(passed | (low >= high), low, middle + 1), np.where(passed, np.minimum(middle, high), high)
    return low


def _per_channel(value: np.ndarray | None, axis: int, channels: int) -> np.ndarray | None:
    """A constant operand as one number per channel, if it is that; `axis`: that of the channels in 4 dimensions."""
    if value is None or np.isnan(value).any():
        return None
    if value.size == 1:
        return np.full(channels, float(value.reshape(())))
    full = value.reshape((1,) * (4 - value.ndim) + value.shape)
    return full.reshape(-1).astype(np.float64) if full.size == full.shape[axis] == channels else None


def _converted(chain: Chain, steps: Steps, image: Interval, constants: dict[str, np.ndarray]) -> list[NodeProto]:
    """The nodes that replace a chain; if it is guarded the last makes the largest result."""
    name, conv = chain.nodes[-1].output[0], chain.conv
    zero = -min(image.low, 0.0)
    given = {
        "image-scale": np.float32(1),
        "image-zero": np.uint8(zero),
        "weights": constants[conv.input[1]].astype(np.int8),
        "weights-scale": np.float32(1),
        "weights-zero": np.int8(0),
        "size": np.float32(steps.size),
        "output-zero": np.uint8(0),
        "bias": (steps.reached - chain.thresholds).astype(np.int32),
    }
    constants.update({f"{name}~byte-{short}": np.asarray(value) for short, value in given.items()})
    nodes, positive = [], conv.input[0]
    if zero:
        positive, constants[f"{name}~shift"] = f"{name}~shifted", np.asarray(zero, np.float32)
        nodes.append(helper.make_node("Add", [conv.input[0], f"{name}~shift"], [positive]))
    nodes.append(helper.make_node("Cast", [positive], [f"{name}~bytes"], to=TensorProto.UINT8))
    inputs = [f"{name}~bytes", *(f"{name}~byte-{short}" for short in given)]
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
    nodes.append(helper.make_node("Cast", [reached], [name], to=TensorProto.BOOL))
    if chain.guarded:
        nodes.append(helper.make_node("ReduceMax", [reached], [f"{name}~largest"], keepdims=0))
    return nodes
