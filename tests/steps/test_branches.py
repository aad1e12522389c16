"""`streamline_branches` on joins in FINN's dialect: integers times scales, added or joined."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from qonnx.core.modelwrapper import ModelWrapper

from finnyaml.graph.surgery import integer_type
from finnyaml.graph.view import View, attributes
from finnyaml.lint.graph import Stage, check
from finnyaml.steps.branches import streamline_branches
from tests.lint.graphs import QONNX, Net, answers, images


class Branches(Net):
    """Branches of a network with 3 channels, behind a layer with bits of its own for each."""

    def steps(self, x: str, count: int, low: int = 0) -> str:
        """A quantizer of `count` steps from `low`."""
        thresholds = self.constant(np.sort(self.random.uniform(0, 15, (3, count)), 1))
        written = {
            "out_dtype": integer_type(low, low + count),
            "out_bias": float(low),
            "out_scale": 1.0,
            "data_layout": "NCHW",
        }
        return self.node("MultiThreshold", x, thresholds, domain=QONNX, **written)

    def times(self, x: str, scale: Any) -> str:
        return self.node("Mul", x, self.constant(scale))

    def ends(self, x: str, channels: int = 3) -> ModelWrapper:
        """A quantizer behind a BatchNorm, whose scale is odd: no sum lies right between two of its values."""
        x = self.node("Add", self.times(x, np.linspace(0.3, 0.7, channels).reshape(1, -1, 1, 1)), self.constant(0.0137))
        written = {"out_dtype": "UINT3", "out_bias": 0.0, "out_scale": 1.0, "data_layout": "NCHW"}
        thresholds = self.constant(np.tile(np.linspace(0.11, 2.77, 7), (channels, 1)))
        return self.model(self.node("MultiThreshold", x, thresholds, domain=QONNX, **written))


def joined(kind: str, *scales: Any, counts: tuple[int, ...] = (7, 7), lows: tuple[int, ...] = (0, 0)) -> ModelWrapper:
    net = Branches((1, 3, 2, 2))
    ends = [net.times(net.steps("x", *each), scale) for *each, scale in zip(counts, lows, scales, strict=False)]
    x = net.node(kind, *ends, **({"axis": 1} if kind == "Concat" else {}))
    return net.ends(x, 6 if kind == "Concat" else 3)


def repaired(model: ModelWrapper) -> tuple[View, tuple[str, ...], tuple[str, ...]]:
    """What the step makes of a model, which answers as before."""
    data = images(model, 8)
    done = streamline_branches(model)
    np.testing.assert_array_equal(answers(done.model, data), answers(model, data))
    return View(done.model), done.changes, done.notes


def join(view: View) -> Any:
    return next(node for node in view.nodes if len(view.dynamic_inputs(node)) > 1)


def makers(view: View) -> list[Any]:
    """What makes the tensors that are joined, before transposes."""
    found = [view.producer(tensor) for tensor in join(view).input]
    return [view.producer(node.input[0]) if node.op_type == "Transpose" else node for node in found]


@pytest.mark.parametrize(
    ("kind", "scales", "factors"),
    [
        ("Add", (0.5, 0.25), (2, 1)),
        ("Add", (0.2, 0.3), (2, 3)),
        ("Concat", (0.25, 0.25), (1, 1)),
        ("Concat", (0.1, 0.7), (1, 7)),
    ],
)
def test_scales_become_one(kind: str, scales: tuple[float, ...], factors: tuple[int, ...]) -> None:
    view, changes, notes = repaired(joined(kind, *scales))
    assert [node.op_type for node in makers(view)] == ["MultiThreshold"] * 2
    assert [view.shape(node.input[1])[1] for node in makers(view)] == [7 * factor for factor in factors]
    assert not notes and len(changes) == max(1, sum(factor > 1 for factor in factors))


def test_integers_that_others_read_too_are_multiplied_by_a_layer_of_its_own() -> None:
    net = Branches((1, 3, 2, 2))
    shared = net.steps("x", 7, -3)
    block = net.times(net.steps(net.times(shared, 0.5), 6, -2), 0.25)
    view, changes, _ = repaired(net.ends(net.node("Add", block, net.times(shared, 0.5))))
    (one,) = [node for node in makers(view) if view.shape(node.input[1]) == (1, 14)]
    assert attributes(one)["out_bias"] == -6 and attributes(one)["out_dtype"] == "INT5"
    assert changes == (
        "Add_0 (Add) gets the integers of the branch with the scale 0.5 (Mul_0) times 2, by 14 thresholds",
    )


def test_a_concat_of_types_of_its_own_gets_the_one_that_holds_both() -> None:
    view, _, _ = repaired(joined("Concat", 0.5, 0.5, counts=(3, 7), lows=(0, -4)))
    at = next(node for node in view.nodes if "Concat" in node.op_type)
    assert view.datatype(at.output[0]).name == "INT3" and view.datatype(at.input[0]).name == "UINT2"


@pytest.mark.parametrize("other", [0.5, 1.0])
def test_a_concat_that_began_as_floats_joins_integers(other: float) -> None:
    net = Branches((1, 3, 2, 2))
    start = net.node("Cast", net.steps("x", 7), to=TensorProto.FLOAT)  # as the step `model` puts it before this join
    end = net.steps("x", 7, -4)
    end = net.times(end, other) if other != 1.0 else end
    view, _, notes = repaired(net.ends(net.node("Concat", start, end, axis=1), 6))
    assert "Cast" not in {node.op_type for node in view.nodes} and not notes
    assert all(view.datatype(tensor).is_integer() for tensor in join(view).input)


def test_any_scales_become_one_for_each_channel_before_quantizers() -> None:
    view, changes, notes = repaired(joined("Concat", 0.5, 0.37))
    assert [node.op_type for node in makers(view)] == ["MultiThreshold"] * 2 and not notes
    assert changes == ("Concat_0 (Concat) joins integers, with a scale for each channel behind",)


def test_equal_scales_per_channel_pass_a_sum() -> None:
    scales = np.array([0.5, 0.37, 0.41], np.float32).reshape(1, 3, 1, 1)
    view, _, notes = repaired(joined("Add", scales, scales))
    assert [node.op_type for node in makers(view)] == ["MultiThreshold"] * 2 and not notes


def test_biases_per_channel_are_added_channel_by_channel() -> None:
    net = Branches((1, 3, 2, 2))
    biases = [np.array(values, np.float32).reshape(1, 3, 1, 1) for values in ((1, 2, 3), (0.5, -1, 0))]
    ends = [net.node("Add", net.times(net.steps("x", 7), 0.5), net.constant(bias)) for bias in biases]
    repaired(net.ends(net.node("Add", *ends)))


@pytest.mark.parametrize(("scales", "counts"), [((0.5, 0.37), (7, 7)), ((4.0, 0.25), (31, 7)), ((0.5, -0.25), (7, 7))])
def test_what_cannot_become_one_is_left_and_said(scales: tuple[float, ...], counts: tuple[int, ...]) -> None:
    model = joined("Add", *scales, counts=counts)
    view, _, (note,) = repaired(model)
    assert {node.op_type for node in makers(view)} >= {"Mul"}
    assert f"{scales[1]:.5g}" in note
    (found,) = [
        each for each in check(model, Stage("streamline", "step_streamline")) if "joins branches" in each.message
    ]
    assert found.repair is None and "one and the same quantizer module" in str(found.hint)


def test_joins_of_a_kind_are_told_once() -> None:
    net = Branches((1, 3, 2, 2))
    x = net.times(net.steps("x", 7), 0.5)
    for _ in range(5):
        x = net.node("Add", x, net.times(net.steps("x", 7), 0.5))
    said = check(net.ends(x), Stage("streamline", "step_streamline"))
    (found,) = [each for each in said if each.rule == "branches-not-streamlined"]
    assert "(Mul_1) (and so do Add_1 and 3 more). " in found.message
    floats = [each for each in said if each.rule == "float-in-dataflow"]
    assert floats and all(each.settled_by == ("streamline_branches",) for each in floats)
