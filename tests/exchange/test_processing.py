"""Custom steps that are a section of a recipe, where they cannot run here."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from finnyaml.exchange import plain_steps
from finnyaml.exchange.processing import translated

BEFORE = """
def add_pre(model, cfg):
    shape = model.get_tensor_shape(model.graph.input[0].name)
    bo.export_finn_onnx(ToTensor(), shape, "preproc.onnx", opset_version=11)
    pre = ModelWrapper("preproc.onnx")
    pre.set_tensor_datatype(pre.graph.input[0].name, DataType["UINT8"])
    return model.transform(MergeONNXModels(pre))
"""

TOP = """
def add_post(model, cfg):
    return model.transform(InsertTopK(k=3))
"""


def of(text: str) -> Any:
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.FunctionDef)
    return translated(function)


def test_what_is_known_in_every_part_is_translated() -> None:
    assert of(BEFORE) == ("preprocess", "to_tensor", "UINT8")
    assert of(TOP) == ("postprocess", {"top_k": 3}, None)


@pytest.mark.parametrize(
    "text",
    [
        BEFORE.replace("ToTensor()", "Normalize()"),
        BEFORE.replace("    return", "    model = model.transform(Streamline())\n    return"),
        BEFORE.replace('DataType["UINT8"]', "kind"),
        BEFORE.replace("    shape", "    if cfg.board:\n        return model\n    shape"),
        TOP.replace("k=3", "k=cfg.target_fps"),
        TOP.replace("k=3", "k=3, axis=1"),
        TOP.replace("InsertTopK(k=3)", "Streamline()"),
    ],
)
def test_anything_else_is_not(text: str) -> None:
    assert of(text) is None


def test_the_steps_of_an_export_are_known_again_and_no_others() -> None:
    for name, text in (("before", plain_steps.BEFORE), ("after", plain_steps.AFTER)):
        assert plain_steps.known(ast.parse(text).body[0]) == name
        assert plain_steps.known(ast.parse(text.replace("model.transform", "model.change")).body[0]) is None
