"""A bundle that really classifies: sklearn's digits by integers, [1, 8, 8] or with three channels; no FINN in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

from tests.bundle.sample import read_json, sample_bundle, write_json

TRAIN = 1297
CLASSES = 10
GOLDEN = 64


def digits(channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [1797, channels, 8, 8], 0 to 255, and int64 labels. Of three channels, the first is paler below, the second
    ends there, the third is dark where the digit is: none is like another."""
    found = load_digits()
    ink = np.rint(found.images * (255 / 16)).astype(np.uint8)
    images = [ink]
    if channels == 3:
        upper, lower = ink // 2, ink.copy()
        upper[:, :3], lower[:, 5:] = ink[:, :3], 0
        images = [upper, lower, 255 - ink // 3]
    return np.stack(images, axis=1), found.target.astype(np.int64)


def held_out(channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The 500 digits on which the accuracy of the bundle was measured."""
    images, labels = digits(channels)
    return images[TRAIN:], labels[TRAIN:]


def digits_bundle(folder: Path, channels: int = 1, *, dtype: str = "uint8") -> Path:
    """Write the bundle into `folder`. `dtype` float32: the user gives images divided by 255, the host undoes that."""
    sample_bundle(folder)
    images, labels = digits(channels)
    matrix = _trained(_flat(images[:TRAIN]), labels[:TRAIN])
    test, truth = images[TRAIN:], labels[TRAIN:]
    scores = _flat(test).astype(np.int64) @ matrix
    index = np.linspace(0, len(test) - 1, GOLDEN).astype(np.int64)
    given = test if dtype == "uint8" else (test / 255).astype(np.float32)
    np.savez(
        folder / "golden/samples.npz",
        index=index,
        labels=truth[index],
        inputs=given[index],
        accelerator_inputs=test[index].transpose(0, 2, 3, 1),
        accelerator_outputs=scores[index].astype(np.int32),
        outputs=scores[index].argmax(axis=1)[:, None],
    )
    _write_graphs(folder, matrix, (channels, 8, 8))

    data = read_json(folder)
    contract = data["contract"]
    contract["input"].update(shape=[channels, 8, 8], dtype=dtype, datatype=dtype.upper())
    if dtype == "float32":
        contract["input"]["range"] = [0.0, 1.0]
        multiply = {"op": "Mul", "inputs": ["x", "scale"], "outputs": ["scaled"], "attributes": {}}
        rounded = {"op": "Round", "inputs": ["scaled"], "outputs": ["rounded"], "attributes": {}}
        _edit_head(folder, [multiply, rounded], "rounded", {"scale": np.float32(255)})
    stream, sink = contract["accelerator"]["inputs"][0], contract["accelerator"]["outputs"][0]
    stream.update(normal=[1, 8, 8, channels], folded=[1, 8, 8, 1, channels], packed=[1, 8, 8, 1, channels])
    sink.update(datatype="INT24", normal=[1, CLASSES], folded=[1, 5, 2], packed=[1, 5, 6])
    contract["output"]["range"] = [0, CLASSES - 1]
    right = int((scores.argmax(axis=1) == truth).sum())
    data["accuracy"].update(
        metric="top1",
        k=1,
        kind="top_k",
        final={"step": "test", "value": right / len(test), "samples": len(test), "interval": None},
    )
    data["golden"]["source"] = "the data set of the recipe"
    write_json(folder, data)
    return folder


def _flat(images: np.ndarray) -> np.ndarray:
    return images.transpose(0, 2, 3, 1).reshape(len(images), -1)


def _trained(inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Ridge regression on one-hot labels, as INT8 weights; no bias, so scaling the images does not change the class."""
    known = inputs.astype(np.float64) / 255
    one_hot = np.eye(CLASSES)[labels]
    weights = np.linalg.solve(known.T @ known + 5 * np.eye(known.shape[1]), known.T @ one_hot)
    return np.rint(weights * 127 / np.abs(weights).max()).astype(np.int64)


def _edit_head(folder: Path, nodes: list[dict[str, Any]], output: str, constants: dict[str, Any]) -> None:
    np.savez(folder / "graphs/head.npz", **constants)
    transpose = {"op": "Transpose", "inputs": [output], "outputs": ["y"], "attributes": {"perm": [0, 2, 3, 1]}}
    program = {"input": "x", "output": "y", "constants": "head.npz", "nodes": [*nodes, transpose]}
    (folder / "graphs/head.json").write_text(json.dumps(program))


def _write_graphs(folder: Path, matrix: np.ndarray, image: tuple[int, int, int]) -> None:
    channels, height, width = image
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["y"]),
    ]
    constants = {"shape": np.array([-1, len(matrix)], np.int64), "weights": matrix.astype(np.float32)}
    graph = helper.make_graph(
        nodes,
        "hardware",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", height, width, channels])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    onnx.save(model, str(folder / "graphs/hardware.onnx"))
