"""Joins of integers and other values: QONNX has no integers where there are none, and the values stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes

from finnyaml.graph.view import View
from finnyaml.recipe.model import InputSpec
from finnyaml.steps.joined import join_types
from finnyaml.steps.source import annotate_input
from tests.lint.graphs import QONNX, Net, answers, images


def joined(*branches: tuple[float, int, int]) -> ModelWrapper:
    """Two branches, each with a scale, bits, and whether it has a sign, as Brevitas exports them."""
    net = Net((1, 2, 2, 2))
    ends = []
    for scale, bits, signed in branches:
        operands = [net.constant(value) for value in (scale, 0.0, float(bits))]
        x = net.node("Mul", "x", net.constant(0.37 if not signed else -0.37))
        written = {"signed": signed, "narrow": 0, "rounding_mode": "ROUND"}
        ends.append(net.node("Quant", x, *operands, domain=QONNX, **written))
    return net.model(net.node("Concat", *ends, axis=1), tidy=False).transform(InferShapes())


def typed(*branches: tuple[float, int, int]) -> tuple[ModelWrapper, Any]:
    """What the step `model` makes of them, with data types, and the type of what is joined."""
    made = annotate_input(joined(*branches).model, InputSpec(datatype="UINT4")).transform(InferDataTypes())
    data = images(made, 3)
    found = answers(made, data)  # qonnx refuses values that their type does not have
    np.testing.assert_array_equal(found, answers(joined(*branches), data))
    return made, made.get_tensor_datatype(made.graph.output[0].name)


@pytest.mark.parametrize("other", [(0.5, 3, 0), (1.0, 4, 1), (1.0, 5, 0)])
def test_integers_joined_with_other_values_are_no_integers(other: tuple[float, int, int]) -> None:
    made, datatype = typed((1.0, 3, 0), other)
    assert datatype.name == "FLOAT32"
    assert [node.op_type for node in made.graph.node].count("Cast") == 1
    assert join_types(made) == (other[0] == 1.0)
    assert [node.op_type for node in made.graph.node].count("Cast") == (other[0] != 1.0)


@pytest.mark.parametrize(
    "branches", [((1.0, 3, 0), (1.0, 3, 0)), ((0.5, 3, 0), (1.0, 3, 0)), ((0.5, 3, 0), (0.5, 4, 1))]
)
def test_a_join_whose_type_is_right_stays(branches: Any) -> None:
    made, _ = typed(*branches)
    assert "Cast" not in {node.op_type for node in View(made).nodes}
