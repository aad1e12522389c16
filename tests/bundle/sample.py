"""A tiny, complete bundle for tests: a made-up network of one layer, but every part that a real bundle has.

Images UINT8 NCHW [2, 4, 6]; the host transposes to NHWC; the accelerator multiplies with INT4 weights and thresholds
to 9 channels of UINT4, 3 at a time (12 bits in 2 bytes); the host scales and takes the largest. Needs numpy and onnx
only.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import finnyaml.accelerator
from finnyaml.accelerator.contract import FORMAT, digest_of

PACKAGE = Path(finnyaml.accelerator.__file__).parent
IMAGE = (2, 4, 6)
NORMAL_IN = (4, 6, 2)
CLASSES = 9
LEVELS = 15
SAMPLES = 64
LAYER = "MVAU_hls_0"
WEIGHT_FILE = f"driver/runtime_weights/0_0_{LAYER}.dat"


def sample_bundle(folder: Path, *, weights: bool = False) -> Path:
    """Write the bundle into `folder` and return it. `weights`: the layer's weights are runtime-writeable."""
    for part in ("graphs", "golden", "driver/runtime_weights"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(7)
    matrix = random.integers(-8, 8, (int(np.prod(IMAGE)), CLASSES))
    images = random.integers(0, 256, (SAMPLES, *IMAGE)).astype(np.uint8)
    sums = images.transpose(0, 2, 3, 1).reshape(SAMPLES, -1).astype(np.int64) @ matrix
    thresholds = np.round(np.quantile(sums, np.linspace(0.05, 0.95, LEVELS), axis=0).T)  # [classes, levels]

    (folder / "graphs/head.json").write_text(json.dumps(_program([_node("Transpose", perm=[0, 2, 3, 1])], None)))
    tail = [_node("Mul", "x", "scale", out="scaled"), _node("TopK", "scaled", "k", out=["", "y"], axis=-1)]
    (folder / "graphs/tail.json").write_text(json.dumps(_program(tail, "tail.npz")))
    np.savez(folder / "graphs/tail.npz", scale=np.float32(0.5), k=np.array([1]))
    onnx.save(_hardware(matrix, thresholds, weights), str(folder / "graphs/hardware.onnx"))
    if weights:
        _write_weights(folder, matrix, random)

    scores = _activate(sums, thresholds)
    outputs = np.argmax(scores, axis=1)[:, None]
    golden: dict[str, np.ndarray] = {
        "index": np.arange(SAMPLES),
        "labels": np.where(np.arange(SAMPLES) % 8, outputs[:, 0], (outputs[:, 0] + 1) % CLASSES),
        "inputs": images,
        "accelerator_inputs": images.transpose(0, 2, 3, 1),
        "accelerator_outputs": scores,
        "outputs": outputs,
    }
    if weights:
        golden["without_weights"] = _activate(np.zeros_like(sums), thresholds)
    np.savez(folder / "golden/samples.npz", **golden)
    (folder / "README.md").write_text("# sample\n")
    shutil.copytree(PACKAGE, folder / "accelerator", ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    write_json(folder, _description(golden, weights))
    return folder


def write_json(folder: Path, data: dict[str, Any]) -> None:
    """Write `bundle.json`, with the digests of the files as they are now."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    data["files"] = {
        path.relative_to(folder).as_posix(): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in found
        if path != folder / "bundle.json"
    }
    seal(folder, data)


def seal(folder: Path, data: dict[str, Any]) -> None:
    """Write `bundle.json` with its digest; the other files may be other ones than it says."""
    data = {**data, "digest": digest_of(data)}
    (folder / "bundle.json").write_text(json.dumps(data, indent=2))


def read_json(folder: Path) -> dict[str, Any]:
    """The content of `bundle.json`."""
    data: dict[str, Any] = json.loads((folder / "bundle.json").read_text())
    return data


def _activate(sums: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    return (sums[:, :, None] >= thresholds).sum(-1).astype(np.uint8)


def _node(op: str, *inputs: str, out: str | list[str] = "y", **attributes: Any) -> dict[str, Any]:
    outputs = [out] if isinstance(out, str) else out
    return {"op": op, "inputs": list(inputs or ("x",)), "outputs": outputs, "attributes": attributes}


def _program(nodes: list[dict[str, Any]], constants: str | None) -> dict[str, Any]:
    return {"input": "x", "output": "y", "constants": constants, "nodes": nodes}


def _hardware(matrix: np.ndarray, thresholds: np.ndarray, weights: bool) -> onnx.ModelProto:
    constants = {
        "shape": np.array([-1, len(matrix)], np.int64),
        "thresholds": thresholds.astype(np.float32),
        "last": np.array([-1], np.int64),
    }
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *NORMAL_IN])]
    if weights:
        inputs.append(helper.make_tensor_value_info("weights", TensorProto.FLOAT, list(matrix.shape)))
    else:
        constants["weights"] = matrix.astype(np.float32)
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["sums"]),
        helper.make_node("Unsqueeze", ["sums", "last"], ["column"]),
        helper.make_node("GreaterOrEqual", ["column", "thresholds"], ["above"]),
        helper.make_node("Cast", ["above"], ["ones"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["ones", "last"], ["y"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "hardware",
        inputs,
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)


def _write_weights(folder: Path, matrix: np.ndarray, random: np.random.Generator) -> None:
    """Eight INT4 weights in each 32-bit word, in no particular order."""
    slots = random.permutation(matrix.size).reshape(matrix.shape)
    nibbles = np.zeros(matrix.size, np.uint32)
    nibbles[slots] = matrix & 15
    words = (nibbles.reshape(-1, 8) << (4 * np.arange(8, dtype=np.uint32))).sum(axis=1)
    (folder / WEIGHT_FILE).write_text("".join(f"{word:08x}\n" for word in words))
    np.savez(folder / "graphs/weights.npz", **{LAYER: (4 * slots).astype(np.int64)})


def _description(golden: dict[str, np.ndarray], weights: bool) -> dict[str, Any]:
    correct = float(np.mean(golden["labels"] == golden["outputs"][:, 0]))
    weight = {"input": "weights", "layer": LAYER, "file": WEIGHT_FILE, "datatype": "INT4"}
    return {
        "format": FORMAT,
        "name": "sample",
        "recipe": {"digest": "0" * 64, "resolved": {}},
        "built_with": {
            "finnyaml": "0",
            "finn": {"distribution": "finn-plus", "version": "1.6.1"},
            "python": "3.11.7",
            "packages": {},
            "tools": {},
        },
        "target": {
            "platform": "zynq-iodma",
            "shell": "vivado_zynq",
            "board": "Pynq-Z2",
            "part": "xc7z020clg400-1",
            "clock": {"requested_mhz": 100.0, "achieved_mhz": None, "source": None, "slack_ns": None},
        },
        "resources": {"estimated": {"LUT": 1000, "BRAM_18K": 2, "URAM": 0, "DSP": 0}, "synthesised": None},
        "performance": {
            "estimated": {"fps": 100000.0, "latency_ms": 0.01, "cycles_per_frame": 1000, "clock_mhz": 100.0}
        },
        "accuracy": {
            "metric": "top1",
            "k": 1,
            "kind": "top_k",
            "points": [],
            "final": {"step": "step_hw_codegen", "value": correct, "samples": SAMPLES, "interval": None},
        },
        "contract": {
            "input": {
                "name": "image",
                "datatype": "UINT8",
                "dtype": "uint8",
                "shape": list(IMAGE),
                "layout": "NCHW",
                "range": [0, 255],
                "scale": None,
                "does": ["transpose NCHW to NHWC"],
            },
            "output": {
                "name": "class",
                "datatype": "INT64",
                "dtype": "int64",
                "shape": [1],
                "layout": None,
                "range": [0, CLASSES - 1],
                "scale": None,
                "does": ["multiply by 0.5", "index of the largest"],
                "meaning": "class index",
            },
            "inside": [],
            "accelerator": {
                "inputs": [
                    {
                        "name": "idma0",
                        "datatype": "UINT8",
                        "layout": "NHWC",
                        "normal": [1, *NORMAL_IN],
                        "folded": [1, 4, 6, 1, 2],
                        "packed": [1, 4, 6, 1, 2],
                    }
                ],
                "outputs": [
                    {
                        "name": "odma0",
                        "datatype": "UINT4",
                        "layout": None,
                        "normal": [1, CLASSES],
                        "folded": [1, 3, 3],
                        "packed": [1, 3, 2],
                    }
                ],
            },
            "head": {"kind": "numpy", "file": "graphs/head.json"},
            "tail": {"kind": "numpy", "file": "graphs/tail.json"},
            "hardware": {
                "kind": "onnxruntime",
                "input": "x",
                "output": "y",
                "segments": [
                    {
                        "file": "graphs/hardware.onnx",
                        "optimise": True,
                        "without": [],
                        "one_by_one": False,
                        "inputs": ["x", "weights"] if weights else ["x"],
                        "outputs": ["y"],
                    }
                ],
                "weights": [{**weight, "positions": LAYER}] if weights else [],
            },
        },
        "driver": {
            "platform": "zynq-iodma",
            "type": "FINNDMAOverlay",
            "bitfile": None,
            "hwh": None,
            "settings": None,
            "generated": None,
            "clock_mhz": 100.0,
            "runtime_weights": [
                {
                    "file": WEIGHT_FILE,
                    "layer_index": 0,
                    "ip": "StreamingDataflowPartition_0",
                    "layer": LAYER,
                }
            ]
            if weights
            else [],
            "external_weights": [],
            "instrumentation": False,
        },
        "golden": {"file": "golden/samples.npz", "samples": SAMPLES, "source": "random values"},
        "missing": [{"what": "bitfile", "why": "this is a sample", "remedy": "none"}],
        "attached": None,
        "artifacts": {},
        "files": {},
        "templates": {"vars": {}, "files": []},
    }
