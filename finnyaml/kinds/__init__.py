"""The kinds of tasks: one declaration for each, which the plan, the engine, the workers and the documentation read.

A runner is named, not imported: `module:function`, called in a worker with a `finnyaml.worker.context.Context`. The
code that a kind's keys cover follows from that name (`finnyaml.kinds.code`), so no table of it is kept by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RUNNERS = "finnyaml.worker.runners"
WARM_UP = "finnyaml.worker.warm_up"

CODE = {"code": "the function: file, module or plug-in, and name"}
INPUT = {"input": "shape, data type and layout of the input"}
DATA = {"data": "the data set, with how many samples are taken"}
FRAMES = {**DATA, "layout": "of the graph's input", "file": "where its outputs go"}
GOLDEN = {"golden": "how many golden samples are kept for FINN's own verification"}
MEASURE = {"metric": "what is measured", "reference": "whose outputs a measurement is compared with"}


@dataclass(frozen=True)
class Kind:
    """What one kind of task is.

    `does` is one line. `makes` is `model` where the task gives a graph to the tasks after it, else `files` or
    `measurement`. `runner` and `warm_up` are `module:function`; the latter imports what is slow to import, before the
    clock of a task starts. `parameters` are what its keys depend on, each with its meaning; `settings` are those that
    a recipe may set in `with:`, with their defaults. `tools` are programs that it needs wherever it runs.

    Traits: a `source` makes the graph that steps change. What `looks` is not a step: it measures or delivers what
    steps made. `opaque`: its name does not say what it does to the graph. `users_code`: the recipe's own Python, whose
    `with:` are arguments. `digests_only`: of all it needs but the first it takes only the digests of the models.
    `frames`: it sends samples of the data set through hardware.
    """

    name: str
    does: str
    runner: str
    makes: str = "model"
    warm_up: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[str, ...] = ()
    source: bool = False
    looks: bool = False
    opaque: bool = False
    users_code: bool = False
    digests_only: bool = False
    frames: bool = False

    @property
    def code(self) -> tuple[str, ...]:
        """The modules whose code decides what a task of this kind makes, with all that they import."""
        return tuple(named.partition(":")[0] for named in (self.runner, self.warm_up) if named)


def _rtl(name: str, does: str, **more: Any) -> Kind:
    runner = f"{RUNNERS}.rtl.{name}:run"
    return Kind(f"rtl.{name}", does, runner, warm_up=f"{WARM_UP}:finn", **more)


def _look(name: str, does: str, runner: str, makes: str = "files", **more: Any) -> Kind:
    return Kind(name, does, f"{RUNNERS}.{runner}", makes, looks=True, **more)


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "brevitas",
            "Exports a Brevitas module to QONNX.",
            f"{RUNNERS}.source:brevitas",
            warm_up=f"{WARM_UP}:brevitas",
            parameters={
                **CODE,
                "args": "what the function is called with",
                "weights": "the checkpoint",
                "weights_key": "where in the checkpoint the weights are",
                "export": "what Brevitas' export is called with",
                **INPUT,
            },
            source=True,
        ),
        Kind(
            "onnx",
            "Reads an ONNX file, in QONNX's or FINN's dialect.",
            f"{RUNNERS}.source:onnx",
            parameters={"file": "the ONNX file", **INPUT},
            source=True,
        ),
        Kind(
            "processing",
            "Merges pre- or post-processing into the graph.",
            f"{RUNNERS}.processing:run",
            parameters={"stages": "the stages, in order", **INPUT},
            source=True,
        ),
        Kind(
            "finn",
            "Runs a step function of the installed FINN.",
            f"{RUNNERS}.finn_step:run",
            warm_up=f"{WARM_UP}:finn",
            parameters={"prefer": "the style (rtl or hls) that layers get where they can"},
        ),
        Kind(
            "finn_open",
            "Runs a step function of FINN that would start Xilinx' tools, without them.",
            f"{RUNNERS}.finn_open:run",
            warm_up=f"{WARM_UP}:finn",
        ),
        Kind(
            "segment",
            "Runs one compound statement of a phase of FINN, as FINN wrote it.",
            f"{RUNNERS}.segment:run",
            warm_up=f"{WARM_UP}:finn",
            parameters={"phase": "FINN's name of the phase", "index": "which statement of it"},
            opaque=True,
        ),
        Kind(
            "code",
            "Calls a function of the recipe's author: `function(model, cfg, **with)`.",
            f"{RUNNERS}.code:run",
            warm_up=f"{WARM_UP}:configuration",
            parameters={**CODE, "with": "further arguments"},
            opaque=True,
            users_code=True,
        ),
        Kind(
            "repair",
            "Makes an exact change to the graph, and says what was changed.",
            f"{RUNNERS}.repair:run",
            parameters={"code": "the function, of a plug-in"},
        ),
        Kind(
            "folding",
            "Chooses the folding of all layers, proven to be the best by what FINN estimates.",
            f"{RUNNERS}.folding:run",
            warm_up=f"{WARM_UP}:finn",
            parameters={"optimize": "what is wanted", "rtl_only": "whether converters have to be RTL"},
        ),
        _rtl(
            "size_fifos",
            "Finds the smallest FIFOs that keep the throughput, by simulation, and gives the FIFOs these depths.",
            settings={"target_interval": None, "slack": 0.0},
            tools=("g++",),
        ),
        _rtl("stitch", "Joins the RTL of all layers to one design in SystemVerilog, as FINN's stitched IP."),
        _rtl(
            "simulate",
            "Sends data through the stitched design in Verilator; every bit has to be right, and cycles are counted.",
            makes="files",
            settings={"frames": 16, "stalls": {}, "max_interval": None, "waveform": False},
            parameters=FRAMES,
            tools=("g++",),
            frames=True,
        ),
        _rtl(
            "synthesize",
            "Synthesises the stitched design and its layers with Yosys: resources per layer, as estimates.",
            makes="files",
            settings={"layers": True},
        ),
        _rtl(
            "export",
            "Writes the design as a folder of its own, with a test bench and a script for Vivado.",
            makes="files",
            settings={"frames": 64},
            parameters={**FRAMES, "candidates": "how many samples the frames are chosen from"},
            frames=True,
        ),
        _look(
            "reference",
            "Runs the model as its author wrote it on the data set, and keeps its outputs.",
            "reference:run",
            parameters={**FRAMES, **GOLDEN, "model": "None: the graph is the reference"},
        ),
        _look(
            "torch_reference",
            "Runs the Brevitas module itself on the data set, and keeps its outputs.",
            "reference:run",
            warm_up=f"{WARM_UP}:brevitas",
            parameters={
                **FRAMES,
                **GOLDEN,
                "model": "code, arguments and weights of the module",
                "preprocess": "its stages",
                "postprocess": "its stages",
            },
        ),
        _look(
            "verify",
            "Measures the graph that a step made, on a data set, against the reference.",
            "verify:run",
            "measurement",
            parameters={
                **FRAMES,
                **MEASURE,
                "simulated": "outputs of simulated hardware that are measured instead",
                "before": "the steps whose outputs must not change, the nearest first",
                "tolerance": "within which outputs count as equal",
            },
        ),
        _look(
            "bisect",
            "Finds where in a step accuracy is lost. In no plan: it runs when a gate fails, or when it is asked for.",
            "bisect:run",
            parameters={
                "step": "the task whose step loses it",
                **DATA,
                **MEASURE,
                "layout": FRAMES["layout"],
                "max_drop": "the loss that counts as one",
                "exact": "whether a change of the outputs is looked for, and not a loss",
                "folder": "where its picture goes",
            },
        ),
        _look(
            "lint",
            "Asks the lint rules about all graphs of a build. In no plan: it runs when a build ends.",
            "lint:run",
            parameters={"stages": "the graphs, each with where in the build it stands"},
        ),
        _look(
            "finn_checks",
            "Runs FINN's own checks of the configuration. In no plan: it runs when a recipe is linted.",
            "finn_checks:run",
            warm_up=f"{WARM_UP}:configuration",
        ),
        _look(
            "contract",
            "Derives the contract of the accelerator; exports its graphs and golden samples.",
            "bundle:contract",
            parameters={
                **DATA,
                **INPUT,
                "golden": "how many golden samples",
                "stages": "pre- and post-processing",
                "folder": "where its files go",
            },
        ),
        _look(
            "bundle",
            "Puts the deployment bundle together from the contract, the reports of the build and the templates.",
            "bundle:bundle",
            warm_up=f"{WARM_UP}:configuration",
            parameters={
                "name": "of the bundle",
                "recipe": "as it was resolved",
                "templates": "the folder of the user's templates",
                "files": "which of them are filled in, and where to",
                "vars": "values for them",
                "parts": "where the contract is",
                "folder": "where the bundle goes",
                "points": "the verification points above",
                "steps": "the steps above",
            },
            digests_only=True,
        ),
    )
}
"""All kinds by name."""
