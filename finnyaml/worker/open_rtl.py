"""How the steps of the open RTL path run, inside a worker."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finnyaml.errors import StepFailed, ToolMissing, VerificationFailed
from finnyaml.worker.context import Context, needed_model
from finnyaml.worker.verification import data_set, parent_of, whole_graph

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

    from finnyaml.bundle.stream_values import Frames
    from finnyaml.rtl.design import Design
    from finnyaml.rtl.simulation import Run, Stalls

DESIGN = "out/rtl/design"
"""Where rtl.stitch leaves the design."""

REPORTS = "out/report"
SIZING = "rtl_fifo_sizing.json"
SIMULATION = "rtl_simulation"
SIMULATIONS = ("simulate", "measure_rtlsim_performance")
"""Tasks of rtl.simulate whose report is the one that people look for; others have their id in its name."""
CORES = 2
"""Into so many processes the frames of a simulation are split, at most."""
FEWEST = 8
"""Frames for a process, at least: while the pipeline and its FIFOs fill, frames come out at other intervals."""

WAVEFORM_FRAMES = 2
SIZING_FRAMES = 16


def rtl(context: Context) -> Any:
    """Run the step that the task names."""
    return {
        "rtl.size_fifos": size_fifos,
        "rtl.stitch": stitch,
        "rtl.simulate": simulate,
        "rtl.synthesize": synthesize,
        "rtl.export": export,
    }[context.uses](context)


def refuse_hls(model: ModelWrapper, step: str) -> None:
    """Raises ToolMissing where a step of FINN would call Vitis HLS, or Vivado for a design within the design."""
    nested = [node for node in model.graph.node if node.op_type in ("FINNLoop", "NodeContainer")]
    if nested:
        told = ", ".join(f"{node.name} ({node.op_type})" for node in nested)
        raise ToolMissing(
            f"{step} needs Vivado, which the open toolchain has not: {told} "
            f"{'holds a design' if len(nested) == 1 else 'hold designs'} that FINN packs on the way",
            hint="leave multi-layer offload and containers out of the build; or install Vivado and set "
            "`toolchain: vivado`",
        )
    names = [node.name for node in model.graph.node if node.domain.endswith(".hls")]
    if names:
        told = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        raise ToolMissing(
            f"{step} needs Vitis HLS, which the open toolchain has not: {told} "
            f"{'is an HLS layer' if len(names) == 1 else 'are HLS layers'}",
            hint="`specialize: {prefer: rtl}` makes RTL of every layer that can be and reports why others cannot "
            "(docs/rtl.md); or install Vivado and Vitis HLS and set `toolchain: vivado`",
        )


def stitch(context: Context) -> ModelWrapper:
    """Join the RTL of all layers to one design."""
    from finnyaml.finn import stitched

    part, clock_ns = _target(context)
    folder = _empty(context.root / DESIGN)
    return stitched.stitch(needed_model(context), part, clock_ns, folder)


def size_fifos(context: Context) -> ModelWrapper:
    """Find the least depths that keep the throughput, set them, and see that the real FIFOs keep it too."""
    from finnyaml.bundle import stream_values
    from finnyaml.bundle.stream_values import Frames
    from finnyaml.finn import fifos
    from finnyaml.rtl import performance, sizing, verilator

    model = needed_model(context)
    work = context.root / "tmp" / "sizing"
    design = _stitched_aside(context, model, work / "searched")
    simulator = verilator.compile(design, work / "search", context.cache, verilator.Build(dynamic_fifos=True))
    frames = stream_values.at_random(model, SIZING_FRAMES)
    sizes = sizing.size(
        simulator, frames.inputs, target=context.params["target_interval"], slack=context.params["slack"]
    )
    part, clock_ns = _target(context)
    model = fifos.with_depths(model, sizes.chosen.depths, part, clock_ns)
    folder = _stitched_aside(context, model, work / "sized")
    real = verilator.compile(folder, work / "real", context.cache)
    again: np.ndarray = np.arange(2 * sizes.frames) % len(frames.inputs)  # the later half is beyond what was searched
    frames = Frames(frames.index[again], frames.inputs[again], frames.outputs[again])
    run = real.run(frames.inputs)
    _check(real.design, frames, run, _explainer(context, model, folder, frames, run))
    found = performance.figures(real.design, run)
    report = {**sizes.report(simulator.design), "confirmed": _lasting(found)}
    _write(context, SIZING, report)
    _write(context, "fifo_config.json", fifos.fifo_config(model))
    _write(context, "fifo_sizing.json", fifos.fifo_report(model))  # FINN's own, which had the least depths
    if found["interval"] > (1 + sizes.slack) * sizes.target:
        raise VerificationFailed(
            f"with the depths found, a frame takes {found['interval']:g} cycles in fifo.sv, not {sizes.target}",
            hint="give rtl.size_fifos some `slack`, and please report this with the recipe",
        )
    return model


def simulate(context: Context) -> None:
    """Send samples through the design; what comes out has to be what FINN's Python execution says, bit for bit."""
    from finnyaml.bundle import stream_values
    from finnyaml.rtl import performance, verilator
    from finnyaml.rtl.simulation import Stalls

    params = context.params
    model = needed_model(context)
    folder = _design(context)
    frames = _frames(context, model)
    work = context.root / "tmp" / "simulation"
    simulator = verilator.compile(folder, work, context.cache)
    stalls = Stalls(**params["stalls"])
    run = simulator.run(frames.inputs, stalls=stalls, processes=_processes(simulator.design, len(frames.inputs)))
    path = context.root / params["file"]
    path.parent.mkdir(parents=True, exist_ok=True)
    if params["waveform"]:
        traced = verilator.compile(folder, work / "traced", context.cache, verilator.Build(waveform=True))
        traced.run(frames.inputs[:WAVEFORM_FRAMES], stalls=stalls, waveform=path.with_suffix(".fst"))
    _check(simulator.design, frames, run, _explainer(context, model, folder, frames, run, stalls))
    found = performance.figures(simulator.design, run)
    stalled = bool(stalls.input or stalls.output)
    if not stalled:
        _check_speed(context, simulator.design, found, min(run.chunks))
    name = SIMULATION if path.stem in SIMULATIONS and not stalled else f"{SIMULATION}_{path.stem}"
    _write(context, f"{name}.json", {"stalls": dict(params["stalls"]), **_lasting(found)})
    answers = stream_values.answers(parent_of(context), model, run.outputs)
    np.savez(path, index=frames.index, outputs=run.outputs, answers=answers)


def synthesize(context: Context) -> None:
    """Synthesise the design with Yosys."""
    from finnyaml.rtl import synthesis

    report = synthesis.synthesize(_design(context), context.root / "tmp" / "synthesis", layers=context.params["layers"])
    _write(context, "rtl_synthesis.json", report)


def export(context: Context) -> None:
    """Write the design as a folder of its own."""
    from finnyaml.rtl import export as exports

    frames = _frames(context, needed_model(context))
    exports.export(_design(context), _empty(context.root / "out/rtl/export"), frames.inputs, frames.outputs)


def _design(context: Context) -> Path:
    """The design folder. All of it counts as read: what programs read in it, the weights, is not seen."""
    folder = context.root / DESIGN
    for path in folder.rglob("*"):
        if path.is_file():
            path.open("rb").close()
    return folder


def _frames(context: Context, model: ModelWrapper) -> Frames:
    from finnyaml.bundle import stream_values

    params = context.params
    if params["data"] is None:
        return stream_values.at_random(model, params["frames"])
    data = data_set(context, params["data"])
    return stream_values.of_data(whole_graph(context, model), model, data, params["layout"])


def _processes(design: Design, frames: int) -> int:
    """So many processes that each sees the pipeline full for half of its frames; its filling counts for nothing."""
    return max(1, min(CORES, frames // _steady(design.latency_cycles, design.max_cycles)))


def _steady(latency: int, interval: float) -> int:
    """Frames for one process after which those that come out show the interval: as many as rtl.size_fifos takes."""
    return max(FEWEST, 2 * math.ceil(latency / max(1, interval)) + 4)


def _explainer(
    context: Context, model: ModelWrapper, folder: Path, frames: Frames, run: Run, stalls: Stalls | None = None
) -> Callable[[], Mapping[str, Any]]:
    """What finds out, when it is called, what is wrong with a run of a design folder."""
    from finnyaml.bundle import stream_values
    from finnyaml.rtl import explain
    from finnyaml.rtl.design import Design

    def why() -> Mapping[str, Any]:
        design, work = Design.load(folder), context.root / "tmp" / "why"
        inner = stream_values.inside(model, frames.inputs, [edge.tensor for edge in design.edges])
        expected = {**inner, design.output.tensor: frames.outputs}
        return asdict(explain.explain(folder, work, context.cache, frames.inputs, expected, run, stalls=stalls))

    return why


def _check(design: Design, frames: Frames, run: Run, why: Callable[[], Mapping[str, Any]]) -> None:
    """Refuse a simulation that did not end, or did not give what the graph gives."""
    from finnyaml.bundle.stream_values import mismatches

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


def _check_speed(context: Context, design: Design, figures: Mapping[str, Any], frames: int) -> None:
    """Refuse a design that is slower than the recipe allows, or than its FIFOs were sized for.

    frames: of the process with the fewest. Where these cannot tell, only a limit of the recipe's own is an error.
    """
    from finnyaml.rtl.explain import slow

    sized = context.root / REPORTS / SIZING
    report = json.loads(sized.read_text()) if sized.is_file() else None
    limit = context.params["max_interval"]
    if limit is None and report is not None:
        limit = math.floor(report["target"] * (1 + report["slack"]))
    interval = figures["interval"]
    if limit is None or (interval is not None and interval <= limit):
        return
    enough = _steady(figures["latency"], interval or design.max_cycles)
    if frames < enough:
        said = f"whether a frame comes out every {limit} cycles does not show in so few frames ({frames})"
        if context.params["max_interval"] is None:
            print(f"{said}: not checked")
            return
        raise StepFailed(
            said, hint=f"give {context.uses} `frames: {enough}` or more, and `verify.data` as many samples"
        )
    searched = {item["node"]: item["depth"] for item in report["fifos"]} if report is not None else {}
    shallow = [fifo for fifo in design.fifos if fifo.depth < searched.get(fifo.node, 0)]
    if shallow:
        told = ", ".join(f"{fifo.node} has depth {fifo.depth}, not {searched[fifo.node]}" for fifo in shallow)
        between = f"between {shallow[0].producer or 'the input'} and {shallow[0].consumer or 'the output'}"
        raise VerificationFailed(
            f"a frame comes out every {interval:g} cycles, {limit} are allowed: {told} ({between})",
            hint="rtl.size_fifos found the smallest depths that keep the interval: leave them, or allow more cycles",
        )
    raise VerificationFailed(slow(design, figures, limit).message)


def _target(context: Context) -> tuple[str, float]:
    from finnyaml.finn import target

    return target.part_and_clock(context.config())


def _stitched_aside(context: Context, model: ModelWrapper, folder: Path) -> Path:
    """A design that is looked at and thrown away: neither the model nor FINN's build folder keeps anything of it."""
    import copy

    from finnyaml.finn import stitched

    project = stitched.stitch(copy.deepcopy(model), *_target(context), _empty(folder))
    shutil.rmtree(project.get_metadata_prop("vivado_stitch_proj"))
    return folder


def _lasting(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Figures without how long it took here: equal simulations, equal files. The log has the rest."""
    print(f"{figures['cycles']:,} cycles in {figures['seconds']:.1f} s")
    return {name: value for name, value in figures.items() if name not in ("seconds", "cycles_per_second")}


def _write(context: Context, name: str, report: Mapping[str, Any]) -> None:
    path = context.root / REPORTS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
