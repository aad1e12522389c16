"""Compiling a prepared graph: every node lowered or left to qonnx, runs of lowered nodes in sessions."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from onnx import NodeProto, TensorProto, helper

from finnyaml.graph.view import name
from finnyaml.verify.executor import registry, watch
from finnyaml.verify.executor.base import Graph, Lowering, NotLowerable
from finnyaml.verify.executor.bounds import Bounds
from finnyaml.verify.executor.folding import fold_normalisations
from finnyaml.verify.executor.interval import ANYTHING, EXACT, Interval, of_datatype
from finnyaml.verify.executor.segments import Lowered, Refused, Segment, Sums


@dataclass(frozen=True)
class Fallback:
    """A node that runs per sample through qonnx, and why."""

    node: str
    op_type: str
    reason: str


@dataclass(frozen=True)
class Program:
    """Steps in order: a Segment for a batch, or a node that runs per sample."""

    steps: tuple[Segment | NodeProto, ...]
    fallbacks: tuple[Fallback, ...]


def compile_program(
    graph: Graph,
    without: Collection[str],
    distrusted: Collection[str],
    violations: watch.Violations,
    *,
    optimise: bool,
    threads: int,
    apart: float = math.inf,
) -> Program:
    """Compile for the wanted tensors of a graph.

    without: names, op types or first outputs of nodes that must not be lowered. distrusted: inputs of segments whose
    annotation has proven wrong, so that nothing may be concluded from it, and others that must be watched themselves.
    apart: bytes of a sample after which another segment begins.
    """
    refused: dict[str, str] = {}
    while True:
        bounds, lowered, fallbacks = _lower_all(graph, without, refused, distrusted, violations)
        if optimise:
            ranks = {t: len(shape) for t, shape in graph.shapes.items() if shape is not None}
            lowered = fold_normalisations(lowered, graph.constants, bounds, ranks, graph.wanted)
        steps: list[Segment | NodeProto] = []
        runs = [piece for run in _runs(lowered) for piece in _pieces(run, graph, apart)]
        for place, run in enumerate(runs):
            if isinstance(run, NodeProto):
                steps.append(run)
                continue
            later = {t for r in runs[place + 1 :] for t in _inputs(r)} | set(graph.wanted)
            outputs = [t for part in run for t in part.node.output if t in later]
            known = graph.constants, graph.types, bounds
            try:
                steps.append(Segment(run, outputs, *known, close=distrusted, optimise=optimise, threads=threads))
            except Refused as error:
                refused |= _culprits(run, graph, error)
                break
        else:
            return Program(tuple(steps), tuple(fallbacks))


def _lower_all(
    graph: Graph,
    without: Collection[str],
    refused: Mapping[str, str],
    distrusted: Collection[str],
    violations: watch.Violations,
) -> tuple[dict[str, Interval], list[Lowered | NodeProto], list[Fallback]]:
    bounds = {t: of_datatype(graph.datatypes[t]) for t in graph.live}
    bounds[graph.input] = _promised(graph, graph.input, distrusted)
    known = Bounds(bounds, graph.constants, dict(graph.shapes))
    safe = {graph.input}
    result: list[Lowered | NodeProto] = []
    fallbacks = []
    for node in graph.nodes:
        try:
            if forced := {node.name, node.op_type, node.output[0]}.intersection(without):
                raise NotLowerable(f"{forced.pop()} was not to be lowered")
            if node.output[0] in refused:
                raise NotLowerable(refused[node.output[0]])
            lowering = registry.lower(node, graph, bounds)
        except NotLowerable as reason:
            fallbacks.append(Fallback(name(node), node.op_type, str(reason)))
            for tensor in filter(None, node.output):
                bounds[tensor] = _promised(graph, tensor, distrusted)
                safe.add(tensor)
            result.append(node)
            continue
        result.append(_finish(lowering, known, safe, violations))
    return bounds, result, fallbacks


def _promised(graph: Graph, tensor: str, distrusted: Collection[str]) -> Interval:
    return ANYTHING if tensor in distrusted else of_datatype(graph.datatypes[tensor])


def _finish(lowering: Lowering, known: Bounds, safe: set[str], violations: watch.Violations) -> Lowered:
    """Work out bounds, exactness and watches of a lowered node."""
    known.constants = {**lowering.constants, **lowering.new_constants}
    for node in lowering.nodes:
        known.follow(node)
    rounded = watch.rounding(lowering)
    for tensor in rounded:
        known.of[watch.unrounded(tensor)] = known.of[tensor]
        known.follow(lowering.nodes[-1])
    nodes: list[NodeProto] = []
    found: list[Sums] = []
    for node in lowering.nodes:
        largest = known.largest_sum(node)
        if largest is not None and EXACT <= largest < math.inf and node.op_type in ("MatMul", "Gemm"):
            nodes += _in_float64(node)
            found.append(Sums.EXACT)
            continue
        nodes.append(node)
        if largest is not None:
            alone = Sums.LONE if node.op_type == "Conv" else Sums.ROUNDED
            found.append(Sums.EXACT if largest < EXACT else alone)
    sums = found[0] if found else None
    if len(found) > 1:
        sums = Sums.EXACT if set(found) == {Sums.EXACT} else Sums.ROUNDED
    watch.padding_violations(lowering, violations)
    watched = watch.watches(lowering, rounded, safe)
    return Lowered(lowering.node, nodes, lowering.new_constants, lowering.windows, sums, watched)


def _in_float64(node: NodeProto) -> list[NodeProto]:
    """The node with its sums in float64, result in float32 again."""
    result = node.output[0]
    wide = NodeProto()
    wide.CopyFrom(node)
    wide.input[:], wide.output[:] = [f"{result}~wide{i}" for i in range(len(node.input))], [f"{result}~wide"]
    ends = zip(node.input, wide.input, strict=True)
    before = [helper.make_node("Cast", [t], [cast], to=TensorProto.DOUBLE) for t, cast in ends]
    return [*before, wide, helper.make_node("Cast", [f"{result}~wide"], [result], to=TensorProto.FLOAT)]


def _runs(lowered: list[Lowered | NodeProto]) -> list[list[Lowered] | NodeProto]:
    """Maximal runs of lowered nodes whose sums may be computed in the same way."""
    runs: list[list[Lowered] | NodeProto] = []
    for part in lowered:
        last = runs[-1] if runs else None
        if isinstance(part, Lowered) and isinstance(last, list):
            kinds = {p.sums for p in (*last, part)} - {None}
            if len(kinds) <= 1 and Sums.LONE not in kinds:
                last.append(part)
                continue
        runs.append([part] if isinstance(part, Lowered) else part)
    return runs


def _pieces(run: list[Lowered] | NodeProto, graph: Graph, apart: float) -> Iterator[list[Lowered] | NodeProto]:
    """A run in pieces that each make so many bytes for a sample, or a little more."""
    if isinstance(run, NodeProto):
        yield run
        return
    piece: list[Lowered] = []
    made = 0
    for part in run:
        piece.append(part)
        made += sum(4 * math.prod(graph.shapes.get(t) or ()) for t in part.node.output if t)
        if made > apart:
            yield piece
            piece, made = [], 0
    if piece:
        yield piece


def _inputs(run: list[Lowered] | NodeProto) -> set[str]:
    if isinstance(run, NodeProto):
        return set(run.input)
    return {t for part in run for n in part.nodes for t in n.input}


def _culprits(run: list[Lowered], graph: Graph, error: Refused) -> dict[str, str]:
    """Which nodes of a run onnxruntime refuses, by first output, with its words; all if each alone is accepted."""
    found = {}
    for part in run:
        try:
            alone = list(part.node.output)
            Segment([part], alone, graph.constants, graph.types, {}, close=(), optimise=False, threads=1)
        except Refused as reason:
            found[part.node.output[0]] = f"onnxruntime refuses its lowered form: {reason}"
    return found or {p.node.output[0]: f"onnxruntime refuses the lowered graph around it: {error}" for p in run}
