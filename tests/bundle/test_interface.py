"""The contract as a whole: what the user hands over and gets, and where each part of the recipe ended up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qonnx.core.datatype import DataType

from finnyaml.accelerator import AcceleratorError
from finnyaml.accelerator.checks.check import check_images
from finnyaml.bundle import host_check
from finnyaml.bundle.descriptions import inside
from finnyaml.errors import StepFailed
from finnyaml.recipe.model import InputSpec
from finnyaml.verify.executor import prepare
from tests.bundle.accelerators import LAST, bytes_of, data, golden, graph, node, partition, scores, written
from tests.bundle.conftest import Built


def test_the_contract_of_digits(built_network: Built, tmp_path: Path) -> None:
    stages = built_network("digits-cnv")
    bundle = written(
        tmp_path,
        stages[LAST],
        stages["dataflow_parent"],
        data(bytes_of((1, 14, 14))),
        spec=InputSpec(None, "UINT8", "NCHW"),
    )
    contract = bundle.data["contract"]
    assert contract["input"] == {
        "name": "global_in",
        "datatype": "UINT8",
        "dtype": "uint8",
        "shape": [1, 14, 14],
        "layout": "NCHW",
        "range": [0, 255],
        "scale": None,
        "does": ["transpose NCHW to NHWC"],
    }
    assert contract["output"] == {
        "name": "global_out",
        "datatype": "UINT8",
        "dtype": "int64",
        "shape": [1],
        "layout": "NC",
        "range": [0, 9],
        "scale": None,
        "does": [],
        "meaning": "class index",
    }
    assert contract["inside"] == ["to_tensor: x / 255 (inside the accelerator)", "top_k: 1 (inside the accelerator)"]
    port = {"datatype": "UINT8", "layout": "NHWC", "normal": [1, 14, 14, 1]}
    assert contract["accelerator"]["inputs"][0] == {
        "name": "idma0",
        **port,
        "folded": [1, 14, 14, 1, 1],
        "packed": [1, 14, 14, 1, 1],
    }
    assert bundle.data["driver"] == {"runtime_weights": [], "external_weights": []}


def test_without_data_there_are_random_samples(built_network: Built, tmp_path: Path) -> None:
    stages = built_network("digits-cnv")
    bundle = written(tmp_path, stages[LAST], stages["dataflow_parent"], None, count=5)
    assert bundle.data["golden"] == {"file": "golden/samples.npz", "samples": 5, "source": "random values"}
    assert golden(bundle)["inputs"].shape == (5, 1, 14, 14) and "labels" not in golden(bundle)
    assert bundle.input.layout == "NCHW"


def test_answers_that_are_no_classes_are_values(tmp_path: Path) -> None:
    around = graph([partition("x", "y")], {"x": [1, 12], "y": [1, 7]}, {}, {"x": "INT4", "y": "INT10"}, ("x", "y"))
    images = np.random.default_rng(0).integers(-8, 8, (30, 12)).astype(np.int8)
    said = {}
    for name, labels in {"values": None, "scores": np.arange(30) % 7, "others": np.arange(30)}.items():
        bundle = written(tmp_path / name, scores(), around, data(images, labels), spec=InputSpec(None, "INT4", None))
        output = bundle.data["contract"]["output"]
        said[name] = output["meaning"]
        assert (output["dtype"], output["range"]) == ("int16", [-512, 511])
        assert golden(bundle)["outputs"].dtype == np.int16
    assert said == {"values": "values", "scores": "scores", "others": "values"}


def test_new_images_go_beyond_what_the_build_has_seen_of_real_numbers(tmp_path: Path) -> None:
    nodes = [node("Mul", ["x", "gain"], ["h"])]
    shapes = {"x": [1, 12], "h": [1, 12], "y": [1, 7]}
    datatypes = {"h": "FLOAT32", "y": "INT10"}
    around = graph([*nodes, partition("h", "y")], shapes, {"gain": np.float32(1)}, datatypes, ("x", "y"))
    model = scores()
    model.set_tensor_datatype("in", DataType["FLOAT32"])
    images = np.random.default_rng(0).integers(-2, 4, (30, 12)).astype(np.float32)
    bundle = written(tmp_path, model, around, data(images), spec=InputSpec(None, "FLOAT32", None))
    assert (bundle.input.datatype.kind, bundle.input.range) == ("float", (-2, 3))
    for value in (3.5, 8.0, -2.25, -7.0):
        check_images(np.full((2, 12), value, np.float32), bundle)
    for value in (8.5, -7.5, np.inf):
        with pytest.raises(AcceleratorError, match=r"wrong range: image 1 .* the input takes -2 to 3"):
            check_images(np.stack([images[0], np.full(12, value, np.float32)]), bundle)


def test_data_outside_the_datatype_is_refused(tmp_path: Path) -> None:
    around = graph([partition("x", "y")], {"x": [1, 12], "y": [1, 7]}, {}, {"x": "INT4", "y": "INT10"}, ("x", "y"))
    images = np.full((3, 12), 100, np.int8)
    with pytest.raises(StepFailed, match="the accelerator's input is 100 for a golden sample"):
        written(tmp_path, scores(), around, data(images), spec=InputSpec(None, "INT4", None))


def host(*nodes: Any) -> Any:
    """A head of these nodes on images of three channels."""
    shapes = {t: [1, 3, 4, 4] for n in nodes for t in (n.input[0], n.output[0])}
    channels = {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}
    constants = {name: np.array(values, np.float32).reshape(1, 3, 1, 1) for name, values in channels.items()}
    constants |= {"bytes": np.float32(255), "part": np.float32(1 / 255), "odd": np.float32(0.3)}
    model = graph(nodes, shapes, constants, {"x": "UINT8"}, ("x", nodes[-1].output[0]))
    model.set_tensor_layout("x", ["N", "C", "H", "W"])
    return model


BOTH = [
    {"kind": "to_tensor", "options": {}},
    {"kind": "normalize", "options": {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}},
]
HEADS = {
    "none": ([], ["inside the accelerator"] * 2),
    "first": ([node("Div", ["x", "bytes"], ["y"])], ["on the host, before the accelerator", "inside the accelerator"]),
    "merged": ([node("Mul", ["x", "part"], ["y"])], ["on the host, before the accelerator", "inside the accelerator"]),
    "both": (
        [node("Div", ["x", "bytes"], ["a"]), node("Sub", ["a", "mean"], ["b"]), node("Div", ["b", "std"], ["y"])],
        ["on the host, before the accelerator"] * 2,
    ),
    "something else": ([node("Mul", ["x", "odd"], ["y"])], ["on the host, at least in part"] * 2),
}


@pytest.mark.parametrize("case", HEADS)
def test_where_the_stages_of_the_recipe_are_is_found_in_the_values(case: str) -> None:
    nodes, places = HEADS[case]
    head = host(*(nodes or [node("Transpose", ["x"], ["t"], perm=[0, 1, 2, 3])]))
    tail = graph([node("Identity", ["s"], ["y"])], {"s": [1, 7], "y": [1, 7]}, {}, {}, ("s", "y"))
    told = inside({"preprocess": BOTH}, head, tail, prepare(scores()))
    assert told == [
        f"to_tensor: x / 255 ({places[0]})",
        f"normalize: (x - [0.1, 0.2, 0.3]) / [0.5, 0.6, 0.7] ({places[1]})",
    ]


def test_a_bundle_that_does_not_compute_the_same_is_not_made(built_network: Built, tmp_path: Path) -> None:
    stages = built_network("digits-cnv")
    bundle = written(tmp_path, stages[LAST], stages["dataflow_parent"], data(bytes_of((1, 14, 14))))
    content = {key: bundle.data[key] for key in ("contract", "driver", "golden")}
    found = golden(bundle)
    host_check.prove(content, tmp_path, None, found)
    for name, what in {"accelerator_inputs": "head", "accelerator_outputs": "tail", "outputs": "tail"}.items():
        wrong = {**found, name: found[name].copy()}
        wrong[name].reshape(len(wrong[name]), -1)[3, 0] ^= 1
        with pytest.raises(StepFailed, match=rf"the bundle's {what} does not compute .* \(sample 3 of 16\)"):
            host_check.prove(content, tmp_path, None, wrong)
