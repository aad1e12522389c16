"""Any ONNX graph of a build, executed on a batch."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from onnx import NodeProto, TensorProto, helper

from finnyaml.graph import view
from finnyaml.verify.executor import watch
from finnyaml.verify.executor.base import Graph, NotExecutable
from finnyaml.verify.executor.live import live_bytes
from finnyaml.verify.executor.prepare import constants, needed, prepare, run_node, sanitised
from finnyaml.verify.executor.program import Fallback, Program, compile_program
from finnyaml.verify.executor.segments import Segment
from finnyaml.verify.executor.watch import Violation
from finnyaml.verify.memory import MOST, at_once

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

Look = Callable[[Sequence[NodeProto], Mapping[str, np.ndarray]], None]
"""Sees nodes, and tensors of one sample by name."""


def input_of(model: ModelWrapper) -> tuple[str, tuple[int, ...]]:
    """Name and shape, of one sample with the leading 1, of a graph's one input; NotExecutable if there is no such."""
    known = {i.name for i in model.graph.initializer}
    inputs = [i.name for i in model.graph.input if i.name not in known]
    if len(inputs) != 1:
        raise NotExecutable(f"the graph has {len(inputs)} inputs; only graphs with one are executed here")
    shape = tuple(model.get_tensor_shape(inputs[0]) or ())
    if not shape or shape[0] != 1:
        raise NotExecutable(f"the input {inputs[0]} has the shape {list(shape)}, no leading 1")
    return inputs[0], shape


class BatchedModel:
    """Any ONNX, QONNX or FINN graph of a build with one input, executable on a batch; the model itself is not changed.

    taps: further tensors that `run` returns ("all": each that a live node of the prepared model makes).
    without: names, op types or first outputs of nodes that run per sample through qonnx in any case.
    threads: of onnxruntime, 0: all cores. optimise: whether exact sums may be computed in another order.

    model: as executed: partitions inlined, layers despecialised; tensors keep their names.
    input, input_shape (of one sample, with the leading 1), input_datatype: the one graph input.
    outputs: the names of the graph's outputs. fallbacks: the nodes that run per sample.
    notices: sentences for the user. violations: tensors that held values outside their annotation; grows as data runs.
    graph: what is compiled. program: what `run` executes.
    """

    def __init__(
        self,
        model: ModelWrapper,
        *,
        taps: Collection[str] | Literal["all"] = (),
        without: Collection[str] = (),
        threads: int = 0,
        optimise: bool = True,
        apart: float = math.inf,
    ) -> None:
        self.model = prepare(model)
        self.notices: list[str] = []
        self._violations = watch.Violations()
        self._without, self._threads, self._optimise, self._apart = tuple(without), threads, optimise, apart
        known, live = constants(self.model)
        self.input, self.input_shape = input_of(self.model)
        self.input_datatype = self.model.get_tensor_datatype(self.input)
        self.outputs = tuple(o.name for o in self.model.graph.output)
        tapped = [t for n in live for t in n.output if t] if taps == "all" else list(taps)
        wanted = tuple(dict.fromkeys([*self.outputs, *tapped]))
        nodes = needed(live, wanted)
        made = {self.input, *known, *(t for n in nodes for t in n.output)}
        if missing := [t for t in wanted if t not in made]:
            raise NotExecutable(f"the graph has no tensor {', '.join(missing)}")
        self.graph = self._describe(wanted, nodes, known)
        self._distrusted: set[str] = set()
        self.program = self._compile()

    @property
    def violations(self) -> list[Violation]:
        return list(self._violations.values())

    @property
    def fallbacks(self) -> tuple[Fallback, ...]:
        return self.program.fallbacks

    @property
    def lowered(self) -> tuple[NodeProto, ...]:
        """The nodes that have a batched form, in order."""
        return tuple(p.node for s in self.program.steps if isinstance(s, Segment) for p in s.parts)

    def run(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """Execute on a batch [n, *input_shape[1:]] of any numeric dtype; outputs and taps by name, each [n, ...]."""
        values = self._taken(batch)
        if len(values) <= self.at_once:
            return self._computed(values)
        whole: dict[str, np.ndarray] = {}
        for begin in range(0, len(values), self.at_once):
            for tensor, part in self._computed(values[begin : begin + self.at_once]).items():
                array = whole.setdefault(tensor, np.empty((len(values), *part.shape[1:]), part.dtype))
                array[begin : begin + len(part)] = part
        return whole

    def look(self, sample: np.ndarray, at: Look, kept: Collection[str]) -> dict[str, np.ndarray]:
        """Execute on one sample [1, ...] and let `at` see the nodes of each segment, with all that they read and make.

        Of what they make only the `kept` tensors are held on to, and returned.
        """
        return self._computed(self._taken(sample), at, kept)

    def _taken(self, batch: np.ndarray) -> np.ndarray:
        values: np.ndarray = np.ascontiguousarray(batch, np.float32)
        if values.shape[1:] != self.input_shape[1:]:
            raise NotExecutable(
                f"the data has the shape {list(values.shape[1:])} per sample, "
                f"the input {self.input} wants {list(self.input_shape[1:])}"
            )
        return values

    @functools.cached_property
    def at_once(self) -> int:
        """How many samples are computed at once: fewer where they need much memory, whatever `run` is given."""
        return at_once(live_bytes(self.graph, self.program))

    def _computed(
        self, batch: np.ndarray, at: Look | None = None, kept: Collection[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Execute on samples [n, ...] that are computed at once; see `look`."""
        while True:
            before = len(self._distrusted)
            result = self._execute(batch, at, self.graph.wanted if kept is None else kept)
            if result is not None or len(self._distrusted) == before:
                return result or {}
            self.program = self._compile()

    def _execute(self, batch: np.ndarray, at: Look | None, kept: Collection[str]) -> dict[str, np.ndarray] | None:
        """One pass; None if data contradicts an annotation that the program is built on (it is then distrusted).

        Also if a tensor may do so that the program does not watch itself.
        """
        element = helper.tensor_dtype_to_np_dtype(self.graph.types[self.input])
        values = {self.input: sanitised(batch, self.input_datatype, self.input).astype(element, copy=False)}
        if not self._trustworthy(self.input, values[self.input], None):
            return None
        steps = self.program.steps
        uses = [set(s.inputs if isinstance(s, Segment) else s.input) for s in steps]
        for place, step in enumerate(steps):
            if isinstance(step, Segment):
                if close := step.run(values, self._violations, tidy=self.at_once < MOST):
                    self._distrusted |= close
                    return None
                if at is not None:
                    at([part.node for part in step.parts], values)
            else:
                self._run_per_sample(step, values, len(batch))
                trusted = [self._trustworthy(t, values[t], step) for t in step.output if t]
                if not all(trusted):
                    return None
            later = {*kept}.union(*uses[place + 1 :])
            for tensor in values.keys() - later:
                del values[tensor]
        known = self.graph.constants
        return {t: values[t] if t in values else np.repeat(known[t], len(batch), axis=0) for t in kept}

    def _trustworthy(self, tensor: str, value: np.ndarray, node: NodeProto | None) -> bool:
        """Check a tensor that enters a segment from outside; a contradiction makes its annotation distrusted."""
        datatype = self.model.get_tensor_datatype(tensor)
        extremes = watch.allowed_extremes(value, datatype)
        if extremes is None:
            return True
        self._violations.add(tensor, node, datatype.name, *extremes)
        known = tensor in self._distrusted
        self._distrusted.add(tensor)
        return known

    def _run_per_sample(self, node: NodeProto, values: dict[str, np.ndarray], size: int) -> None:
        samples = [self.run_one(node, values, i) for i in range(size)]
        for tensor in filter(None, node.output):
            dtype = helper.tensor_dtype_to_np_dtype(self.graph.types.get(tensor, TensorProto.FLOAT))
            values[tensor] = np.concatenate([s[tensor] for s in samples]).astype(dtype, copy=False)

    def run_one(self, node: NodeProto, values: Mapping[str, np.ndarray], sample: int) -> dict[str, np.ndarray]:
        """Execute one node on one sample of batched values through qonnx; its outputs by name, each [1, ...]."""
        inputs = {}
        for tensor in filter(None, node.input):
            if tensor in self.graph.constants:
                inputs[tensor] = self.graph.constants[tensor]
            else:
                shape = self.graph.shapes[tensor]
                one = values[tensor][sample : sample + 1]
                inputs[tensor] = one if shape is None else one.reshape(shape)
        made = run_node(self.model, node, inputs)
        return {t: v if v.ndim and v.shape[0] == 1 else v[None] for t, v in made.items()}

    def _compile(self) -> Program:
        given = self.graph, self._without, self._distrusted, self._violations
        return compile_program(*given, optimise=self._optimise, threads=self._threads, apart=self._apart)

    def _describe(self, wanted: tuple[str, ...], nodes: list[NodeProto], known: dict[str, np.ndarray]) -> Graph:
        tensors = dict.fromkeys([self.input, *(t for n in nodes for t in (*n.input, *n.output) if t)])
        graph = self.model.graph
        infos = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.input, *graph.output)}
        return Graph(
            input=self.input,
            wanted=wanted,
            nodes=tuple(nodes),
            constants=known,
            shapes={t: self.model.get_tensor_shape(t) for t in tensors},
            datatypes={t: self.model.get_tensor_datatype(t) for t in tensors},
            types={t: infos[t] for t in tensors if t in infos},
            opsets=view.opsets(self.model),
        )
