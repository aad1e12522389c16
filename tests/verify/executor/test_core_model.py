"""The batched model as a whole: violations, rounding, the self-check, large sums, partitions, signatures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper

from benchmarks.networks import signature
from finnyaml.verify.executor import BatchedModel, NotExecutable, checked, whole_model
from finnyaml.verify.executor.base import LOWERINGS, Lowering
from finnyaml.verify.executor.folding import first_reaching
from finnyaml.verify.executor.segments import alone
from tests.verify.executor.graphs import agrees, custom, graph, node, reference
from tests.verify.executor.test_core_qonnx import windows

RANDOM = np.random.default_rng(9)
LAST_FLOAT = np.finfo(np.float32).max

pytestmark = pytest.mark.filterwarnings("ignore:The values of tensor")


def doubled(datatype: str = "INT8", out: str = "INT8") -> ModelWrapper:
    """y = 2 x."""
    constants = {"two": np.float32(2)}
    return graph([node("Mul", ["x", "two"], ["y"])], {"x": [1, 4], "y": [1, 4]}, constants, {"x": datatype, "y": out})


# ------------------------------------------------------------------------------------------------------- violations


def test_a_tensor_outside_its_annotation_is_reported_once_with_the_extremes_of_all_data() -> None:
    batched = BatchedModel(doubled())
    batched.run(np.array([[1, -2, 3, 63]]))
    assert batched.violations == []
    batched.run(np.array([[1, -2, 3, 100]]))
    batched.run(np.array([[1, -120, 3, 65]]))
    (violation,) = batched.violations
    assert (violation.tensor, violation.node, violation.op_type, violation.datatype) == ("y", "Mul_0", "Mul", "INT8")
    assert (violation.low, violation.high) == (-240, 200)


def test_what_provably_fits_is_not_watched() -> None:
    watched = [BatchedModel(doubled(out=out)).program.steps[0].watches for out in ("INT9", "INT8")]
    assert [len(w) for w in watched] == [0, 1]


def test_bipolar_values_that_are_zero_are_reported() -> None:
    made = [node("Sub", ["x", "one"], ["y"])]
    annotations = {"x": "UINT2", "y": "BIPOLAR"}
    batched = BatchedModel(graph(made, {"x": [1, 2], "y": [1, 2]}, {"one": np.float32(1)}, annotations))
    batched.run(np.array([[0, 2], [2, 0]]))
    assert batched.violations == []
    batched.run(np.array([[0, 1]]))
    assert [(v.low, v.high) for v in batched.violations] == [(0, 0)]


def test_padding_that_the_annotation_cannot_represent_is_reported_without_data() -> None:
    made, patches = windows([1, 4, 4, 2], (3, 3), pads=(1, 1, 1, 1))
    model = graph([made], {"x": [1, 4, 4, 2], "w": patches}, {}, {"x": "BIPOLAR", "w": "BIPOLAR"}, outputs=["w"])
    (violation,) = BatchedModel(model).violations
    assert (violation.op_type, violation.datatype, violation.low, violation.high) == ("Im2Col", "BIPOLAR", 0, 0)
    made, patches = windows([1, 4, 4, 2], (3, 3))
    model = graph([made], {"x": [1, 4, 4, 2], "w": patches}, {}, {"x": "BIPOLAR", "w": "BIPOLAR"}, outputs=["w"])
    assert BatchedModel(model).violations == []


def test_input_outside_its_annotation_is_reported_and_still_computed_right() -> None:
    thresholds = np.sort(RANDOM.integers(-100, 100, (1, 40))).astype(np.float32)
    made = custom("MultiThreshold", ["x", "t"], ["y"], out_dtype="UINT6", data_layout="NC")
    model = graph([made], {"x": [1, 4], "y": [1, 4]}, {"t": thresholds}, {"x": "UINT4", "y": "UINT6"})
    batched = BatchedModel(model)
    samples = np.array([[-90, 3, 8, 300], [1, 2, 3, 4]])
    np.testing.assert_array_equal(batched.run(samples)["y"], reference(model, samples)["y"])
    assert [(v.tensor, v.low, v.high) for v in batched.violations] == [("x", -90, 300)]


def test_input_that_is_not_integer_is_refused_as_qonnx_does() -> None:
    batched = BatchedModel(doubled())
    with pytest.raises(
        NotExecutable, match=r"x is annotated INT8 but holds values that are not integers \(off by up to 0.5"
    ):
        batched.run(np.array([[0.5, 1, 2, 3]]))
    np.testing.assert_array_equal(batched.run(np.array([[1.001, 2, 3, 4]]))["y"], [[2, 4, 6, 8]])


def test_tensors_annotated_as_integers_are_rounded_as_qonnx_does() -> None:
    nodes = [
        helper.make_node("Mul", ["x", "s"], ["a"], name="scaled"),
        helper.make_node("Div", ["a", "s"], ["b"], name="back"),
        helper.make_node("Floor", ["b"], ["y"], name="floor"),
    ]
    shapes = {t: [1, 250] for t in "xaby"}
    model = graph(nodes, shapes, {"s": np.float32(0.1137)}, {"x": "UINT8", "b": "UINT8", "y": "UINT8"})
    samples = np.arange(250)[None]
    agrees(model, samples)
    np.testing.assert_array_equal(BatchedModel(model).run(samples)["y"], samples)
    model.set_initializer("s", np.float32(0.1))
    nodes[1].input[1] = "x"
    wrong = graph(nodes[:2], shapes, {"s": np.float32(0.1)}, {"x": "UINT8", "b": "UINT8"}, outputs=["b"])
    with pytest.raises(NotExecutable, match="b is annotated UINT8"):
        BatchedModel(wrong).run(samples[:, ::-1] + 1)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_sums_in_8_bits_are_still_watched(over: int) -> None:
    """A convolution followed by a threshold keeps no sums; that they stay in range is proven, or they are watched."""
    weights = RANDOM.choice([-1, 1], (4, 8, 3, 3)).astype(np.float32)
    weights[0] = 1
    image = np.ones((1, 8, 3, 3), np.float32)
    image[0, :3, 0, 0] = 0  # what follows cannot be proven without data: the sum could be larger by 3
    largest = int(image.sum())
    limit = largest - over
    nodes = [
        node("Conv", ["x", "w"], ["s"], kernel_shape=[3, 3]),
        node("Add", ["s", "b"], ["a"]),
        custom("MultiThreshold", ["a", "t"], ["y"], out_dtype="BINARY"),
    ]
    thresholds = np.array([[-21], [-19], [-20], [-22]], np.float32) + 127
    constants = {"w": weights, "b": np.float32(127 - limit), "t": thresholds}
    shapes = {"x": [1, 8, 3, 3], "s": [1, 4, 1, 1], "a": [1, 4, 1, 1], "y": [1, 4, 1, 1]}
    model = graph(nodes, shapes, constants, {"x": "BINARY", "a": "INT8", "y": "BINARY"})
    samples = np.concatenate([image, RANDOM.integers(0, 2, (40, 8, 3, 3))])
    batched = BatchedModel(model)
    (segment,) = batched.program.steps
    assert "QLinearConv" in {n.op_type for n in segment.nodes}
    assert (len(segment.watches), len(segment.guards)) == (0, 1)
    np.testing.assert_array_equal(batched.run(samples[1:])["y"], reference(model, samples[1:])["y"])
    assert batched.program.steps[0] is segment
    np.testing.assert_array_equal(batched.run(samples)["y"], reference(model, samples)["y"])
    assert [v.high for v in batched.violations] == ([127 + over] if over > 0 else [])


@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_normalisation_before_a_threshold_is_folded_to_the_bit(offset: float) -> None:
    """Scales of both signs and 0; every integer sum, and the reals around each threshold."""
    channels, generator = 6, np.random.default_rng(3)
    scale = np.array([0.7, -1.3, 0.0, 1e-3, -2e-4, 5.0], np.float32)
    normal = [generator.normal(size=channels).astype(np.float32) for _ in range(2)]
    variance = generator.uniform(0.5, 40, channels).astype(np.float32)
    nodes = [
        node("Add", ["x", "o"], ["a"]),
        node("BatchNormalization", ["a", "s", "b", "m", "v"], ["n"]),
        custom("MultiThreshold", ["n", "t"], ["y"], out_dtype="UINT2"),
    ]
    constants = {"o": np.float32(offset), "s": scale, "b": normal[0], "m": normal[1], "v": variance}
    constants["t"] = np.sort(generator.normal(size=(channels, 3)), axis=1).astype(np.float32)
    shapes = {t: [1, channels, 3, 3] for t in "xany"}
    model = graph(nodes, shapes, constants, {"x": "INT8", "y": "UINT2"})
    values = np.arange(-130, 131).clip(-128, 127).reshape(29, 1, 3, 3)
    samples = np.repeat(values, channels, axis=1)
    batched = agrees(model, samples)
    lowered = {n.op_type for s in batched.program.steps for n in s.nodes}
    assert "BatchNormalization" not in lowered
    assert len(np.unique(batched.run(samples)["y"])) > 2

    runs = alone(nodes[1], constants)
    first = first_reaching(nodes[1], constants, constants["t"][:, 1])
    with np.errstate(over="ignore"):
        below = np.nextafter(first, np.float32(-np.inf))
    for moved, reached in ((first, scale >= 0), (below, scale < 0)):
        image = np.broadcast_to(moved[:, None, None], (2, channels, 5, 5)).copy()
        expected = np.broadcast_to(reached[:, None, None], image.shape)
        finite = np.isfinite(image) & (np.abs(image) < LAST_FLOAT)
        np.testing.assert_array_equal((runs(image) >= constants["t"][:, 1, None, None])[finite], expected[finite])


def test_finns_reshape_is_known_in_a_fresh_process() -> None:
    """FINN registers it only along with the RTL layers."""
    script = """if True:
        from finnyaml.verify.executor import BatchedModel
        from tests.verify.executor.one_layer import Tensor, layer

        tensors = {"x": Tensor([1, 6], "INT4")}, {"y": Tensor([1, 2, 3], "INT4")}
        made = layer("Reshape", *tensors, inp_shape=[1, 6], out_shape=[1, 2, 3], dtype="INT4")
        batched = BatchedModel(made.model)
        assert batched.fallbacks == (), batched.fallbacks
        assert batched.run(made.samples)["y"].shape == (5, 2, 3)
    """
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ------------------------------------------------------------------------------------------------------- exact sums


@pytest.mark.parametrize("lowered_from", ["MatMul", "Conv"])
def test_sums_beyond_2_to_the_24_are_held_exactly(lowered_from: str) -> None:
    """One large sum and a one: float32 would lose the one."""
    big = np.full((1, 520), 255)
    big[0, -1] = 1
    w = np.full((520, 1), 129.0, np.float32)
    w[-1] = 1
    if lowered_from == "MatMul":
        model = graph([node("MatMul", ["x", "w"], ["y"])], {"x": [1, 520], "y": [1, 1]}, {"w": w}, {"x": "UINT8"})
        exact = big @ w.astype(np.float64)
    else:
        image = big.reshape(1, 1, 20, 26)
        kernel = {"w": w.reshape(1, 1, 20, 26)}
        model = graph(
            [node("Conv", ["x", "w"], ["y"])], {"x": [1, 1, 20, 26], "y": [1, 1, 1, 1]}, kernel, {"x": "UINT8"}
        )
        exact, big = (big @ w.astype(np.float64)), image
    found = BatchedModel(model, taps=[]).run(big)["y"]
    assert float(found.reshape(())) == np.float32(exact.item())
    assert "Cast" in {n.op_type for s in BatchedModel(model).program.steps for n in s.nodes}


def test_sums_of_reals_are_not_optimised_but_sums_of_integers_are() -> None:
    weights = {"w": RANDOM.integers(-3, 4, (6, 5)).astype(np.float32)}
    shapes = {"x": [1, 6], "y": [1, 5]}
    made = [node("MatMul", ["x", "w"], ["y"])]
    optimised = [
        BatchedModel(graph(made, shapes, weights, {"x": t})).program.steps[0].optimised for t in ("INT4", "FLOAT32")
    ]
    assert optimised == [True, False]


def convolution(steps: int, kept: bool = False) -> list[str]:
    """The kinds of nodes that windows, a depthwise or dense product and thresholds become."""
    made, patches = windows([1, 6, 6, 4], (3, 3), pads=(1, 1, 1, 1))
    weights = np.tile(np.eye(4), (9, 1)) if kept else RANDOM.choice([-1, 1], (36, 4))
    nodes = [made, node("MatMul", ["w", "m"], ["a"])]
    nodes.append(custom("MultiThreshold", ["a", "t"], ["y"], out_dtype="UINT4", data_layout="NHWC"))
    shapes = {"x": [1, 6, 6, 4], "w": patches, "a": [1, 6, 6, 4], "y": [1, 6, 6, 4]}
    constants = {"m": weights.astype(np.float32), "t": np.arange(steps, dtype=np.float32)[None]}
    model = graph(nodes, shapes, constants, {"x": "INT4", "w": "INT4", "a": "INT32", "y": "UINT4"})
    batched = BatchedModel(model, taps=["w"] if kept else [])
    return [n.op_type for step in batched.program.steps for n in step.nodes]


def test_windows_become_convolutions_again() -> None:
    """One threshold: in 8 bits. Windows that are wanted stay windows."""
    assert "Conv" in convolution(3)
    assert "QLinearConv" in convolution(1)
    assert not {"Gather", "Pad", "MatMul"} & {*convolution(3), *convolution(1)}
    assert {"Gather", "MatMul"} <= {*convolution(1, kept=True)}


@pytest.mark.parametrize(("value", "inner"), [(0, (0, 0, 0, 0)), (0, (1, 0, 2, 1)), (2, (0, 0, 0, 0))])
def test_padding_before_windows_joins_the_convolution_if_it_is_zero(value: int, inner: tuple[int, ...]) -> None:
    made, patches = windows([1, 7, 9, 2], (3, 3), pads=inner)
    made.input[0] = "p"
    nodes = [node("Pad", ["x", "amounts", "value"], ["p"]), made, node("MatMul", ["w", "m"], ["y"])]
    shapes = {"x": [1, 5, 6, 2], "p": [1, 7, 9, 2], "w": patches, "y": [*patches[:3], 3]}
    constants = {"amounts": np.array([0, 2, 1, 0, 0, 0, 2, 0]), "value": np.float32(value)}
    constants["m"] = RANDOM.integers(-3, 4, (18, 3)).astype(np.float32)
    model = graph(nodes, shapes, constants, {"x": "INT4", "p": "INT4", "w": "INT4", "y": "INT16"})
    batched = agrees(model, RANDOM.integers(-8, 8, (4, 5, 6, 2)))
    assert ("Pad" in {n.op_type for n in batched.program.steps[0].nodes}) is (value != 0)


# ---------------------------------------------------------------------------------------------------- the self-check


def test_the_check_finds_a_broken_lowering_and_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    right = LOWERINGS["MultiThreshold"]

    def shifted(lowering: Lowering) -> None:
        lowering.new_constants["t~wrong"] = lowering.given("t") + 1
        lowering.node.input[1] = "t~wrong"
        lowering.graph.constants["t~wrong"] = lowering.new_constants["t~wrong"]
        right(lowering)
        lowering.node.input[1] = "t"

    nodes = [node("Relu", ["x"], ["r"]), custom("MultiThreshold", ["r", "t"], ["m"], out_dtype="UINT4")]
    nodes.append(node("Mul", ["m", "two"], ["y"]))
    constants = {"t": np.array([[1, 2, 3]], np.float32), "two": np.float32(2)}
    model = graph(nodes, {t: [1, 4] for t in "xrmy"}, constants, {"x": "INT4", "r": "UINT4", "m": "UINT2"})
    samples = np.arange(-8, 8).reshape(4, 4)
    assert checked(model, samples).fallbacks == ()
    monkeypatch.setitem(LOWERINGS, "MultiThreshold", shifted)
    assert np.any(BatchedModel(model).run(samples)["y"] != reference(model, samples)["y"])
    batched = checked(model, samples)
    assert [f.node for f in batched.fallbacks] == ["MultiThreshold_0"]
    assert any("MultiThreshold_0 does not compute what qonnx does" in n for n in batched.notices)
    np.testing.assert_array_equal(batched.run(samples)["y"], reference(model, samples)["y"])


def test_nodes_without_names_are_told_apart() -> None:
    model = graph([node("Relu", ["x"], ["r"]), node("Relu", ["r"], ["y"])], {t: [1, 4] for t in "xry"})
    for unnamed in model.graph.node:
        unnamed.name = ""
    batched = BatchedModel(model, without=["r"])
    assert [f.node for f in batched.fallbacks] == ["r"]


def test_the_check_says_what_qonnx_cannot_execute() -> None:
    """qonnx refuses to pad BIPOLAR windows with 0; the executor shows what the hardware would do."""
    made, patches = windows([1, 4, 4, 2], (3, 3), pads=(1, 1, 1, 1))
    model = graph([made], {"x": [1, 4, 4, 2], "w": patches}, {}, {"x": "BIPOLAR", "w": "BIPOLAR"}, outputs=["w"])
    batched = checked(model, RANDOM.choice([-1, 1], (2, 4, 4, 2)))
    assert batched.fallbacks == ()
    assert any("not checked: Im2Col Im2Col_0 cannot be executed" in n for n in batched.notices)


def test_an_unknown_op_is_named_with_the_reason() -> None:
    nodes = [node("Relu", ["x"], ["r"]), node("CumSum", ["r", "axis"], ["c"]), node("Relu", ["c"], ["y"])]
    nodes[2].name = "last"
    model = graph(nodes, {t: [1, 4] for t in "xrcy"}, {"axis": np.int64(1)})
    batched = agrees(model, RANDOM.integers(-4, 4, (3, 4)), lowered=False)
    assert [(f.node, f.reason) for f in batched.fallbacks] == [("CumSum_0", "no batched form of CumSum is known")]
    assert len(batched.program.steps) == 3


# ---------------------------------------------------------------------------------------------------- whole graphs


def test_the_model_is_not_changed_and_keeps_its_names() -> None:
    model = doubled()
    before = model.model.SerializeToString(deterministic=True)
    batched = BatchedModel(model, taps="all")
    batched.run(np.ones((2, 4)))
    assert model.model.SerializeToString(deterministic=True) == before
    assert (batched.input, batched.input_shape, batched.outputs) == ("x", (1, 4), ("y",))
    assert batched.input_datatype.name == "INT8"


def test_wrong_shapes_and_graphs_are_refused() -> None:
    with pytest.raises(NotExecutable, match=r"shape \[3\] per sample, the input x wants \[4\]"):
        BatchedModel(doubled()).run(np.ones((2, 3)))
    with pytest.raises(NotExecutable, match="no tensor nothing"):
        BatchedModel(doubled(), taps=["nothing"])
    two = doubled()
    two.graph.input.append(helper.make_tensor_value_info("z", 1, [1, 4]))
    with pytest.raises(NotExecutable, match="2 inputs"):
        BatchedModel(two)


def test_partitions_are_inlined(tmp_path: Path) -> None:
    """Also where parent and child use the same names; `whole_model` puts the current child in."""
    child = tmp_path / "child.onnx"
    doubled().save(str(child))
    partition = helper.make_node(
        "StreamingDataflowPartition",
        ["x"],
        ["p"],
        name="part",
        domain="finn.custom_op.fpgadataflow",
        model=str(child),
    )
    last = helper.make_node("Relu", ["p"], ["y"], name="Mul_0")
    parent = graph([partition, last], {t: [1, 4] for t in "xpy"}, {}, {"x": "INT8", "p": "INT8"})
    samples = np.arange(-4, 4).reshape(2, 4)
    expected = np.maximum(2 * samples, 0)
    np.testing.assert_array_equal(BatchedModel(parent).run(samples)["y"], expected)
    current = doubled(out="INT9")
    current.set_initializer("two", np.float32(3))
    whole = BatchedModel(whole_model(current, parent), taps="all")
    found = whole.run(samples)
    np.testing.assert_array_equal(found["y"], 3 * samples)
    np.testing.assert_array_equal(found[whole.outputs[0]], np.maximum(3 * samples, 0))
    names = [n.name for n in whole.model.graph.node]
    assert names == ["Mul_0", "parent_Mul_0"]


def test_signatures_are_equal_for_equal_work() -> None:
    renamed = graph([node("Mul", ["x", "c"], ["z"])], {"x": [1, 4], "z": [1, 4]}, {"c": np.float32(2)}, outputs=["z"])
    from qonnx.core.datatype import DataType

    for tensor in ("x", "z"):
        renamed.set_tensor_datatype(tensor, DataType["INT8"])
    same = signature(BatchedModel(doubled()))
    assert same == signature(BatchedModel(renamed))
    assert same != signature(BatchedModel(doubled(out="INT9")))  # other violations
    assert same != signature(BatchedModel(doubled(), optimise=False))
    renamed.set_initializer("c", np.float32(3))
    assert same != signature(BatchedModel(renamed))
