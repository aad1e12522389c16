"""What `explain` found: a kind, a node, sentences, and the same as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from finnyaml.rtl.design import Design, Fifo, Stream

KINDS = ("values", "channels", "weight", "thresholds", "stuck", "slow")


@dataclass(frozen=True)
class Explanation:
    """Why a simulated design does not do what it should.

    kind: one of `KINDS`. node: the FINN node to look at, None where no single one is to blame. message: sentences for
    people. details: what they are made of, as plain data (JSON).
    """

    kind: str
    node: str | None
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


def inputs_of(design: Design, node: str) -> list[Stream]:
    """The streams that a node takes."""
    return [stream for stream in (design.input, *design.edges) if stream.consumer == node]


def outputs_of(design: Design, node: str) -> list[Stream]:
    """The streams that a node gives."""
    return [stream for stream in (*design.edges, design.output) if stream.producer == node]


def op_type(design: Design, node: str | None) -> str:
    """FINN's op type of a node; "" for the outside."""
    return next((each.op_type for each in design.nodes if each.name == node), "")


def described(fifo: Fifo) -> str:
    """A FIFO as sentences call it: name, depth, and what lies around it."""
    before, after = fifo.producer or "the input", fifo.consumer or "the output"
    return f"{fifo.node} (depth {fifo.depth}, between {before} and {after})"


def listed(words: Sequence[str]) -> str:
    """a; a and b; a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
