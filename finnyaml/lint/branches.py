"""Branches that join: whether they join as integers, with one scale behind them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from finnyaml.graph.operators import PASSING
from finnyaml.graph.view import View, attributes, kind, name
from finnyaml.lint.catalogue import Finding
from finnyaml.lint.layers import EVERY, LAYERS, holds_integers
from finnyaml.lint.quantizers import QUANTIZERS
from finnyaml.lint.rules import Stage, checks, finding
from finnyaml.text import few

_JOINS = frozenset(("Add", "Concat", "ElementwiseAdd", "StreamingConcat"))
_SCALES = frozenset(("Mul", "ElementwiseMul"))
_THRESHOLDS = frozenset(("MultiThreshold", "Thresholding"))
_PASSED = PASSING - {"Concat"} | {"Cast", "Shuffle", "UpsampleNearestNeighbour"}
_PER_CHANNEL = frozenset(("Add", "BatchNormalization", "Div", "Mul", "Relu", "Sub", "Transpose"))

LARGEST = 16
"""The largest integer that a branch is multiplied by, to give it the scale of others."""

MOST = 255
"""Steps that a branch may have then: as many thresholds a layer has that multiplies."""


@dataclass(frozen=True)
class Branch:
    """What a join gets from one side: integers times a scale.

    `integers` is the tensor that holds them, and `scaling` the node that multiplies them, None where nothing does.
    `scale` is None where it is not one number; `low` and `high` bound the integers as far as they are known. `words`
    say the scale, and who made it. `follows`: it is not one number because of another join, before this one.
    """

    tensor: str
    words: str
    scale: float | None = None
    low: int = 0
    high: int = MOST + 1
    integers: str = ""
    scaling: Any = None
    follows: bool = False


@dataclass(frozen=True)
class Join:
    """A node at which branches meet.

    `factors` are what the integers of the branches have to be multiplied by, so that one `scale` stands for all; None
    where nothing does. `per_channel`: only quantizers are behind, which can take a scale for each channel.
    """

    node: Any
    branches: tuple[Branch, ...]
    scale: float | None
    factors: tuple[int, ...] | None
    per_channel: bool = False

    @property
    def words(self) -> str:
        """The scales of all branches."""
        return " and ".join(branch.words for branch in self.branches)

    @property
    def kind(self) -> Literal["types", "equal", "multiples", "per channel", "apart"]:
        """How its scales can become one, or one for each channel; `types`: there are none."""
        if self.factors is not None:
            kind_: Literal["types", "equal"] = "equal" if any(map(_is_scaled, self.branches)) else "types"
            return kind_ if set(self.factors) == {1} else "multiples"
        return "per channel" if self.per_channel else "apart"


def joins(view: View) -> Iterator[Join]:
    """Every join inside the network of branches that are not all integers; not those that another join decides on."""
    for node in view.nodes:
        if kind(node) in _JOINS and len(view.dynamic_inputs(node)) > 1:
            join = _join(view, node)
            decided = any(branch.follows for branch in join.branches)
            if not decided and (any(map(_is_scaled, join.branches)) or _is_cast(view, node) or _is_float(view, join)):
                yield join


def _is_scaled(branch: Branch) -> bool:
    return branch.scale != 1.0 if branch.scale is not None else branch.scaling is not None


def _is_cast(view: View, node: Any) -> bool:
    """Whether integers of several types are joined as floats, since QONNX takes the type of the first for all."""
    makers = [view.producer(tensor) for tensor in node.input]
    return any(maker is not None and maker.op_type == "Cast" for maker in makers)


def _is_float(view: View, join: Join) -> bool:
    """Whether nothing quantizes what is joined, and layers are behind it."""
    floats = all(branch.scale is None for branch in join.branches)
    return floats and any(user.op_type in LAYERS for user in view.below(join.node.output, EVERY))


def _join(view: View, node: Any) -> Join:
    branches = tuple(_branch(view, tensor) for tensor in view.dynamic_inputs(node))
    scale, factors = _common(branches)
    known = not factors and all(each.integers for each in branches)
    channels = known and (kind(node) == "Concat" or _alike(view, branches))
    return Join(node, branches, scale, factors, channels and _only_quantizers(view, node))


def _alike(view: View, branches: Sequence[Branch]) -> bool:
    """Whether all branches have the same scales, one for each channel."""
    scales = [view.constant(each.scaling.input[1]) if each.scaling is not None else None for each in branches]
    return all(each is not None and np.array_equal(each, scales[0]) for each in scales)


def _common(branches: Sequence[Branch]) -> tuple[float | None, tuple[int, ...] | None]:
    """The largest scale of which those of all branches are multiples, and how often they have it."""
    scales = [branch.scale for branch in branches]
    if any(scale is None or scale <= 0 for scale in scales):
        return None, None
    known = np.array(scales, np.float64)
    for parts in range(1, LARGEST + 1):
        scale = float(known.min() / parts)
        factors = np.rint(known / scale)
        if factors.max() > LARGEST:
            break
        if (np.abs(factors * scale - known) <= known * 2.0**-23).all():  # equal as floats are
            steps = [(each.high - each.low) * factor for each, factor in zip(branches, factors, strict=True)]
            fits = all(factor == 1 or most <= MOST for factor, most in zip(factors, steps, strict=True))
            return (scale, tuple(int(factor) for factor in factors)) if fits else (None, None)
    return None, None


def _branch(view: View, tensor: str) -> Branch:
    """What a join gets by `tensor`."""
    source = tensor
    node = view.producer(source)
    while node is not None and kind(node) in _PASSED:
        source = view.dynamic_inputs(node)[0]
        node = view.producer(source)
    if node is None:
        return _integers(view, tensor, source, None)
    if kind(node) in _JOINS and len(view.dynamic_inputs(node)) > 1:
        return _joined(view, tensor, source, node)
    if node.op_type in QUANTIZERS and view.dynamic_inputs(node):
        return _quantized(view, tensor, source, node)
    if node.op_type == "BipolarQuant" and (scales := view.constant(node.input[1])) is not None and scales.size == 1:
        one = float(scales.item())
        return Branch(tensor, f"{one:.5g} ({name(node)})", one, -1, 1, source, node)
    factor = _factor(view, node)
    if factor is None:
        return _integers(view, tensor, source, node)
    before = _branch(view, view.dynamic_inputs(node)[0])
    if before.scale is None:
        return dataclasses.replace(before, tensor=tensor)
    if factor.size != 1:
        words = f"one per channel ({name(node)})"
        return dataclasses.replace(before, tensor=tensor, words=words, scale=None, scaling=node)
    scale = before.scale * float(factor.item())
    words = f"{scale:.5g} ({name(node)})"
    return dataclasses.replace(before, tensor=tensor, words=words, scale=scale, scaling=node)


def _factor(view: View, node: Any) -> np.ndarray | None:
    """What a node multiplies by; None for any other node."""
    if kind(node) not in _SCALES or len(view.dynamic_inputs(node)) != 1:
        return None
    return next((view.constant(each) for each in node.input if view.is_constant(each)), None)


def _integers(view: View, tensor: str, source: str, node: Any) -> Branch:
    """A branch that no scale stands before: of integers, or of floats that nothing quantizes."""
    if not holds_integers(view, source):
        maker = name(node) if node is not None else source
        return Branch(tensor, f"none, since nothing quantizes it ({maker})")
    written = attributes(node) if node is not None else {}
    datatype = view.datatype(source)
    low, high = int(datatype.min()), int(datatype.max())
    thresholds = view.shape(node.input[1]) if node is not None and kind(node) in _THRESHOLDS else ()
    if thresholds and written.get("out_scale", 1.0) == 1.0 and node.op_type == "MultiThreshold":
        low = int(written.get("out_bias", 0))
        high = low + thresholds[-1]
    return Branch(tensor, "1 (integers)", 1.0, low, high, source)


def _quantized(view: View, tensor: str, source: str, node: Any) -> Branch:
    scale, bits = view.constant(node.input[1]), view.constant(node.input[3])
    if scale is None or bits is None:
        return Branch(tensor, f"one that is computed ({name(node)})", scaling=node)
    written, width = attributes(node), int(bits.reshape(-1)[0])
    signed = bool(written.get("signed", 1))
    low = -(2 ** (width - 1)) + int(written.get("narrow", 0)) if signed else 0
    high = (2 ** (width - 1) if signed else 2**width) - 1
    if scale.size != 1:
        return Branch(tensor, f"one per channel ({name(node)})", None, low, high, source, node)
    one = float(scale.item())
    return Branch(tensor, f"{one:.5g} ({name(node)})", one, low, high, source, node)


def _joined(view: View, tensor: str, source: str, node: Any) -> Branch:
    """What comes out of another join: the scale that its branches get, and how large the integers are then."""
    join = _join(view, node)
    if join.scale is None or join.factors is None:
        return Branch(tensor, f"none, since its own branches have several ({name(node)})", follows=True)
    lows = [each.low * by for each, by in zip(join.branches, join.factors, strict=True)]
    highs = [each.high * by for each, by in zip(join.branches, join.factors, strict=True)]
    low, high = (min(lows), max(highs)) if "Concat" in kind(node) else (sum(lows), sum(highs))
    return Branch(tensor, f"{join.scale:.5g} ({name(node)})", join.scale, low, high, source)


def _only_quantizers(view: View, node: Any) -> bool:
    """Whether a join is followed by quantizers, with nothing before them that mixes channels."""
    todo = list(node.output)
    while todo:
        tensor = todo.pop()
        users = view.consumers(tensor)
        if not users or tensor in view.outputs:
            return False
        for user in users:
            if user.op_type in QUANTIZERS or user.op_type == "MultiThreshold":
                continue
            if user.op_type not in _PER_CHANNEL or len(view.dynamic_inputs(user)) != 1:
                return False
            todo += user.output
    return True


@checks("branches-not-streamlined")
def _branches(view: View, stage: Stage) -> Iterator[Finding]:
    alike: dict[_Kind, list[Join]] = {}
    for join in joins(view):
        alike.setdefault(_KINDS[join.kind], []).append(join)
    for kind_, (first, *others) in alike.items():
        times = " and ".join(map(str, first.factors or ()))
        yield finding(
            "branches-not-streamlined",
            f"{name(first.node)} ({first.node.op_type}) joins branches with the scales {first.words}"
            f"{_as_do(others)}. {kind_.why.format(times=times, scale=first.scale)}",
            node=name(first.node),
            hint=kind_.hint,
            **({} if kind_.repaired else {"repair": None}),
        )


def _as_do(others: Sequence[Join]) -> str:
    """Further joins of one kind, in words."""
    named = few([name(join.node) for join in others])
    return f" (and so {'does' if len(others) == 1 else 'do'} {named})" if others else ""


@dataclass(frozen=True)
class _Kind:
    """What is said of joins of one kind."""

    why: str
    hint: str
    repaired: bool = True


_STEP = "insert the step streamline_branches after streamline: "
_KINDS = {
    "types": _Kind(
        "They have several data types, and QONNX gives a Concat that of the first: a Cast keeps them apart",
        f"{_STEP}exact",
    ),
    "equal": _Kind(
        "FINN's streamline moves scales past no fork and no join: layers behind them get floats", f"{_STEP}exact"
    ),
    "multiples": _Kind(
        "Integers can be joined only where one scale stands for all: these are {times} times {scale:.5g}",
        f"{_STEP}it multiplies the integers of the coarser branches, exact. One shared quantizer module costs less "
        "hardware",
    ),
    "per channel": _Kind(
        "FINN's streamline moves no scales past a join; the quantizers behind it can take them, channel by channel",
        f"{_STEP}exact",
    ),
    "apart": _Kind(
        "Integers can be joined only where one scale stands for all: otherwise the join, and the layers next to it, "
        "are left in floating point, or between hardware layers",
        "let all branches end in one and the same quantizer module (with one scale, which is then shared), train so, "
        "and insert the step streamline_branches after streamline",
        repaired=False,
    ),
}


_PRODUCTS = frozenset(("Conv", "Gemm", "MatMul", "XnorPopcountMatMul"))


def joined_bits(view: View, node: Any) -> Any:
    """The Concat through which a product of binary weights gets binary values; None for any other node."""
    if node.op_type not in _PRODUCTS or len(node.input) < 2:
        return None
    weights = view.producer(str(node.input[1]))
    binary = weights is not None and weights.op_type == "BipolarQuant"
    if not binary and view.datatype(node.input[1]).name not in ("BIPOLAR", "BINARY"):
        return None
    todo, join = [(str(node.input[0]), None)], None
    while todo:
        tensor, passed = todo.pop()
        maker = view.producer(tensor)
        if maker is None:
            continue
        if maker.op_type in PASSING:
            joins_here = maker.op_type == "Concat" and len(view.dynamic_inputs(maker)) > 1
            for source in maker.input if maker.op_type == "Concat" else maker.input[:1]:
                todo.append((str(source), maker if joins_here else passed))
        elif passed is not None and _is_sign(maker):
            join = passed
    return join


def _is_sign(node: Any) -> bool:
    signs = node.op_type == "MultiThreshold" and attributes(node).get("out_dtype") == "BIPOLAR"
    return signs or node.op_type == "BipolarQuant"


@checks("binary-values-joined")
def _joined_bits(view: View, stage: Stage) -> Iterator[Finding]:
    for node in view.nodes:
        join = joined_bits(view, node)
        if join is not None:
            yield finding(
                "binary-values-joined",
                f"{name(node)} ({node.op_type}) multiplies binary weights with values of -1 and +1 that "
                f"{name(join)} ({join.op_type}) joins: streamline makes bits of one branch only, and the accuracy "
                "falls without a word",
                node=name(node),
                hint="insert the step represent_bipolar after tidy_up (exact, no retraining), and streamline_branches "
                "after streamline",
            )
