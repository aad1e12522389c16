"""A lowered graph as plain ONNX files: what the executor computes, for where there is neither FINN nor qonnx."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper

from finnyaml.verify.executor.base import NotExecutable
from finnyaml.verify.executor.batched import BatchedModel
from finnyaml.verify.executor.program import Program, compile_program
from finnyaml.verify.executor.segments import Segment, model_of
from finnyaml.verify.executor.watch import Violations

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


@dataclass(frozen=True)
class Part:
    """Consecutive standard nodes, one onnxruntime session. Their tensors have the names of the exported graph.

    shapes: of inputs and outputs, the batch as "n".
    optimise: whether onnxruntime may optimise the part (as `segments` does it, without `INEXACT_FUSIONS`). If not, it
    has to compute node by node.
    exact: all sums are exact in any order. If not, results depend on how many samples are computed at once.
    """

    nodes: tuple[NodeProto, ...]
    constants: Mapping[str, np.ndarray]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    shapes: Mapping[str, list[int | str]]
    optimise: bool
    exact: bool

    def onnx(self) -> ModelProto:
        """The part as a model with nothing in it that tells who made it: equal parts are equal bytes."""
        inputs = [helper.make_tensor_value_info(t, TensorProto.FLOAT, self.shapes[t]) for t in self.inputs]
        model = model_of(self.nodes, inputs, self.outputs, self.constants)
        known = {v.name: v for v in onnx.shape_inference.infer_shapes(model).graph.output}
        for output in model.graph.output:
            kind = known[output.name].type.tensor_type.elem_type
            shape = self.shapes[output.name]
            output.CopyFrom(helper.make_tensor_value_info(output.name, kind or TensorProto.FLOAT, shape))
        return model


@dataclass(frozen=True)
class Exported:
    """Parts to run in order on a batch [n, *shape] of float32, from the tensor `input` to the tensor `output`.

    weights: which input of which part (a name of the exported graph) takes a tensor that was to stay open.
    """

    input: str
    output: str
    parts: tuple[Part, ...]
    weights: Mapping[str, str]


def export(model: ModelWrapper, weights: Collection[str] = (), *, optimise: bool = True) -> Exported:
    """What `BatchedModel` computes of the model's one input, for its one output.

    Nothing is checked any more as data runs through: it must fit the annotation of the input.

    Args:
        model: any graph of a build with one input and one output; not changed.
        weights: tensors of the prepared model (`prepare`) that become inputs, without a batch: the weights of MVAUs,
            the thresholds of Thresholdings.
        optimise: as in `BatchedModel`.

    Raises:
        NotExecutable: a node has no batched form, with the reason.
    """
    compiled = BatchedModel(model, threads=1, optimise=optimise)
    if len(compiled.outputs) != 1:
        raise NotExecutable(f"the graph has {len(compiled.outputs)} outputs; only graphs with one are exported")
    program = _with_inputs(compiled, weights, optimise) if weights else compiled.program
    for node in program.fallbacks:
        raise NotExecutable(f"{node.op_type} {node.node} has no form in standard ONNX: {node.reason}")
    segments = [step for step in program.steps if isinstance(step, Segment)]
    output = compiled.outputs[0]
    names = _Names()
    given = names.of(compiled.input)
    parts = tuple(_part(segment, names, compiled.graph.shapes, weights) for segment in segments)
    if output not in names:
        raise NotExecutable(f"the output {output} does not depend on the input {compiled.input}")
    return Exported(given, names.of(output), parts, {t: names.of(t) for t in weights if t in names})


def _with_inputs(compiled: BatchedModel, weights: Collection[str], optimise: bool) -> Program:
    graph = compiled.graph
    if missing := [t for t in weights if t not in graph.constants]:
        raise NotExecutable(f"{missing[0]} is not a constant of the graph")
    constants = {t: value for t, value in graph.constants.items() if t not in weights}
    opened = replace(graph, constants=constants, live=frozenset(weights))
    return compile_program(opened, (), (), Violations(), optimise=optimise, threads=1)


class _Names(dict[str, str]):
    """Names by order of appearance, whatever tensors are called in the build."""

    def of(self, tensor: str) -> str:
        return self.setdefault(tensor, f"t{len(self)}") if tensor else ""


def _part(segment: Segment, names: _Names, shapes: Mapping[str, list[int] | None], weights: Collection[str]) -> Part:
    nodes, constants = segment.plain()
    made = {t for n in nodes for t in n.output}
    used = dict.fromkeys(t for n in nodes for t in n.input if t)
    inputs = [t for t in used if t not in constants and t not in made]
    ends: dict[str, list[Any]] = {t: list(shapes[t] or []) for t in (*inputs, *segment.outputs)}
    plain = []
    for node in nodes:
        renamed = helper.make_node(node.op_type, [names.of(t) for t in node.input], [names.of(t) for t in node.output])
        renamed.attribute.extend(sorted(node.attribute, key=lambda a: a.name))
        plain.append(renamed)
    return Part(
        nodes=tuple(plain),
        constants={names.of(t): constants[t] for t in used if t in constants},
        inputs=tuple(names.of(t) for t in inputs),
        outputs=tuple(names.of(t) for t in segment.outputs),
        shapes={names.of(t): shape if t in weights else ["n", *shape[1:]] for t, shape in ends.items()},
        optimise=segment.optimised,
        exact=segment.exact,
    )
