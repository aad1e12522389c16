"""RTL where it is asked for, on FINN's own specialize_layers: what wins, what our kernels cover, and why not."""

import copy
import json

import numpy as np
import pytest
from onnx import helper

from finnyaml.finn.identity import distribution_of_finn
from finnyaml.finn.specialize import ASKED, HARDWARE, decision, prefer, settle, wanted_in_hls, why_hls
from finnyaml.lint.graph import Stage, check
from finnyaml.steps.bipolar import represent_bipolar
from finnyaml.verify.executor import BatchedModel
from tests.lint.graphs import Net, cnn, images, run

ZCU102, VCK190 = "xczu9eg-ffvb1156-2-e", "xcvc1902-vsva2197-2MP-e-S"
TO_PARTITION = "streamline convert_to_hw minimize_bit_width_initial create_dataflow_partition"


def kinds(model):
    return [node.op_type for node in model.graph.node]


def named(styles, op_type):
    return [item for item in styles if item["op_type"] == op_type]


@pytest.fixture(scope="module")
def pooled(tmp_path_factory):
    """A dataflow partition of 2-bit matrix layers, with one max pooling: Pool_0 has no RTL variant in FINN."""
    return run(represent_bipolar(cnn()).model, TO_PARTITION, tmp_path_factory.mktemp("pooled"))


@pytest.fixture(scope="module")
def by_itself(pooled, tmp_path_factory):
    """What FINN makes of it when nothing is asked."""
    return run(pooled, "specialize_layers", tmp_path_factory.mktemp("by_itself"))


def test_rtl_that_finn_would_not_choose_by_itself(pooled, by_itself, tmp_path):
    assert kinds(by_itself).count("MVAU_hls") == 4
    before = pooled.model.SerializeToString()
    asked = prefer(pooled, "rtl")
    assert pooled.model.SerializeToString() == before
    made = run(asked, "specialize_layers", tmp_path)
    assert [kind for kind in kinds(made) if kind.endswith("_hls")] == ["Pool_hls"]
    assert kinds(made).count("MVAU_rtl") == 4


def test_what_finn_leaves_in_hls_becomes_our_rtl(pooled, tmp_path):
    made = run(prefer(pooled, "rtl"), "specialize_layers", tmp_path)
    before = made.model.SerializeToString()
    settled = settle(made, ZCU102)
    assert made.model.SerializeToString() == before
    assert {item["style"] for item in settled.styles} == {"rtl"}
    assert [item["node"] for item in settled.styles] == [node.name for node in settled.model.graph.node]
    assert [item["why"] for item in settled.styles] == [""] * len(settled.styles)
    assert kinds(settled.model).count("Pool_rtl") == 1
    data = images(made, 4)
    before_and_after = (BatchedModel(model).run(data)[model.graph.output[0].name] for model in (made, settled.model))
    np.testing.assert_array_equal(*before_and_after)


@pytest.mark.parametrize("file", ["nodes", "defaults"])
def test_the_file_of_the_recipe_wins(file, pooled, tmp_path):
    entries = {"MVAU_1": {ASKED: "hls"}, "Pool_0": {ASKED: "hls"}}
    if file == "defaults":
        entries = {"Defaults": {ASKED: ["hls", ["MVAU", "Pool"]]}, "MVAU_0": {ASKED: "rtl"}, "MVAU_2": {ASKED: "rtl"}}
        entries["MVAU_3"] = {ASKED: "rtl"}
    config = tmp_path / "specialize.json"
    config.write_text(json.dumps({"Defaults": {}, **entries}))
    asked = prefer(pooled, "rtl")
    made = run(asked, "specialize_layers", tmp_path, specialize_layers_config_file=str(config))
    settled = settle(made, ZCU102, wanted_in_hls(asked, config))
    assert kinds(settled.model).count("MVAU_rtl") == 3
    (matrix,), (pool,) = (named(settled.styles, kind) for kind in ("MVAU_hls", "Pool_hls"))
    assert matrix["why"] == pool["why"] == "the recipe asks for HLS"
    assert [item["node"] for item in settled.styles] == [node.name for node in settled.model.graph.node]
    assert kinds(settle(made, ZCU102).model).count("Pool_rtl") == 1, "without being told it would be ours"


def test_what_a_step_of_the_user_asked_for_wins(pooled, tmp_path):
    asked = copy.deepcopy(pooled)
    first = asked.get_nodes_by_op_type("MVAU")[0]
    first.attribute.append(helper.make_attribute(ASKED, "hls"))
    asked = prefer(asked, "rtl")
    made = run(asked, "specialize_layers", tmp_path)
    assert [kind for kind in kinds(made) if kind.startswith("MVAU")] == ["MVAU_hls"] + ["MVAU_rtl"] * 3
    assert wanted_in_hls(asked, None) == {first.output[0]}


def test_hls_can_be_preferred_too(pooled, tmp_path):
    asked = prefer(pooled, "hls")
    made = run(asked, "specialize_layers", tmp_path)
    settled = settle(made, ZCU102, wanted_in_hls(asked, None))
    assert settled.model.model == made.model
    assert {item["why"] for item in settled.styles if item["style"] == "hls"} == {"the recipe asks for HLS"}
    assert named(settled.styles, "FMPadding_rtl"), "which FINN has in RTL only"
    with pytest.raises(ValueError, match="no implementation style 'vhdl'"):
        prefer(pooled, "vhdl")


def test_why_a_layer_is_hls_although_it_need_not_be(by_itself):
    styles = settle(by_itself, ZCU102).styles
    whys = {item["why"] for item in named(styles, "MVAU_hls")}
    assert whys == {"FINN chose HLS, and RTL is possible (specialize: {prefer: rtl})"}


def test_xnor_and_merged_thresholds(tmp_path):
    binary = run(prefer(run(cnn(), TO_PARTITION, tmp_path), "rtl"), "specialize_layers", tmp_path)
    whys = [item["why"] for item in named(settle(binary, ZCU102).styles, "MVAU_hls")]
    assert sum("XNOR" in why and "represent_bipolar" in why for why in whys) == 3
    merged = run(represent_bipolar(cnn()).model, TO_PARTITION, tmp_path, standalone_thresholds=False)
    merged = run(prefer(merged, "rtl"), "specialize_layers", tmp_path)
    whys = [item["why"] for item in named(settle(merged, ZCU102).styles, "MVAU_hls")]
    assert len(whys) == 3 and all("standalone_thresholds: true" in why for why in whys)


def test_the_lint_rule_knows_what_is_preferred(pooled, tmp_path):
    """Pool_0, which one of our kernels takes, is not a finding, nor are layers that nobody asked anything of."""
    binary = run(cnn(), TO_PARTITION, tmp_path)
    config = {"fpga_part": ZCU102, "prefer": "rtl"}

    def found(model, **config):
        stage = Stage("task", "step_create_dataflow_partition", config)
        return [item.node for item in check(model, stage) if item.rule == "rtl-not-possible"]

    assert found(pooled, **config) == [] and "Pool" in kinds(pooled)
    assert found(binary, **config) == ["MVAU_1", "MVAU_2", "MVAU_3", "ElementwiseMul_0"]
    assert found(binary, **config, specialize={"MVAU_2": {ASKED: "hls"}}) == ["MVAU_1", "MVAU_3", "ElementwiseMul_0"]
    assert found(binary, fpga_part=ZCU102) == []


def depthwise(data="UINT4", weights="INT4"):
    """A product of 9 values per channel, of 4 channels on 2x2 places, as FINN's hardware layer."""
    net = Net((1, 2, 2, 36), data)
    given = {"PE": 1, "SIMD": 1, "Dim": [2, 2], "Channels": 4, "Kernel": [3, 3], "noActivation": 1}
    types = {"inputDataType": data, "weightDataType": weights, "outputDataType": "INT16"}
    values = net.constant(net.random.integers(-3, 4, (4, 1, 3, 3)), weights)
    model = net.model(
        net.node("VVAU", "x", values, domain=HARDWARE, backend="fpgadataflow", **given, **types), tidy=False
    )
    model.graph.node[0].name = "VVAU_0"
    model.set_tensor_shape(model.graph.output[0].name, [1, 2, 2, 4])
    return model


@pytest.mark.parametrize(
    ("model", "part", "words"),
    [
        (depthwise(), VCK190, None),
        (depthwise(), ZCU102, "Versal parts only"),
        (depthwise(data="UINT9"), VCK190, "activations are UINT9"),
        (depthwise(data="INT9"), VCK190, None),
        (depthwise(weights="INT9"), VCK190, "weights have 9 bits"),
        (depthwise(weights="UINT4"), VCK190, "weights are UINT4, not signed"),
    ],
)
def test_vector_products(model, part, words):
    """Every case is FINN's own decision; the reasons have to agree with it."""
    node = model.graph.node[0]
    assert decision(model, node, part) == ("hls" if words else "rtl")
    (reason,) = why_hls(model, node, part)
    assert (words or "RTL is possible") in reason


def test_layers_that_have_no_rtl_at_all_are_named_with_the_version():
    net = Net((1, 4), "INT4")
    model = net.model(net.node("LabelSelect", "x", domain=HARDWARE, Labels=4, PE=1, K=1), tidy=False)
    (reason,) = why_hls(model, model.graph.node[0], ZCU102)
    name, version = distribution_of_finn()
    assert reason == f"{name} {version} has no RTL variant of LabelSelect"
