"""Thresholds on a batch normalisation's input instead of its output: it need not be computed, and sums stay exact.

Per channel float32's normalisation never decreases (or never increases): each of its roundings keeps the order. So
there is one float32 value from which on the threshold is reached; a search with the very operator finds it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from onnx import NodeProto, helper

from finnyaml.verify.executor.interval import Interval
from finnyaml.verify.executor.segments import Lowered, alone

LAST = int(np.float32(np.finfo(np.float32).max).view(np.int32))  # its bits: float32 values count up to here


def fold_normalisations(
    lowered: Sequence[Lowered | NodeProto],
    constants: Mapping[str, np.ndarray],
    bounds: Mapping[str, Interval],
    ranks: Mapping[str, int],
    wanted: Collection[str],
) -> list[Lowered | NodeProto]:
    """The parts without the normalisations that only thresholds see; their inputs must be finite (see `bounds`).

    constants: by tensor; thresholds are [channels or 1, steps], scales and offsets of a shape that broadcasts.
    """
    nodes = [n for part in lowered for n in (part.nodes if isinstance(part, Lowered) else [part])]
    uses = Counter(t for n in nodes for t in n.input)
    uses.update(wanted)
    folded: dict[str, Lowered] = {}
    result: list[Lowered | NodeProto] = []
    for part in lowered:
        if isinstance(part, Lowered):
            if _is_normalisation(part, constants, bounds):
                folded[part.node.output[0]] = part
            elif part.nodes[0].input[0] in folded:
                tensor = part.nodes[0].input[0]
                before = folded[tensor]
                made = _on_input(part, before.nodes[0], ranks[tensor], constants, uses)
                if made is not None:
                    result = [other for other in result if other is not before]
                    part = made
        result.append(part)
    return result


def _is_normalisation(part: Lowered, constants: Mapping[str, np.ndarray], bounds: Mapping[str, Interval]) -> bool:
    if [n.op_type for n in part.nodes] != ["BatchNormalization"] or part.watches:
        return False
    x, *parameters = part.nodes[0].input
    known = all(t in constants and np.isfinite(constants[t]).all() for t in parameters)
    return known and x in bounds and math.isfinite(bounds[x].magnitude)


def _on_input(
    part: Lowered, normalisation: NodeProto, rank: int, constants: Mapping[str, np.ndarray], uses: Counter[str]
) -> Lowered | None:
    """The part with all its comparisons on the input of the normalisation; None if it does something else with it."""
    tensor = normalisation.output[0]
    scale = constants[normalisation.input[1]]
    shape = [1, len(scale), *[1] * (rank - 2)]
    seen = [n for n in part.nodes if tensor in n.input]
    if len(seen) != uses[tensor] or any(n.op_type != "GreaterOrEqual" or n.input[0] != tensor for n in seen):
        return None
    nodes: list[NodeProto] = []
    new = dict(part.constants)
    for node in part.nodes:
        if tensor not in node.input:
            nodes.append(node)
            continue
        given = part.constants.get(node.input[1])
        if given is None or (given.size > 1 and (given.ndim != rank or given.size != given.shape[1])):
            return None
        name = node.output[0]
        first = first_reaching(normalisation, constants, np.broadcast_to(given.reshape(-1), len(scale)))
        falling = (scale < 0).reshape(shape)
        new[f"{name}~first"] = first.reshape(shape)
        compared = f"{name}~rising" if falling.any() else name
        nodes.append(helper.make_node("GreaterOrEqual", [normalisation.input[0], f"{name}~first"], [compared]))
        if falling.any():
            new[f"{name}~falling"] = falling
            nodes.append(helper.make_node("Xor", [compared, f"{name}~falling"], [name]))
    return replace(part, nodes=nodes, constants=new)


def first_reaching(normalisation: NodeProto, constants: Mapping[str, np.ndarray], thresholds: np.ndarray) -> np.ndarray:
    """Per channel the least finite float32 whose normalised value reaches the threshold, infinity if none: [channels].

    For a channel with a negative scale: the least whose normalised value no longer reaches it.
    """
    run = alone(normalisation, constants)
    falling = constants[normalisation.input[1]] < 0
    low: np.ndarray = np.full(len(thresholds), -LAST, np.int64)
    high: np.ndarray = np.full(len(thresholds), LAST + 1, np.int64)
    while np.any(low < high):
        middle = (low + high) // 2
        passed = (run(_float32(middle)[None])[0] >= thresholds) != falling
        low, high = np.where(passed | (low >= high), low, middle + 1), np.where(passed, middle, high)
    return _float32(low)


def _float32(counted: np.ndarray) -> np.ndarray:
    """The float32 of a number, where 0 is 0, 1 the least above it, -1 the greatest below."""
    sizes = np.abs(counted).astype(np.int32).view(np.float32)
    signed: np.ndarray = np.where(counted < 0, -sizes, sizes)
    return signed
