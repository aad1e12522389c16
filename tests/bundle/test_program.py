"""The numpy interpreter beside onnxruntime: the same programs, the same bits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import TensorProto, helper, numpy_helper

from finnyaml.accelerator import AcceleratorError, Bundle
from finnyaml.accelerator.program import Program
from tests.bundle.sample import sample_bundle

SPECIAL = [0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 1.0, 3.0, 255.0, 1e-45, 1.0000001, 3.4e38, -3.4e38, 16777217.0]
floats = st.one_of(st.sampled_from(SPECIAL), st.floats(-1000, 1000, width=32), st.integers(-4, 4).map(float))
images = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)), elements=floats
)

Node = dict[str, Any]


def node(op: str, *inputs: str, out: list[str] | str = "y", **attributes: Any) -> Node:
    outputs = [out] if isinstance(out, str) else out
    return {"op": op, "inputs": list(inputs or ("x",)), "outputs": outputs, "attributes": attributes}


def both(
    nodes: list[Node], x: np.ndarray, constants: dict[str, Any] | None = None, opset: int = 13
) -> tuple[np.ndarray, np.ndarray]:
    """What the interpreter and what onnxruntime make of x."""
    arrays = {name: np.asarray(value) for name, value in (constants or {}).items()}
    data = {"input": "x", "output": "y", "constants": None, "nodes": nodes}
    ours = Program("test.json", data, arrays)(x)
    graph = helper.make_graph(
        [helper.make_node(n["op"], n["inputs"], n["outputs"], **n["attributes"]) for n in nodes],
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None] * x.ndim)],
        [helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(ours.dtype), None)],
        [numpy_helper.from_array(value, name) for name, value in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return ours, session.run(["y"], {"x": x.astype(np.float32)})[0]


def same_bits(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    assert ours.tobytes() == theirs.tobytes(), (ours, theirs)


@settings(max_examples=50, deadline=None)
@given(x=images, op=st.sampled_from(["Identity", "Neg", "Abs", "Floor", "Ceil", "Round", "Relu"]))
def test_one_input(x: np.ndarray, op: str) -> None:
    same_bits(*both([node(op)], x))


@settings(max_examples=100, deadline=None)
@given(
    x=images,
    op=st.sampled_from(["Add", "Sub", "Mul", "Div", "Min", "Max", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"]),
    other=st.data(),
    swapped=st.booleans(),
)
def test_two_inputs_of_shapes_that_broadcast(x: np.ndarray, op: str, other: st.DataObject, swapped: bool) -> None:
    c, h, w = x.shape[1:]
    shape = other.draw(st.sampled_from([(), (1,), (w,), (c, 1, 1), (1, c, 1, 1), (1, c, h, w)]))
    value = other.draw(hnp.arrays(np.float32, shape, elements=floats))
    with np.errstate(all="ignore"):
        ours, theirs = both([node(op, *(("c", "x") if swapped else ("x", "c")))], x, {"c": value})
    ours[np.isnan(ours)] = np.nan  # 0 / 0: not a number, of whatever sign
    theirs[np.isnan(theirs)] = np.nan
    if op in ("Min", "Max"):
        np.testing.assert_array_equal(ours, theirs)  # which of 0 and -0 is smaller, onnxruntime decides by position
    else:
        same_bits(ours, theirs)


@settings(max_examples=33, deadline=None)
@given(x=images, low=st.one_of(st.none(), floats), high=st.one_of(st.none(), floats))
def test_clip(x: np.ndarray, low: float | None, high: float | None) -> None:
    limits = {"low": low, "high": high}
    names = [name if limits[name] is not None else "" for name in limits]
    constants = {name: np.float32(limits[name]) for name in names if name}
    ours, theirs = both([node("Clip", "x", *names)], x, constants)
    np.testing.assert_array_equal(ours, theirs)


@settings(max_examples=33, deadline=None)
@given(
    x=hnp.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 40)), elements=st.integers(-3, 3).map(float)),
    k=st.integers(1, 40),
    axis=st.sampled_from([-1, 1]),
    largest=st.sampled_from([0, 1]),
)
def test_topk_of_many_that_are_equal(x: np.ndarray, k: int, axis: int, largest: int) -> None:
    constants = {"k": np.array([min(k, x.shape[1])])}
    for outputs in (["y", "indices"], ["values", "y"]):
        same_bits(*both([node("TopK", "x", "k", out=outputs, axis=axis, largest=largest)], x, constants))


@pytest.mark.parametrize("k", [1, 5, 500, 1000])
def test_topk_of_a_thousand_classes(k: int) -> None:
    """onnxruntime has several algorithms, by how many of how many."""
    x = np.random.default_rng(k).integers(0, 15, (50, 1000)).astype(np.float32)
    same_bits(*both([node("TopK", "x", "k", out=["values", "y"])], x, {"k": np.array([k])}))


@settings(max_examples=20, deadline=None)
@given(x=images, axis=st.integers(-3, 3), keepdims=st.booleans(), last=st.booleans())
def test_argmax(x: np.ndarray, axis: int, keepdims: bool, last: bool) -> None:
    same_bits(*both([node("ArgMax", axis=axis, keepdims=int(keepdims), select_last_index=int(last))], x))


@settings(max_examples=33, deadline=None)
@given(x=images, data=st.data())
def test_what_only_moves(x: np.ndarray, data: st.DataObject) -> None:
    perm = data.draw(st.permutations(range(4)))
    nodes = [
        node("Transpose", "x", out="a", perm=list(perm)),
        node("Unsqueeze", "a", "axes", out="b"),
        node("Squeeze", "b", "axes", out="c"),
        node("Flatten", "c", out="d", axis=data.draw(st.integers(-4, 4))),
        node("Concat", "d", "d", out="e", axis=data.draw(st.sampled_from([-1, 1]))),
        node("Slice", "e", "starts", "ends", "one", "steps"),
    ]
    bound = st.integers(-9, 9)
    constants = {
        "axes": np.array(data.draw(st.sampled_from([[0], [-1], [1, 3], [-2, 0]]))),
        "starts": np.array([data.draw(bound)]),
        "ends": np.array([data.draw(st.one_of(bound, st.sampled_from([2**31, -(2**31)])))]),
        "one": np.array([1]),
        "steps": np.array([data.draw(st.sampled_from([1, 2, -1, -2]))]),
    }
    same_bits(*both(nodes, x, constants))


@pytest.mark.parametrize("shape", [[0, -1], [-1, 24], [0, 4, -1], [0, 0, 12], [-1, 2, 3, 4], [0, 2, -1, 2]])
def test_reshape_for_any_batch(shape: list[int]) -> None:
    for batch in (1, 3):
        x = np.arange(24 * batch, dtype=np.float32).reshape(batch, 2, 3, 4)
        same_bits(*both([node("Reshape", "x", "shape")], x, {"shape": np.array(shape)}))
    data = {"input": "x", "output": "y", "constants": None, "nodes": [node("Reshape", "x", "shape")]}
    empty = Program("test.json", data, {"shape": np.array(shape)})(np.zeros((0, 2, 3, 4), np.float32))
    assert empty.shape == (0, *both(data["nodes"], x, {"shape": np.array(shape)})[1].shape[1:])


@settings(max_examples=20, deadline=None)
@given(x=images)
def test_casts_and_choices(x: np.ndarray) -> None:
    x = np.clip(x, -100, 100)
    for number in (TensorProto.INT8, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL, TensorProto.DOUBLE):
        same_bits(*both([node("Cast", to=number)], x))
    choice = [node("Greater", "x", "c", out="above"), node("Where", "above", "x", "c")]
    same_bits(*both(choice, x, {"c": np.float32(1)}))


def test_integers_divide_towards_zero() -> None:
    nodes = [node("Cast", "x", out="i", to=TensorProto.INT32), node("Div", "i", "c")]
    x = np.array([[7, -7, 6, -1, 0]], np.float32)
    same_bits(*both(nodes, x, {"c": np.array([2, 2, -4, 3, -5], np.int32)}))


@settings(max_examples=20, deadline=None)
@given(x=hnp.arrays(np.uint8, (3, 2, 4, 5)))
def test_a_whole_tail_on_small_integers(x: np.ndarray) -> None:
    """What moves keeps its dtype; the first operator that computes has float32, as in the graph of the build."""
    nodes = [
        node("Transpose", "x", out="a", perm=[0, 2, 3, 1]),
        node("Reshape", "a", "shape", out="b"),
        node("Mul", "b", "scale", out="c"),
        node("Add", "c", "bias", out="d"),
        node("TopK", "d", "k", out=["values", "y"]),
    ]
    random = np.random.default_rng(1)
    constants = {
        "shape": np.array([0, -1]),
        "scale": np.float32(0.0173),
        "bias": random.normal(size=40).astype(np.float32),
        "k": np.array([3]),
    }
    same_bits(*both(nodes, x, constants))
    moved = Program("m", {"input": "x", "output": "a", "constants": None, "nodes": nodes[:1]}, {})(x)
    assert moved.dtype == np.uint8
    for kind in (np.int8, np.int32, np.int64):
        values = x.astype(kind)
        ours, theirs = both([*nodes[:2], node("Abs", "b")], values, constants)
        same_bits(ours, theirs)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.load(sample_bundle(tmp_path_factory.mktemp("sample")))


def write(bundle: Bundle, **changes: Any) -> str:
    data = {"input": "x", "output": "y", "constants": None, "nodes": [node("Identity")], **changes}
    Path(bundle.folder / "graphs/other.json").write_text(json.dumps(data))
    return "graphs/other.json"


def test_an_unknown_operator_is_an_error_before_anything_runs(bundle: Bundle) -> None:
    with pytest.raises(AcceleratorError, match=r"not supported: graphs/other.json: the operator Softmax"):
        Program.load(bundle, write(bundle, nodes=[node("Softmax")]))
    with pytest.raises(AcceleratorError, match=r"not supported.*TopK with sorted = 0"):
        Program.load(bundle, write(bundle, nodes=[node("TopK", "x", "x", sorted=0)]))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"nodes": [node("Identity", "z")]}, "takes 'z', which nothing computes"),
        ({"output": "z"}, "nothing computes 'z'"),
        ({"nodes": [{"op": "Identity"}]}, "KeyError: 'inputs'"),
        ({"nodes": 3}, "TypeError"),
        ({"constants": "nowhere.npz"}, "nowhere.npz"),
        ({"constants": "head.json"}, "head.json"),
    ],
)
def test_a_damaged_program_is_an_error_before_anything_runs(bundle: Bundle, changes: Any, match: str) -> None:
    with pytest.raises(AcceleratorError, match=f"bundle damaged: .*{match}"):
        Program.load(bundle, write(bundle, **changes))


def test_constants_outside_the_bundle_are_refused(bundle: Bundle) -> None:
    with pytest.raises(AcceleratorError, match="not inside the bundle"):
        Program.load(bundle, write(bundle, constants="../../secret.npz"))
