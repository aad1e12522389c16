"""A run of lowered nodes as one onnxruntime session for any batch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from finnyaml.verify.executor.base import IR_VERSION, OPSET, Broken, Windows
from finnyaml.verify.executor.fuse import fuse
from finnyaml.verify.executor.integers import in_bytes
from finnyaml.verify.executor.interval import Interval
from finnyaml.verify.executor.prepare import needed
from finnyaml.verify.executor.watch import Guard, Violations, Watch

# fusions that fold float factors into weights, or compute a formula in another way: not exact even on exact sums
INEXACT_FUSIONS = [
    "ConvAddFusion", "ConvBNFusion", "ConvMulFusion", "DivMulFusion", "GeluFusionL1", "GeluFusionL2", "GemmSumFusion",
    "LayerNormFusion", "MatMulAddFusion", "MatMulScaleFusion", "MatMul_BatchNormalization_Fusion",
]  # fmt: skip


class Refused(Exception):
    """onnxruntime does not take a graph; the message says why."""


class Sums(Enum):
    """What a node adds up: decides how onnxruntime may compute it.

    EXACT: integers that float32 holds, in any order. LONE: one convolution of reals; qonnx, too, lets onnxruntime
    optimise it, but alone. ROUNDED: anything else, to be computed just so.
    """

    EXACT = "exact"
    LONE = "lone"
    ROUNDED = "rounded"


@dataclass
class Lowered:
    """What one node of the source graph became. sums: None if it adds nothing up."""

    node: NodeProto
    nodes: list[NodeProto]
    constants: dict[str, np.ndarray]
    windows: dict[str, Windows]
    sums: Sums | None
    watches: list[Watch] = field(default_factory=list)


class Segment:
    """Consecutive lowered nodes in one session. inputs and outputs: names of tensors of the source graph.

    nodes: what the session computes, with `constants` by name. fetched: what it returns, outputs and what is watched.
    exact: whether all its sums are exact, in any order. optimised: whether onnxruntime may optimise it; if not it
    computes node by node, just so.
    """

    def __init__(
        self,
        parts: Sequence[Lowered],
        outputs: Sequence[str],
        constants: Mapping[str, np.ndarray],
        types: Mapping[str, int],
        bounds: Mapping[str, Interval],
        *,
        close: Collection[str],
        optimise: bool,
        threads: int,
    ) -> None:
        """constants and types (ONNX element types): of the tensors of the source graph. bounds: of all tensors.

        close: tensors that come so close to the limits of their datatype that they must be watched themselves.
        """
        made = {t for part in parts for n in part.nodes for t in n.output}
        known = {**constants, **{name: value for part in parts for name, value in part.constants.items()}}
        used = dict.fromkeys(t for part in parts for n in part.nodes for t in n.input if t and t not in made)
        self.parts = tuple(parts)
        self.inputs = [t for t in used if t not in known]
        self.outputs = list(outputs)
        watches = [w for part in parts for w in part.watches]
        self.guards: list[Guard] = []
        nodes = [n for part in parts for n in part.nodes]
        self.exact = all(part.sums in (None, Sums.EXACT) for part in parts)
        if optimise and self.exact:
            limits = {w.tensor: limit for w in watches if (limit := w.limit(bounds)) is not None}
            limits = {t: limit for t, limit in limits.items() if t not in outputs and t not in close}
            kept = {*outputs, *(w.tensor for w in watches)}
            nodes = fuse(nodes, known, {k: v for part in parts for k, v in part.windows.items()}, kept)
            nodes, self.guards = in_bytes(nodes, known, bounds, kept - limits.keys(), limits)
        guarded = {t for guard in self.guards for t in guard.tensors}
        self.watches = [w for w in watches if w.tensor not in guarded]
        nodes = [*nodes, *(n for w in self.watches for n in w.nodes())]
        self.fetched = [*self.outputs, *(name for w in self.watches for name in w.names)]
        self.fetched += [guard.largest for guard in self.guards]
        free = optimise and (self.exact or (len(parts) == 1 and parts[0].sums is Sums.LONE))
        inputs = [helper.make_tensor_value_info(t, types.get(t, TensorProto.FLOAT), None) for t in self.inputs]
        model = model_of(nodes, inputs, self.fetched, known)
        self._session = _session(model, optimise=free, threads=threads)
        self.nodes, self.optimised = nodes, free
        self.constants = {t.name: known[t.name] for t in model.graph.initializer}  # no copies of large weights

    def plain(self) -> tuple[list[NodeProto], dict[str, np.ndarray]]:
        """The nodes that make `outputs`, none that only watch; the constants (any shape) that they use, by name."""
        nodes = needed(self.nodes, self.outputs)
        used = {t for n in nodes for t in n.input}
        return nodes, {t: value for t, value in self.constants.items() if t in used}

    def run(self, values: dict[str, np.ndarray], violations: Violations, *, tidy: bool) -> set[str]:
        """Execute on a batch: takes `inputs` [n, ...] from the values, adds `outputs` [n, ...], judges what is watched.

        tidy: give the memory back that was needed inside; else it is kept for the next batch, in each session.
        Returns the tensors that may be outside their datatype, which this session cannot say (see `close`).
        """
        try:
            options = onnxruntime.RunOptions()
            if tidy:
                options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
            results = self._session.run(self.fetched, {t: values[t] for t in self.inputs}, options)
        except Exception as error:  # onnxruntime's own kinds have no common base
            raise Broken(f"onnxruntime cannot execute the graph: {str(error).splitlines()[0]}") from error
        found = dict(zip(self.fetched, results, strict=True))
        for tensor in self.outputs:
            values[tensor] = found[tensor]
        for watch in self.watches:
            watch.look(found, violations)
        return {t for guard in self.guards if int(found[guard.largest]) >= guard.first for t in guard.tensors}


def alone(node: NodeProto, constants: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """One node as a function of its first input, float32 of any shape that the node takes, computed just so."""
    x = helper.make_tensor_value_info(node.input[0], TensorProto.FLOAT, None)
    session = _session(model_of([node], [x], node.output[:1], constants), optimise=False, threads=1)

    return lambda x: session.run(None, {node.input[0]: x})[0]


def model_of(
    nodes: Sequence[NodeProto], inputs: list[ValueInfoProto], outputs: Sequence[str], known: Mapping[str, np.ndarray]
) -> ModelProto:
    """The nodes as a model: outputs without types, of the known constants (any shape, by name) those that are used."""
    used = dict.fromkeys(t for n in nodes for t in n.input)
    constants = [numpy_helper.from_array(known[t], t) for t in used if t in known]
    graph = helper.make_graph(nodes, "graph", inputs, [ValueInfoProto(name=t) for t in outputs], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def _session(model: ModelProto, *, optimise: bool, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    # threads that wait must not burn the time of others
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimise else levels.ORT_DISABLE_ALL
    if not optimise:
        options.add_session_config_entry("session.disable_prepacking", "1")
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=INEXACT_FUSIONS if optimise else [],
        )
    except Exception as error:  # onnxruntime's own kinds have no common base
        raise Refused(str(error)) from error
