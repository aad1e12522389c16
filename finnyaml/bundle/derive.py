"""What the build knows of the accelerator's interface: the contract, the graphs around and inside it, golden samples.

Everything is derived from the graphs of the build and the data of the recipe; nothing is assumed of the network.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finnyaml.accelerator.errors import AcceleratorError
from finnyaml.accelerator.numbers.datatypes import Datatype, parse
from finnyaml.bundle import descriptions, golden, host_check, host_part, runtime_weights
from finnyaml.bundle.archives import write_npz
from finnyaml.bundle.graphs import write_hardware, write_outside
from finnyaml.errors import StepFailed
from finnyaml.finn import partitions
from finnyaml.finn.ports import Port, check_hardware, ports
from finnyaml.graph.view import View
from finnyaml.recipe.model import InputSpec
from finnyaml.verify.executor import BatchedModel, prepare

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

    from finnyaml.verify.data.dataset import DataSet

CONTRACT = "contract.json"
SAMPLES = "golden/samples.npz"


def write(
    whole: ModelWrapper,
    model: ModelWrapper,
    parent: ModelWrapper | None,
    data: DataSet | None,
    folder: Path,
    *,
    spec: InputSpec,
    stages: Mapping[str, Sequence[Mapping[str, Any]]],
    samples: int,
    driver_folder: Path | None,
) -> None:
    """Write into `folder`: contract.json (the sections `contract`, `driver` and `golden` of bundle.json), graphs/,
    golden/samples.npz, and driver/runtime_weights/ where FINN's driver has none.

    whole: from the data to the outputs (`whole_model`). model: after the last step of the flow: the accelerator's
    layers, or the partitions that FINN's synthesis made. parent: the graph that the accelerator was cut out of. data:
    the data set of the recipe; None: golden samples are random values. spec: what the recipe says of the input.
    stages: of the recipe, "preprocess" and "postprocess"; each has `kind` and `options`. samples: how many golden
    samples. driver_folder: FINN's own driver, if there is one.
    Raises StepFailed: no accelerator yet, several streams, data that does not fit, a path past the accelerator.
    """
    check_hardware(model, parent)
    assert parent is not None
    build = _Build(whole, prepare(model), *host_part.head_and_tail(parent), ports(model))
    weights: list[runtime_weights.Weights] = []
    if partitions.has_loaded_weights(model):
        scratch = folder / ".partitions"
        try:
            split = partitions.partitioned(model, scratch)
            build = replace(build, ends=_named(build.ends, split))
            weights = runtime_weights.collect(model, split, build.hardware, folder, driver_folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    given = _given(build, data, spec, samples)
    output = _output(build, given.samples)
    contract = {
        "input": given.contract,
        "output": output,
        "inside": descriptions.inside(stages, build.head, build.tail, build.hardware),
        "accelerator": {"inputs": [build.ends[0].as_data()], "outputs": [build.ends[1].as_data()]},
        "head": write_outside(given.head, folder, "head"),
        "tail": write_outside(build.tail, folder, "tail"),
        "hardware": write_hardware(build.hardware, folder, runtime_weights.as_inputs(weights)),
    }
    found = _golden(build, given, weights, np.dtype(output["dtype"]))
    write_npz(folder / SAMPLES, found)
    content = {
        "contract": contract,
        "driver": {
            "runtime_weights": [each.entry for each in weights if "dma" not in each.entry],
            "external_weights": [each.entry for each in weights if "dma" in each.entry],
        },
        "golden": {"file": SAMPLES, "samples": len(given.samples.inputs), "source": given.samples.source},
    }
    host_check.prove(content, folder, driver_folder, found)
    (folder / CONTRACT).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class _Build:
    """The graphs: from the data to the outputs; the hardware layers (prepared) and what is before and after them."""

    whole: ModelWrapper
    hardware: ModelWrapper
    head: ModelWrapper
    tail: ModelWrapper
    ends: tuple[Port, Port]


@dataclass(frozen=True)
class _Given:
    """The user's side: golden samples, what they go through to fit the graph, and the head with that before it."""

    contract: dict[str, Any]
    samples: golden.Samples
    moves: host_part.Moves
    head: ModelWrapper


def _named(ends: tuple[Port, Port], split: ModelWrapper) -> tuple[Port, Port]:
    """The ports with the names of their DMA engines, among which may be those for weights."""
    names = partitions.dma_names(split)
    first, last = split.find_consumer(View(split).inputs[0]), split.find_producer(split.graph.output[0].name)
    return replace(ends[0], name=names[first.name]), replace(ends[1], name=names[last.name])


def _given(build: _Build, data: DataSet | None, spec: InputSpec, count: int) -> _Given:
    source = build.head.graph.input[0].name
    datatype = _datatype(build.head, source)
    wanted = tuple(int(size) for size in build.head.get_tensor_shape(source))
    moves: host_part.Moves
    if data is None:
        shape, moves = wanted[1:], ()
        samples = golden.at_random(shape, datatype, count)
    else:
        shape, moves = data.shape, host_part.moves(data.shape, data.layout, wanted, spec.layout)
        samples = golden.of_data(data, count)
    dtype = golden.dtype_of(datatype)
    samples = replace(samples, inputs=golden.as_dtype(samples.inputs, dtype, "the images"))
    head = host_part.with_moves(build.head, shape, moves)
    layout = _layout_before(moves, _layout(build.head, source))
    contract = {
        "name": source,
        "datatype": datatype.name,
        "dtype": dtype.name,
        "shape": [int(size) for size in shape],
        "layout": layout,
        "range": _range(datatype, samples.range),
        "scale": descriptions.scale(head),
        "does": descriptions.does(head, layout),
    }
    return _Given(contract, samples, moves, head)


def _output(build: _Build, samples: golden.Samples) -> dict[str, Any]:
    whole = prepare(build.whole)
    name = whole.graph.output[0].name
    datatype = _datatype(whole, name)
    shape = [int(size) for size in whole.get_tensor_shape(name)[1:]]
    classes, number = descriptions.meaning(whole)
    if classes:
        datatype = parse("INT64") if datatype.kind == "float" else datatype
        meaning, limits = "class index", [0, number - 1] if number else _range(datatype, None)
    else:
        meaning, limits = "scores" if _are_scores(shape, samples) else "values", _range(datatype, None)
    return {
        "name": name,
        "datatype": datatype.name,
        "dtype": "int64" if classes else golden.dtype_of(datatype).name,
        "shape": shape,
        "layout": _layout(whole, name),
        "range": limits,
        "scale": descriptions.scale(build.tail),
        "does": descriptions.does(build.tail, build.ends[1].layout),
        "meaning": meaning,
    }


def _golden(
    build: _Build, given: _Given, weights: list[runtime_weights.Weights], outputs: np.dtype
) -> dict[str, np.ndarray]:
    samples, ends = given.samples, build.ends
    graph = BatchedModel(build.whole, taps=[end.tensor for end in ends])
    values = _one_by_one(graph, host_part.moved(samples.inputs, given.moves))
    found = {"index": samples.index}
    if samples.labels is not None:
        found["labels"] = samples.labels
    found["inputs"] = samples.inputs
    for end, name in zip(ends, ("input", "output"), strict=True):
        fitting = golden.fitting(values[end.tensor], parse(end.datatype), f"the accelerator's {name}")
        found[f"accelerator_{name}s"] = fitting
    found["outputs"] = golden.as_dtype(values[graph.outputs[0]], outputs, "the outputs")
    if weights:
        unloaded = BatchedModel(runtime_weights.without(build.hardware, weights))
        result = unloaded.run(values[ends[0].tensor])[unloaded.outputs[0]]
        found["without_weights"] = result.astype(golden.dtype_of(parse(ends[1].datatype)))
    return found


def _one_by_one(graph: BatchedModel, batch: np.ndarray) -> dict[str, np.ndarray]:
    """As the board gets them at batch 1: sums of real numbers depend on how many samples are computed at once."""
    rows = [graph.run(batch[i : i + 1]) for i in range(len(batch))]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _datatype(model: ModelWrapper, tensor: str) -> Datatype:
    name = model.get_tensor_datatype(tensor).name
    try:
        return parse(name)
    except AcceleratorError as error:
        raise StepFailed(f"{tensor} has the datatype {name}, which a host cannot hand to a board") from error


def _range(datatype: Datatype, seen: tuple[float, float] | None) -> list[float] | None:
    if datatype.kind != "float":
        return [datatype.low, datatype.high]
    return list(seen) if seen is not None and np.isfinite(seen).all() else None


def _layout(model: ModelWrapper, tensor: str) -> str | None:
    layout = model.get_tensor_layout(tensor)
    return "".join(layout) if layout and len(layout) == len(model.get_tensor_shape(tensor)) else None


def _layout_before(moves: host_part.Moves, layout: str | None) -> str | None:
    """The layout of what the moves turn into `layout`; None after a reshape, which says nothing of its input."""
    for kind, value in reversed(moves):
        if kind == "Reshape" or layout is None:
            return None
        layout = "".join(layout[value.index(axis)] for axis in range(len(layout)))
    return layout


def _are_scores(shape: list[int], sample: golden.Samples) -> bool:
    """Whether outputs of this shape are a row of scores for the labels that the data has."""
    from finnyaml.verify.classes import class_labels

    sizes = [size for size in shape if size != 1]
    if sample.labels is None or len(sizes) != 1:
        return False
    try:
        return bool(class_labels(sample.labels).max() < sizes[0])
    except StepFailed:
        return False
