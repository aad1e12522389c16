"""Head, tail and hardware layers as files compute what the build's graph computes, to the bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx

from finnyaml.accelerator.contract import Bundle
from finnyaml.accelerator.graphs import open_graph
from finnyaml.bundle.graphs import write_hardware
from finnyaml.bundle.host_part import head_and_tail, moves
from finnyaml.errors import StepFailed
from finnyaml.recipe.model import InputSpec
from finnyaml.verify.executor import prepare, whole_model
from tests.bundle.accelerators import LAST, bytes_of, data, golden, graph, node, partition, scores, written
from tests.bundle.conftest import Built

QUANT = "qonnx.custom_op.general"


def emulated(bundle: Bundle, images: np.ndarray) -> np.ndarray:
    """The outputs of the bundle's graphs, with the bytes between them packed and unpacked."""
    contract = bundle.data["contract"]
    head, hardware, tail = (open_graph(contract[part], bundle) for part in ("head", "hardware", "tail"))
    given = bundle.accelerator_input
    inside = given.unpack(given.pack(head(images)))
    made = bundle.accelerator_output
    return tail(made.unpack(made.pack(hardware(inside))))


def by_finn(whole: ModelWrapper, samples: np.ndarray) -> np.ndarray:
    """qonnx's and FINN's own execution, sample by sample; of specialised layers their Python."""
    whole = prepare(whole)
    name, output = whole.graph.input[0].name, whole.graph.output[0].name
    return np.concatenate([execute_onnx(whole, {name: s[None].astype(np.float32)})[output] for s in samples])


def test_digits_from_the_image_to_the_digit(built_network: Built, tmp_path: Path) -> None:
    stages = built_network("digits-cnv")
    images = bytes_of((1, 14, 14), 40)
    bundle = written(
        tmp_path, stages[LAST], stages["dataflow_parent"], data(images), spec=InputSpec(None, "UINT8", "NCHW")
    )
    contract = bundle.data["contract"]
    assert [contract[part]["kind"] for part in ("head", "hardware", "tail")] == ["numpy", "onnxruntime", "none"]
    assert contract["input"]["does"] == ["transpose NCHW to NHWC"] and contract["output"]["does"] == []
    whole = whole_model(stages[LAST], stages["dataflow_parent"])
    np.testing.assert_array_equal(emulated(bundle, images[:4]), by_finn(whole, images[:4]))
    assert not (tmp_path / "bundle.json.tmp").exists() and not (tmp_path / ".partitions").exists()


LAYOUTS = {
    "as the graph": ((1, 14, 14), None, "NCHW", "NCHW", ["transpose NCHW to NHWC"]),
    "folders of images": ((14, 14, 1), "NHWC", "NCHW", "NHWC", []),
    "arrays of images": ((14, 14, 1), None, None, "NHWC", []),
    "flat": ((196,), None, "NCHW", None, ["reshape to [n, 1, 14, 14]", "transpose: axes in the order [0, 2, 3, 1]"]),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_images_are_taken_as_the_data_set_has_them(case: str, built_network: Built, tmp_path: Path) -> None:
    shape, layout, wanted, user_layout, does = LAYOUTS[case]
    stages = built_network("digits-cnv")
    bundle = written(
        tmp_path,
        stages[LAST],
        stages["dataflow_parent"],
        data(bytes_of(shape), layout=layout),
        spec=InputSpec(None, "UINT8", wanted),
    )
    said = bundle.data["contract"]["input"]
    assert (said["shape"], said["layout"], said["does"]) == (list(shape), user_layout, does)
    images = bytes_of(shape, 5)
    in_graph = images.reshape(5, 1, 14, 14)  # one channel: the order of the bytes is the same
    whole = whole_model(stages[LAST], stages["dataflow_parent"])
    np.testing.assert_array_equal(emulated(bundle, images), by_finn(whole, in_graph))


def test_channels_are_turned_not_only_reshaped() -> None:
    assert moves((32, 32, 3), "NHWC", [1, 3, 32, 32], "NCHW") == [("Transpose", (0, 3, 1, 2))]
    assert moves((32, 32, 3), "NHWC", [1, 3 * 32 * 32], "NCHW") == [
        ("Transpose", (0, 3, 1, 2)),
        ("Reshape", (3 * 32 * 32,)),
    ]
    assert moves((3, 32, 32), None, [1, 3, 32, 32], "NCHW") == []
    with pytest.raises(StepFailed, match="samples of the shape"):
        moves((3, 31, 32), None, [1, 3, 32, 32], "NCHW")


def parent(
    head: list[Any], tail: list[Any], shapes: dict[str, list[int]], constants: dict[str, Any], datatypes: dict[str, str]
) -> ModelWrapper:
    """A dataflow parent around `scores()`: from x by the nodes of the head to h, the partition, from s to y."""
    return graph(
        [*head, partition("h", "s"), *tail], shapes, constants, {"h": "INT4", "s": "INT10", **datatypes}, ("x", "y")
    )


def quantised(scale: Any) -> tuple[list[Any], dict[str, list[int]], dict[str, Any]]:
    """A head that scales, and quantises to INT4 as Brevitas does."""
    nodes = [
        node("Mul", ["x", "gain"], ["a"]),
        node(
            "Quant",
            ["a", "q_scale", "q_zero", "q_bits"],
            ["b"],
            domain=QUANT,
            signed=1,
            narrow=0,
            rounding_mode="ROUND",
        ),
        node("Div", ["b", "q_scale"], ["h"]),
    ]
    shapes = {"x": [1, 12], "a": [1, 12], "b": [1, 12], "h": [1, 12], "s": [1, 7]}
    constants = {
        "gain": np.asarray(scale, np.float32),
        "q_scale": np.float32(0.25),
        "q_zero": np.float32(0),
        "q_bits": np.float32(4),
    }
    return nodes, shapes, constants


def ranked() -> tuple[list[Any], dict[str, list[int]], dict[str, Any]]:
    """A tail with a scale per class, and the indices of the two best."""
    nodes = [node("Mul", ["s", "scales"], ["c"]), node("TopK", ["c", "k"], ["values", "y"], axis=-1)]
    scales = np.linspace(0.1, 0.3, 7, dtype=np.float32)[None]
    return nodes, {"c": [1, 7], "values": [1, 2], "y": [1, 2]}, {"scales": scales, "k": np.array([2], np.int64)}


def test_a_quantiser_before_and_topk_behind_run_in_numpy(tmp_path: Path) -> None:
    head, shapes, constants = quantised(0.7)
    tail, more, others = ranked()
    around = parent(head, tail, {**shapes, **more}, {**constants, **others}, {"b": "FLOAT32"})
    draw = np.random.default_rng(0)
    images = draw.normal(size=(200, 12)).astype(np.float32)
    bundle = written(
        tmp_path,
        scores(),
        around,
        data(images, draw.integers(0, 7, 200)),
        spec=InputSpec(None, "FLOAT32", None),
        stages={"preprocess": [], "postprocess": [{"kind": "top_k", "options": {"k": 2}}]},
    )
    contract = bundle.data["contract"]
    assert [contract[part]["kind"] for part in ("head", "hardware", "tail")] == ["numpy", "onnxruntime", "numpy"]
    expected = by_finn(whole_model(scores(), around), images)
    found = emulated(bundle, images)
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(expected)) > 3
    said = contract["output"]
    assert (said["meaning"], said["dtype"], said["range"], said["shape"]) == ("class index", "int64", [0, 6], [2])
    assert said["does"] == ["multiply by 7 constants, 0.1 to 0.3", "indices of the 2 highest scores, best first"]
    np.testing.assert_allclose(said["scale"], np.linspace(0.1, 0.3, 7), rtol=1e-6)
    assert contract["inside"] == ["top_k: 2 (on the host, after the accelerator)"]
    taken = contract["input"]
    assert taken["does"][0] == "multiply by 0.7" and taken["scale"] == pytest.approx(2.8)
    assert taken["dtype"] == "float32" and taken["range"] == [float(images.min()), float(images.max())]


def test_what_numpy_does_not_have_runs_in_onnxruntime(tmp_path: Path) -> None:
    """A head with a product, and outputs that are probabilities."""
    matrix = np.random.default_rng(1).integers(-1, 2, (5, 12)).astype(np.float32)
    around = parent(
        [node("MatMul", ["x", "matrix"], ["h"])],
        [node("Mul", ["s", "scale"], ["c"]), node("Softmax", ["c"], ["y"], axis=-1)],
        {"x": [1, 5], "h": [1, 12], "s": [1, 7], "c": [1, 7], "y": [1, 7]},
        {"matrix": matrix, "scale": np.float32(0.125)},
        {"x": "TERNARY"},
    )
    draw = np.random.default_rng(2)
    images = draw.integers(-1, 2, (60, 5)).astype(np.int8)
    bundle = written(
        tmp_path,
        scores(),
        around,
        data(images, draw.integers(0, 7, 60)),
        spec=InputSpec(None, "TERNARY", None),
        stages={},
    )
    contract = bundle.data["contract"]
    assert [contract[part]["kind"] for part in ("head", "tail")] == ["onnxruntime", "onnxruntime"]
    np.testing.assert_array_equal(emulated(bundle, images), by_finn(whole_model(scores(), around), images))
    assert contract["input"]["dtype"] == "int8" and contract["input"]["range"] == [-1, 1]
    said = contract["output"]
    assert (said["meaning"], said["dtype"], said["range"], said["scale"]) == ("scores", "float32", None, 0.125)


def test_no_path_may_lead_past_the_accelerator(tmp_path: Path) -> None:
    around = parent(
        [node("Add", ["x", "zero"], ["h"])],
        [node("Concat", ["h", "s"], ["y"], axis=1)],
        {"x": [1, 12], "h": [1, 12], "s": [1, 7], "y": [1, 19]},
        {"zero": np.float32(0)},
        {"x": "INT4"},
    )
    with pytest.raises(StepFailed, match="Concat Concat_y takes h past the accelerator"):
        head_and_tail(around)


def test_two_builds_write_equal_files(built_network: Built, tmp_path: Path) -> None:
    """Even when all tensors have other names."""
    import copy

    stages = built_network("digits-cnv")
    renamed = copy.deepcopy(stages[LAST])
    inner = [t for n in renamed.graph.node for t in n.output if t != renamed.graph.output[0].name]
    for place, tensor in enumerate(inner):
        renamed.rename_tensor(tensor, f"renamed{place}")
    samples = data(bytes_of((1, 14, 14)))
    for name, model in (("a", stages[LAST]), ("b", renamed)):
        written(tmp_path / name, model, stages["dataflow_parent"], samples, spec=InputSpec(None, "UINT8", "NCHW"))
    files = [
        {p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*") if p.is_file()} for n in "ab"
    ]
    assert files[0] == files[1] and len(files[0]) == 4 + 1  # contract, samples, head, hardware; our own bundle.json


def test_layers_that_have_no_form_in_onnx_leave_a_bundle_without_emulation(tmp_path: Path) -> None:
    model = graph(
        [node("CumSum", ["x", "axis"], ["y"])], {"x": [1, 3], "y": [1, 3]}, {"axis": np.int64(1)}, {}, ("x", "y")
    )
    entry = write_hardware(model, tmp_path, {})
    assert entry["kind"] == "missing" and "CumSum CumSum_y has no form in standard ONNX" in entry["why"]
    assert not list(tmp_path.rglob("*.onnx"))


def test_a_host_part_that_no_host_can_compute_is_refused(tmp_path: Path) -> None:
    around = parent(
        [node("CumSum", ["x", "axis"], ["h"])],
        [node("Identity", ["s"], ["y"])],
        {"x": [1, 12], "h": [1, 12], "s": [1, 7], "y": [1, 7]},
        {"axis": np.int64(1)},
        {"x": "INT4"},
    )
    with pytest.raises(
        StepFailed, match=r"left outside the accelerator \(head\): CumSum CumSum_h has no form"
    ) as error:
        written(
            tmp_path, scores(), around, data(np.zeros((3, 12), np.int8)), spec=InputSpec(None, "INT4", None), stages={}
        )
    assert "convert_to_hw" in str(error.value.hint)


def test_sums_that_are_exact_are_not_fused_with_what_is_not(tmp_path: Path) -> None:
    """A scale per channel after a convolution of integers: onnxruntime would put it into the weights."""
    draw = np.random.default_rng(0)
    model = graph(
        [node("Conv", ["x", "w"], ["a"], kernel_shape=[3, 3]), node("Mul", ["a", "scale"], ["y"])],
        {"x": [1, 4, 8, 8], "a": [1, 8, 6, 6], "y": [1, 8, 6, 6]},
        {
            "w": draw.integers(-100, 100, (8, 4, 3, 3)).astype(np.float32),
            "scale": draw.normal(size=(1, 8, 1, 1)).astype(np.float32),
        },
        {"x": "UINT8", "w": "INT8", "a": "INT32"},
        ("x", "y"),
    )
    entry = write_hardware(model, tmp_path, {})
    assert [segment["optimise"] for segment in entry["segments"]] == [True]
    (tmp_path / "bundle.json").write_text("{}")
    bundle = Bundle(tmp_path.resolve(), {}, *([None] * 4))  # type: ignore[arg-type]
    samples = draw.integers(0, 256, (20, 4, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(open_graph(entry, bundle)(samples), by_finn(model, samples))


def test_the_golden_samples_are_what_the_graph_makes(built_network: Built, tmp_path: Path) -> None:
    stages = built_network("TFC_1W1A")
    images, labels = bytes_of((1, 28, 28)), np.arange(100) // 10
    bundle = written(tmp_path, stages[LAST], stages["dataflow_parent"], data(images, labels), count=20)
    found = golden(bundle)
    assert {name: (array.dtype.name, array.shape) for name, array in found.items()} == {
        "index": ("int64", (20,)),
        "labels": ("int64", (20,)),
        "inputs": ("uint8", (20, 1, 28, 28)),
        "accelerator_inputs": ("uint8", (20, 1, 28, 28)),
        "accelerator_outputs": ("uint8", (20, 1)),
        "outputs": ("int64", (20, 1)),
    }
    assert found["index"].tolist() == list(range(0, 100, 5)) and np.unique(found["labels"]).size == 10
    np.testing.assert_array_equal(found["inputs"], images[found["index"]])
    whole = whole_model(stages[LAST], stages["dataflow_parent"])
    np.testing.assert_array_equal(found["outputs"], by_finn(whole, found["inputs"]))
    about = json.loads((tmp_path / "contract.json").read_text())["golden"]
    assert about == {"file": "golden/samples.npz", "samples": 20, "source": "the data set of the recipe"}
