"""Matrix layers in RTL whose output queue is too short; tests/rtl/test_lost_results.py shows that they lose results."""

from __future__ import annotations

import pytest
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from finnyaml.graph.view import View
from finnyaml.lint import rtl
from finnyaml.lint.rules import CHECKS
from tests.lint.test_rules import stage

VERSAL = {"fpga_part": "xcvc1902-vsva2197-2MP-e-S", "synth_clk_period_ns": 10.0}


def found(model, last, **config):
    return list(CHECKS["output-queue-too-short"](View(model), stage(last, **config)))


def layer(op_type: str = "MVAU_rtl", kind: str = "INT4", **attributes: int) -> ModelWrapper:
    domain = f"finn.custom_op.fpgadataflow.{op_type.rpartition('_')[2]}"
    given = {"MW": 9, "MH": 4, "PE": 1, "SIMD": 1, "inputDataType": kind, "weightDataType": kind, **attributes}
    if op_type == "VVAU_rtl":
        given = {name: value for name, value in given.items() if name not in ("MW", "MH")}
        given |= {"Channels": 4, "Kernel": [3, 3], "Dim": [4, 4]}
    node = helper.make_node(
        op_type, ["x", "w"], ["y"], name=f"{op_type}_0", domain=domain, backend="fpgadataflow", **given
    )
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name, size in (("x", 9), ("y", 4))]
    model = ModelWrapper(helper.make_model(helper.make_graph([node], "one", ends[:1], ends[1:])))
    model.set_tensor_datatype("w", DataType[kind])
    return model


@pytest.mark.parametrize("toolchain", ["vivado", None])
def test_a_result_every_cycle_is_too_much_for_the_queue(toolchain):
    (finding,) = found(layer(SIMD=9), "minimize_bit_width", toolchain=toolchain)
    assert finding.node == "MVAU_rtl_0"
    assert finding.severity == "warning"
    assert "SIMD = MW" in finding.message


def test_the_open_path_mends_it_and_vivado_gets_what_finn_has():
    (finding,) = found(layer(SIMD=9), "minimize_bit_width", toolchain="open")
    assert finding.severity == "info"
    assert "exports has a longer queue; FINN's own steps give Vivado the source as it is" in finding.message


def test_another_source_is_not_mended(monkeypatch):
    monkeypatch.setattr(rtl, "_source", lambda: f"// another\n{rtl.SHORT}\n")
    (finding,) = found(layer(SIMD=9), "minimize_bit_width", toolchain="open")
    assert finding.severity == "warning"
    assert "another mvu_vvu_axi.sv than that of finn-plus 1.6.1" in finding.message
    monkeypatch.setattr(rtl, "_source", lambda: "// whole\n")
    assert found(layer(SIMD=9), "minimize_bit_width") == []


@pytest.mark.parametrize(
    "model",
    [layer(SIMD=3), layer("MVAU_hls", SIMD=9), layer(SIMD=9, TH=3, PE=4)],
    ids=["less at once", "HLS", "another unit"],
)
def test_others_are_fine(model):
    assert found(model, "minimize_bit_width") == []


@pytest.mark.parametrize(
    ("model", "is_found"),
    [
        (layer(MW=48, SIMD=24), True),  # four lanes: the core takes nine cycles, and the queue is made for four
        (layer(MW=48, SIMD=12), False),
        (layer(kind="INT8", MW=48, SIMD=24), False),
        (layer(kind="INT8", MW=24, SIMD=24), True),
        (layer("VVAU_rtl", "INT8", SIMD=9), True),
        (layer("VVAU_rtl", "INT8", SIMD=3), False),
    ],
)
def test_on_versal_it_depends_on_the_core(model, is_found):
    assert bool(found(model, "minimize_bit_width", **VERSAL)) == is_found


def test_the_folding_of_the_recipe_counts_before_it_is_applied():
    folding = {"MVAU_rtl_0": {"SIMD": 9}}
    assert len(found(layer(), "specialize_layers", folding=folding)) == 1
