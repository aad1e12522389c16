"""Whether a matrix layer's types hold its sums: the bounds against all inputs there are, and FINN's own choice."""

import itertools

import numpy as np
import pytest
from qonnx.core.datatype import DataType

from finnyaml.graph.view import View, attributes
from finnyaml.lint.graph import Stage, check
from finnyaml.lint.matrices import overflow, sums
from tests.lint.graphs import HARDWARE, Net, run

RULE = "accumulator-too-narrow"


def layer(weights, data="INT2", kind="MVAU", weight="INT4", output="INT32", **more):
    """A graph of one matrix layer with these weights: [inputs, outputs], or [channels, 1, k, k] for a VVAU."""
    weights = np.asarray(weights)
    net = Net((1, weights.shape[0]), data)
    sizes = {"MW": weights.shape[0], "MH": weights.shape[1], "SIMD": 1}
    if kind.startswith("VVAU"):
        sizes = {"Channels": weights.shape[0], "Kernel": list(weights.shape[2:]), "Dim": [1, 1]}
    types = {"inputDataType": data, "weightDataType": weight, "outputDataType": output, "accDataType": output}
    given = {**types, **sizes, "noActivation": 1, "backend": "fpgadataflow", "PE": 1, **more}
    given = {name: value for name, value in given.items() if value is not None}
    domain = HARDWARE + (f".{kind[-3:]}" if "_" in kind else "")
    made = net.model(net.node(kind, "x", net.constant(weights, weight), domain=domain, **given), tidy=False)
    made.graph.node[0].name = "layer"
    return made


def bounds(model):
    return sums(View(model), model.graph.node[0])


def wrong(model):
    return overflow(View(model), model.graph.node[0])


@pytest.mark.parametrize("data", ["INT2", "UINT2", "BIPOLAR", "TERNARY", "INT3", "UINT3"])
@pytest.mark.parametrize("seed", range(3))
def test_the_bounds_are_those_of_all_inputs(data, seed):
    weights = np.random.default_rng(seed).integers(-8, 8, (4, 3))
    datatype = DataType[data]
    values = [value for value in range(int(datatype.min()), int(datatype.max()) + 1) if datatype.allowed(value)]
    reached = np.array(list(itertools.product(values, repeat=4))) @ weights
    assert bounds(layer(weights, data)) == (reached.min(), reached.max())
    depthwise = layer(weights.T.reshape(3, 1, 2, 2), data, "VVAU")
    assert bounds(depthwise) == (reached.min(), reached.max())


@pytest.mark.parametrize("kind", ["MVAU", "MVAU_hls", "VVAU", "VVAU_hls"])
def test_xnor_counts_from_0_to_all(kind):
    weights = np.random.default_rng(0).integers(0, 2, (6, 9))
    if "VVAU" in kind:
        weights = weights.reshape(6, 1, 3, 3)
    model = layer(weights, "BINARY", kind, "BINARY", "INT4", binaryXnorMode=1)
    assert bounds(model) == ((0, 9) if "VVAU" in kind else (0, 6))
    assert (wrong(model) is None) == ("MVAU" in kind)


@pytest.mark.parametrize(
    "more",
    [{"runtime_writeable_weights": 1}, {"mem_mode": "external"}, {"mem_mode": "dynamic"}, {"mem_mode": "external_mem"}],
    ids=str,
)
def test_weights_that_can_change_may_be_anything(more):
    assert bounds(layer(np.ones((4, 2)), "UINT2")) == (0, 12)
    assert bounds(layer(np.ones((4, 2)), "UINT2", **more)) == (-8 * 3 * 4, 7 * 3 * 4)


@pytest.mark.parametrize(
    ("output", "more", "right"),
    [
        ("INT5", {}, "INT8"),  # at the end of the graph FINN wants whole bytes
        ("INT6", {}, None),
        ("UINT32", {}, "INT8"),
        ("INT5", {"noActivation": 0}, "INT6"),
        ("INT6", {"noActivation": 0, "outputDataType": "UINT2"}, None),
        ("INT6", {"outputDataType": "INT5"}, "INT8"),
        ("INT5", {"outputDataType": "INT6", "accDataType": None}, None),  # INT32 when left out
        ("FLOAT32", {}, None),
    ],
)
def test_which_types_count(output, more, right):
    model = layer([[7, -8], [7, 1]], "INT2", weight="INT4", output=output, **more)
    assert bounds(model) == (-28, 17)
    found = wrong(model)
    assert (found and found.right.name) == right


def test_float_layers_have_no_bounds():
    assert bounds(layer(np.ones((4, 2)), "FLOAT32")) is None
    assert bounds(layer(np.ones((4, 2)), "INT2", weight="FLOAT32")) is None
    assert wrong(layer(np.ones((4, 2)), "FLOAT32", output="INT2")) is None


def test_the_rule_speaks_once_the_types_are_settled():
    model = layer(np.ones((64, 2)), "BINARY", "MVAU_hls", "BINARY", "INT7", binaryXnorMode=1)
    early = Stage("specialize_layers", "step_specialize_layers", after=frozenset(("step_minimize_bit_width_initial",)))
    assert [finding for finding in check(model, early) if finding.rule == RULE] == []
    for last in ("step_minimize_bit_width", "step_hw_codegen"):
        (finding,) = (finding for finding in check(model, Stage(last, last)) if finding.rule == RULE)
        assert finding.node == "layer" and finding.repair == "widen_accumulators" and "UINT8" in finding.hint
        assert "XNOR matches from 0 to 64, but its type INT7 holds only -64 to 63" in finding.message


@pytest.mark.parametrize("data", ["UINT8", "INT8", "UINT4"])
def test_finns_own_types_are_wrong_for_xnor_only(tmp_path, data):
    net = Net((1, 16), data)
    x = net.matmul(net.sign(net.matmul("x", 16, 24), layout="NC"), 24, 8)
    x = net.sign(x, [[-3, 0, 3]], "NC", out_dtype="INT2", out_scale=1.0, out_bias=-2.0)
    made = run(net.model(net.matmul(x, 8, 4)), "streamline convert_to_hw minimize_bit_width_initial", tmp_path)
    view = View(made)
    layers = [node for node in view.nodes if node.op_type == "MVAU"]
    assert [attributes(node).get("binaryXnorMode", 0) for node in layers] == [0, 1, 0]
    assert [overflow(view, node) is not None for node in layers] == [False, True, False]
