"""One RTL layer as a model and as a design folder of its own."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.basic import qonnx_make_model

from finnyaml.finn.stitched import stitch
from finnyaml.graph.view import attributes, style


class Constants:
    """Weights and thresholds of a model, by tensor."""

    def __init__(self, values: Mapping[str, np.ndarray]) -> None:
        self._values = values
        self._digests: dict[str, str] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __getitem__(self, name: str) -> np.ndarray:
        return self._values[name]

    def digest(self, name: str) -> str:
        """Of shape and values; kept, because a layer has many foldings."""
        if name not in self._digests:
            values = np.ascontiguousarray(self._values[name])
            self._digests[name] = hashlib.sha256(
                repr((values.shape, values.dtype.str)).encode() + values.tobytes()
            ).hexdigest()
        return self._digests[name]


def content(layer: Any, constants: Constants) -> str:
    """A digest of what a layer is, whatever it is called."""
    node = layer.onnx_node
    said = sorted((name, str(value)) for name, value in attributes(node).items())
    stored = [constants.digest(name) for name in _inputs(layer, constants, streams=False)]
    return hashlib.sha256(repr((node.op_type, said, stored)).encode()).hexdigest()


def can_be(layer: Any, constants: Constants) -> bool:
    """Whether a layer can stand alone: RTL, with one stream in and one out, as a stitched design has."""
    node = layer.onnx_node
    return style(node) == "rtl" and len(_inputs(layer, constants, streams=True)) == len(node.output) == 1


def design(layer: Any, constants: Constants, part: str, clock_ns: float, folder: Path) -> None:
    """Make a design folder of a layer that can stand alone. Its node is called after the layer's content.

    Raises StepFailed: the open RTL path does not cover it.
    """
    from finn.transformation.fpgadataflow.prepare_ip import PrepareIP

    model = _model(layer, constants)
    with _nothing_left(), _quietly():
        stitch(model.transform(PrepareIP(part, clock_ns)), part, clock_ns, folder)


def _model(layer: Any, constants: Constants) -> ModelWrapper:
    node = copy.deepcopy(layer.onnx_node)
    node.name = f"layer_{content(layer, constants)[:16]}"
    (taken,) = _inputs(layer, constants, streams=True)
    names = {name: "taken" if name == taken else f"constant{at}" for at, name in enumerate(node.input) if name}
    node.input[:] = [names.get(name, "") for name in node.input]
    node.output[:] = ["given"]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [int(size) for size in shape])
        for name, shape in (("taken", layer.get_normal_input_shape()), ("given", layer.get_normal_output_shape()))
    ]
    graph = helper.make_graph([node], "layer", ends[:1], ends[1:])
    model = ModelWrapper(qonnx_make_model(graph, opset_imports=[helper.make_opsetid("", 18)]))
    for at, name in enumerate(layer.onnx_node.input):
        if name in constants:
            model.set_initializer(names[name], np.asarray(constants[name], np.float32))
        if name:
            model.set_tensor_datatype(names[name], layer.get_input_datatype(at))
    model.set_tensor_datatype("given", layer.get_output_datatype())
    return model


def _inputs(layer: Any, constants: Constants, *, streams: bool) -> list[str]:
    return [name for name in layer.onnx_node.input if name and (name not in constants) == streams]


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """FINN warns of each layer that no FIFO is in front of it."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def _nothing_left() -> Iterator[None]:
    """FINN's build folder as it was: generated code that nobody refers to is not a part of any result."""
    from finn.util.settings import get_settings

    built = Path(get_settings().finn_build_dir)
    before = set(built.iterdir())
    try:
        yield
    finally:
        for path in set(built.iterdir()) - before:
            shutil.rmtree(path, ignore_errors=True)
