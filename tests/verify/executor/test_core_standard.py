"""Standard operators: lowered where a batch changes nothing for a sample, left to qonnx where it would."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.onnx_exec import execute_onnx

from finnyaml.verify.executor import BatchedModel
from tests.verify.executor.graphs import agrees, graph, node

RANDOM = np.random.default_rng(5)
INT64 = TensorProto.INT64


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def weights(*shape: int) -> np.ndarray:
    return RANDOM.integers(-3, 4, shape).astype(np.float32)


IMAGE, ROW, CUBE = [1, 4, 6, 5], [1, 6], [1, 3, 4]

# operator, shape of x, shape of y, further constant inputs, attributes
LOWERED = [
    ("Add", IMAGE, IMAGE, [weights(4, 1, 1)], {}),
    ("Sub", IMAGE, IMAGE, [weights(1, 4, 6, 5)], {}),
    ("Mul", ROW, ROW, [np.float32(3)], {}),
    ("Div", ROW, ROW, [np.float32(0.3)], {}),
    ("Relu", CUBE, CUBE, [], {}),
    ("Clip", CUBE, CUBE, [np.float32(-2), np.float32(3)], {}),
    ("Sigmoid", ROW, ROW, [], {}),
    ("Cast", ROW, ROW, [], {"to": TensorProto.FLOAT}),
    ("Reshape", IMAGE, [1, 120], [ints(1, -1)], {}),
    ("Reshape", IMAGE, [1, 6, 20], [ints(0, 6, 20)], {}),
    ("Flatten", IMAGE, [1, 120], [], {"axis": 1}),
    ("Squeeze", [1, 3, 1, 1], [1, 3], [ints(2, 3)], {}),
    ("Unsqueeze", ROW, [1, 6, 1], [ints(2)], {}),
    ("Transpose", IMAGE, [1, 6, 5, 4], [], {"perm": [0, 2, 3, 1]}),
    ("Slice", IMAGE, [1, 4, 3, 2], [ints(0, 1), ints(6, 4), ints(2, 3), ints(2, 2)], {}),
    ("Slice", IMAGE, [1, 2, 6, 5], [ints(-3), ints(-1), ints(1)], {}),
    ("Gather", IMAGE, [1, 4, 2, 5], [ints(5, 0)], {"axis": 2}),
    ("Pad", IMAGE, [1, 4, 9, 6], [ints(0, 0, 1, 0, 0, 0, 2, 1), np.float32(2)], {}),
    ("Pad", IMAGE, [1, 4, 7, 5], [ints(0, 0, 1, 0, 0, 0, 0, 0)], {"mode": "reflect"}),
    ("MatMul", [1, 3, 6], [1, 3, 5], [weights(6, 5)], {}),
    ("MatMul", ROW, [1, 5], [weights(6, 5)], {}),
    ("Gemm", ROW, [1, 5], [weights(5, 6), weights(5)], {"transB": 1}),
    ("Gemm", ROW, [1, 5], [weights(6, 5), weights(1, 5)], {"alpha": 0.5, "beta": 2.0}),
    ("Conv", IMAGE, [1, 3, 3, 4], [weights(3, 4, 3, 3), weights(3)], {"strides": [2, 1], "pads": [1, 0, 0, 1]}),
    ("Conv", IMAGE, [1, 4, 2, 3], [weights(4, 1, 3, 2)], {"group": 4, "dilations": [2, 2]}),
    ("ConvTranspose", IMAGE, [1, 2, 7, 6], [weights(4, 2, 2, 2)], {}),
    ("MaxPool", IMAGE, [1, 4, 3, 2], [], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("AveragePool", IMAGE, [1, 4, 5, 4], [], {"kernel_shape": [2, 2]}),
    ("GlobalAveragePool", IMAGE, [1, 4, 1, 1], [], {}),
    ("ReduceSum", IMAGE, [1, 4], [ints(2, 3)], {"keepdims": 0}),
    ("ReduceMean", IMAGE, [1, 4, 1, 1], [], {"axes": [2, 3]}),
    ("ReduceMax", IMAGE, [1, 4, 6, 1], [], {"axes": [-1]}),
    ("Softmax", ROW, ROW, [], {"axis": 1}),
    ("LogSoftmax", CUBE, CUBE, [], {"axis": -1}),
    (
        "Resize",
        IMAGE,
        [1, 4, 12, 15],
        [np.zeros(0, np.float32), np.array([1, 1, 2, 3], np.float32)],
        {"mode": "nearest"},
    ),
    ("DepthToSpace", IMAGE, [1, 1, 12, 10], [], {"blocksize": 2}),
    ("Tile", ROW, [1, 12], [ints(1, 2)], {}),
    ("Dropout", ROW, ROW, [], {}),
]


def build(op_type, shape, out, extra, attributes, opset=13, element=TensorProto.FLOAT):
    names = [f"c{i}" if not isinstance(value, str) else "" for i, value in enumerate(extra)]
    constants = {n: v for n, v in zip(names, extra, strict=True) if n}
    made = node(op_type, ["x", *names], ["y"], **attributes)
    return graph([made], {"x": shape, "y": out}, constants, opset=opset, elements={"y": element})


# on integers, which are exact, to the bit; on reals where one operator alone computes alike in any batch
CASES = [(case, "INT4") for case in LOWERED]
CASES += [(case, "FLOAT32") for case in LOWERED if case[0] not in ("MatMul", "Gemm")]


@pytest.mark.parametrize(("case", "datatype"), CASES, ids=lambda c: c if isinstance(c, str) else f"{c[0]}-{c[2]}")
def test_lowered(case, datatype: str) -> None:
    model = build(*case)
    model.set_tensor_datatype("x", DataType[datatype])
    samples = RANDOM.integers(-8, 8, (5, *case[1][1:]))
    agrees(model, samples if datatype == "INT4" else samples / 2)


HAZARDS = [
    ("Transpose", [1, 1, 4], [1, 1, 4], [], {"perm": [1, 0, 2]}),
    ("Concat", [1, 4], [1, 7], [weights(1, 3)], {"axis": 1}),
    ("ReduceMax", [1, 4], [1, 4], [], {"axes": [0]}),
    ("ReduceSum", [1, 4], [1, 1], [], {}),
    ("Gather", [1, 4], [1, 4], [ints(0)], {"axis": 0}),
    ("Softmax", [1, 4], [1, 4], [], {"axis": 0}),
    ("MatMul", [1, 4], [1, 4], [weights(1, 4)[:, :1]], {}),
    ("Slice", [1, 4], [1, 4], [ints(0), ints(1), ints(0)], {}),
    ("Expand", [1, 4], [1, 4], [ints(1, 4)], {}),
    ("CumSum", [1, 4], [1, 4], [np.int64(1)], {}),
    ("Squeeze", [1, 1, 4], [4], [ints(0, 1)], {}),
]


@pytest.mark.parametrize("case", HAZARDS, ids=lambda c: c[0])
def test_batch_hazards_run_per_sample(case) -> None:
    if case[0] == "Squeeze":
        with_batch = node("Unsqueeze", ["s", "a"], ["y"])
        made = node("Squeeze", ["x", "c"], ["s"])
        model = graph([made, with_batch], {"x": [1, 1, 4], "s": [4], "y": [1, 4]}, {"c": ints(0, 1), "a": ints(0)})
        samples = RANDOM.normal(size=(3, 1, 4)).astype(np.float32)
        agrees_on_outputs(model, samples)
        return
    if case[0] == "MatMul":
        made = node("MatMul", ["c", "x"], ["y"])
        model = graph([made], {"x": [1, 4], "y": [1, 4]}, {"c": weights(1, 1)})
    else:
        model = build(*case)
    agrees(model, RANDOM.normal(size=(3, *case[1][1:])).astype(np.float32), lowered=False)


def agrees_on_outputs(model, samples) -> None:
    batched = BatchedModel(model)
    assert batched.fallbacks
    expected = np.concatenate([execute_onnx(model, {"x": s[None]})["y"] for s in samples])
    np.testing.assert_array_equal(batched.run(samples)["y"], expected)


def test_two_branches() -> None:
    nodes = [
        helper.make_node("Split", ["x"], ["a", "b"], name="split", axis=1),
        helper.make_node("Relu", ["a"], ["r"], name="relu"),
        helper.make_node("Concat", ["b", "r"], ["c"], name="concat", axis=1),
        helper.make_node("Where", ["m", "c", "x"], ["y"], name="where"),
    ]
    shapes = {"x": [1, 6], "a": [1, 3], "b": [1, 3], "r": [1, 3], "c": [1, 6], "y": [1, 6]}
    agrees(graph(nodes, shapes, {"m": np.array([True, False] * 3)}), RANDOM.normal(size=(4, 6)).astype(np.float32))


def test_top_k_keeps_the_order_of_equal_values() -> None:
    made = node("TopK", ["x", "k"], ["v", "y"], axis=-1)
    model = graph(
        [made],
        {"x": [1, 9], "v": [1, 3], "y": [1, 3]},
        {"k": ints(3)},
        {"x": "UINT4", "v": "UINT4", "y": "UINT4"},
        outputs=("v", "y"),
        elements={"y": INT64},
    )
    assert agrees(model, RANDOM.integers(0, 4, (40, 9))).violations == []


@pytest.mark.parametrize("last", ["ArgMax", "ArgMin"])
def test_arguments(last: str) -> None:
    model = build(last, [1, 9], [1, 1], [], {"axis": 1}, element=INT64)
    agrees(model, RANDOM.integers(0, 4, (20, 9)))


@pytest.mark.parametrize(
    ("op_type", "out", "attributes", "opset"),
    [
        ("Clip", [1, 6], {"min": -1.0, "max": 2.0}, 9),
        ("Squeeze", [1, 6], {"axes": [2]}, 11),
        ("ReduceSum", [1, 1, 1], {"axes": [1, 2]}, 11),
        ("Pad", [1, 8, 1], {"pads": [0, 1, 0, 0, 1, 0], "value": 1.0}, 10),
        ("Slice", [1, 2, 1], {"starts": [1], "ends": [3], "axes": [1]}, 9),
        ("Softmax", [1, 6, 1], {"axis": 2}, 11),
    ],
)
def test_forms_of_older_opsets(op_type: str, out: list[int], attributes: dict, opset: int) -> None:
    shape = [1, 6] if op_type == "Clip" else [1, 6, 1]
    samples = RANDOM.integers(-4, 4, (5, *shape[1:]))
    agrees(build(op_type, shape, out, [], attributes, opset=opset), samples)


def test_batch_normalization() -> None:
    parameters = [RANDOM.random(4).astype(np.float32) + 0.1 for _ in range(4)]
    agrees(build("BatchNormalization", IMAGE, IMAGE, parameters, {}), RANDOM.normal(size=(5, *IMAGE[1:])))


def test_shapes_are_constants() -> None:
    nodes = [node("Shape", ["x"], ["s"]), node("Reshape", ["r", "s"], ["y"]), node("Flatten", ["x"], ["r"])]
    model = graph([nodes[0], nodes[2], nodes[1]], {"x": CUBE, "s": [3], "r": [1, 12], "y": CUBE}, elements={"s": INT64})
    samples = RANDOM.normal(size=(4, 3, 4)).astype(np.float32)
    batched = BatchedModel(model)
    assert batched.fallbacks == ()
    np.testing.assert_array_equal(batched.run(samples)["y"], samples)
