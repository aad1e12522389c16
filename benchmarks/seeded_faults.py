"""Faults to put into a build: steps of one's own, named by the recipes that `seeded` writes. Each prints where it is.

A node is named by its operator and its number among those: "MVAU:1", "MatMul:-1".
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.custom_op.registry import getCustomOp


def seeded(model: Any, cfg: Any, fault: str, node: str, **options: Any) -> Any:
    """The step itself is wrong."""
    _put(model, fault, node, options)
    return model


def wrapped(model: Any, cfg: Any, step: str, fault: str, node: str, inside: str = "", **options: Any) -> Any:
    """A step of FINN with a fault: at its end, or in its transformation `inside`, whenever that changes something."""
    from finnyaml.finn.door import open_door

    run = open_door().steps[f"step_{step}"]
    if not inside:
        model = run(model, cfg)
        _put(model, fault, node, options)
        return model
    with _faulty(inside, lambda made: _put(made, fault, node, options)):
        return run(model, cfg)


@contextlib.contextmanager
def _faulty(name: str, put: Callable[[Any], None]) -> Iterator[None]:
    """Let a transformation, by the name of its class, do something wrong the first time that it changes the graph."""
    from qonnx.transformation.base import Transformation

    kind = next(kind for kind in _below(Transformation) if kind.__name__ == name)
    original: Any = kind.apply  # type: ignore[attr-defined]
    done = False

    @functools.wraps(original)
    def apply(transformation: Any, model: Any) -> Any:
        nonlocal done
        before = model.model.SerializeToString()
        made, again = original(transformation, model)
        if not done and (again or made.model.SerializeToString() != before):
            with contextlib.suppress(LookupError):  # the node may come later
                put(made)
                done = True
        return made, again

    kind.apply = apply  # type: ignore[attr-defined]
    try:
        yield
    finally:
        kind.apply = original  # type: ignore[attr-defined]
    if not done:
        raise LookupError(f"no fault was put into {name}")


def _below(kind: type) -> Iterator[type]:
    yield kind
    for other in kind.__subclasses__():
        yield from _below(other)


def _put(model: Any, fault: str, node: str, options: dict[str, Any]) -> None:
    kind, _, number = node.partition(":")
    alike = [item for item in model.graph.node if item.op_type == kind or item.op_type.rpartition("_")[0] == kind]
    chosen = alike[int(number)]
    said = {"node": chosen.name, "kind": kind}
    _FAULTS[fault](model, chosen, **options)
    print("FAULT", json.dumps(said), flush=True)


def _constant(model: Any, node: Any, place: int, change: Callable[[np.ndarray], np.ndarray | None]) -> None:
    name = node.input[place]
    old = model.get_initializer(name)
    if old is None:
        raise LookupError(f"{node.name} has no constant at {place}")
    datatype, values = model.get_tensor_datatype(name), old.copy()
    made = change(values)
    values = np.asarray(values if made is None else made, old.dtype)
    if np.array_equal(values, old):
        raise LookupError("nothing changed")
    model.set_initializer(name, values)
    model.set_tensor_datatype(name, datatype)


def sign(model: Any, node: Any, count: int = 1, place: int = 1) -> None:
    """The largest constants change their sign."""

    def change(values: np.ndarray) -> None:
        flat = values.reshape(-1)
        flat[np.argsort(-np.abs(flat), kind="stable")[:count]] *= -1

    _constant(model, node, place, change)


def move(model: Any, node: Any, by: float, index: Any = None, axis: int = 0, place: int = 1) -> None:
    """Add to a line of the constants, or to all; thresholds stay in order."""

    def change(values: np.ndarray) -> None:
        line = values if index is None else np.moveaxis(values, axis, 0)[index : index + 1]
        line += np.asarray(by, values.dtype)
        if "Threshold" in node.op_type:
            values.sort(axis=-1)

    _constant(model, node, place, change)


def multiply(model: Any, node: Any, by: float, index: Any = None, axis: int = 0, place: int = 1) -> None:
    """Multiply a line of the constants, or all."""

    def change(values: np.ndarray) -> np.ndarray | None:
        if index is None:
            return values * np.asarray(by, values.dtype)
        line = np.moveaxis(values, axis, 0)[index : index + 1]
        line *= np.asarray(by, values.dtype)
        return None

    _constant(model, node, place, change)


def exchange(model: Any, node: Any, a: int, b: int, axis: int = 1, place: int = 1) -> None:
    """Two lines of the constants change places."""

    def change(values: np.ndarray) -> None:
        lines = np.moveaxis(values, axis, 0)
        lines[[a, b]] = lines[[b, a]]

    _constant(model, node, place, change)


def reverse(model: Any, node: Any, axis: int = 0, place: int = 1) -> None:
    """All lines of the constants are turned round."""
    _constant(model, node, place, lambda values: np.flip(values, axis))


def transpose(model: Any, node: Any, axes: tuple[int, int] = (0, 1), place: int = 1) -> None:
    """Two axes of one size change places."""
    _constant(model, node, place, lambda values: np.swapaxes(values, *axes))


def clip(model: Any, node: Any, low: float, high: float, place: int = 1) -> None:
    """Constants are cut off."""
    _constant(model, node, place, lambda values: np.clip(values, low, high))


def coarse(model: Any, node: Any, how: str, place: int = 1) -> None:
    """Constants are rounded: to integers ("down", "near"), to a power of two, or to so many digits."""

    def change(values: np.ndarray) -> np.ndarray:
        if how == "down":
            return np.floor(values)
        if how == "near":
            return np.round(values)
        if how == "power":
            return np.sign(values) * 2.0 ** np.round(np.log2(np.abs(values)))
        return np.vectorize(lambda value: float(f"{value:.{int(how)}g}"))(values)

    _constant(model, node, place, change)


def average(model: Any, node: Any, place: int = 1) -> None:
    """One value for all channels."""
    _constant(model, node, place, lambda values: np.full_like(values, values.mean()))


def setting(model: Any, node: Any, name: str, value: Any) -> None:
    """Another value of an attribute."""
    for written in [item for item in node.attribute if item.name == name]:
        node.attribute.remove(written)
    node.attribute.append(helper.make_attribute(name, value))


def narrow(model: Any, node: Any, to: str, thresholds: bool = False) -> None:
    """Sums (or thresholds, cut off) get a type that does not hold them."""
    layer = getCustomOp(node)
    if thresholds:
        low, high = DataType[to].min(), DataType[to].max()
        _constant(model, node, 1, lambda values: np.clip(values, low, high))
        model.set_tensor_datatype(node.input[1], DataType[to])
        layer.set_nodeattr("weightDataType", to)
        return
    for name in ("accDataType", "outputDataType"):
        if name in layer.get_nodeattr_types():
            layer.set_nodeattr(name, to)
    model.set_tensor_datatype(node.output[0], DataType[to])
    for consumer in model.find_consumers(node.output[0]) or []:
        if consumer.op_type.startswith(("Thresholding", "LabelSelect", "Elementwise")):
            other = getCustomOp(consumer)
            name = "lhs_dtype" if consumer.op_type.startswith("Elementwise") else "inputDataType"
            other.set_nodeattr(name, to)


def drop(model: Any, node: Any) -> None:
    """A node is gone; its input takes its place."""
    source, result = node.input[0], node.output[0]
    if any(output.name == result for output in model.graph.output):
        model.find_producer(source).output[0] = result
    for consumer in model.find_consumers(result) or []:
        consumer.input[:] = [source if name == result else name for name in consumer.input]
    model.graph.node.remove(node)


def swap_inputs(model: Any, node: Any) -> None:
    """The first two inputs change places."""
    node.input[0], node.input[1] = node.input[1], node.input[0]


_FAULTS: dict[str, Callable[..., None]] = {
    function.__name__: function
    for function in (
        *(sign, move, multiply, exchange, reverse, transpose, clip, coarse, average, setting, narrow, drop),
        swap_inputs,
    )
}
