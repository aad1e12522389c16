"""Frames for the hardware: sent through it, compared with what the graph gives."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnyaml.bundle import stream_values
from finnyaml.bundle.stream_values import Frames, mismatches
from finnyaml.errors import VerificationFailed
from finnyaml.rtl.design import Design
from finnyaml.rtl.explain.search import explain
from finnyaml.worker.context import Context
from finnyaml.worker.inputs import data_set, whole_graph

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

    from finnyaml.rtl.simulation import Run, Stalls

FEWEST = 8
"""Frames for a process, at least: while the pipeline and its FIFOs fill, frames come out at other intervals."""


def frames_of(context: Context, model: ModelWrapper) -> Frames:
    params = context.params
    if params["data"] is None:
        return stream_values.at_random(model, params["frames"])
    data = data_set(context, params["data"])
    return stream_values.of_data(whole_graph(context, model), model, data, params["layout"])


def steady(latency: int, interval: float) -> int:
    """Frames for one process after which those that come out show the interval: as many as rtl.size_fifos takes."""
    return max(FEWEST, 2 * math.ceil(latency / max(1, interval)) + 4)


def explainer(
    context: Context, model: ModelWrapper, folder: Path, frames: Frames, run: Run, stalls: Stalls | None = None
) -> Callable[[], Mapping[str, Any]]:
    """What finds out, when it is called, what is wrong with a run of a design folder."""

    def why() -> Mapping[str, Any]:
        design, work = Design.load(folder), context.root / "tmp" / "why"
        inner = stream_values.inside(model, frames.inputs, [edge.tensor for edge in design.edges])
        expected = {**inner, design.output.tensor: frames.outputs}
        return asdict(explain(folder, work, context.cache, frames.inputs, expected, run, stalls=stalls))

    return why


def check_frames(design: Design, frames: Frames, run: Run, why: Callable[[], Mapping[str, Any]]) -> None:
    """Refuse a simulation that did not end, or did not give what the graph gives."""
    if not run.finished:
        said = f"the hardware stopped after {len(run.outputs)} of {len(frames.outputs)} frames"
    elif (wrong := mismatches(run.outputs, frames.outputs))["values"]:
        said = f"{wrong['frames']} of {len(frames.outputs)} frames come out of the RTL with other values than the graph"
    else:
        return
    explained = why()
    print(json.dumps(explained, indent=1, default=str))
    raise VerificationFailed(
        f"{said}: {explained['message']}",
        hint=f"simulated: the RTL of {design.finn}; expected: its Python execution of the same layers",
    )
