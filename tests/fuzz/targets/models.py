"""ONNX files, as the first task takes them: read, cleaned up, the input annotated."""

from __future__ import annotations

import warnings
from pathlib import Path
from random import Random

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from finnyaml.errors import StepFailed
from finnyaml.recipe.model import InputSpec
from finnyaml.steps.source import annotate_input, read_onnx
from tests.fuzz.mutation import EDGES, damaged
from tests.fuzz.watch import watched

NAME = "model.onnx"
WORDS = (
    *EDGES,
    b"../model.data",
    b"/etc/passwd",
    b"model.data",
    b"MatMul",
    b"Reshape",
    b"Constant",
    b"Loop",
    b"x",
    b"y",
)


class Models:
    """Two small graphs, one of which keeps its weights in a file beside it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "models"
        self._folder.mkdir(parents=True)
        onnx.save(
            _graph(), str(self._folder / NAME), save_as_external_data=True, location="model.data", size_threshold=0
        )
        beside = (self._folder / NAME).read_bytes()
        self.seeds = {"whole": [_graph().SerializeToString()], "beside": [beside]}
        for kind, models in self.seeds.items():
            for data in models:
                self.check(kind, data)

    def mutated(self, kind: str, seed: bytes, chance: Random) -> bytes:
        return damaged(seed, chance, WORDS)

    def check(self, kind: str, data: bytes) -> bool:
        """Whether the model is taken. A refusal is a `StepFailed`; anything else is a fault."""
        path = self._folder / NAME
        path.write_bytes(data)
        with watched(str(self._folder)), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                annotate_input(read_onnx(path), InputSpec((1, 4), "INT8", "NC"))
            except StepFailed:
                return False
            return True


def _graph() -> onnx.ModelProto:
    """A product, a sum with a constant made in the graph, a reshape."""
    weights = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(4, 3), "w")
    shape = numpy_helper.from_array(np.array([1, 3]), "shape")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["product"]),
        helper.make_node("Constant", [], ["one"], value=numpy_helper.from_array(np.float32([1.0]))),
        helper.make_node("Add", ["product", "one"], ["sum"]),
        helper.make_node("Reshape", ["sum", "shape"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name, size in (("x", 4), ("y", 3))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [weights, shape])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
