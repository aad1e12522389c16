"""Golden frames that tell: few samples, chosen from many, that show nearly every wrong bit which any of them shows.

Bits of weights and thresholds are flipped at random, one at a time, and the layers computed again. A frame tells of a
flip if its output changes. Frames are added for the flips that none of the chosen tells of, until enough of a fresh
lot of flips are told of. The figure is that of the frames chosen before the last lot; those added for what they missed
of it come on top. All draws are the same ones in every build.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from finnyaml.accelerator.numbers.datatypes import parse
from finnyaml.bundle.stream_values import Frames
from finnyaml.graph.view import kind
from finnyaml.verify.executor import BatchedModel

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

ENOUGH = 0.97
LOT, MOST_LOTS = 60, 3
FIRST = 16
"""So many frames there are in any case; random ones tell of nine in ten flips."""
_CONSTANTS = ("MVAU", "VVAU", "Thresholding")


@dataclass(frozen=True)
class Told:
    """What frames tell of: of `tried` flips, `shown` changed the output of any of `candidates` samples, and `found`
    that of a chosen one.
    """

    candidates: int
    tried: int
    shown: int
    found: int


@dataclass(frozen=True)
class Flip:
    """One bit of a constant: its tensor, the place of the value in it, flat, and the bit."""

    tensor: str
    place: int
    bit: int


def choose(model: ModelWrapper, candidates: Frames, most: int) -> tuple[Frames, Told | None]:
    """At most so many of the candidates, in their order; None where the layers have no weights and thresholds."""
    constants, count = _constants(model), len(candidates.inputs)
    if not constants or count <= 1:
        return _of(candidates, range(min(most, count))), None
    draw = np.random.RandomState(np.random.MT19937(0))
    first = min(FIRST, most, count)
    chosen = [place * count // first for place in range(first)]
    for _ in range(MOST_LOTS):
        told, missed = _look(model, candidates, chosen, [_flip(draw, constants) for _ in range(LOT)])
        chosen = sorted({*chosen, *_cover(missed, most - len(chosen))})
        if told.found >= ENOUGH * told.shown or len(chosen) >= most:
            break
    return _of(candidates, chosen), told


def flipped(model: ModelWrapper, flip: Flip) -> ModelWrapper:
    """The model with one bit of a constant flipped, as the hardware takes it."""
    changed = copy.deepcopy(model)
    values = changed.get_initializer(flip.tensor).copy()
    datatype = parse(changed.get_tensor_datatype(flip.tensor).name)
    rows = values.reshape(-1, values.shape[-1])  # of thresholds, one for each channel
    row, place = divmod(flip.place, values.shape[-1])
    wrong = _flipped(int(rows[row, place]), flip.bit, datatype.bits, signed=datatype.low < 0)
    if _is_thresholds(changed, flip.tensor):
        rows[row] = _searched(rows[row], place, wrong)
    else:
        rows[row, place] = wrong
    changed.set_initializer(flip.tensor, values)
    return changed


def _look(
    model: ModelWrapper, candidates: Frames, chosen: Sequence[int], flips: Sequence[Flip]
) -> tuple[Told, list[np.ndarray]]:
    """What the chosen tell of, and for each flip that only others tell of, which: bool [candidates]."""
    found, missed = 0, []
    some = np.array(chosen)
    for flip in flips:
        graph = BatchedModel(flipped(model, flip))
        if _differs(graph, candidates.inputs[some], candidates.outputs[some]).any():
            found += 1
        elif (others := _differs(graph, candidates.inputs, candidates.outputs)).any():
            missed.append(others)
    return Told(len(candidates.inputs), len(flips), found + len(missed), found), missed


def _differs(graph: BatchedModel, inputs: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Of each frame, whether its output is another."""
    given = graph.run(inputs)[graph.outputs[0]].reshape(len(inputs), -1)
    different: np.ndarray = (given != outputs.reshape(len(inputs), -1)).any(axis=1)
    return different


def _cover(missed: Sequence[np.ndarray], most: int) -> list[int]:
    """Frames of which one tells of each flip, at most so many: the one that tells of most first."""
    left = list(missed)
    taken: list[int] = []
    while left and len(taken) < most:
        best = int(np.sum(left, axis=0).argmax())
        taken.append(best)
        left = [told for told in left if not told[best]]
    return taken


def _constants(model: ModelWrapper) -> dict[str, tuple[int, int]]:
    """The weights and thresholds: how many values, and of how many bits each."""
    found = {}
    for node in model.graph.node:
        if kind(node) in _CONSTANTS and (values := model.get_initializer(node.input[1])) is not None:
            datatype = model.get_tensor_datatype(node.input[1])
            if datatype.is_integer():
                found[node.input[1]] = values.size, datatype.bitwidth()
    return found


def _flip(draw: np.random.RandomState, constants: Mapping[str, tuple[int, int]]) -> Flip:
    """Any bit of all constants."""
    at = int(draw.randint(0, sum(size * bits for size, bits in constants.values())))
    for name, (size, bits) in constants.items():
        if at < size * bits:
            return Flip(name, *divmod(at, bits))
        at -= size * bits
    raise AssertionError("no bit is behind the last")


def _flipped(value: int, bit: int, bits: int, *, signed: bool) -> int:
    """A value of so many bits, two's complement if signed, with one of them flipped."""
    pattern = (value & (1 << bits) - 1) ^ 1 << bit
    return pattern - (1 << bits) if signed and pattern >> bits - 1 else pattern


def _searched(row: np.ndarray, place: int, wrong: int) -> np.ndarray:
    """Thresholds in order that act as these do with one of them wrong, in FINN's hardware.

    It finds the level by bisection: the wrong one is asked only for values between the thresholds that were asked
    before it, and decides for all thresholds that would be asked after it.
    """
    position = place + 1
    reach = position & -position
    lowest = row[position - reach - 1] if position > reach else -np.inf
    highest = row[position + reach - 1] if position + reach <= len(row) else np.inf
    held = min(max(wrong, lowest), highest)
    acts = row.copy()
    acts[place] = held
    acts[position - reach : place] = np.minimum(acts[position - reach : place], held)
    acts[position : position + reach - 1] = np.maximum(acts[position : position + reach - 1], held)
    return acts


def _is_thresholds(model: ModelWrapper, tensor: str) -> bool:
    return any(kind(node) == "Thresholding" and tensor in node.input for node in model.graph.node)


def _of(frames: Frames, chosen: Sequence[int]) -> Frames:
    some = np.array(chosen)
    return Frames(frames.index[some], frames.inputs[some], frames.outputs[some])
