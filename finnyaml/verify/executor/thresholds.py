"""Thresholds: how many of a channel's thresholds a value reaches, in the fastest form that is exact."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from onnx import TensorProto

from finnyaml.verify.executor import lines
from finnyaml.verify.executor.base import Lowering, NotLowerable
from finnyaml.verify.executor.interval import Interval

FEW = 8  # distinct thresholds up to which one comparison each is fastest
TABLE = 1 << 16  # entries up to which a table is made


def count(
    lowering: Lowering,
    x: str,
    thresholds: np.ndarray,
    channel_axis: int,
    rank: int,
    scale: float = 1.0,
    bias: float = 0.0,
    output: str | None = None,
) -> str:
    """scale * #{t in thresholds[c] : x >= t} + bias, elementwise, in float32; returns the name of the result.

    thresholds: [channels or 1, T], in any order. channel_axis: the axis of `x` that holds the channels. rank: the
    number of dimensions of `x`, batch included. The sum is computed as qonnx does: float32, first scaled, then biased.
    """
    table = _as_float32(np.asarray(thresholds))
    if table.ndim != 2:
        raise NotLowerable(f"thresholds of shape {table.shape}")
    channels, steps = table.shape
    if channels > 1 and channel_axis % rank == 0:
        raise NotLowerable("thresholds per sample of the batch")
    broadcast = [1] * rank
    broadcast[channel_axis] = channels
    levels = (np.float32(scale) * np.arange(steps + 1, dtype=np.float32) + np.float32(bias)).astype(np.float32)
    columns = [table[:, i].reshape(broadcast) for i in range(steps)]
    distinct = [i for i in range(steps) if i == 0 or not np.array_equal(columns[i], columns[i - 1])]
    if not distinct:
        zero = lowering.op("Mul", [x, lowering.constant(np.float32(0))])
        return lowering.op("Add", [zero, lowering.constant(levels[0])], output)
    if len(distinct) == 1:
        # all thresholds of a channel are equal (mostly there is only one)
        reached = lowering.op("GreaterOrEqual", [x, lowering.constant(columns[0])])
        return choose(lowering, reached, levels[-1], levels[0], output)
    interval = lowering.interval(x)
    line = _exact_line(interval, table, channel_axis, rank) if interval.is_integer else None
    if line is not None:
        return scaled(lowering, _on_line(lowering, x, line, steps, broadcast), scale, bias, output)
    if len(distinct) <= FEW:
        return scaled(lowering, _by_comparisons(lowering, x, columns, distinct), scale, bias, output)
    if interval.is_integer and (interval.high - interval.low + 1) * channels <= TABLE:
        return _by_table(lowering, x, table, levels, broadcast, output)
    line = lines.nearly(table) if np.isfinite([interval.low, interval.high]).all() else None
    if line is not None:
        return scaled(lowering, _beside_line(lowering, x, line, table, broadcast), scale, bias, output)
    return scaled(lowering, _by_search(lowering, x, table, broadcast), scale, bias, output)


def choose(lowering: Lowering, reached: str, high: Any, low: Any, output: str | None = None) -> str:
    """`high` where the boolean `reached` holds, else `low`: float32 constants that broadcast."""
    gain = np.asarray(high - low, np.float32)
    if not np.array_equal(gain + low, high):
        return lowering.op("Where", [reached, lowering.constant(high), lowering.constant(low)], output)
    # several times faster than Where
    chain = [("Mul", gain)] if np.any(gain != 1) else []
    chain += [("Add", np.asarray(low))] if np.any(low != 0) else []
    x = lowering.op("Cast", [reached], None if chain else output, to=TensorProto.FLOAT)
    for place, (op_type, operand) in enumerate(chain, 1):
        x = lowering.op(op_type, [x, lowering.constant(operand)], output if place == len(chain) else None)
    return x


def _as_float32(thresholds: np.ndarray) -> np.ndarray:
    """Sorted thresholds in float32 that every float32 reaches exactly when it reaches the given ones."""
    with np.errstate(over="ignore"):
        table: np.ndarray = thresholds.astype(np.float32)
    # float32(t) may lie below t: then the next float32 is the first value that reaches t
    below = table.astype(np.float64) < thresholds.astype(np.float64)
    table = np.where(below, np.nextafter(table, np.float32(np.inf)), table)
    table.sort(axis=-1)
    return table


def scaled(lowering: Lowering, counted: str, scale: float, bias: float, output: str | None) -> str:
    """scale * counted + bias in float32, in this order; returns the name of the result."""
    if scale != 1.0:
        name = output if bias == 0.0 else None
        counted = lowering.op("Mul", [counted, lowering.constant(np.float32(scale))], name)
    if bias != 0.0:
        counted = lowering.op("Add", [counted, lowering.constant(np.float32(bias))], output)
    if scale == 1.0 and bias == 0.0 and output is not None:
        counted = lowering.op("Identity", [counted], output)
    return counted


def _by_comparisons(lowering: Lowering, x: str, columns: list[np.ndarray], distinct: list[int]) -> str:
    total = ""
    for first, end in zip(distinct, [*distinct[1:], len(columns)], strict=True):
        reached = lowering.op("GreaterOrEqual", [x, lowering.constant(columns[first])])
        term = choose(lowering, reached, np.float32(end - first), np.float32(0))
        total = lowering.op("Add", [total, term]) if total else term
    return total


def _exact_line(interval: Interval, table: np.ndarray, channel_axis: int, rank: int) -> lines.Line | None:
    """The line for an integer x, of which each channel may have bounds of its own."""

    def of_channels(bounds: np.ndarray, over: np.ufunc) -> np.ndarray:
        if bounds.ndim != rank or bounds.shape[channel_axis] not in (1, len(table)):
            found: np.ndarray = np.atleast_1d(over.reduce(bounds, axis=None))
        else:
            others = tuple(axis for axis in range(rank) if axis != channel_axis % rank)
            found = np.atleast_1d(over.reduce(bounds, axis=others))
        return found

    return lines.exact(table, of_channels(interval.lows, np.minimum), of_channels(interval.highs, np.maximum))


def _on_line(lowering: Lowering, x: str, line: lines.Line, most: int, broadcast: list[int]) -> str:
    slope, offset = (_per_channel(lowering, value, broadcast) for value in (line.slope, line.offset))
    y = lowering.op("Add", [lowering.op("Mul", [x, slope]), offset])
    limits = [lowering.constant(np.float32(limit)) for limit in (0, most)]
    return lowering.op("Clip", [lowering.op("Floor", [y]), *limits])


def _beside_line(lowering: Lowering, x: str, line: lines.Line, table: np.ndarray, broadcast: list[int]) -> str:
    """The line gives the count, or one less: so there is only one threshold to ask. `x` is finite."""
    guess = _on_line(lowering, x, line, table.shape[1] - 1, broadcast)
    spacing = lines.spacing(table)
    if spacing is None:
        start: np.ndarray = (np.arange(len(table), dtype=np.int32) * table.shape[1]).reshape(-1, 1)
        index = lowering.op("Cast", [guess], to=TensorProto.INT32)
        index = lowering.op("Add", [index, _per_channel(lowering, start, broadcast)])
        threshold = lowering.op("Gather", [lowering.constant(table.reshape(-1)), index], axis=0)
    else:
        size, first = (_per_channel(lowering, value, broadcast) for value in spacing)
        wide = lowering.op("Cast", [guess], to=TensorProto.DOUBLE)
        wide = lowering.op("Add", [lowering.op("Mul", [wide, size]), first])
        threshold = lowering.op("Cast", [wide], to=TensorProto.FLOAT)
    reached = lowering.op("Cast", [lowering.op("GreaterOrEqual", [x, threshold])], to=TensorProto.FLOAT)
    return lowering.op("Add", [guess, reached])


def _per_channel(lowering: Lowering, value: np.ndarray, broadcast: list[int]) -> str:
    """A constant [channels, 1] that broadcasts; one number where all channels have the same."""
    same = bool(np.all(value == value.flat[0]))
    return lowering.constant(value.reshape(-1)[0] if same else value.reshape(broadcast))


def _by_table(
    lowering: Lowering, x: str, thresholds: np.ndarray, levels: np.ndarray, broadcast: list[int], output: str | None
) -> str:
    low, high = int(lowering.interval(x).low), int(lowering.interval(x).high)
    values: np.ndarray = np.arange(low, high + 1, dtype=np.float32)
    counts = np.stack([np.searchsorted(row, values, side="right") for row in thresholds])
    # channel c looks up entry c * size + x - low; exact in float32: the table is small
    offsets: np.ndarray = np.arange(len(thresholds)) * len(values) - low
    shifted = lowering.op("Add", [x, lowering.constant(offsets.reshape(broadcast).astype(np.float32))])
    index = lowering.op("Cast", [shifted], to=TensorProto.INT32)
    return lowering.op("Gather", [lowering.constant(levels[counts].reshape(-1)), index], output, axis=0)


def _by_search(lowering: Lowering, x: str, thresholds: np.ndarray, broadcast: list[int]) -> str:
    """Binary search over the sorted thresholds, without branches: float32 counts."""
    channels, steps = thresholds.shape
    size = 1 << math.ceil(math.log2(steps + 1))
    padded = np.full((channels, size - 1), np.nan, np.float32)  # nothing reaches NaN
    padded[:, :steps] = thresholds
    table = lowering.constant(padded.reshape(-1))
    start: np.ndarray = (np.arange(channels, dtype=np.int32) * (size - 1)).reshape(broadcast)
    position = ""
    step = size // 2
    while step >= 1:
        probe = lowering.constant(start + np.int32(step - 1))
        index = lowering.op("Add", [position, probe]) if position else probe
        reached = lowering.op("GreaterOrEqual", [x, lowering.op("Gather", [table, index], axis=0)])
        gain = lowering.op("Where", [reached, lowering.constant(np.int32(step)), lowering.constant(np.int32(0))])
        position = lowering.op("Add", [position, gain]) if position else gain
        step //= 2
    return lowering.op("Cast", [position], to=TensorProto.FLOAT)
