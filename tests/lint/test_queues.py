"""Matrix layers in RTL whose output queue is too short; tests/rtl/test_lost_results.py shows that they lose results."""

from __future__ import annotations

import pytest
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from finnyaml.graph.view import View
from finnyaml.lint import rtl  # noqa: F401 - importing it registers its rule
from finnyaml.lint.rules import CHECKS
from tests.lint.test_rules import stage


def found(model, last, **config):
    return list(CHECKS["output-queue-too-short"](View(model), stage(last, **config)))


def layer(op_type: str = "MVAU_rtl", **attributes: int) -> ModelWrapper:
    domain = f"finn.custom_op.fpgadataflow.{op_type.rpartition('_')[2]}"
    given = {"MW": 9, "MH": 4, "PE": 1, "SIMD": 1, **attributes}
    node = helper.make_node(op_type, ["x"], ["y"], name=f"{op_type}_0", domain=domain, backend="fpgadataflow", **given)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name, size in (("x", 9), ("y", 4))]
    return ModelWrapper(helper.make_model(helper.make_graph([node], "one", ends[:1], ends[1:])))


def test_a_result_every_cycle_is_too_much_for_the_queue():
    (finding,) = found(layer(SIMD=9), "minimize_bit_width")
    assert finding.node == "MVAU_rtl_0"
    assert "SIMD = MW = 9" in finding.message


@pytest.mark.parametrize("model", [layer(SIMD=3), layer("MVAU_hls", SIMD=9)], ids=["less at once", "HLS"])
def test_others_are_fine(model):
    assert found(model, "minimize_bit_width") == []


def test_the_folding_of_the_recipe_counts_before_it_is_applied():
    folding = {"MVAU_rtl_0": {"SIMD": 9}}
    assert len(found(layer(), "specialize_layers", folding=folding)) == 1
