"""Whether a node's sums are exact: integers so small that float32 holds them in any order of summation."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from onnx import NodeProto

from finnyaml.graph.view import attributes
from finnyaml.verify.executor.interval import ANYTHING, Interval

SUMS = {
    "MatMul", "Conv", "Gemm", "ConvTranspose", "ReduceSum", "ReduceMean", "AveragePool", "GlobalAveragePool", "Softmax",
    "LogSoftmax", "BatchNormalization", "LayerNormalization", "InstanceNormalization", "Einsum", "ReduceL1", "ReduceL2",
    "ReduceProd", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp", "LpNormalization", "LRN", "CumSum",
}  # fmt: skip


def terms(node: NodeProto, of: Mapping[str, Interval], constants: Mapping[str, np.ndarray]) -> float | None:
    """Largest magnitude that a partial sum of a multiply-accumulate node can reach, in any order of summation.

    None: the node does not sum. Infinite: its terms are not all integers, so the order matters.
    """
    if node.op_type not in SUMS:
        return None
    x = of.get(node.input[0], ANYTHING).overall()
    if x.step and node.op_type == "ReduceSum":
        result = of.get(node.output[0], ANYTHING)
        return result.magnitude if x.low >= 0 or x.high <= 0 else 2 * result.magnitude
    weights = constants.get(node.input[1]) if node.op_type in ("MatMul", "Conv", "Gemm") else None
    if not x.step or weights is None or not of.get(node.input[1], ANYTHING).step:
        return math.inf
    if node.op_type == "Gemm" and any(a.name in ("alpha", "beta") and a.f != 1.0 for a in node.attribute):
        return math.inf
    total = np.abs(weights.astype(np.float64)).sum(axis=_summed_axes(node, weights)).max() * x.magnitude
    if len(node.input) > 2 and node.input[2]:
        bias = of.get(node.input[2], ANYTHING)
        total = total + bias.magnitude if bias.step else math.inf
    return float(total)


def _summed_axes(node: NodeProto, weights: np.ndarray) -> tuple[int, ...]:
    if node.op_type == "Conv":
        return tuple(range(1, weights.ndim))
    if node.op_type == "Gemm":
        return (1,) if attributes(node).get("transB") else (0,)
    return (max(weights.ndim - 2, 0),)
