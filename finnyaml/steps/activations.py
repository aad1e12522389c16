"""Activation functions before a quantizer become part of its thresholds, exactly. Runs in workers."""

from __future__ import annotations

import copy

import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.general import RemoveUnusedTensors
from qonnx.transformation.infer_datatypes import InferDataTypes

from finnyaml.errors import StepFailed
from finnyaml.graph.surgery import Node, Repaired, free_name
from finnyaml.graph.view import View, name
from finnyaml.lint.activations import Chain, chain_before, channel_axis
from finnyaml.steps.crossings import Function, crossings


def absorb_activations(model: ModelWrapper) -> Repaired:
    """Make sigmoid, tanh, leaky ReLU and any other function that never falls a part of the thresholds behind it.

    A quantizer counts the thresholds that its value reaches. So each is replaced by the lowest float at which the
    function, as ONNX Runtime computes it, reaches it: the quantizer gives the same numbers, and needs no function.
    GELU, SiLU, Mish and hard swish fall a little before they rise; they are absorbed where every threshold lies above
    0 or below their lowest value. Belongs after `tidy_up`, before `streamline`.

    Raises:
        StepFailed: a threshold lies where such a function reaches it twice.
    """
    model = copy.deepcopy(model)
    view = View(model)
    taken = set(model.get_all_tensor_names())
    changes = []
    for node in view.nodes:
        thresholds = view.constant(node.input[1]) if node.op_type == "MultiThreshold" else None
        chain = chain_before(view, node) if thresholds is not None else None
        if chain is None or thresholds is None:
            continue
        function, channels = _function(model, view, chain, node)
        levels = np.broadcast_to(thresholds, (max(channels, len(thresholds)), thresholds.shape[1]))
        if chain.dips:
            _refuse_dip(chain, node, function, levels)
        rising = _rising_part(function, len(levels)) if chain.dips else function
        made = free_name(f"{node.input[1]}_absorbed", taken)
        model.set_initializer(made, crossings(rising, levels))
        node.input[0], node.input[1] = chain.source, made
        words = ", ".join(dict.fromkeys(one.op_type for one in chain.nodes))
        changes.append(f"{words} before {name(node)} is a part of its {thresholds.shape[1]} thresholds")
        for one in chain.nodes:
            model.graph.node.remove(one)
    if changes:
        model = model.transform(RemoveUnusedTensors()).transform(InferDataTypes())
    return Repaired(model, tuple(changes))


def _function(model: ModelWrapper, view: View, chain: Chain, quantizer: Node) -> tuple[Function, int]:
    """What a chain computes, with how many channels differ (1: none)."""
    rank, axis = len(view.shape(quantizer.input[0])), channel_axis(view, quantizer)
    constants = {
        str(tensor): value
        for node in chain.nodes
        for tensor in node.input
        if tensor and (value := view.constant(tensor)) is not None
    }
    channels = max((value.size for value in constants.values()), default=1)
    if (thresholds := view.constant(quantizer.input[1])) is not None:
        channels = max(channels, len(thresholds))
    end = str(chain.nodes[-1].output[0])
    source, result = (helper.make_tensor_value_info(tensor, TensorProto.FLOAT, None) for tensor in (chain.source, end))
    held = [tensor for tensor in model.graph.initializer if tensor.name in constants]
    graph = helper.make_graph(list(chain.nodes), "chain", [source], [result], held)
    opsets = [entry for entry in model.model.opset_import if entry.domain in ("", "ai.onnx")]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=min(model.model.ir_version, 10))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def function(values: np.ndarray) -> np.ndarray:
        shape = [1] * rank
        shape[0], shape[axis] = len(values), values.shape[1]
        given = np.ascontiguousarray(values, np.float32).reshape(shape)
        return session.run([end], {chain.source: given})[0].reshape(values.shape)  # type: ignore[no-any-return]

    return function, channels


def _lowest(function: Function, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Where a function that dips is lowest, and what it is there, to about 1e-6; each of shape [channels]."""
    grid = np.broadcast_to(np.linspace(-30, 0, 60_001, dtype=np.float32)[:, np.newaxis], (60_001, channels))
    values = function(grid)
    at = values.argmin(axis=0)
    return grid[at, 0], values[at, np.arange(channels)]


def _rising_part(function: Function, channels: int) -> Function:
    """The function from its lowest place on; that lowest value before it."""
    at, _ = _lowest(function, channels)
    return lambda values: function(np.maximum(values, at))


def _refuse_dip(chain: Chain, node: Node, function: Function, levels: np.ndarray) -> None:
    """Raise StepFailed where a function that dips reaches a level twice."""
    _, lowest = _lowest(function, len(levels))
    rest = function(np.zeros((1, len(levels)), np.float32))[0]  # what it comes from, and passes again at 0
    between = levels[(levels > lowest[:, np.newaxis] - 1e-5) & (levels <= rest[:, np.newaxis])]
    if between.size:
        words = " and ".join(dict.fromkeys(one.op_type for one in chain.nodes))
        raise StepFailed(
            f"absorb_activations: {words} before {name(node)} falls to {lowest.min():.4f} before it rises, and a "
            f"threshold ({_listed(between)}) lies where it falls: it is reached from both sides, which thresholds "
            "cannot say",
            hint="quantize behind it without a sign (Uint8ActPerTensorFloat), so that all thresholds are above 0; or "
            "use a function that never falls: ReLU, leaky ReLU, sigmoid, tanh",
        )


def _listed(values: np.ndarray) -> str:
    shown = [f"{value:.4g}" for value in np.unique(values)[:3]]
    return ", ".join(shown)
