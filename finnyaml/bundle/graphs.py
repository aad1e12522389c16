"""The graphs of a bundle as files: the head and the tail for the host, the hardware layers for the emulation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper

from finnyaml.accelerator.errors import AcceleratorError
from finnyaml.accelerator.program import Program
from finnyaml.bundle.archives import write_npz
from finnyaml.errors import StepFailed
from finnyaml.verify.executor import Exported, NotExecutable, export
from finnyaml.verify.executor.segments import INEXACT_FUSIONS

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

FOLDER = "graphs"


def write_outside(model: ModelWrapper, folder: Path, name: str) -> dict[str, Any]:
    """Write the head or the tail into `folder`; returns its entry in the contract.

    For numpy where the host package has all its operators (32-bit boards have no onnxruntime), else for onnxruntime.
    Raises StepFailed: a node has no form in standard ONNX.
    """
    if not model.graph.node:
        return {"kind": "none"}
    try:
        plain = export(model, optimise=False)
    except NotExecutable as reason:
        raise StepFailed(
            f"the host cannot compute what FINN left outside the accelerator ({name}): {reason}",
            hint="let convert_to_hw map the layer, or express it by standard ONNX operators",
        ) from reason
    program, constants = _program(plain, name)
    try:
        Program(name, program, constants)
    except AcceleratorError:  # an operator that the host package has no numpy for
        return _write_onnx(export(model), folder, name)
    file = folder / FOLDER / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(program, indent=1) + "\n", encoding="utf-8")
    if constants:
        write_npz(file.with_suffix(".npz"), constants)
    return {"kind": "numpy", "file": f"{FOLDER}/{name}.json"}


def write_hardware(model: ModelWrapper, folder: Path, weights: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Write the hardware layers into `folder`; returns their entry in the contract.

    weights: by tensor of the prepared model, what the contract says of weights that are loaded at run time. Layers that
    have no form in standard ONNX are not an error: the bundle works on the board, it only cannot be emulated; the entry
    says why.
    """
    try:
        exported = export(model, list(weights))
    except NotExecutable as reason:
        return {"kind": "missing", "why": str(reason)}
    entry = _write_onnx(exported, folder, "hardware")
    entry["weights"] = [{"input": exported.weights[t], **about} for t, about in weights.items()]
    return entry


def _program(exported: Exported, name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """As a program for numpy (`finnyaml.accelerator.program`), and its constants."""
    constants = {t: value for part in exported.parts for t, value in part.constants.items()}
    program = {
        "input": exported.input,
        "output": exported.output,
        "constants": f"{name}.npz" if constants else None,
        "nodes": [
            {
                "op": node.op_type,
                "inputs": list(node.input),
                "outputs": list(node.output),
                "attributes": {a.name: helper.get_attribute_value(a) for a in node.attribute},
            }
            for part in exported.parts
            for node in part.nodes
        ],
    }
    return program, constants


def _write_onnx(exported: Exported, folder: Path, name: str) -> dict[str, Any]:
    segments = []
    for number, part in enumerate(exported.parts, 1):
        file = f"{FOLDER}/{name}.onnx" if number == 1 else f"{FOLDER}/{name}-{number}.onnx"
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(part.onnx().SerializeToString(deterministic=True))
        segments.append(
            {
                "file": file,
                "optimise": part.optimise,
                "without": list(INEXACT_FUSIONS) if part.optimise else [],
                "one_by_one": not part.exact,
                "inputs": list(part.inputs),
                "outputs": list(part.outputs),
            }
        )
    return {
        "kind": "onnxruntime",
        "input": exported.input,
        "output": exported.output,
        "segments": segments,
        "weights": [],
    }
