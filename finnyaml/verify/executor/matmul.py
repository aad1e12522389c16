"""Products of binary matrices as FINN counts them."""

from __future__ import annotations

import numpy as np

from finnyaml.verify.executor.base import Lowering


def xnor_popcount(lowering: Lowering, x: str, weights: np.ndarray, output: str | None = None) -> str:
    """How many of the K pairs of bits are equal: `x` [..., K] and `weights` [K, n], both of {0, 1}.

    With w' = 2w - 1 the number is x @ w' + (K - sum of w); this also holds where `x` was padded with zeros.
    """
    signs = (2.0 * weights - 1.0).astype(np.float32)
    zeros = (weights.shape[0] - weights.sum(axis=0)).astype(np.float32)
    product = lowering.op("MatMul", [x, lowering.constant(signs)])
    return lowering.op("Add", [product, lowering.constant(zeros)], output)
