"""The self-check: every node of a compiled model against qonnx's own execution of it, on a few samples."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import NodeProto

from finnyaml.graph.view import name
from finnyaml.verify.executor.base import NotExecutable
from finnyaml.verify.executor.batched import BatchedModel

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

_APART = 64_000_000
"""Bytes of a sample that are compared at a time: all tensors of a large network are more than what computes it."""

ROUNDING = 2e-5  # of the largest value: how far float32 sums of another order may be


def checked(model: ModelWrapper, samples: np.ndarray, **options: Any) -> BatchedModel:
    """A `BatchedModel` (with its options) that computes what qonnx does on these samples [n, *input_shape[1:]].

    Each node is compared on the very inputs it has in the batch, so differences do not spread: integer tensors must be
    equal, float ones may differ by rounding. A node that differs runs per sample, with a notice. If the optimised graph
    differs from its nodes run one by one, it is not optimised, with a notice.
    """
    notices: list[str] = []
    without = dict.fromkeys(options.pop("without", ()))
    while True:
        values, wrong = _one_by_one(model, samples, without, notices, **options)
        if not wrong:
            break
        for node in wrong:
            without[node.output[0]] = None
            notices.append(
                f"the batched form of {node.op_type} {name(node)} does not compute what qonnx does; it runs per sample"
            )
    compiled = BatchedModel(model, without=without, **options)
    if not _agree(compiled, samples, values) and options.get("optimise", True):
        notices.append("the optimised graph does not compute what its nodes do one by one; it is not optimised")
        compiled = BatchedModel(model, without=without, **{**options, "optimise": False})
        if not _agree(compiled, samples, values):
            raise NotExecutable("the batched graph does not compute what its nodes do one by one")
    compiled.notices[:0] = dict.fromkeys(notices)
    return compiled


def _one_by_one(
    model: ModelWrapper, samples: np.ndarray, without: Collection[str], notices: list[str], **options: Any
) -> tuple[dict[str, np.ndarray], list[NodeProto]]:
    """What the wanted tensors hold, [n, ...] by name, computed node by node, and the nodes that differ from qonnx'."""
    threads = options.get("threads", 0)
    plain = BatchedModel(model, taps="all", without=without, threads=threads, optimise=False, apart=_APART)
    taps = options.get("taps", ())
    wrong: dict[str, NodeProto] = {}

    def compare(nodes: Sequence[NodeProto], values: Mapping[str, np.ndarray]) -> None:
        wrong.update({node.output[0]: node for node in _differing(plain, nodes, values, notices)})

    kept = plain.graph.wanted if taps == "all" else dict.fromkeys((*plain.outputs, *taps))
    found = [plain.look(sample, compare, kept) for sample in samples[:, None]]
    return {t: np.concatenate([each[t] for each in found]) for t in kept}, list(wrong.values())


def _agree(compiled: BatchedModel, samples: np.ndarray, values: dict[str, np.ndarray]) -> bool:
    results = compiled.run(samples)
    return _same(compiled, {t: result for t, result in results.items() if t in values}, values)


def _differing(
    plain: BatchedModel, nodes: Sequence[NodeProto], values: Mapping[str, np.ndarray], notices: list[str]
) -> list[NodeProto]:
    """The lowered nodes whose outputs for one sample are not what qonnx makes of the same inputs."""
    wrong = []
    for node in nodes:
        try:
            expected = plain.run_one(node, values, 0)
        except NotExecutable as reason:
            # the batched form is then the only one; it goes on unchecked, as what qonnx refuses is often its point
            notices.append(f"not checked: {reason}")
            continue
        if not _same(plain, {t: values[t] for t in expected}, expected):
            wrong.append(node)
    return wrong


def _same(compiled: BatchedModel, found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> bool:
    exact = {t: compiled.model.get_tensor_datatype(t).is_integer() for t in found}
    return all(same(found[t], expected[t], exact=exact[t]) for t in found)


def same(found: np.ndarray, expected: np.ndarray, *, exact: bool) -> bool:
    """Whether two arrays have one shape and are equal, or (not exact) equal but for the rounding of float32 sums."""
    if found.shape != expected.shape:
        return False
    if exact or expected.dtype.kind not in "fc":
        return bool(np.array_equal(found, expected))
    scale = float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0))
    return bool(np.allclose(found, expected, rtol=ROUNDING, atol=ROUNDING * scale, equal_nan=True))
