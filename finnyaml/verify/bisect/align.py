"""Which node of the graph before a node of the graph after is, whatever it is called: by what it does and its place."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from finnyaml.graph.layers import Graph
from finnyaml.graph.operators import BIAS, CONVOLUTION, MATRIX, POOL, QUANTIZER, SCALE, THRESHOLD
from finnyaml.graph.view import attributes

BOOKKEEPING = frozenset(
    (
        *("PE", "SIMD", "M", "backend", "mem_mode", "ram_style", "ram_style_thresholds", "resType", "depth", "slr"),
        *("exec_mode", "preferred_impl_style", "parallel_window", "rtlsim_trace", "cpp_interface", "hls_style"),
        *("cycles_estimate", "res_estimate", "res_hls", "res_synth", "partition_id", "device_id", "uram_efficiency"),
        *("input_shape", "runtime_writeable_weights", "pumpedMemory", "pumpedCompute", "dataflow_allow_modification"),
        *("code_gen_dir_ipgen", "code_gen_dir_cppsim", "executable_path", "ipgen_path", "ip_path", "ip_vlnv"),
        *("rtlsim_so", "gen_top_module", "inFIFODepths", "outFIFODepths", "inst_name", "io_chrc_in", "io_chrc_out"),
    )
)
"""Attributes of layers that say how hardware is made, and change nothing of what a layer computes."""

_FAMILIES: Mapping[str, Collection[str]] = {
    "product": MATRIX | CONVOLUTION,
    "threshold": THRESHOLD | QUANTIZER,
    "pool": POOL,
    "scale": SCALE,
    "bias": BIAS,
}


def formers(before: Graph, after: Graph) -> dict[str, Any]:
    """The nodes of `before` by the first output of their successors in `after`.

    Nodes that are equal are matched along the order of both graphs. What lies between is matched by what it does, then
    by place where there are as many on both sides; what is left, by its name.
    """
    found: dict[str, Any] = {}
    old, new = before.nodes, after.nodes
    for same, olds, news in _blocks([_content(before, node) for node in old], [_content(after, node) for node in new]):
        if same:
            found.update(_paired(old[olds], new[news]))
            continue
        here, there = old[olds], new[news]
        for alike, few, others in _blocks([_family(node) for node in here], [_family(node) for node in there]):
            if alike or len(here[few]) == len(there[others]):
                found.update(_paired(here[few], there[others]))
    taken = {node.output[0] for node in found.values()}
    named = {(node.name, node.op_type): node for node in old if node.name and node.output[0] not in taken}
    for node in new:
        if node.output[0] not in found and (node.name, node.op_type) in named:
            found[node.output[0]] = named[node.name, node.op_type]
    return found


def settings(node: Any) -> Mapping[str, Any]:
    """The attributes of a node that say what it computes."""
    return {name: value for name, value in attributes(node).items() if name not in BOOKKEEPING}


def _blocks(old: list[Any], new: list[Any]) -> Iterator[tuple[bool, slice, slice]]:
    for tag, *ends in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        yield tag == "equal", slice(*ends[:2]), slice(*ends[2:])


def _paired(old: list[Any], new: list[Any]) -> Iterator[tuple[str, Any]]:
    yield from ((str(node.output[0]), other) for node, other in zip(new, old, strict=True))


def _family(node: Any) -> str:
    """The operator, or what stands for all that one may be rewritten as."""
    return next((name for name, kinds in _FAMILIES.items() if node.op_type in kinds), str(node.op_type))


def _content(graph: Graph, node: Any) -> tuple[Any, ...]:
    """What a node is, apart from the names of its wires and itself."""
    constants = [_digest(graph.constant(name)) if graph.is_constant(name) else "" for name in node.input]
    types = [graph.datatype(name).name for name in node.output if name]
    return node.op_type, repr(sorted(settings(node).items())), tuple(constants), tuple(types)


def _digest(values: np.ndarray | None) -> str:
    return "" if values is None else f"{values.shape} {hashlib.sha256(values.tobytes()).hexdigest()}"
