"""Weights that a driver writes: their files as FINN makes them, and what the contract says of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finnyaml.accelerator.graphs import values_at
from finnyaml.accelerator.numbers.datatypes import Datatype, parse
from finnyaml.bundle.archives import write_npz
from finnyaml.bundle.weight_positions import probed, quickly, stored, words
from finnyaml.errors import StepFailed
from finnyaml.finn.partitions import Loaded, external_file, loaded, memory_of

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

FOLDER = "driver/runtime_weights"
POSITIONS = "graphs/weights.npz"


@dataclass(frozen=True)
class Weights:
    """The weights of one layer. tensor: in the prepared graph. entry: what `driver` says of the file. positions: where
    each value begins in the bits of the file, int64 in the shape of the tensor.
    """

    layer: str
    tensor: str
    datatype: Datatype
    file: str
    entry: dict[str, Any]
    positions: np.ndarray


def collect(
    model: ModelWrapper, partitioned: ModelWrapper, prepared: ModelWrapper, folder: Path, driver_folder: Path | None
) -> list[Weights]:
    """The weights of all layers that a driver writes; writes their files into `folder`, and their positions.

    model: the accelerator as it came from the build. partitioned: in FINN's partitions (`partitions.partitioned`).
    prepared: as the executor prepares it; the weights are from here. folder: the bundle. driver_folder: FINN's driver;
    files that are there are taken as they are, and not written.
    Raises StepFailed: FINN cannot write a file, or a file does not hold the weights of its layer.
    """
    nodes = {node.name: node for node in prepared.graph.node}
    found = []
    for layer in loaded(model, partitioned):
        tensor = nodes[layer.name].input[1]
        found.append(_weights(layer, tensor, prepared.get_initializer(tensor), folder, driver_folder))
    if found:
        write_npz(folder / POSITIONS, {weights.layer: weights.positions for weights in found})
    return found


def _weights(layer: Loaded, tensor: str, values: np.ndarray, folder: Path, driver_folder: Path | None) -> Weights:
    datatype = parse(layer.instance.get_input_datatype(1).name)
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    scratch = folder / FOLDER / ".probe"
    if layer.dma is None:
        number = f"{layer.kernel.number}_{layer.index}_"
        name, pattern, read = f"{number}{layer.name}.dat", f"{number}*.dat", words
    else:
        name = pattern = f"{layer.dma}.npy"
        read = stored
    given = sorted((driver_folder / "runtime_weights").glob(pattern)) if driver_folder else []

    def content(values: np.ndarray) -> bytes:
        """The file of these weights, as FINN's driver generator makes it."""
        if layer.dma is None:
            layer.instance.make_weight_file(values, "decoupled_runtime", str(scratch))
        else:
            with scratch.open("wb") as file:
                np.save(file, _packed(layer, memory_of(layer.instance, values)))
        return scratch.read_bytes()

    try:
        if layer.dma is None:
            with quickly():
                positions = probed(lambda tensor: words(content(tensor)), values.shape, datatype)
        else:
            positions = _stream_positions(layer, values.shape, datatype)
        held = given[0].read_bytes() if given else content(values)
    finally:
        scratch.unlink(missing_ok=True)
    file = given[0].name if given else name
    if positions is None or not np.array_equal(values_at(positions, read(held), datatype), values):
        raise StepFailed(
            f"{file} does not hold the weights of {layer.name} ({datatype.name} {list(values.shape)}) one by one, "
            "so the bundle could not check what the board has",
            hint="is out/driver from another build? Delete it" if given else "please report this, with the layer",
        )
    if not given:
        (folder / FOLDER / file).write_bytes(held)
    file = f"{FOLDER}/{file}"
    if layer.dma is None:
        entry = {"file": file, "layer_index": layer.index, "ip": layer.kernel.ip, "layer": layer.name}
    else:
        entry = {"file": file, "dma": layer.dma, "repeats": layer.repeats, "layer": layer.name}
    return Weights(layer.name, tensor, datatype, file, entry, positions)


def _stream_positions(layer: Loaded, shape: tuple[int, ...], datatype: Datatype) -> np.ndarray | None:
    """As `probed`; FINN packs each line of the memory on its own, so one line tells all."""
    numbers: np.ndarray = np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)
    memory: np.ndarray = memory_of(layer.instance, numbers).astype(np.int64)
    line = (1, memory.shape[1])
    within = probed(lambda values: np.unpackbits(_packed(layer, values), bitorder="little"), line, datatype)
    if within is None or numbers.size > 1 << 24:  # float32 does not number more
        return None
    bits = 8 * len(_packed(layer, np.zeros(line, np.float32) + np.float32(datatype.high)))
    positions: np.ndarray = np.zeros(numbers.size, np.int64)
    positions[memory.reshape(-1)] = (bits * np.arange(len(memory))[:, None] + within).reshape(-1)
    return positions.reshape(shape)


def _packed(layer: Loaded, memory: np.ndarray) -> np.ndarray:
    datatype = layer.instance.get_input_datatype(1)
    try:
        return external_file(memory, datatype)
    except ValueError as error:
        raise StepFailed(
            f"FINN cannot write the external weights of {layer.name}: its memory has lines of "
            f"{memory.shape[1]} x {datatype.bitwidth()} bits, no whole bytes ({error})",
            hint="choose PE and SIMD of the layer so that PE * SIMD * bits is a multiple of 8",
        ) from error


def without(prepared: ModelWrapper, weights: list[Weights]) -> ModelWrapper:
    """The prepared graph as long as nobody has written any weights: all their bits are 0."""
    result = copy.deepcopy(prepared)
    for each in weights:
        bits: np.ndarray = np.zeros(int(each.positions.max()) + each.datatype.bits, np.uint8)
        result.set_initializer(each.tensor, values_at(each.positions, bits, each.datatype))
    return result


def as_inputs(weights: list[Weights]) -> Mapping[str, dict[str, Any]]:
    """What the contract says of each graph input, by tensor."""
    return {
        each.tensor: {"layer": each.layer, "file": each.file, "datatype": each.datatype.name, "positions": each.layer}
        for each in weights
    }
