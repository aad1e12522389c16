"""Each rule on a graph that breaks it, and on one that does not; where FINN has a word on it, FINN is asked too."""

import copy
import sys
import time

import numpy as np
import pytest
from onnx import helper
from qonnx.core.datatype import DataType

from finnyaml.lint.graph import Stage, check
from finnyaml.steps.repairs import represent_padding
from tests.lint.graphs import HARDWARE, QONNX, Net, answers, cnn, images, run

FLOW = [
    *("tidy_up", "streamline", "convert_to_hw", "minimize_bit_width_initial", "create_dataflow_partition"),
    *("specialize_layers", "target_fps_parallelization", "apply_folding_config", "minimize_bit_width"),
]


def stage(last: str, data: str | None = None, **config):
    """The stage after the step `last` of FINN's flow."""
    done = frozenset(f"step_{step}" for step in FLOW[: FLOW.index(last) + 1])
    return Stage(last, f"step_{last}", config, done, data)


def found(model, last, rule=None, data=None, **config):
    findings = check(model, stage(last, data, **config))
    return [finding for finding in findings if rule in (None, finding.rule)]


def dense(**more):
    """Two integer matrix products with 2-bit thresholds between them, as after streamlining: a clean graph."""
    net = Net((1, 8), "UINT8")
    x = net.matmul("x", 8, 16)
    x = net.sign(x, [[-5, 0, 5]], "NC", **{"out_dtype": "UINT2", "out_scale": 1.0, "out_bias": 0.0, **more})
    return net.model(net.matmul(x, 16, 4))


@pytest.fixture(scope="module")
def hardware(tmp_path_factory):
    """The clean graph after each of FINN's steps from convert_to_hw on, by the step's name."""
    folder = tmp_path_factory.mktemp("finn")
    model, made = dense(), {}
    for step in FLOW[2:]:
        model = run(model, step, folder)
        made[step] = copy.deepcopy(model)
    return made


def test_a_clean_graph_has_no_findings_at_any_stage(hardware):
    config = {"target_fps": 1000, "synth_clk_period_ns": 10.0, "board": "ZCU102"}
    assert found(dense(), "tidy_up", data="UINT8", **config) == []
    assert found(dense(), "streamline", data="UINT8", **config) == []
    for step, model in hardware.items():
        findings = found(model, step, data="UINT8", **config)
        assert {finding.rule for finding in findings} <= {"bipolar-weights-widened", "throughput-off-target"}, step
    last = "minimize_bit_width"
    widened = found(hardware[last], last, "bipolar-weights-widened")
    assert [finding.node for finding in widened] == ["MVAU_hls_0", "MVAU_hls_1"]


def test_padding_is_found_at_every_stage_and_gone_when_repaired(tmp_path):
    rule = "padding-cannot-be-represented"
    broken, repaired = cnn(), represent_padding(cnn()).model
    wanted = {"tidy_up": ["Conv_1", "Conv_2"], "streamline": ["Im2Col_1", "Im2Col_2"]}
    wanted |= {step: ["FMPadding_1", "FMPadding_2"] for step in FLOW[2:5]}
    for step in FLOW[:5]:
        if step != "tidy_up":
            broken, repaired = run(broken, step, tmp_path), run(repaired, step, tmp_path)
        findings = found(broken, step, rule)
        assert [finding.node for finding in findings] == wanted[step], step
        assert {finding.repair for finding in findings} == {"represent_padding"}
        assert {finding.severity for finding in findings} == {"error"}
        assert found(repaired, step, rule) == []


def test_padding_without_xnor_arithmetic(tmp_path):
    """Bipolar data and weights of more bits: FINN's own padding layer refuses, late."""
    net = Net((1, 2, 6, 6))
    x = net.sign(net.conv("x", 4, 2), net.random.integers(-8, 8, (4, 1)) + 0.5)
    weights = net.constant(net.random.integers(-4, 4, (3, 4, 3, 3)), "INT3")
    given = {"kernel_shape": [3, 3], "strides": [1, 1], "dilations": [1, 1], "group": 1}
    model = net.model(net.node("Conv", x, weights, pads=[1] * 4, **given))
    streamlined = run(model, "streamline", tmp_path)
    (finding,) = found(streamlined, "streamline", "padding-cannot-be-represented")
    assert finding.node == "Im2Col_1" and "is BIPOLAR" in finding.message
    with pytest.raises(AssertionError, match="must support zero"):
        run(streamlined, "convert_to_hw", tmp_path, standalone_thresholds=False)
    data = images(model, 4)
    made = run(represent_padding(model).model, "streamline convert_to_hw", tmp_path)
    np.testing.assert_array_equal(answers(made, data), answers(model, data))


def test_padding_is_found_before_qonnx_becomes_finn():
    net = Net((1, 2, 6, 6))
    x = net.node("BipolarQuant", net.conv("x", 4, 2), net.constant(0.5), domain=QONNX)
    (finding,) = found(net.model(net.conv(net.pool(x), 3, 4)), "tidy_up")
    assert "Conv_1 pads with 0" in finding.message and "BipolarQuant_0" in finding.message


def convolution(net, x, **given):
    return net.node("Conv", x, net.bipolar((3, 2, 3, 3)), kernel_shape=[3, 3], **given)


def transposed(net, x, size, **given):
    return net.node("ConvTranspose", x, net.bipolar((2, 3, size, size)), kernel_shape=[size, size], **given)


def padding(net, x, amounts, value=None, **given):
    constants = [net.constant(amounts, kind=np.int64)] + ([] if value is None else [net.constant(value)])
    return net.node("Pad", x, *constants, **given)


@pytest.mark.parametrize(
    ("form", "padded"),
    [
        (lambda net, x: convolution(net, x, pads=[1, 1, 1, 1]), True),
        (lambda net, x: convolution(net, x, pads=[0, 0, 0, 1]), True),
        (lambda net, x: convolution(net, x, pads=[0, 0, 0, 0]), False),
        (lambda net, x: convolution(net, x), False),
        (lambda net, x: convolution(net, x, auto_pad="SAME_LOWER"), True),
        (lambda net, x: convolution(net, x, auto_pad="VALID"), False),
        (lambda net, x: transposed(net, x, 2, strides=[2, 2]), True),
        (lambda net, x: transposed(net, x, 3), True),
        (lambda net, x: transposed(net, x, 1), False),
        (lambda net, x: padding(net, x, [0, 0, 1, 1, 0, 0, 1, 1]), True),
        (lambda net, x: padding(net, x, [0] * 8), False),
        (lambda net, x: padding(net, x, [0, 0, 1, 1, 0, 0, 1, 1], 1.0), False),
        (lambda net, x: padding(net, x, [0, 0, 1, 1, 0, 0, 1, 1], 2.0), "always"),
        (lambda net, x: padding(net, x, [0, 0, 1, 1, 0, 0, 1, 1], mode="edge"), False),
        (lambda net, x: net.node("MaxPool", x, kernel_shape=[2, 2], pads=[1, 1, 1, 1]), False),
    ],
)
def test_what_pads(form, padded):
    for datatype in ("BIPOLAR", "INT2"):
        net = Net((1, 2, 6, 6), datatype)
        findings = found(net.model(form(net, "x")), "tidy_up", "padding-cannot-be-represented")
        assert len(findings) == (padded == "always" or (padded and datatype == "BIPOLAR"))


def test_padded_pooling_of_signed_values(tmp_path):
    for datatype, wrong in (("INT4", True), ("UINT4", False)):
        net = Net((1, 6, 6, 2), datatype)
        attributes = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [1, 1, 1, 1]}
        x = net.node("MaxPoolNHWC", "x", domain=QONNX, **attributes)
        model = net.model(net.node("MatMul", x, net.bipolar((2, 3))))
        assert len(found(model, "streamline", "padded-pooling-of-signed-values")) == wrong
        if wrong:
            with pytest.raises(Exception, match="pad_val != 0"):
                run(model, "convert_to_hw", tmp_path)
        else:
            run(model, "convert_to_hw", tmp_path)


def test_a_bias_that_was_moved_away():
    net = Net((1, 4, 2), "INT8")
    x = net.sign("x", [[-1, 1]], "NC", out_dtype="INT2", out_scale=1.0, out_bias=0.0)
    x = net.flat(x, 8)
    model = net.model(net.matmul(net.node("Add", x, net.constant(-1.0)), 8, 3))
    (finding,) = found(model, "tidy_up", "signed-output-never-negative")
    assert "0 to 2, but its output is annotated INT2" in finding.message
    assert "Add_0" in finding.message and "MoveScalarLinearPastInvariants" in finding.message
    assert finding.repair == "correct_annotations"


def test_a_bias_that_will_be_absorbed_is_no_finding():
    net = Net((1, 8), "INT8")
    x = net.sign("x", [[-1, 1]], "NC", out_dtype="INT2", out_scale=1.0, out_bias=0.0)
    model = net.model(net.matmul(net.node("Add", x, net.constant(-1.0)), 8, 3))
    assert found(model, "tidy_up", "signed-output-never-negative") == []
    assert len(found(model, "streamline", "signed-output-never-negative")) == 1


@pytest.mark.parametrize(
    ("datatype", "lowest", "wrong"), [("UINT8", -0.5, True), ("UINT8", 0.0, False), ("INT8", -3.0, False)]
)
def test_negative_thresholds(tmp_path, datatype, lowest, wrong):
    net = Net((1, 8), datatype)
    x = net.sign("x", [[lowest, 1.5, 9.5]], "NC", out_dtype="UINT2", out_scale=1.0, out_bias=0.0)
    model = net.model(net.matmul(x, 8, 3))
    rule = "negative-threshold-on-unsigned-input"
    assert found(model, "tidy_up", rule) == [], "too early to know"
    assert len(found(model, "streamline", rule)) == wrong
    made = run(model, "convert_to_hw", tmp_path)
    assert len(found(made, "convert_to_hw", rule)) == wrong
    if wrong:
        with pytest.raises(AssertionError, match=r"^$"):
            run(made, "minimize_bit_width_initial", tmp_path)
    else:
        made = run(made, "minimize_bit_width_initial", tmp_path)
        assert found(made, "minimize_bit_width_initial", rule) == []


@pytest.mark.parametrize(
    ("more", "standalone", "words"),
    [
        ({}, True, None),
        ({"out_scale": 0.5}, True, "out_scale is 0.5"),
        ({"out_bias": 0.5}, True, None),  # even steps: FINN makes a Requant of it
        ({"out_bias": 0.5, "thresholds": [[-5, 0, 7]]}, True, "out_bias 0.5 is not an integer"),
        ({"out_dtype": "BIPOLAR", "out_scale": 2.0, "out_bias": -1.0}, True, "BIPOLAR"),
        ({"out_dtype": "BIPOLAR", "out_scale": 2.0, "out_bias": -1.0}, False, None),
    ],
    ids=str,
)
def test_thresholds_that_finn_refuses(tmp_path, more, standalone, words):
    net = Net((1, 8), "UINT8")
    more = dict(more)
    thresholds = more.pop("thresholds", [[0.5]] if more.get("out_dtype") == "BIPOLAR" else [[-5, 0, 5]])
    x = net.matmul("x", 8, 16)
    x = net.sign(x, thresholds, "NC", **{"out_dtype": "UINT2", "out_scale": 1.0, "out_bias": 0.0, **more})
    weights = net.constant(net.random.integers(-4, 4, (16, 4)), "INT3")
    model = net.model(net.node("MatMul", x, weights))
    findings = found(model, "streamline", "threshold-not-convertible", standalone_thresholds=standalone)
    assert [finding.node for finding in findings] == (["MultiThreshold_0"] if words else [])
    assert words is None or words in findings[0].message
    if words:
        with pytest.raises(Exception, match="MultiThreshold_0"):
            run(model, "convert_to_hw", tmp_path, standalone_thresholds=standalone)
    else:
        run(model, "convert_to_hw", tmp_path, standalone_thresholds=standalone)


def test_what_stands_between_hardware_layers(tmp_path):
    net = Net((1, 8), "UINT8")
    quantizer = {"out_dtype": "UINT2", "out_scale": 1.0, "out_bias": 0.0}
    x = net.node("Ceil", net.sign(net.matmul("x", 8, 16), [[-5, 0, 5]], "NC", **quantizer))
    x = net.sign(net.matmul(x, 16, 8), [[-5, 0, 5]], "NC", **quantizer)
    model = run(net.model(net.matmul(x, 8, 4)), "convert_to_hw", tmp_path)
    findings = found(model, "convert_to_hw", "node-between-hardware-layers")
    assert [finding.node for finding in findings] == ["Ceil_0", "MatMul_0"]
    assert "no hardware layer for Ceil" in findings[0].message
    assert "FLOAT32" in findings[1].message and "integers only" in findings[1].message
    with pytest.raises(Exception, match="found in between FINN operators"):
        run(model, "create_dataflow_partition", tmp_path)


def test_nodes_at_the_ends_are_for_the_host(tmp_path):
    net = Net((1, 8), "UINT8")
    x = net.matmul(net.node("Ceil", net.node("Identity", "x")), 8, 4)
    first = net.sign(x, [[-5, 0, 5]], "NC", out_dtype="UINT2", out_scale=1.0, out_bias=0.0)
    model = run(net.model(net.node("Ceil", net.matmul(first, 4, 4))), "convert_to_hw", tmp_path)
    assert {"Ceil"} <= {node.op_type for node in model.graph.node}
    assert found(model, "convert_to_hw", "node-between-hardware-layers") == []


def test_float_arithmetic_that_is_left(tmp_path):
    net = Net((1, 8), "UINT8")
    scaled = net.node("Mul", "x", net.constant(0.1))  # in front of the first quantizer
    x = net.sign(scaled, [[0.1, 0.2, 0.3]], "NC", out_dtype="UINT2", out_scale=1.0, out_bias=0.0)
    model = net.model(net.node("Mul", net.matmul(x, 8, 4), net.constant(0.5)))
    assert found(model, "tidy_up", "float-in-dataflow") == []
    assert [finding.node for finding in found(model, "streamline", "float-in-dataflow")] == ["Mul_1"]
    made = run(model, "streamline convert_to_hw", tmp_path)
    (finding,) = found(made, "convert_to_hw", "float-in-dataflow")
    assert finding.node == "ElementwiseMul_0" and "FLOAT32" in finding.message


@pytest.mark.parametrize(
    ("given", "data", "rule"),
    [
        ("INT8", "UINT8", "input-cannot-hold-data"),
        ("UINT4", "UINT8", "input-cannot-hold-data"),
        ("UINT8", "INT8", "input-cannot-hold-data"),
        ("FLOAT32", "UINT8", "input-is-float"),
        ("UINT8", "UINT8", None),
        ("INT9", "UINT8", None),
        ("FLOAT32", "FLOAT32", None),
        ("UINT8", None, None),
        ("FLOAT32", None, None),
    ],
)
def test_the_input_against_the_data(given, data, rule):
    net = Net((1, 8), given)
    model = net.model(net.matmul("x", 8, 4))
    findings = found(model, "tidy_up", data=data)
    assert [finding.rule for finding in findings] == ([rule] if rule else [])
    assert all(finding.pointer == ("model", "input", "datatype") for finding in findings)
    assert ("128 becomes -128" in str(findings)) == (given == "INT8")


def test_a_folding_that_does_not_divide(hardware):
    model = hardware["specialize_layers"]
    before = model.model.SerializeToString()
    rule = "folding-does-not-divide"

    def messages(folding, last="specialize_layers"):
        return [finding.message for finding in found(model, last, rule, folding=folding)]

    assert messages({"MVAU_hls_0": {"PE": 4, "SIMD": 2}}) == []
    assert messages({"MVAU_hls_0": {"SIMD": 3}}) == ["MVAU_hls_0: SIMD 3 does not divide MW 8"]
    assert messages({"MVAU_hls_0": {"PE": 5}}) == ["MVAU_hls_0: PE 5 does not divide MH 16"]
    assert messages({"Defaults": {"PE": [16, ["MVAU_hls"]]}}) == ["MVAU_hls_1: PE 16 does not divide MH 4"]
    assert messages({"Defaults": {"PE": [16, ["MVAU_hls"]]}, "MVAU_hls_1": {"PE": 2}}) == []
    assert messages({"Thresholding_rtl_0": {"PE": 3}}) == ["Thresholding_rtl_0: PE 3 does not divide NumChannels 16"]
    assert messages({"MVAU_hls_9": {"PE": 3}}) == [], "a name without a node is an error elsewhere"
    (finding,) = found(model, "specialize_layers", rule, folding={"MVAU_hls_0": {"SIMD": 3}})
    assert finding.hint == "divisors of 8: 1, 2, 4, 8" and finding.pointer == ("folding", "nodes", "MVAU_hls_0")
    assert messages({"MVAU_hls_0": {"SIMD": 3}}, "apply_folding_config") == [], "it has been applied"
    assert model.model.SerializeToString() == before


def test_no_folding(hardware):
    model, last = hardware["apply_folding_config"], "apply_folding_config"
    (finding,) = found(model, last, "no-folding", synth_clk_period_ns=10.0)
    assert "128 cycles per frame in MVAU_hls_0, 781,250.0 frames a second" in finding.message
    assert found(model, last, "no-folding", target_fps=10) == []
    assert found(model, last, "no-folding", folding={"MVAU_hls_0": {"PE": 1}}) == []
    assert found(hardware["specialize_layers"], "specialize_layers", "no-folding") == [], "a step may still fold"


def test_throughput(hardware):
    model, last = hardware["apply_folding_config"], "apply_folding_config"

    def findings(model, **config):
        return found(model, last, "throughput-off-target", **{"synth_clk_period_ns": 10.0, **config})

    (slow,) = findings(model, target_fps=1_000_000)
    assert slow.node == "MVAU_hls_0" and "781,250 frames a second" in slow.message and "PE 1, SIMD 1" in slow.message
    assert findings(model, target_fps=800_000) == [], "close enough"
    assert findings(model, target_fps=1000) == [], "too fast, but there is nothing left to fold"
    assert findings(model) == [] and findings(model, target_fps=1_000_000, synth_clk_period_ns=5.0) == []
    folded = copy.deepcopy(model)
    for node in folded.graph.node:
        for attribute in node.attribute:
            if attribute.name in ("PE", "SIMD"):
                attribute.i = 4
    (fast,) = findings(folded, target_fps=1000)
    assert "fold more" in fast.hint


def test_a_slowest_layer_that_the_folding_does_not_name(hardware):
    last = "apply_folding_config"
    model = copy.deepcopy(hardware[last])
    folding = {"MVAU_hls_0": {"PE": 16, "SIMD": 4}}  # 2 cycles; MVAU_hls_1 needs 64 and is not named
    for node in model.graph.node:
        for attribute in node.attribute:
            attribute.i = folding.get(node.name, {}).get(attribute.name, attribute.i)

    def findings(folding, last=last, **config):
        return found(model, last, "unnamed-bottleneck", folding=folding, **config)

    (slow,) = findings(folding, synth_clk_period_ns=10.0)
    assert slow.node == "MVAU_hls_1" and slow.pointer == ("folding",)
    assert slow.message == (
        "MVAU_hls_1 needs 64 cycles per frame, 1,562,500.0 frames a second, and the folding does not name it; the "
        "slowest layer that it names, MVAU_hls_0, needs 2"
    )
    assert slow.hint == "add it to the folding: `MVAU_hls_1: {PE: 4}` makes it 16 cycles"
    thresholds = {"Thresholding_rtl_0": {"PE": 1}}
    (half,) = findings({**folding, **thresholds})
    assert half.hint == slow.hint and "slowest layer that it names, Thresholding_rtl_0, needs 16" in half.message
    assert findings({**folding, "MVAU_hls_1": {"PE": 1}}) == [], "it is named"
    assert findings({**folding, "Defaults": {"PE": [1, ["MVAU_hls"]]}}) == []
    assert findings({}) == [] and findings(folding, target_fps=1000) == [], "FINN folds it"
    assert findings(folding, last="specialize_layers") == [], "nothing is folded yet"


@pytest.mark.parametrize(
    ("attributes", "found_one"),
    [
        ({"runtime_writeable_weights": 1, "mem_mode": "internal_embedded"}, True),
        ({"runtime_writeable_weights": 1, "mem_mode": "external"}, True),
        ({"runtime_writeable_weights": 1, "mem_mode": "internal_decoupled"}, False),
        ({"runtime_writeable_weights": 1}, False),
        ({"runtime_writeable_weights": 0, "mem_mode": "external"}, False),
    ],
    ids=str,
)
def test_runtime_weights(hardware, attributes, found_one):
    rule = "runtime-weights-ignored"
    folding = {"MVAU_hls_0": attributes}
    assert len(found(hardware["specialize_layers"], "specialize_layers", rule, folding=folding)) == found_one
    defaults = {"Defaults": {name: [value, "all"] for name, value in attributes.items()}}
    matrices = 2 if found_one else 0
    findings = found(hardware["specialize_layers"], "specialize_layers", rule, folding=defaults)
    assert len([finding for finding in findings if finding.node.startswith("MVAU")]) == matrices


def product(data="INT4", weights="INT4", result="INT16", **more):
    """One matrix layer that specialize_layers has to decide about."""
    net = Net((1, 8), data)
    given = {"MW": 8, "MH": 4, "SIMD": 1, "PE": 1, "noActivation": 1, "backend": "fpgadataflow", **more}
    types = {"inputDataType": data, "weightDataType": weights, "outputDataType": result}
    y = net.node("MVAU", "x", net.bipolar((8, 4)), domain=HARDWARE, numInputVectors=[1], **given, **types)
    model = net.model(y, tidy=False)
    model.graph.node[0].name = "MVAU_0"
    model.set_tensor_shape(y, [1, 4])
    model.set_tensor_datatype(y, DataType[result])
    return model


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (product(), None),
        (product(data="INT2", weights="INT2"), None),
        (product(noActivation=0), "standalone_thresholds: true"),
        (product(data="BINARY", weights="BINARY", binaryXnorMode=1), "XNOR"),
        (product(weights="UINT4"), "UINT4, not signed"),
        (product(weights="BIPOLAR"), "weights have 1 bit"),
        (product(data="BINARY"), "activations have 1 bit"),
        (product(result="INT60"), "accumulator need 60 bits, a DSP48E2 has 48"),
        (product(data="UINT18"), "activations need 19 bits, a DSP48E2 has 18"),
        (product(data="UINT17"), None),
    ],
)
def test_rtl_that_is_not_possible(model, words):
    """The decision is FINN's own; a case for which no reason is known here would show as the general one."""
    last, rule = "create_dataflow_partition", "rtl-not-possible"
    for wish in ({"MVAU_0": {"preferred_impl_style": "rtl"}}, {"Defaults": {"preferred_impl_style": ["rtl", "all"]}}):
        findings = found(model, last, rule, board="ZCU102", specialize=wish)
        assert len(findings) == bool(words)
        assert not words or words in findings[0].message
    assert found(model, last, rule, board="ZCU102") == []
    assert found(model, last, rule, specialize={"MVAU_0": {"preferred_impl_style": "rtl"}}) == [], "no part is known"
    hls = {"Defaults": {"preferred_impl_style": ["rtl", "all"]}, "MVAU_0": {"preferred_impl_style": "hls"}}
    assert found(model, last, rule, board="ZCU102", specialize=hls) == []


def test_rtl_by_attribute_and_layers_that_have_none(hardware):
    last, rule = "create_dataflow_partition", "rtl-not-possible"
    model = product(noActivation=0)
    model.graph.node[0].attribute.append(helper.make_attribute("preferred_impl_style", "rtl"))
    assert len(found(model, last, rule, board="ZCU102")) == 1
    everything = {"Defaults": {"preferred_impl_style": ["rtl", "all"]}}
    findings = found(product(weights="BIPOLAR"), last, rule, fpga_part="xc7z020clg400-1", specialize=everything)
    assert len(findings) == 1
    node = copy.deepcopy(model)
    node.graph.node[0].op_type = "LabelSelect"
    (finding,) = found(node, last, rule, board="ZCU102")
    assert "no RTL variant of LabelSelect" in finding.message


def test_it_takes_milliseconds_and_needs_no_finn_before_there_is_hardware():
    model = cnn()
    check(model, stage("tidy_up"))
    start = time.process_time()  # not the time of day: the machine may have much to do
    for _ in range(10):
        check(model, stage("tidy_up"))
    assert (time.process_time() - start) / 10 < 0.02


def test_finn_is_not_imported_for_a_graph_without_hardware():
    import subprocess

    code = (
        "import sys; from tests.lint.graphs import cnn; from finnyaml.lint.graph import Stage, check; "
        "assert check(cnn(), Stage('t', 'step_streamline')); "
        "print([name for name in sys.modules if name.partition('.')[0] == 'finn'])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
