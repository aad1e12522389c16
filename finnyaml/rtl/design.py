"""What a design folder holds: `design.json` beside `top.sv`, `src/` and `data/`.

`finnyaml.finn.stitched` writes such a folder; everything else in this package starts from one and knows no FINN.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

from finnyaml.errors import StepFailed

FORMAT = 1
FILE = "design.json"
TOP = "finn_design"
"""The top module; a node is instantiated in it under its FINN name, from the module node_<name>."""
TOP_FILE = "top.sv"

_AGAIN = "run rtl.stitch again, with this finnyaml"


@dataclass(frozen=True)
class Stream:
    """An AXI stream and the tensor that goes over it.

    name: the prefix of its nets: of the outer ports for input and output ("s_axis_0"), else of nets inside the top;
    the nets are <name>_tdata, _tvalid and _tready. tensor: its name in the ONNX graph. datatype: FINN's, "INT4".
    shape: of the tensor, batch 1 in front, channels last. folded: the same values as the hardware takes them; the last
    axis is one beat. width: bits of tdata, whole bytes. producer, consumer: names of nodes, None is the outside.
    """

    name: str
    tensor: str
    datatype: str
    shape: tuple[int, ...]
    folded: tuple[int, ...]
    width: int
    producer: str | None
    consumer: str | None

    @property
    def beats(self) -> int:
        """Transfers per frame."""
        return prod(self.folded[:-1])


@dataclass(frozen=True)
class Fifo:
    """A FIFO node. depth: in beats; width: bits of one beat, without padding; producer, consumer: the nearest nodes
    that are not a FIFO, None is the outside.
    """

    node: str
    depth: int
    width: int
    ram_style: str
    producer: str | None
    consumer: str | None


@dataclass(frozen=True)
class Node:
    """A FINN node. cycles: for one frame, if it never waits; FINN's estimate where nothing better is known.
    sources: the modules its cells are made of, each as {"module": name, "parameters": {name: value}}. estimate: FINN's
    resource estimate for the part: LUT, BRAM_18K, URAM, DSP.
    """

    name: str
    op_type: str
    cycles: int
    sources: tuple[Mapping[str, Any], ...]
    estimate: Mapping[str, float]


@dataclass(frozen=True)
class Design:
    """A stitched design.

    finn: which FINN made it. clock_ns: the period it is meant for. sources: relative paths in compile order, packages
    first, the top last. data: memory images, which the sources read at run time, relative to the folder. edges: the
    streams between nodes, in topological order. max_cycles, latency_cycles: FINN's estimates of the interval between
    frames and of the time of one frame. device: capacity of the part (LUT, FF, BRAM18, URAM, DSP), empty where FINN
    does not know it.
    """

    format: int
    top: str
    finn: str
    part: str
    clock_ns: float
    sources: tuple[str, ...]
    data: tuple[str, ...]
    input: Stream
    output: Stream
    edges: tuple[Stream, ...]
    nodes: tuple[Node, ...]
    fifos: tuple[Fifo, ...]
    max_cycles: int
    latency_cycles: int
    device: Mapping[str, int]

    @classmethod
    def load(cls, folder: Path) -> Design:
        """Read design.json of a design folder.

        Raises StepFailed: there is none, it is damaged, or of another format.
        """
        file = folder / FILE
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise StepFailed(f"there is no stitched design: {error}", hint="rtl.stitch makes it") from error
        except (ValueError, RecursionError) as error:
            raise StepFailed(f"{file} is damaged: {error}", hint=_AGAIN) from error
        found = data.get("format") if isinstance(data, dict) else None
        if found != FORMAT:
            raise StepFailed(f"{file} has format {found}, this finnyaml reads format {FORMAT}", hint=_AGAIN)
        try:
            return _design(data)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StepFailed(f"{file} is damaged ({type(error).__name__}: {error})", hint=_AGAIN) from error

    def save(self, folder: Path) -> None:
        """Write design.json into a design folder."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def _design(data: dict[str, Any]) -> Design:
    made = {
        "sources": tuple(data["sources"]),
        "data": tuple(data["data"]),
        "input": _stream(data["input"]),
        "output": _stream(data["output"]),
        "edges": tuple(_stream(each) for each in data["edges"]),
        "nodes": tuple(Node(**{**each, "sources": tuple(each["sources"])}) for each in data["nodes"]),
        "fifos": tuple(Fifo(**each) for each in data["fifos"]),
    }
    return Design(**{**data, **made})


def _stream(data: dict[str, Any]) -> Stream:
    return Stream(**{**data, "shape": tuple(data["shape"]), "folded": tuple(data["folded"])})
